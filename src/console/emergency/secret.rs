//! A secret leaked: find the key, stop it, and see what it did.

use actix_web::web;
use askama::Template;

use crate::console::audit::Trail;
use crate::console::denials::DenialPanel;
use crate::console::emergency::{RECENT_HOURS, StepHead};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::{Granted, display_name, may_change};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Moment, format_count};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::clue::MAX_TEXT;
use crate::domain::key_text::KeyId;
use crate::http::permission::{Permission, ReadKeys, ReadUsage, WriteKeys};
use crate::keys;
use crate::members;
use crate::tokens;
use crate::usage::{self, ValueList};

/// Maximum number of listed addresses and scopes.
const MAX_LISTED: usize = 10;

#[derive(Template)]
#[template(path = "console/emergency/secret.html")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    last_four: String,
    status: Badge,
    owner: String,
    scopes: Granted,
    networks: Vec<String>,
    last_used: Option<Moment>,
    last_used_ip: Option<String>,
    expires: Option<Moment>,
    may_change: bool,
    is_active: bool,
    is_revoked: bool,
    rotated: Option<Moment>,
    in_grace: Option<Moment>,
    addresses: Option<Vec<(String, String)>>,
    requested: Vec<(String, String)>,
    denials: Option<DenialPanel>,
    /// Changes that the key made with the management API.
    changes: Option<Trail>,
    manages: bool,
    trail: Option<Trail>,
    heads: [StepHead; 5],
}

#[derive(Template)]
#[template(path = "console/emergency/secret_ask.html")]
struct AskPage {
    frame: Frame,
    /// The IDs, names and statuses of several keys that the text refers to.
    found: Vec<(String, String, Badge)>,
    is_unknown: bool,
}

pub(super) async fn ask(visit: ConsoleRequest<ReadKeys>) -> Result<Reply, ErrorPage> {
    let frame = visit.frame(Section::Emergency, "A secret leaked");
    page(&AskPage { frame, found: Vec::new(), is_unknown: false })
}

/// Leads to the key that the text refers to. The text is in no address.
pub(super) async fn find(submitted: Submitted<ReadKeys>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let text = form.value("text").unwrap_or_default().trim();
    if text.len() > MAX_TEXT {
        return Err(ErrorPage::unreadable_form("the text is too long"));
    }
    let (node, organization) = (visit.node(), visit.organization());
    let findings = tokens::lookup(node, organization, &visit.by(), visit.may::<WriteKeys>(), text)
        .await
        .map_err(|cause| ErrorPage::node_unavailable(&cause))?;
    let mut found: Vec<(String, String, Badge)> = Vec::new();
    for finding in &findings {
        let id = finding.key.id.to_string();
        if found.iter().all(|(known, ..)| *known != id) {
            found.push((id, display_name(&finding.key), finding.key.status(visit.now).into()));
        }
    }
    if let [(id, ..)] = found.as_slice() {
        return Ok(Reply::see_other(visit.path(&format!("/emergency/secret/{id}"))));
    }
    let is_unknown = found.is_empty();
    page(&AskPage { frame: visit.frame(Section::Emergency, "A secret leaked"), found, is_unknown })
}

pub(super) async fn show(visit: ConsoleRequest<ReadKeys>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let key = load(&visit, &id).await?;
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let (status, now) = (key.status(visit.now), visit.now);
    let members = members::list(visit.node(), visit.organization()).await?;
    let owner = key.owner.as_ref().map(|owner| members.iter().find(|member| member.id == *owner));
    let in_grace = key.previous.as_ref().map(|previous| previous.until).filter(|until| now < *until);
    let is_rotated = key.rotated_at.is_some_and(|at| now < at.plus_seconds(RECENT_HOURS * 3600)) && in_grace.is_none();
    let is_stopped = status != Status::Active || is_rotated;
    let details = match visit.may::<ReadUsage>() {
        true => Some(usage::details(visit.node(), visit.organization(), &key.id, now).await?),
        false => None,
    };
    let (addresses, requested) = match &details {
        Some(details) => (Some(listed(&details.addresses)), listed(&details.requested)),
        None => (None, Vec::new()),
    };
    let held = tenant.shared.effective(&key);
    let manages = held.grants.scopes().any(|(_, scope)| scope.is_reserved());
    page(&Page {
        frame: visit.frame(Section::Emergency, format!("Leaked secret of {}", display_name(&key))),
        name: display_name(&key),
        last_four: last_four(&key),
        status: status.into(),
        owner: match owner {
            None => "Organization".into(),
            Some(None) => "Removed member".into(),
            Some(Some(member)) => member.email.clone(),
        },
        scopes: Granted::new(&held.grants, &tenant.apis),
        networks: held.networks.to_strings(),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        last_used_ip: key.last_used_ip.as_ref().map(ToString::to_string),
        expires: key.expires_at.map(|end| Moment::from_now(end, now)),
        may_change: may_change(&visit, &key),
        is_active: status == Status::Active,
        is_revoked: status == Status::Revoked,
        rotated: key.rotated_at.filter(|_| is_rotated).map(|at| Moment::from_now(at, now)),
        in_grace: in_grace.map(|until| Moment::from_now(until, now)),
        addresses,
        requested,
        denials: DenialPanel::load(&visit, key.id).await?,
        changes: Trail::of_actor(&visit, format!("key:{}", key.id), None).await?,
        manages,
        trail: Trail::load(&visit, key.id).await?,
        heads: [
            StepHead::new(1, "Identify the key", true),
            StepHead::new(2, "Stop the secret", is_stopped),
            StepHead::check(3, "Look at its uses"),
            StepHead::check(4, "Look at what it changed"),
            StepHead::new(5, "Give the application a new secret", is_rotated && status == Status::Active),
        ],
        id: key.id.to_string(),
    })
}

/// Disables or revokes the key, whatever its version: a leak does not wait.
pub(super) async fn stop(submitted: Submitted<WriteKeys>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let key = load(&visit, &id).await?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let message = match form.value("how") {
        Some("disable") => {
            keys::disable(node, organization, &by, &key.id, None).await?;
            "Key disabled. The key and its tokens no longer work."
        }
        Some("revoke") if form.value("confirm").is_some_and(|typed| typed.trim() == last_four(&key)) => {
            keys::revoke(node, organization, &by, &key.id, None, Some("its secret leaked".into())).await?;
            "Key revoked. The key and its tokens no longer work."
        }
        Some("revoke") => {
            let text = format!("Type {} to confirm. Nothing was changed.", last_four(&key));
            return Err(ErrorPage::conflict(text));
        }
        _ => return Err(ErrorPage::unreadable_form("it is incomplete")),
    };
    visit.done(&format!("/emergency/secret/{}", key.id), message)
}

/// Returns the last four characters of the current secret, which confirm a revocation.
fn last_four(key: &ApiKey) -> String {
    let skipped = key.hint.chars().count().saturating_sub(4);
    key.hint.chars().skip(skipped).collect()
}

async fn load<P: Permission>(visit: &ConsoleRequest<P>, id: &str) -> Result<ApiKey, ErrorPage> {
    let id = KeyId::parse(id).ok_or_else(ErrorPage::not_found)?;
    Ok(keys::find(visit.node(), visit.organization(), &id).await?)
}

fn listed(values: &ValueList) -> Vec<(String, String)> {
    let row = |seen: &usage::ValueUses| (seen.value.clone(), format_count(seen.uses.all()));
    values.listed.iter().take(MAX_LISTED).map(row).collect()
}
