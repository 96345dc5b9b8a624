//! A webhook endpoint was compromised: stop it, replace its secret, and deliver what was missed.

use actix_web::web;
use askama::Template;

use crate::console::audit::Trail;
use crate::console::emergency::member::rotated_at;
use crate::console::emergency::{RECENT_HOURS, StepHead};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Moment, Tone, format_count};
use crate::domain::webhook::{DeliveryState, WebhookId, WebhookState};
use crate::http::permission::AdminWebhooks;
use crate::store::DeliveryFilter;
use crate::webhooks::{self, WebhookUpdate};

/// Maximum number of failed deliveries that one click retries.
const RETRIED: u32 = 50;
/// Deliveries that the page lists.
const LISTED: u32 = 10;

#[derive(Template)]
#[template(path = "console/emergency/webhook.html")]
struct Page {
    frame: Frame,
    id: String,
    destination: String,
    is_enabled: bool,
    rotated: Option<Moment>,
    previous_until: Option<Moment>,
    pending: String,
    failed: u64,
    deliveries: Vec<(String, String, Badge, Moment)>,
    trail: Option<Trail>,
    heads: [StepHead; 5],
}

#[derive(Template)]
#[template(path = "console/emergency/webhook_ask.html")]
struct AskPage {
    frame: Frame,
    webhooks: Vec<(String, String, Badge)>,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminWebhooks>) -> Result<Reply, ErrorPage> {
    let found = webhooks::list(visit.node(), visit.organization()).await?;
    let state = |is_enabled| match is_enabled {
        true => Badge::new(Tone::Good, "Enabled"),
        false => Badge::new(Tone::Warning, "Disabled"),
    };
    page(&AskPage {
        frame: visit.frame(Section::Emergency, "A webhook endpoint was compromised"),
        webhooks: found
            .iter()
            .map(|webhook| (webhook.id.to_string(), webhook.url.origin.clone(), state(webhook.is_enabled())))
            .collect(),
    })
}

pub(super) async fn show(visit: ConsoleRequest<AdminWebhooks>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (node, organization, now) = (visit.node(), visit.organization(), visit.now);
    let webhook = webhooks::find(node, organization, &parse(&id)?).await?;
    let rotated = rotated_at(&visit, &webhook.id, now.plus_seconds(-RECENT_HOURS * 3600)).await?;
    let backlog = webhooks::undelivered(node, organization).await?;
    let backlog = backlog.iter().find(|backlog| backlog.webhook == webhook.id);
    let (pending, failed) = backlog.map_or((0, 0), |backlog| (backlog.pending, backlog.dead));
    let filter = DeliveryFilter { webhook: webhook.id.clone(), state: None, after: None, limit: LISTED };
    let deliveries = webhooks::deliveries(node, organization, filter).await?.items;
    let deliveries = deliveries.into_iter().map(|delivery| {
        let state = match delivery.state {
            DeliveryState::Pending => Badge::new(Tone::Plain, "Pending"),
            DeliveryState::Delivered => Badge::new(Tone::Good, "Delivered"),
            DeliveryState::Dead => Badge::new(Tone::Bad, "Failed"),
        };
        (delivery.id.to_string(), delivery.event, state, Moment::from_now(delivery.created_at, now))
    });
    let is_enabled = webhook.is_enabled();
    page(&Page {
        frame: visit.frame(Section::Emergency, format!("Compromised webhook to {}", webhook.url.origin)),
        destination: webhook.url.origin.clone(),
        is_enabled,
        rotated: rotated.map(|at| Moment::from_now(at, now)),
        previous_until: webhook.previous_until.filter(|until| now < *until).map(|until| Moment::from_now(until, now)),
        pending: format_count(pending),
        failed,
        deliveries: deliveries.collect(),
        trail: Trail::load(&visit, &webhook.id).await?,
        heads: [
            // A webhook that works again with a new secret was secured before.
            StepHead::new(1, "Stop sending events", !is_enabled || rotated.is_some()),
            StepHead::new(2, "Rotate the signing secret", rotated.is_some()),
            StepHead::check(3, "Look at what was sent"),
            StepHead::new(4, "Send events again", is_enabled && rotated.is_some()),
            StepHead::new(5, "Deliver what failed", failed == 0),
        ],
        id: webhook.id.to_string(),
    })
}

pub(super) async fn disable(submitted: Submitted<AdminWebhooks>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    set_state(&submitted.visit, &id, WebhookState::Disabled { reason: None }, "Webhook disabled.").await
}

pub(super) async fn enable(submitted: Submitted<AdminWebhooks>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    set_state(&submitted.visit, &id, WebhookState::Enabled, "Webhook enabled.").await
}

/// Retries the failed deliveries, the newest first.
pub(super) async fn redeliver(submitted: Submitted<AdminWebhooks>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (visit, id) = (submitted.visit, parse(&id)?);
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let state = Some(DeliveryState::Dead);
    let filter = DeliveryFilter { webhook: id.clone(), state, after: None, limit: RETRIED };
    let failed = webhooks::deliveries(node, organization, filter).await?;
    for delivery in &failed.items {
        webhooks::retry(node, organization, &by, (&id, &delivery.id)).await?;
    }
    let message = match failed.has_more {
        true => format!("{RETRIED} deliveries are being retried. Repeat this for the others."),
        false => format!("{} deliveries are being retried.", failed.items.len()),
    };
    visit.done(&format!("/emergency/webhook/{id}"), &message)
}

async fn set_state(
    visit: &ConsoleRequest<AdminWebhooks>,
    id: &str,
    state: WebhookState,
    message: &str,
) -> Result<Reply, ErrorPage> {
    let id = parse(id)?;
    let update = WebhookUpdate { state: Some(state), ..WebhookUpdate::default() };
    webhooks::edit(visit.node(), visit.organization(), &visit.by(), (&id, None), update).await?;
    visit.done(&format!("/emergency/webhook/{id}"), message)
}

fn parse(id: &str) -> Result<WebhookId, ErrorPage> {
    WebhookId::parse(id).ok_or_else(ErrorPage::not_found)
}
