//! Overview: what needs attention today. Each count links to the list behind it.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource};
use crate::console::ui::{Moment, Tone, format_count};
use crate::domain::api_key::Status;
use crate::domain::member::MemberId;
use crate::domain::usage::UsageOutcome;
use crate::http::permission::{AnyCredential, ReadKeys, ReadSigningKeys, ReadUsage, ReadWebhooks, WriteKeys};
use crate::keys;
use crate::signing::KeyState;
use crate::store::{Interval, KeyFilter};
use crate::usage::{self, Span};
use crate::webhooks;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/overview", [get(show)]));
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Page {
    frame: Frame,
    /// Whether the counts are about the visitor's own keys.
    is_own: bool,
    keys: Vec<Tally>,
    today: Vec<Tally>,
    next_signing_key: Option<Moment>,
    has_signing_key: bool,
    may_create: bool,
    active: String,
    list: String,
}

/// A count with the link to what it counts.
struct Tally {
    label: &'static str,
    hint: &'static str,
    count: String,
    tone: Tone,
    link: String,
}

async fn show(visit: ConsoleRequest<AnyCredential>) -> Result<Reply, ErrorPage> {
    // 1. The keys: a developer's own, otherwise all.
    let (node, organization) = (visit.node(), visit.organization());
    let own = &visit.who.member;
    let is_own = visit.may::<WriteKeys>() && !own.role.may_manage_key(false);
    let owner = is_own.then(|| own.id.clone());
    let keys = if visit.may::<ReadKeys>() { tallies(&visit, owner).await? } else { (0, Vec::new()) };

    // 2. The organization today.
    let mut today = Vec::new();
    if visit.may::<ReadUsage>() && !is_own {
        let span = Span::touched(Interval::Day, visit.now, visit.now.plus_seconds(1));
        let counts = usage::usage_of_organization(node, organization, span).await?.totals();
        let all = UsageOutcome::ALL.into_iter().fold(0_u64, |sum, outcome| sum.saturating_add(counts.of(outcome)));
        today.push(Tally {
            label: "Denied today",
            hint: "Requests since midnight UTC that were denied",
            count: format_count(all.saturating_sub(counts.uses())),
            tone: tone(all.saturating_sub(counts.uses()), Tone::Warning),
            link: visit.path("/usage"),
        });
    }
    if visit.may::<ReadWebhooks>() {
        let dead = webhooks::undelivered(node, organization).await?;
        let dead = dead.iter().fold(0_u64, |sum, backlog| sum.saturating_add(backlog.dead));
        today.push(Tally {
            label: "Failed webhook deliveries",
            hint: "Given up after all attempts; you can retry them",
            count: format_count(dead),
            tone: tone(dead, Tone::Bad),
            link: visit.path("/webhooks"),
        });
    }
    let tenant = node.tenant(organization);
    let ring = tenant.as_ref().filter(|_| visit.may::<ReadSigningKeys>()).map(|tenant| &tenant.ring);
    let next = ring.and_then(|ring| ring.all().find(|key| ring.state(key, visit.now) == KeyState::Next));
    let (active, keys) = keys;
    page(&Page {
        is_own,
        keys,
        today,
        next_signing_key: next.map(|key| Moment::from_now(key.active_from(), visit.now)),
        has_signing_key: ring.is_none_or(|ring| !ring.is_empty()),
        may_create: visit.may::<WriteKeys>(),
        active: format_count(active),
        list: visit.path("/keys"),
        frame: visit.frame(Section::Overview, "Overview"),
    })
}

/// Returns the number of active keys, and the counts of those that need attention.
async fn tallies(
    visit: &ConsoleRequest<AnyCredential>,
    owner: Option<MemberId>,
) -> Result<(u64, Vec<Tally>), ErrorPage> {
    let (node, organization) = (visit.node(), visit.organization());
    let found = keys::attention(node, organization, owner.as_ref(), visit.now).await?;
    let broken = keys::broken_rules(node, organization, "any").await?;
    let filter =
        KeyFilter { status: Some(Status::Active), owner, broken, ..KeyFilter::new(organization.clone(), visit.now) };
    let violations = keys::count(node, &filter).await?;
    let tally = |label, hint, count, severe, query: &str| Tally {
        label,
        hint,
        count: format_count(count),
        tone: tone(count, severe),
        link: visit.path(&format!("/keys?{query}")),
    };
    Ok((
        found.active,
        vec![
            tally(
                "Expiring in 14 days",
                "Rotate or extend them before they stop working",
                found.expiring,
                Tone::Warning,
                "view=expiring&sort=expires_at",
            ),
            tally("Violating the policy", "Bring them into line", violations, Tone::Warning, "violates=any"),
            tally("Full access", "Grant *:* or manage keys", found.full_access, Tone::Warning, "view=full_access"),
            tally("Any network", "Work from every address", found.any_network, Tone::Warning, "view=any_network"),
            tally("No expiry", "Work until somebody revokes them", found.no_expiry, Tone::Warning, "view=no_expiry"),
            tally(
                "Unused for 90 days",
                "Revoke what nobody needs",
                found.unused,
                Tone::Warning,
                "view=unused&sort=last_used_at",
            ),
            tally("Never used", "Created but not used yet", found.never_used, Tone::Plain, "view=never_used"),
            tally("Rotating", "The previous secret still works", found.rotating, Tone::Plain, "view=rotating"),
        ],
    ))
}

fn tone(count: u64, severe: Tone) -> Tone {
    if count == 0 { Tone::Good } else { severe }
}
