//! `/api/v1/organizations/{org}/webhooks`, and their deliveries.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::api::call::Call;
use crate::api::delivery_json::{DeliveryDetailsJson, DeliveryJson, Shown};
use crate::api::fields::{NoBody, given};
use crate::api::guard::{AdminWebhooks, ReadAudit, ReadWebhooks};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::api::webhook_json::WebhookJson;
use crate::domain::webhook::{DeliveryId, DeliveryState, Webhook, WebhookId, WebhookState};
use crate::http::checks::Checks;
use crate::store::DeliveryFilter;
use crate::webhooks::{self, NewWebhook, WebhookUpdate};

const LIST: &str = "/organizations/{org}/webhooks";
const ONE: &str = "/organizations/{org}/webhooks/{id}";
const DELIVERY: &str = "/organizations/{org}/webhooks/{id}/deliveries/{delivery}";
const RETRY: &str = "/organizations/{org}/webhooks/{id}/deliveries/{delivery}/retry";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, LIST, list)
        .operation("listWebhooks", "List webhooks")
        .returns(StatusCode::OK, "The webhooks.");
    routes
        .add(Method::POST, LIST, create)
        .operation("createWebhook", "Create a webhook. The response contains its secret, which is shown once")
        .body_required()
        .returns(StatusCode::CREATED, "The webhook with its `secret`.");
    routes.add(Method::GET, ONE, show).operation("getWebhook", "Get a webhook").returns(StatusCode::OK, "The webhook.");
    routes
        .add(Method::PATCH, ONE, edit)
        .operation("editWebhook", "Edit, disable or enable a webhook")
        .if_match()
        .returns(StatusCode::OK, "The webhook.");
    routes
        .add(Method::DELETE, ONE, remove)
        .operation("removeWebhook", "Delete a webhook and its pending deliveries")
        .if_match()
        .returns(StatusCode::NO_CONTENT, "The webhook is deleted.");
    routes
        .add(Method::POST, "/organizations/{org}/webhooks/{id}/rotate-secret", rotate_secret)
        .operation("rotateWebhookSecret", "Give a webhook a new secret")
        .if_match()
        .returns(StatusCode::OK, "The webhook with its new `secret`. The previous secret also signs for a day.");
    routes
        .add(Method::POST, "/organizations/{org}/webhooks/{id}/test", test)
        .operation("testWebhook", "Send a test event to a webhook")
        .returns(StatusCode::ACCEPTED, "The pending delivery.");
    routes
        .add(Method::GET, "/organizations/{org}/webhooks/{id}/deliveries", deliveries)
        .operation("listDeliveries", "List the deliveries of a webhook, newest first")
        .query("state", "Only deliveries in this state.", json!({ "enum": ["pending", "delivered", "dead"] }))
        .pages()
        .returns(StatusCode::OK, "A page of deliveries.");
    routes
        .add(Method::GET, DELIVERY, delivery)
        .operation("getDelivery", "Get a delivery with its request and its attempts")
        .returns(StatusCode::OK, "The delivery.");
    routes
        .add(Method::POST, RETRY, retry)
        .operation("retryDelivery", "Retry a delivery now: a failed one, or one that waits for its next attempt")
        .returns(StatusCode::ACCEPTED, "The pending delivery.");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewWebhook")]
