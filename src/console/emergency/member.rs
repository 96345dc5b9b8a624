//! A member left: end their sessions, and look at what they own, know and did.

use std::collections::BTreeMap;

use actix_web::web;
use askama::Template;

use crate::audit;
use crate::console::audit::Trail;
use crate::console::emergency::StepHead;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::display_name;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Moment, Tone, format_count};
use crate::domain::api_key::Status;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId, Role};
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::WebhookId;
use crate::http::permission::{AdminMembers, AdminWebhooks};
use crate::keys;
use crate::members::{self, PastMember};
use crate::store::{AuditFilter, KeyFilter, KeyOrder, action};
use crate::webhooks;

/// Maximum number of listed keys and webhooks.
const SHOWN: u32 = 50;
/// Days of the audit log that the page shows and in which it looks for secrets that the member saw.
const DAYS: i64 = 30;
const DAY: i64 = 86_400;

#[derive(Template)]
#[template(path = "console/emergency/member.html")]
struct Page {
    frame: Frame,
    id: String,
    email: String,
    role: Role,
    removed: Option<Moment>,
    is_self: bool,
    may_change: bool,
    sessions: usize,
    owned: Vec<Owned>,
    owned_more: bool,
    seen_keys: Vec<Seen>,
    seen_webhooks: Vec<Seen>,
    /// The audit log of the member's changes.
    log: String,
    trail: Option<Trail>,
    heads: [StepHead; 6],
}

/// A key that the member owns.
struct Owned {
    id: String,
    name: String,
    status: Badge,
    last_used: Option<Moment>,
}

/// A secret that the member saw: that of a key or a webhook.
struct Seen {
    path: String,
    rotate: String,
    name: String,
    at: Moment,
    /// Whether the secret was replaced since, or no longer works.
    is_done: bool,
}

#[derive(Template)]
#[template(path = "console/emergency/member_ask.html")]
struct AskPage {
    frame: Frame,
    members: Vec<(String, String, Role)>,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminMembers>) -> Result<Reply, ErrorPage> {
    let members = members::list(visit.node(), visit.organization()).await?;
    let others = members.into_iter().filter(|member| member.id != visit.who.member.id);
    page(&AskPage {
        frame: visit.frame(Section::Emergency, "A member left"),
        members: others.map(|member| (member.id.to_string(), member.email, member.role)).collect(),
    })
}

pub(super) async fn show(visit: ConsoleRequest<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. The member, who may be removed already, their sessions and their keys.
    let past = load(&visit, &id).await?;
    let (node, organization, now) = (visit.node(), visit.organization(), visit.now);
    let member = &past.member;
    let sessions = members::of_member(node, member, now).await?.len();
    let filter = KeyFilter {
        owner: Some(member.id.clone()),
        order: KeyOrder::LastUse,
        is_descending: true,
        limit: SHOWN,
        ..KeyFilter::new(organization.clone(), now)
    };
    let mut owned = Vec::new();
    let mut owned_more = false;
    for status in [Status::Active, Status::Disabled] {
        let found = keys::list(node, KeyFilter { status: Some(status), ..filter.clone() }).await?;
        owned_more |= found.has_more;
        owned.extend(found.items.iter().map(|key| Owned {
            id: key.id.to_string(),
            name: display_name(key),
            status: key.status(now).into(),
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        }));
    }

    // 2. The secrets that they saw.
    let since = now.plus_seconds(-DAYS * DAY);
    let seen_keys = seen_keys(&visit, &member.id, since).await?;
    let seen_webhooks =
        if visit.may::<AdminWebhooks>() { seen_webhooks(&visit, &member.id, since).await? } else { Vec::new() };
    let is_removed = past.removed_at.is_some();
    let is_rotated = |seen: &[Seen]| seen.iter().all(|seen| seen.is_done);
    let email = past.email.clone();
    page(&Page {
        frame: visit.frame(Section::Emergency, format!("Member who left: {email}")),
        role: member.role,
        removed: past.removed_at.map(|at| Moment::from_now(at, now)),
        is_self: member.id == visit.who.member.id,
        may_change: visit.by().may_change_role(member.role).is_ok(),
        heads: [
            StepHead::new(1, "End their sessions", sessions == 0),
            StepHead::new(2, "Transfer or revoke their keys", owned.is_empty()),
            StepHead::new(3, "Remove the member", is_removed),
            StepHead::new(4, "Rotate keys whose secrets they saw", is_rotated(&seen_keys)),
            StepHead::new(5, "Rotate webhook secrets that they saw", is_rotated(&seen_webhooks)),
            StepHead::check(6, "Look at what they did"),
        ],
        sessions,
        owned,
        owned_more,
        seen_keys,
        seen_webhooks,
        log: visit.path(&format!("/audit?actor=member:{}", member.id)),
        trail: Trail::of_actor(&visit, format!("member:{}", member.id), Some(since)).await?,
        id: member.id.to_string(),
        email,
    })
}

