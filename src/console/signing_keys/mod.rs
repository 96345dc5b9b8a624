//! Signing keys: the list with state and age, the public endpoints, creation, rotation and revocation.

mod revoke;
mod rotate;

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::{Badge, Copyable, Moment, Tone, format_span};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::{AdminSigningKeys, ReadAudit, ReadSigningKeys};
use crate::node::Tenant;
use crate::organizations::next_rotation;
use crate::signing::{KeyState, SigningKey};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/signing-keys", [get(list)]))
        .service(resource("/signing-keys/rotate", [get(rotate::ask), submit(rotate::rotate)]))
        .service(resource("/signing-keys/bootstrap", [submit(rotate::bootstrap)]))
        .service(resource("/signing-keys/{kid}/revoke", [get(revoke::ask), submit(revoke::revoke)]));
}

#[derive(Template)]
#[template(path = "console/signing_keys/list.html")]
struct Page {
    frame: Frame,
    keys: Vec<Row>,
    may_change: bool,
    algorithm: &'static str,
    issuer: String,
    jwks: String,
    metadata: String,
    ttl: String,
    ahead: String,
    rotation: Rotation,
    /// Whether a key was just revoked: the page lists what to do next.
    shows_checklist: bool,
    may_read_audit: bool,
}

/// When the next key is created automatically.
enum Rotation {
    Never,
    Due,
    At(Moment, u32),
}

struct Row {
    kid: String,
    algorithm: &'static str,
    state: Badge,
    age: String,
    created: Moment,
    active_from: Moment,
    replaced: Option<Moment>,
    published_until: Option<Moment>,
    /// The URL of the public key while it is published.
    pem: Option<String>,
    /// Whether members who manage signing keys can revoke it: it is published.
    can_be_revoked: bool,
}

async fn list(visit: ConsoleRequest<ReadSigningKeys>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let (node, now) = (visit.node(), visit.now);
    let tenant = node.tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let (public_url, issuer) = (&node.settings.public_url, tenant.issuer.clone());
    let of_issuer = issuer.strip_prefix(public_url.as_str()).unwrap_or_default();
    let keys: Vec<&SigningKey> = tenant.ring.all().collect();
    page(&Page {
        keys: keys.into_iter().rev().map(|key| row(&tenant, key, now)).collect(),
        may_change: visit.may::<AdminSigningKeys>(),
        shows_checklist: query.value("show") == Some("checklist"),
        may_read_audit: visit.may::<ReadAudit>(),
        algorithm: node.settings.algorithm.as_str(),
        jwks: format!("{issuer}/.well-known/jwks.json"),
        metadata: format!("{public_url}/.well-known/oauth-authorization-server{of_issuer}"),
        issuer,
        ttl: format_length(tenant.longest_ttl_seconds()),
        ahead: format_length(node.settings.publish_ahead_seconds),
        rotation: match tenant
            .algorithms(now)
            .into_iter()
            .filter_map(|algorithm| next_rotation(node, &tenant, algorithm))
            .min()
        {
            None => Rotation::Never,
            Some(at) if at <= now => Rotation::Due,
            Some(at) => Rotation::At(Moment::from_now(at, now), node.settings.rotate_every_days),
        },
        frame: visit.frame(Section::SigningKeys, "Signing keys"),
    })
}

fn row(tenant: &Tenant, key: &SigningKey, now: Timestamp) -> Row {
    let (ring, kid) = (&tenant.ring, key.kid());
    let (from, superseded) = (key.active_from(), ring.superseded_at(kid));
    let (state, age) = match tenant.key_state(key, now) {
        KeyState::Next => (Badge::new(Tone::Plain, "Next"), format!("active in {}", format_span(now, from))),
        KeyState::Current => (Badge::new(Tone::Good, "Current"), format!("active for {}", format_span(from, now))),
        KeyState::Retired => {
            let used = format_span(from, superseded.unwrap_or(now));
            (Badge::new(Tone::Plain, "Retired"), format!("was active for {used}"))
        }
    };
    let ttl_seconds = tenant.longest_ttl_seconds();
    let is_published = !ring.is_over(kid, now, ttl_seconds);
    Row {
        kid: kid.to_owned(),
        algorithm: key.algorithm().as_str(),
        state,
        age,
        created: Moment::from_now(key.created_at(), now),
        active_from: Moment::from_now(from, now),
        replaced: superseded.map(|at| Moment::from_now(at, now)),
        published_until: ring.published_until(kid, ttl_seconds).map(|at| Moment::from_now(at, now)),
        pem: is_published.then(|| format!("{}/.well-known/jwks/{kid}.pem", tenant.issuer)),
        can_be_revoked: is_published,
    }
}

/// Formats seconds as a length of time.
fn format_length(seconds: u32) -> String {
    format_span(Timestamp::from_seconds(0), Timestamp::from_seconds(seconds.into()))
}
