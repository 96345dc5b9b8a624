//! `/api/v1/organizations/{org}/webhooks`, and the deliveries to each.

use std::collections::BTreeMap;

use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::body;
use crate::api::etag::if_match;
use crate::api::fields::given;
use crate::api::guard::{AdminWebhooks, Guarded, ReadWebhooks};
use crate::api::keys::NoBody;
use crate::api::problem::Problem;
use crate::api::query;
use crate::api::webhook_json::{DeliveryJson, Page, WebhookJson};
use crate::domain::webhook::{DeliveryId, DeliveryState, Webhook, WebhookId, WebhookState};
use crate::http::checks::Checks;
use crate::http::context::HttpContext;
use crate::store::DeliveryFilter;
use crate::webhooks::{self, NewWebhook, WebhookUpdate};

type Context = web::Data<HttpContext>;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    const LIST: &str = "/organizations/{org}/webhooks";
    const ONE: &str = "/organizations/{org}/webhooks/{id}";
    const DELIVERIES: &str = "/organizations/{org}/webhooks/{id}/deliveries";
    const RETRY: &str = "/organizations/{org}/webhooks/{id}/deliveries/{delivery}/retry";
    let resource = |path: String, allowed: &'static str| {
        web::resource(path).default_service(web::to(move || async move { Problem::method_not_allowed(allowed) }))
    };
    config
        .service(resource(LIST.into(), "GET, POST").route(web::get().to(list)).route(web::post().to(create)))
        .service(
            resource(ONE.into(), "GET, PATCH, DELETE")
                .route(web::get().to(show))
                .route(web::patch().to(edit))
                .route(web::delete().to(remove)),
        )
        .service(resource(format!("{ONE}/rotate-secret"), "POST").route(web::post().to(rotate_secret)))
        .service(resource(format!("{ONE}/test"), "POST").route(web::post().to(test)))
        .service(resource(DELIVERIES.into(), "GET").route(web::get().to(deliveries)))
        .service(resource(RETRY.into(), "POST").route(web::post().to(retry)));
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewWebhook")]
pub(super) struct CreateBody {
    url: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    events: Vec<String>,
    /// Headers to send beside the signature, such as `Authorization`: at most 10. They are encrypted and never shown again.
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

async fn create(
    guarded: Guarded<AdminWebhooks>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body: CreateBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    checks.text("description", &body.description);
    let events = checks.events(&body.events);
    let headers = checks.headers(body.headers);
    let destination = match &body.url {
        Some(url) => checks.destination(url, context.node.settings.webhook_reach),
        None => {
            checks.wrong("url", "is missing; an https URL is expected");
            None
        }
    };
    checks.done()?;
    let Some(destination) = destination else { return Err(Problem::invalid_field("url", "is missing")) };
    let new = NewWebhook { destination, headers, description: body.description, events };
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let made = context.node.run_to_end(async move { webhooks::create(&node, &organization, &by, new).await });
    let (webhook, secret) = made.await?;
    let location = format!(
        "{}/api/v1/organizations/{}/webhooks/{}",
        context.public_path.as_str(),
        webhook.organization,
        webhook.id
    );
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, location));
    Ok(with_headers(response, &webhook).json(WebhookJson::with_secret(
        &webhook,
        webhooks::url(&context.node, &webhook),
        &secret,
        guarded.now,
    )))
}

async fn list(guarded: Guarded<ReadWebhooks>, context: Context) -> Result<HttpResponse, Problem> {
    let found = webhooks::list(&context.node, &guarded.organization()).await?;
    let items = found.iter().map(|webhook| shown(&guarded, &context, webhook)).collect();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Page { items, next_cursor: None }))
}