pub(super) async fn end_sessions(
    submitted: Submitted<AdminMembers>,
    id: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let past = load(&visit, &id).await?;
    let member: &Member = &past.member;
    if member.id == visit.who.member.id {
        return Err(ErrorPage::conflict("This is your own account. Use “Sign out everywhere” on your account page."));
    }
    members::end_all(visit.node(), &visit.by(), member).await?;
    visit.done(&format!("/emergency/member/{}", member.id), "Sessions ended.")
}

async fn load(visit: &ConsoleRequest<AdminMembers>, id: &str) -> Result<PastMember, ErrorPage> {
    let id = MemberId::parse(id).ok_or_else(ErrorPage::not_found)?;
    Ok(members::find_past(visit.node(), visit.organization(), &id).await?)
}

/// Returns when the member last did one of these actions to each object: it showed them the secret.
async fn shown(
    visit: &ConsoleRequest<AdminMembers>,
    member: &MemberId,
    since: Timestamp,
    actions: [&str; 2],
) -> Result<BTreeMap<String, Timestamp>, ErrorPage> {
    let mut shown = BTreeMap::new();
    for action in actions {
        let filter = AuditFilter {
            action: Some(action.into()),
            actor: Some(format!("member:{member}")),
            since: Some(since),
            ..AuditFilter::new(visit.organization().clone(), SHOWN)
        };
        for row in audit::list(visit.node(), &filter).await?.items {
            let at = shown.entry(row.subject).or_insert(row.at);
            *at = row.at.max(*at);
        }
    }
    Ok(shown)
}

async fn seen_keys(
    visit: &ConsoleRequest<AdminMembers>,
    member: &MemberId,
    since: Timestamp,
) -> Result<Vec<Seen>, ErrorPage> {
    let shown = shown(visit, member, since, [action::KEY_CREATE, action::KEY_ROTATE]).await?;
    let ids: Vec<KeyId> = shown.keys().filter_map(|id| KeyId::parse(id)).collect();
    let found = keys::find_many(visit.node(), visit.organization(), &ids).await?;
    let seen = found.iter().map(|key| {
        let at = shown.get(&key.id.to_string()).copied().unwrap_or(since);
        let is_in_grace = key.previous.as_ref().is_some_and(|previous| visit.now < previous.until);
        let is_replaced = key.rotated_at.is_some_and(|rotated| at < rotated) && !is_in_grace;
        Seen {
            path: format!("/keys/{}", key.id),
            rotate: format!("/keys/{}/rotate", key.id),
            name: display_name(key),
            at: Moment::from_now(at, visit.now),
            is_done: is_replaced || key.status(visit.now) != Status::Active,
        }
    });
    Ok(seen.collect())
}

async fn seen_webhooks(
    visit: &ConsoleRequest<AdminMembers>,
    member: &MemberId,
    since: Timestamp,
) -> Result<Vec<Seen>, ErrorPage> {
    let shown = shown(visit, member, since, [action::WEBHOOK_CREATE, action::WEBHOOK_ROTATE_SECRET]).await?;
    let mut seen = Vec::new();
    for webhook in webhooks::list(visit.node(), visit.organization()).await? {
        let Some(at) = shown.get(&webhook.id.to_string()).copied() else { continue };
        let rotated = rotated_at(visit, &webhook.id, at).await?;
        seen.push(Seen {
            path: format!("/webhooks/{}", webhook.id),
            rotate: format!("/webhooks/{}/rotate-secret", webhook.id),
            name: format!("Webhook to {}", webhook.url.origin),
            at: Moment::from_now(at, visit.now),
            is_done: rotated.is_some(),
        });
    }
    Ok(seen)
}

/// Returns the last rotation of a webhook's secret after a time.
pub(super) async fn rotated_at<P>(
    visit: &ConsoleRequest<P>,
    webhook: &WebhookId,
    after: Timestamp,
) -> Result<Option<Timestamp>, ErrorPage> {
    let filter = AuditFilter {
        action: Some(action::WEBHOOK_ROTATE_SECRET.into()),
        subject: Some(webhook.to_string()),
        since: Some(after.plus_millis(1)),
        ..AuditFilter::new(visit.organization().clone(), 1)
    };
    Ok(audit::list(visit.node(), &filter).await?.items.first().map(|row| row.at))
}

impl Page {
    fn sessions_text(&self) -> String {
        format!("{} {}", format_count(self.sessions as u64), if self.sessions == 1 { "session" } else { "sessions" })
    }

    fn state(&self, seen: &Seen) -> Badge {
        if seen.is_done { Badge::new(Tone::Good, "Replaced") } else { Badge::new(Tone::Warning, "To do") }
    }
}