struct CreateBody {
    url: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    events: Vec<String>,
    /// Headers to send beside the signature, such as `Authorization`: at most 10. They are encrypted and never shown again.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

async fn create(call: Call<AdminWebhooks>, body: CreateBody) -> Result<Reply<WebhookJson>, Problem> {
    let node = call.node();
    let mut checks = Checks::default();
    checks.text("description", &body.description);
    let events = checks.events(&body.events);
    let headers = checks.headers(body.headers);
    let destination = match &body.url {
        Some(url) => checks.destination(url, node.settings.webhook_reach),
        None => {
            checks.wrong("url", "is missing; must be an https URL");
            None
        }
    };
    checks.done()?;
    let Some(destination) = destination else { return Err(Problem::invalid_field("url", "is missing")) };
    let new = NewWebhook { destination, headers, description: body.description, events };
    let (webhook, secret) = webhooks::create(node, call.organization(), &call.by(), new).await?;
    let location = call.location(&format!("/organizations/{}/webhooks/{}", webhook.organization, webhook.id));
    let json = WebhookJson::with_secret(&webhook, webhooks::url(node, &webhook), &secret, call.now);
    Ok(Reply::new(json).version(webhook.version).location(location))
}

async fn list(call: Call<ReadWebhooks>) -> Result<Reply<ListJson<WebhookJson>>, Problem> {
    let found = webhooks::list(call.node(), call.organization()).await?;
    Ok(ListJson::all(found.iter().map(|webhook| visible(&call, webhook))))
}

async fn show(call: Call<ReadWebhooks>) -> Result<Reply<WebhookJson>, Problem> {
    let webhook = webhooks::find(call.node(), call.organization(), &webhook_id(&call)?).await?;
    Ok(Reply::new(visible(&call, &webhook)).version(webhook.version))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct EditBody {
    #[serde(default, deserialize_with = "given")]
    url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    events: Option<Vec<String>>,
    /// Replaces all headers; `{}` removes them.
    #[serde(default, deserialize_with = "given")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "given")]
    state: Option<String>,
}

async fn edit(call: Call<AdminWebhooks>, body: EditBody) -> Result<Reply<WebhookJson>, Problem> {
    let (node, id) = (call.node(), webhook_id(&call)?);
    let mut checks = Checks::default();
    if let Some(description) = &body.description {
        checks.text("description", description);
    }
    let update = WebhookUpdate {
        destination: body.url.and_then(|url| checks.destination(&url, node.settings.webhook_reach)),
        headers: body.headers.map(|headers| checks.headers(headers)),
        description: body.description,
        events: body.events.map(|events| checks.events(&events)),
        state: body.state.and_then(|state| webhook_state(&mut checks, &state)),
    };
    checks.done()?;
    let edited = webhooks::edit(node, call.organization(), &call.by(), (&id, call.if_match), update).await?;
    Ok(Reply::new(visible(&call, &edited)).version(edited.version))
}

async fn remove(call: Call<AdminWebhooks>) -> Result<Reply<()>, Problem> {
    let id = webhook_id(&call)?;
    webhooks::remove(call.node(), call.organization(), &call.by(), (&id, call.if_match)).await?;
    Ok(Reply::new(()))
}

async fn rotate_secret(call: Call<AdminWebhooks>, _: NoBody) -> Result<Reply<WebhookJson>, Problem> {
    let (node, id) = (call.node(), webhook_id(&call)?);
    let (webhook, secret) =
        webhooks::rotate_secret(node, call.organization(), &call.by(), (&id, call.if_match)).await?;
    let json = WebhookJson::with_secret(&webhook, webhooks::url(node, &webhook), &secret, call.now);
    Ok(Reply::new(json).version(webhook.version))
}

async fn test(call: Call<AdminWebhooks>, _: NoBody) -> Result<Reply<DeliveryJson>, Problem> {
    let queued = webhooks::test(call.node(), call.organization(), &call.by(), &webhook_id(&call)?).await?;
    Ok(Reply::new(DeliveryJson::new(&queued)))
}

async fn deliveries(call: Call<ReadWebhooks>) -> Result<Reply<ListJson<DeliveryJson>>, Problem> {
    let webhook = webhook_id(&call)?;
    let filter = call.query(|query| {
        let state = query.parse("state", "all, pending, delivered or dead", |text| match text {
            "all" => Some(None),
            text => DeliveryState::parse(text).map(Some),
        });
        DeliveryFilter {
            webhook,
            state: state.flatten(),
            after: query.cursor(webhooks::read_cursor),
            limit: query.limit(),
        }
    })?;
    let page = webhooks::deliveries(call.node(), call.organization(), filter).await?;
    Ok(ListJson::page(page, webhooks::cursor, |delivery| DeliveryJson::new(&delivery)))
}

async fn delivery(call: Call<ReadWebhooks>) -> Result<Reply<DeliveryDetailsJson>, Problem> {
    let (id, delivery) = (webhook_id(&call)?, call.path("delivery", DeliveryId::parse)?);
    let (webhook, delivery, attempts) = webhooks::delivery(call.node(), call.organization(), (&id, &delivery)).await?;
    let shown = Shown { payload: call.may::<ReadAudit>(), responses: call.may::<AdminWebhooks>() };
    Ok(Reply::new(DeliveryDetailsJson::new(&webhook, delivery, attempts, shown)))
}

async fn retry(call: Call<AdminWebhooks>, _: NoBody) -> Result<Reply<DeliveryJson>, Problem> {
    let (id, delivery) = (webhook_id(&call)?, call.path("delivery", DeliveryId::parse)?);
    let retried = webhooks::retry(call.node(), call.organization(), &call.by(), (&id, &delivery)).await?;
    Ok(Reply::new(DeliveryJson::new(&retried)))
}

fn webhook_state(checks: &mut Checks, state: &str) -> Option<WebhookState> {
    match state {
        "enabled" => Some(WebhookState::Enabled),
        "disabled" => Some(WebhookState::Disabled { reason: None }),
        _ => {
            checks.wrong("state", "must be enabled or disabled");
            None
        }
    }
}

/// Returns a webhook as the caller can see it. Its URL may hold a token, so only callers who manage webhooks see it.
fn visible<P>(call: &Call<P>, webhook: &Webhook) -> WebhookJson {
    let url = call.may::<AdminWebhooks>().then(|| webhooks::url(call.node(), webhook)).flatten();
    WebhookJson::new(webhook, url, call.now)
}

fn webhook_id<P>(call: &Call<P>) -> Result<WebhookId, Problem> {
    call.path("id", WebhookId::parse)
}
