//! What is done to a webhook: enabling, disabling, trying out, a new secret, deleting, taking a dead letter up again.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::console::webhooks::{Secret, version, webhook_id};
use crate::domain::webhook::{DeliveryId, Webhook, WebhookState};
use crate::http::permission::AdminWebhooks;
use crate::webhooks::{self, WebhookUpdate};

type Path = web::Path<String>;

/// What is asked before something is done that cannot be undone.
#[derive(Template)]
#[template(path = "console/webhooks/confirm.html")]
struct Confirm {
    frame: Frame,
    id: String,
    version: u64,
    destination: String,
    /// What follows the webhook's path, and the name of the button.
    what: (&'static str, &'static str),
    sentences: Vec<&'static str>,
}

pub(super) async fn change_state(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (id, version) = (webhook_id(&id)?, version(&form)?);
    let (state, done) = match form.value("state") {
        Some("enabled") => (WebhookState::Enabled, "enabled"),
        Some("disabled") => (WebhookState::Disabled { reason: None }, "disabled"),
        _ => return Err(Trouble::bad_form("it does not say whether the webhook is to be enabled or disabled")),
    };
    let update = WebhookUpdate { state: Some(state), ..WebhookUpdate::default() };
    let back = visit.path(&format!("/webhooks/{id}?done={done}"));
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let edited = async move { webhooks::edit(&node, &organization, &by, (&id, version), update).await };
    visit.node().run_to_end(edited).await?;
    Ok(see_other(&back))
}

pub(super) async fn test(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<HttpResponse, Trouble> {
    let (visit, id) = (submitted.visit, webhook_id(&id)?);
    let back = visit.path(&format!("/webhooks/{id}?done=tested"));
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    visit.node().run_to_end(async move { webhooks::test(&node, &organization, &by, &id).await }).await?;
    Ok(see_other(&back))
}

pub(super) async fn ask_rotate(visit: Visit<AdminWebhooks>, id: Path) -> Result<HttpResponse, Trouble> {
    let sentences = vec![
        "The webhook gets a new secret, which is shown once.",
        "For a day, every event is signed with both secrets, so the receiver can be given the new one without losing any.",
        "A secret from before the present one is used no more.",
    ];
    confirm(&visit, &id, "Rotate the secret", ("rotate-secret", "Rotate the secret"), sentences).await
}

pub(super) async fn rotate(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (id, version) = (webhook_id(&id)?, version(&form)?);
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let rotated = async move { webhooks::rotate_secret(&node, &organization, &by, (&id, version)).await };
    let (webhook, secret) = visit.node().run_to_end(rotated).await?;
    page(&Secret::new(&visit, &webhook, secret, true))
}

pub(super) async fn ask_delete(visit: Visit<AdminWebhooks>, id: Path) -> Result<HttpResponse, Trouble> {
    let sentences = vec![
        "The receiver is told nothing more.",
        "What is on its way, and what was given up, is deleted as well. This cannot be undone.",
        "To have events wait, disable the webhook instead.",
    ];
    confirm(&visit, &id, "Delete the webhook", ("delete", "Delete the webhook"), sentences).await
}

pub(super) async fn delete(submitted: Submitted<AdminWebhooks>, id: Path) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (id, version) = (webhook_id(&id)?, version(&form)?);
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let removed = async move { webhooks::remove(&node, &organization, &by, (&id, version)).await };
    visit.node().run_to_end(removed).await?;
    Ok(see_other(&visit.path("/webhooks?done=deleted")))
}

pub(super) async fn retry(
    submitted: Submitted<AdminWebhooks>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    let (id, delivery) = (webhook_id(&path.0)?, DeliveryId::parse(&path.1).ok_or_else(Trouble::not_found)?);
    let back = visit.path(&format!("/webhooks/{id}?done=retried"));
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let revived = async move { webhooks::retry(&node, &organization, &by, (&id, &delivery)).await };
    visit.node().run_to_end(revived).await?;
    Ok(see_other(&back))
}

async fn confirm(
    visit: &Visit<AdminWebhooks>,
    id: &str,
    title: &str,
    what: (&'static str, &'static str),
    sentences: Vec<&'static str>,
) -> Result<HttpResponse, Trouble> {
    let webhook: Webhook = webhooks::find(visit.node(), visit.organization(), &webhook_id(id)?).await?;
    page(&Confirm {
        frame: visit.frame(Section::Webhooks, title),
        id: webhook.id.to_string(),
        version: webhook.version,
        destination: webhook.url.origin.clone(),
        what,
        sentences,
    })
}
