//! A key's page: settings, usage, audit trail and actions.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::actor;
use crate::console::audit::Trail;
use crate::console::customers::display_name as display_name_of;
use crate::console::denials::DenialPanel;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::create::tenant;
use crate::console::keys::granted::describe_detail;
use crate::console::keys::rotation::Rotation;
use crate::console::keys::snippets::{PLACEHOLDER, Snippets, token_endpoint};
use crate::console::keys::summary::warnings_about;
use crate::console::keys::{Granted, display_name, find, may_change};
use crate::console::policy::format_seconds;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{
    Badge, Chart, Copyable, Moment, Notice, Tone, format_count, format_date, format_date_and_time, format_distance,
    is_within_days,
};
use crate::console::usage::{Range, Ranges, Totals};
use crate::domain::api_key::{ApiKey, Lifecycle, Status};
use crate::domain::apis::ServedApi;
use crate::domain::customer::Customer;
use crate::domain::networks::Networks;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::{ReadKeys, ReadProfiles, ReadUsage};
use crate::members;
use crate::node::Tenant;
use crate::usage::{self, ValueList, ValueUses};

/// Maximum number of listed addresses and scopes.
const MAX_LISTED: usize = 15;
/// An expiry within this many days is highlighted.
const SOON: i64 = 14;

#[derive(Template)]
#[template(path = "console/keys/show.html")]
struct Page {
    frame: Frame,
    key: ApiKey,
    status: Badge,
    notices: Vec<Notice>,
    scopes: Granted,
    networks: Vec<String>,
    /// Whether no address is allowed.
    is_nowhere: bool,
    profile: Option<String>,
    /// Pairs as `name=value`.
    metadata: Vec<String>,
    named_networks: Vec<String>,
    /// Where the access comes from, if not from the key alone.
    sources: Vec<Source>,
    may_see_profiles: bool,
    owner: String,
    /// The ID and the name of the customer.
    customer: Option<(String, String)>,
    created: Moment,
    created_by: String,
    expires: Option<Moment>,
    rotated: Option<Moment>,
    last_used: Option<Moment>,
    rotation: Option<Rotation>,
    token_endpoint: String,
    snippets: Snippets<'static>,
    can: Actions,
    usage: Option<UsagePanel>,
    denials: Option<DenialPanel>,
    trail: Option<Trail>,
}

/// A part of the access of a key.
struct Source {
    name: &'static str,
    /// Whether these are the key's own settings.
    is_own: bool,
    /// The name of the profile.
    profile: Option<String>,
    scopes: Option<Granted>,
    networks: Vec<String>,
    is_nowhere: bool,
    /// Names of further networks.
    named_networks: Vec<String>,
    lifetime: Option<String>,
}

/// The actions available to the visitor.
struct Actions {
    edit: bool,
    disable: bool,
    enable: bool,
    revoke: bool,
}

struct UsagePanel {
    ranges: Ranges,
    chart: Chart,
    totals: Totals,
    tables: Vec<SeenTable>,
}

/// The addresses that used the key, or the scopes that were requested.
struct SeenTable {
    caption: &'static str,
    column: &'static str,
    rows: Vec<(String, String, String)>,
    more: usize,
    others: Option<String>,
}

pub(super) async fn show(
    visit: ConsoleRequest<ReadKeys>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let key = find(&visit, &path).await?;
    let tenant = tenant(&visit)?;
    let usage = if visit.may::<ReadUsage>() {
        Some(load_usage(&visit, &key, Range::read(&query), &tenant.apis).await?)
    } else {
        None
    };
    let customer = visit.node().customer_of(&key).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
    let members = members::list(visit.node(), visit.organization()).await?;
    let email = |id: &str| members.iter().find(|member| member.id.0 == id).map(|member| member.email.clone());
    let (status, now) = (key.status(visit.now), visit.now);
    let can_change = may_change(&visit, &key);
    // Its access with its profile and named networks.
    let held = tenant.shared.effective(&key).into_owned();
    page(&Page {
        frame: visit.frame(Section::Keys, display_name(&key)),
        status: status.into(),
        notices: notices(&held, customer.as_deref(), &tenant.apis, now),
        scopes: Granted::new(&held.grants, &tenant.apis),
        is_nowhere: held.networks.is_none(),
        networks: held.networks.to_strings(),
        profile: key.profile.as_ref().map(ToString::to_string),
        metadata: key.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        named_networks: names(&key.named_networks),
        sources: sources(&key, &held, &tenant),
        may_see_profiles: visit.may::<ReadProfiles>(),
        owner: match &key.owner {
            None => "Organization".into(),
            Some(owner) => email(&owner.0).unwrap_or_else(|| "Removed member".into()),
        },
        customer: customer.as_deref().map(|customer| (customer.id.to_string(), display_name_of(customer))),
        created: Moment::from_now(key.created_at, now),
        created_by: actor::display_name(&key.created_by, &members),
        expires: key.expires_at.map(|end| Moment::from_now(end, now)),
        rotated: key.rotated_at.map(|at| Moment::from_now(at, now)),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        rotation: Rotation::load(&visit, &key, can_change).await?,
        token_endpoint: token_endpoint(&visit),
        snippets: Snippets::new(&visit, &key, PLACEHOLDER),
        can: Actions {
            edit: can_change && status != Status::Revoked,
            disable: can_change && matches!(key.lifecycle, Lifecycle::Active) && status != Status::Expired,
            enable: can_change && matches!(key.lifecycle, Lifecycle::Disabled { .. }),
            revoke: can_change && status != Status::Revoked,
        },
        usage,
        denials: DenialPanel::load(&visit, key.id).await?,
        trail: Trail::load(&visit, key.id).await?,
        key,
    })
}

