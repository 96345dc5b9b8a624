//! Webhooks: the list, a webhook's page with its deliveries, and how to verify signatures.

mod actions;
mod delivery;
mod events;
mod form;
mod show;

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::{Badge, Checkbox, Moment, Tone, format_count};
use crate::domain::webhook::{DeliveryState, MAX_WEBHOOKS, Webhook, WebhookId, WebhookState};
use crate::http::form::Form;
use crate::http::permission::{AdminWebhooks, ReadWebhooks};
use crate::webhooks;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/webhooks", [get(list), submit(form::create)]))
        .service(resource("/webhooks/new", [get(form::new)]))
        .service(resource("/webhooks/verifying", [get(verifying)]))
        .service(resource("/webhooks/{id}", [get(show::show), submit(form::edit)]))
        .service(resource("/webhooks/{id}/edit", [get(form::ask)]))
        .service(resource("/webhooks/{id}/state", [submit(actions::change_state)]))
        .service(resource("/webhooks/{id}/test", [submit(actions::test)]))
        .service(resource("/webhooks/{id}/rotate-secret", [get(actions::ask_rotate), submit(actions::rotate)]))
        .service(resource("/webhooks/{id}/delete", [get(actions::ask_delete), submit(actions::delete)]))
        .service(resource("/webhooks/{id}/deliveries/{delivery}", [get(delivery::show)]))
        .service(resource("/webhooks/{id}/deliveries/{delivery}/retry", [submit(actions::retry)]));
}

#[derive(Template)]
#[template(path = "console/webhooks/list.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    may_change: bool,
    is_full: bool,
}

struct Row {
    id: String,
    destination: String,
    description: String,
    events: Vec<String>,
    state: Badge,
    reason: Option<String>,
    pending: String,
    failed: Option<Badge>,
    created: Moment,
}

async fn list(visit: ConsoleRequest<ReadWebhooks>) -> Result<Reply, ErrorPage> {
    let found = webhooks::list(visit.node(), visit.organization()).await?;
    let undelivered = webhooks::undelivered(visit.node(), visit.organization()).await?;
    let row = |webhook: &Webhook| {
        let waiting = undelivered.iter().find(|waiting| waiting.webhook == webhook.id);
        let (state, reason) = state(webhook);
        Row {
            id: webhook.id.to_string(),
            destination: webhook.url.origin.clone(),
            description: webhook.description.clone(),
            events: event_patterns(webhook),
            state,
            reason,
            pending: format_count(waiting.map_or(0, |waiting| waiting.pending)),
            failed: waiting
                .filter(|waiting| waiting.dead > 0)
                .map(|waiting| Badge::new(Tone::Bad, format_count(waiting.dead))),
            created: Moment::from_now(webhook.created_at, visit.now),
        }
    };
    page(&Page {
        rows: found.iter().map(row).collect(),
        may_change: visit.may::<AdminWebhooks>(),
        is_full: found.len() >= MAX_WEBHOOKS as usize,
        frame: visit.frame(Section::Webhooks, "Webhooks"),
    })
}

#[derive(Template)]
#[template(path = "console/webhooks/verifying.html")]
struct Verifying {
    frame: Frame,
    python: &'static str,
    node: &'static str,
}

async fn verifying(visit: ConsoleRequest<ReadWebhooks>) -> Result<Reply, ErrorPage> {
    page(&Verifying {
        frame: visit.frame(Section::Webhooks, "Verifying webhooks"),
        python: include_str!("verify.py").trim_end(),
        node: include_str!("verify.mjs").trim_end(),
    })
}

/// The page that shows a new signing secret, once.
#[derive(Template)]
#[template(path = "console/webhooks/secret.html")]
struct SecretPage {
    frame: Frame,
    id: String,
    destination: String,
    secret: zeroize::Zeroizing<String>,
    is_rotated: bool,
    saved: Checkbox,
}

impl SecretPage {
    fn new<P>(
        visit: &ConsoleRequest<P>,
        webhook: &Webhook,
        secret: zeroize::Zeroizing<String>,
        is_rotated: bool,
    ) -> Self {
        Self {
            frame: visit.frame(Section::Webhooks, "Webhook signing secret"),
            id: webhook.id.to_string(),
            destination: webhook.url.origin.clone(),
            secret,
            is_rotated,
            saved: Checkbox::saved("I saved this secret"),
        }
    }
}

/// Returns the state of a webhook, and the reason if Keyturn disabled it.
fn state(webhook: &Webhook) -> (Badge, Option<String>) {
    match &webhook.state {
        WebhookState::Enabled => (Badge::new(Tone::Good, "Enabled"), None),
        WebhookState::Disabled { reason } => (Badge::new(Tone::Warning, "Disabled"), reason.clone()),
    }
}

/// Returns the event patterns for display.
fn event_patterns(webhook: &Webhook) -> Vec<String> {
    match webhook.events.patterns() {
        [] => vec!["All events".into()],
        patterns => patterns.to_vec(),
    }
}

/// Returns the state of a delivery.
fn delivery_state(state: DeliveryState) -> Badge {
    match state {
        DeliveryState::Pending => Badge::new(Tone::Plain, "Pending"),
        DeliveryState::Delivered => Badge::new(Tone::Good, "Delivered"),
        DeliveryState::Dead => Badge::new(Tone::Bad, "Failed"),
    }
}

fn webhook_id(text: &str) -> Result<WebhookId, ErrorPage> {
    WebhookId::parse(text).ok_or_else(ErrorPage::not_found)
}

/// Reads the version of the webhook that the form was rendered with.
fn version(form: &Form) -> Result<Option<u64>, ErrorPage> {
    let version = form.value("version").and_then(|version| version.parse().ok());
    version.map(Some).ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))
}
