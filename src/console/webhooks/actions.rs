//! Actions on a webhook: enable, disable, test, rotate the secret, delete, and retry a delivery.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::webhooks::{SecretPage, version, webhook_id};
use crate::domain::webhook::{DeliveryId, Webhook, WebhookState};
use crate::http::permission::AdminWebhooks;
use crate::webhooks::{self, WebhookUpdate};

type Path = web::Path<String>;

/// The confirmation of an action that cannot be undone.
#[derive(Template)]
#[template(path = "console/webhooks/confirm.html")]
struct Confirm {
    frame: Frame,
    id: String,
    version: u64,
    destination: String,
    /// The path below the webhook's.
    action: &'static str,
    button: &'static str,
    sentences: Vec<&'static str>,
}

pub(super) async fn change_state(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, version) = (webhook_id(&id)?, version(&form)?);
    let (state, message) = match form.value("state") {
        Some("enabled") => (WebhookState::Enabled, "Webhook enabled. Pending deliveries are being sent."),
        Some("disabled") => {
            (WebhookState::Disabled { reason: None }, "Webhook disabled. Pending deliveries are paused.")
        }
        _ => return Err(ErrorPage::unreadable_form("it is incomplete")),
    };
    let update = WebhookUpdate { state: Some(state), ..WebhookUpdate::default() };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    webhooks::edit(node, organization, &by, (&id, version), update).await?;
    visit.done(&format!("/webhooks/{id}"), message)
}

pub(super) async fn test(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<Reply, ErrorPage> {
    let (visit, id) = (submitted.visit, webhook_id(&id)?);
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let delivery = webhooks::test(node, organization, &by, &id).await?;
    visit.done(&format!("/webhooks/{id}/deliveries/{}", delivery.id), "Test event queued.")
}

pub(super) async fn ask_rotate(visit: ConsoleRequest<AdminWebhooks>, id: Path) -> Result<Reply, ErrorPage> {
    let sentences = vec![
        "Creates a new signing secret, shown once.",
        "For 24 hours, events are signed with both secrets, so you can switch without losing events.",
        "Any older secret stops working.",
    ];
    confirm(&visit, &id, "Rotate secret", ("rotate-secret", "Rotate secret"), sentences).await
}

pub(super) async fn rotate(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, version) = (webhook_id(&id)?, version(&form)?);
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let (webhook, secret) = webhooks::rotate_secret(node, organization, &by, (&id, version)).await?;
    page(&SecretPage::new(&visit, &webhook, secret, true))
}

pub(super) async fn ask_delete(visit: ConsoleRequest<AdminWebhooks>, id: Path) -> Result<Reply, ErrorPage> {
    let sentences = vec![
        "Your endpoint stops receiving events.",
        "Pending and failed deliveries are deleted. You can’t undo this.",
        "To keep them, disable the webhook instead. Events that happen while it is disabled are not sent later.",
    ];
    confirm(&visit, &id, "Delete webhook", ("delete", "Delete webhook"), sentences).await
}

pub(super) async fn delete(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, version) = (webhook_id(&id)?, version(&form)?);
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    webhooks::remove(node, organization, &by, (&id, version)).await?;
    visit.done("/webhooks", "Webhook deleted, with its pending deliveries.")
}

pub(super) async fn retry(
    submitted: Submitted<AdminWebhooks>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, delivery) = (webhook_id(&path.0)?, DeliveryId::parse(&path.1).ok_or_else(ErrorPage::not_found)?);
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    webhooks::retry(node, organization, &by, (&id, &delivery)).await?;
    let page = match form.value("back") {
        Some("delivery") => format!("/webhooks/{id}/deliveries/{delivery}"),
        _ => format!("/webhooks/{id}"),
    };
    visit.done(&page, "Retrying delivery.")
}

async fn confirm(
    visit: &ConsoleRequest<AdminWebhooks>,
    id: &str,
    title: &str,
    (action, button): (&'static str, &'static str),
    sentences: Vec<&'static str>,
) -> Result<Reply, ErrorPage> {
    let webhook: Webhook = webhooks::find(visit.node(), visit.organization(), &webhook_id(id)?).await?;
    page(&Confirm {
        frame: visit.frame(Section::Webhooks, title),
        id: webhook.id.to_string(),
        version: webhook.version,
        destination: webhook.url.origin.clone(),
        action,
        button,
        sentences,
    })
}