fn names(networks: &[Slug]) -> Vec<String> {
    networks.iter().map(Slug::to_string).collect()
}

/// Returns what the profile, the key itself and both together allow. Empty for a key without references.
fn sources(key: &ApiKey, held: &ApiKey, tenant: &Tenant) -> Vec<Source> {
    if key.profile.is_none() && key.named_networks.is_empty() {
        return Vec::new();
    }
    let source = |name, networks: &Networks| Source {
        name,
        is_own: false,
        profile: None,
        scopes: None,
        networks: networks.to_strings(),
        is_nowhere: networks.is_none(),
        named_networks: Vec::new(),
        lifetime: None,
    };
    let profile = key.profile.as_ref().map(|name| {
        let profile = tenant.shared.profile(name);
        let networks = profile.map_or_else(Networks::none, |profile| profile.networks.clone());
        Source {
            profile: Some(name.to_string()),
            scopes: profile.map(|profile| Granted::new(&profile.grants, &tenant.apis)),
            named_networks: profile.map(|profile| names(&profile.named_networks)).unwrap_or_default(),
            lifetime: profile.and_then(|profile| profile.token_ttl_seconds).map(format_seconds),
            ..source("Profile", &networks)
        }
    });
    // Without scopes of its own, a key has those of its profile.
    let own_scopes = (key.profile.is_none() || !key.grants.is_empty()).then(|| Granted::new(&key.grants, &tenant.apis));
    let own = Source {
        is_own: true,
        scopes: own_scopes,
        named_networks: names(&key.named_networks),
        ..source("This key", &key.networks)
    };
    let lifetime = tenant.shared.token_ttl_of(key).map(format_seconds);
    let scopes = Some(Granted::new(&held.grants, &tenant.apis));
    let in_effect = Source { scopes, lifetime, ..source("In effect", &held.networks) };
    profile.into_iter().chain([own, in_effect]).collect()
}

/// Returns the notices about a key's state.
fn notices(key: &ApiKey, customer: Option<&Customer>, apis: &[ServedApi], now: Timestamp) -> Vec<Notice> {
    let mut notices = Vec::new();
    match (&key.lifecycle, key.status(now)) {
        (Lifecycle::Revoked { at, reason }, _) => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let when = format_date_and_time(*at);
            notices.push(Notice::new(Tone::Bad, format!("Revoked on {when}{reason}. This can’t be undone.")));
            return notices;
        }
        (_, Status::Expired) => {
            let text = "Expired. Set a later expiry to use it again.";
            notices.push(Notice::new(Tone::Plain, text));
        }
        (Lifecycle::Disabled { .. }, _) => {
            notices
                .push(Notice::new(Tone::Warning, "Disabled. The key and its tokens don’t work until you enable it."));
        }
        (Lifecycle::Active, _) => {}
    }
    if customer.is_some_and(Customer::is_denied) {
        notices.push(Notice::new(Tone::Bad, "The customer is suspended. The key and its tokens don’t work."));
    }
    if let Some(end) = key.expires_at.filter(|end| is_within_days(*end, now, SOON)) {
        let text = format!("Expires {}. Extend or rotate it before then.", format_distance(end, now));
        notices.push(Notice::new(Tone::Warning, text));
    }
    notices.extend(warnings_about(key, apis));
    notices
}

async fn load_usage(
    visit: &ConsoleRequest<ReadKeys>,
    key: &ApiKey,
    range: Range,
    apis: &[ServedApi],
) -> Result<UsagePanel, ErrorPage> {
    let span = range.span(visit.now);
    let (_, usage) = usage::usage_of_key(visit.node(), visit.organization(), &key.id, span).await?;
    let details = usage::details(visit.node(), visit.organization(), &key.id, visit.now).await?;
    let caption = format!("Requests, last {}", range.name());
    Ok(UsagePanel {
        ranges: range.links(),
        chart: Chart::new("usage", caption, range.unit(), range.columns(&usage)),
        totals: Totals::from(&usage.totals()),
        tables: vec![
            SeenTable::new("Source addresses, last 30 days", "IP address", details.addresses, apis),
            SeenTable::new("APIs, last 30 days", "API", details.apis, apis),
            SeenTable::new("Requested scopes, last 30 days", "Scopes", details.requested, apis),
        ],
    })
}

impl SeenTable {
    fn new(caption: &'static str, column: &'static str, seen: ValueList, apis: &[ServedApi]) -> Self {
        let row = |seen: &ValueUses| {
            let last = format_date(Timestamp::from_seconds(seen.last_day.saturating_mul(86_400)));
            (describe_detail(seen.api, Some(&seen.value), apis), format_count(seen.uses.all()), last)
        };
        Self {
            caption,
            column,
            rows: seen.listed.iter().take(MAX_LISTED).map(row).collect(),
            more: seen.listed.len().saturating_sub(MAX_LISTED),
            others: Some(seen.others.all()).filter(|others| *others > 0).map(format_count),
        }
    }
}