async fn show(
    guarded: Guarded<ReadWebhooks>,
    context: Context,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let webhook = webhooks::find(&context.node, &guarded.organization(), &webhook_id(&path.1)?).await?;
    Ok(with_headers(HttpResponse::Ok(), &webhook).json(shown(&guarded, &context, &webhook)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct EditBody {
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

async fn edit(
    guarded: Guarded<AdminWebhooks>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (webhook_id(&path.1)?, if_match(&request));
    let body: EditBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    if let Some(description) = &body.description {
        checks.text("description", description);
    }
    let update = WebhookUpdate {
        destination: body.url.and_then(|url| checks.destination(&url, context.node.settings.webhook_reach)),
        headers: body.headers.map(|headers| checks.headers(headers)),
        description: body.description,
        events: body.events.map(|events| checks.events(&events)),
        state: body.state.and_then(|state| webhook_state(&mut checks, &state)),
    };
    checks.done()?;
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let edited =
        context.node.run_to_end(async move { webhooks::edit(&node, &organization, &by, (&id, version), update).await });
    let webhook = edited.await?;
    Ok(with_headers(HttpResponse::Ok(), &webhook).json(shown(&guarded, &context, &webhook)))
}

async fn remove(
    guarded: Guarded<AdminWebhooks>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (webhook_id(&path.1)?, if_match(&request));
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let removed =
        context.node.run_to_end(async move { webhooks::remove(&node, &organization, &by, (&id, version)).await });
    removed.await?;
    Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish())
}

async fn rotate_secret(
    guarded: Guarded<AdminWebhooks>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let NoBody {} = body::read(&request, payload).await?;
    let (id, version) = (webhook_id(&path.1)?, if_match(&request));
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let rotated = context
        .node
        .run_to_end(async move { webhooks::rotate_secret(&node, &organization, &by, (&id, version)).await });
    let (webhook, secret) = rotated.await?;
    let shown = WebhookJson::with_secret(&webhook, webhooks::url(&context.node, &webhook), &secret, guarded.now);
    Ok(with_headers(HttpResponse::Ok(), &webhook).json(shown))
}

async fn test(
    guarded: Guarded<AdminWebhooks>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let NoBody {} = body::read(&request, payload).await?;
    let id = webhook_id(&path.1)?;
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let queued = context.node.run_to_end(async move { webhooks::test(&node, &organization, &by, &id).await });
    let delivery = DeliveryJson::new(&queued.await?);
    Ok(HttpResponse::Accepted().insert_header((CACHE_CONTROL, "no-store")).json(delivery))
}

async fn deliveries(
    guarded: Guarded<ReadWebhooks>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let filter = delivery_filter(&request, webhook_id(&path.1)?)?;
    let page = webhooks::deliveries(&context.node, &guarded.organization(), filter).await?;
    let items = page.deliveries.iter().map(DeliveryJson::new).collect();
    let next_cursor = page.next_cursor();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Page { items, next_cursor }))
}

async fn retry(
    guarded: Guarded<AdminWebhooks>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let NoBody {} = body::read(&request, payload).await?;
    let id = webhook_id(&path.1)?;
    let delivery = DeliveryId::parse(&path.2).ok_or_else(Problem::not_found)?;
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let revived =
        context.node.run_to_end(async move { webhooks::retry(&node, &organization, &by, (&id, &delivery)).await });
    let delivery = DeliveryJson::new(&revived.await?);
    Ok(HttpResponse::Accepted().insert_header((CACHE_CONTROL, "no-store")).json(delivery))
}

fn delivery_filter(request: &HttpRequest, webhook: WebhookId) -> Result<DeliveryFilter, Problem> {
    let mut filter = DeliveryFilter { webhook, state: None, after: None, limit: 50 };
    let query = query::form(request)?;
    for name in query.names() {
        let value = query.value(name).unwrap_or_default();
        let known = if ["state", "limit", "cursor"].contains(&name) { name } else { "query" };
        if query.values(name).count() > 1 {
            return Err(Problem::invalid_field(known, "given more than once"));
        }
        match name {
            "state" if value == "all" => {}
            "state" => {
                let state = DeliveryState::parse(value);
                filter.state =
                    Some(state.ok_or_else(|| {
                        Problem::invalid_field("state", "allowed is all, pending, delivered and dead")
                    })?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=200).contains(limit));
                filter.limit = limit.ok_or_else(|| Problem::invalid_field("limit", "allowed is 1 to 200"))?;
            }
            "cursor" => {
                let after = webhooks::read_cursor(value);
                filter.after = Some(
                    after.ok_or_else(|| Problem::invalid_field("cursor", "not one that a list gave as next_cursor"))?,
                );
            }
            _ => return Err(Problem::invalid_field(known, "allowed is state, limit and cursor")),
        }
    }
    Ok(filter)
}

fn webhook_state(checks: &mut Checks, state: &str) -> Option<WebhookState> {
    match state {
        "enabled" => Some(WebhookState::Enabled),
        "disabled" => Some(WebhookState::Disabled { reason: None }),
        _ => {
            checks.wrong("state", "allowed is enabled and disabled");
            None
        }
    }
}

/// A webhook as the caller may see it. A token in the URL is for those who may manage webhooks.
fn shown<P>(guarded: &Guarded<P>, context: &HttpContext, webhook: &Webhook) -> WebhookJson {
    let url = guarded.may::<AdminWebhooks>().then(|| webhooks::url(&context.node, webhook)).flatten();
    WebhookJson::new(webhook, url, guarded.now)
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    WebhookId::parse(text).ok_or_else(Problem::not_found)
}

fn with_headers(mut response: HttpResponseBuilder, webhook: &Webhook) -> HttpResponseBuilder {
    response
        .insert_header((ETAG, format!("\"{}\"", webhook.version)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("pragma", "no-cache"));
    response
}
