//! A key's page: what it is, how it was used, from where, and what can be done to it.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::actor;
use crate::console::audit::Trail;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::{find, may_change, name};
use crate::console::trouble::{self, Trouble};
use crate::console::ui::{Badge, Chart, Moment, Notice, Tone, count, date, days_left};
use crate::console::usage::{Range, Ranges, Totals};
use crate::console::visit::Visit;
use crate::domain::api_key::{ApiKey, Lifecycle, Status};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::{ReadKeys, ReadUsage};
use crate::http::warnings;
use crate::members;
use crate::usage::{self, Seen, SeenOfKind};

/// Addresses, and things asked for, that are listed at most.
const SEEN: usize = 15;
/// Days before its end from which a key's end stands out.
const SOON: i64 = 14;

#[derive(Template)]
#[template(path = "console/keys/show.html")]
struct Page {
    frame: Frame,
    key: ApiKey,
    status: Badge,
    notices: Vec<Notice>,
    scopes: Vec<String>,
    networks: Vec<String>,
    owner: String,
    created: Moment,
    created_by: String,
    expires: Option<Moment>,
    rotated: Option<Moment>,
    last_used: Option<Moment>,
    grace: Option<Grace>,
    may: May,
    used: Option<Used>,
    trail: Option<Trail>,
}

/// What can be done.
struct May {
    edit: bool,
    disable: bool,
    enable: bool,
    revoke: bool,
}

/// The secret before the present one, while it works.
struct Grace {
    until: Moment,
    last_used: Option<Moment>,
    last_used_ip: String,
}

/// How it was used.
struct Used {
    ranges: Ranges,
    chart: Chart,
    totals: Totals,
    seen: Vec<SeenTable>,
}

/// Addresses that it was used from, or what was asked for.
struct SeenTable {
    caption: &'static str,
    column: &'static str,
    rows: Vec<(String, String, String)>,
    more: usize,
    others: Option<String>,
}

/// Shows the page.
pub(super) async fn show(
    visit: Visit<ReadKeys>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let key = find(&visit, &path).await?;
    let used = if visit.may::<ReadUsage>() { Some(used(&visit, &key, Range::read(&query)).await?) } else { None };
    let members = members::list(visit.node(), visit.organization()).await?;
    let login = |id: &str| members.iter().find(|member| member.id.0 == id).map(|member| member.email.clone());
    let (status, now) = (key.status(visit.now), visit.now);
    let is_mine = may_change(&visit, &key);
    let grace = key.previous.as_ref().filter(|previous| previous.until > now && status != Status::Revoked);
    page(&Page {
        frame: visit.frame(Section::Keys, name(&key)).done(done(query.value("done"), status)),
        status: status.into(),
        notices: notices(&key, now),
        scopes: key.scopes.iter().map(ToString::to_string).collect(),
        networks: key.networks.to_strings(),
        owner: match &key.owner {
            None => "The organization".into(),
            Some(owner) => login(&owner.0).unwrap_or_else(|| "A removed member".into()),
        },
        created: Moment::from_now(key.created_at, now),
        created_by: actor::named(&key.created_by, &members),
        expires: key.expires_at.map(|end| Moment::from_now(end, now)),
        rotated: key.rotated_at.map(|at| Moment::from_now(at, now)),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        grace: grace.map(|previous| Grace {
            until: Moment::from_now(previous.until, now),
            last_used: previous.last_used_at.map(|at| Moment::from_now(at, now)),
            last_used_ip: previous.last_used_ip.clone().unwrap_or_else(|| "an unknown address".into()),
        }),
        may: May {
            edit: is_mine && status != Status::Revoked,
            disable: is_mine && matches!(key.lifecycle, Lifecycle::Active) && status != Status::Expired,
            enable: is_mine && matches!(key.lifecycle, Lifecycle::Disabled { .. }),
            revoke: is_mine && status != Status::Revoked,
        },
        used,
        trail: Trail::of(&visit, key.id).await?,
        key,
    })
}

/// What was done just now, where the key is as it would be then.
fn done(done: Option<&str>, status: Status) -> Option<&'static str> {
    match (done?, status) {
        ("edited", _) => Some("The key is changed."),
        ("narrowed", _) => Some("The key is narrower. Tokens from before are refused from now on."),
        ("opened", _) => Some("The key is changed. It works from every network now."),
        ("disabled", Status::Disabled) => Some("The key is disabled. It and its tokens are refused from now on."),
        ("enabled", Status::Active) => Some("The key is enabled."),
        ("revoked", Status::Revoked) => Some("The key is revoked. It and its tokens are refused from now on."),
        _ => None,
    }
}

/// What should be known of a key.
fn notices(key: &ApiKey, now: Timestamp) -> Vec<Notice> {
    let mut notices = Vec::new();
    match (&key.lifecycle, key.status(now)) {
        (Lifecycle::Revoked { at, reason }, _) => {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let when = date(*at);
            notices
                .push(Notice::new(Tone::Bad, format!("Revoked on {when}{reason}. A revoked key never works again.")));
            return notices;
        }
        (_, Status::Expired) => {
            let text = "Expired. Its tokens are refused. Give it a later expiry to use it again.";
            notices.push(Notice::new(Tone::Plain, text));
        }
        (Lifecycle::Disabled { .. }, _) => {
            notices
                .push(Notice::new(Tone::Warning, "Disabled: the key and its tokens are refused until it is enabled."));
        }
        (Lifecycle::Active, _) => {}
    }
    if let Some(days) = key.expires_at.map(|end| days_left(end, now)).filter(|days| (1..=SOON).contains(days)) {
        let plural = if days == 1 { "day" } else { "days" };
        notices
            .push(Notice::new(Tone::Warning, format!("Ends within {days} {plural}. Edit or rotate it in good time.")));
    }
    for warning in warnings::of_rights(&key.networks, Some(&key.scopes)) {
        notices.push(Notice::new(Tone::Warning, trouble::sentence(warning.message)));
    }
    notices
}

async fn used(visit: &Visit<ReadKeys>, key: &ApiKey, range: Range) -> Result<Used, Trouble> {
    let span = range.span(visit.now);
    let (_, usage) = usage::usage_of_key(visit.node(), visit.organization(), &key.id, span).await?;
    let details = usage::details(visit.node(), visit.organization(), &key.id, visit.now).await?;
    let caption = format!("Use of this key, {}", range.name().to_lowercase());
    Ok(Used {
        ranges: range.ways(),
        chart: Chart::new("usage", caption, range.unit(), range.columns(&usage)),
        totals: Totals::from(&usage.totals()),
        seen: vec![
            SeenTable::new("Addresses in the last 30 days", "Address", details.addresses),
            SeenTable::new("What was asked for in the last 30 days", "Scopes", details.asked),
        ],
    })
}

impl SeenTable {
    fn new(caption: &'static str, column: &'static str, seen: SeenOfKind) -> Self {
        let row = |seen: &Seen| {
            let last = date(Timestamp::from_seconds(seen.last_day.saturating_mul(86_400)));
            (seen.what.clone(), count(seen.uses.all()), last)
        };
        Self {
            caption,
            column,
            rows: seen.told.iter().take(SEEN).map(row).collect(),
            more: seen.told.len().saturating_sub(SEEN),
            others: Some(seen.others.all()).filter(|others| *others > 0).map(count),
        }
    }
}
