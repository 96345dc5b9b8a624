//! The OpenAPI 3.1 document of the management API, made from the types that the handlers read and write.

mod operation;
mod operations;
mod page;
pub(super) mod schemas;

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::problem::Problem;
use crate::domain::event::KNOWN;

/// Registers `/openapi.json` and `/docs`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let only_get = || web::to(|| async { Problem::method_not_allowed("GET") });
    config
        .service(web::resource("/openapi.json").route(web::get().to(serve)).default_service(only_get()))
        .service(web::resource("/docs").route(web::get().to(page::serve)).default_service(only_get()))
        .service(web::resource("/docs/style.css").route(web::get().to(page::style)).default_service(only_get()));
}

/// Rendered once: the endpoint is public, and rendering takes milliseconds.
static RENDERED: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(text()));

async fn serve() -> HttpResponse {
    const ALLOW_ORIGIN: HeaderName = HeaderName::from_static("access-control-allow-origin");
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "max-age=300"))
        .insert_header((ALLOW_ORIGIN, "*"))
        .body(RENDERED.clone())
}

/// The document as it is served and committed, in `docs/openapi.json`.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let operations = operations::all(&mut schemas);
    schemas.subschema_for::<crate::api::problem::ProblemJson>();

    let mut paths: Map<String, Value> = Map::new();
    for operation in &operations {
        let path = paths.entry(format!("/api/v1{}", operation.path)).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_ascii_lowercase(), operation.to_json());
        }
    }
    let mut components = Map::new();
    components.insert("schemas".into(), schemas.take_definitions(true).into());
    let responses = operation::PROBLEMS.iter().map(|(status, description)| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let content = json!({ "application/problem+json": { "schema": schema } });
        (status.to_string(), json!({ "description": description, "content": content }))
    });
    components.insert("parameters".into(), event_parameters());
    components.insert("requestBodies".into(), json!({ "WebhookEvent": event_body() }));
    components.insert("responses".into(), Value::Object(responses.collect()));
    components.insert(
        "securitySchemes".into(),
        json!({
            "bearer": {
                "type": "http", "scheme": "bearer",
                "description": "an API key, or an access token minted from one for this server",
            },
            "apiKey": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            "session": {
                "type": "apiKey", "in": "cookie", "name": "__Host-keyturn",
                "description": "a person who has signed in; changes need X-CSRF-Token as well. Over plain HTTP the \
                    cookie is called keyturn_session",
            },
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyturn management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "API keys, members, policies, signing keys, usage and audit of an organization. Errors are \
                problem documents (RFC 9457) with a `code`. Times are RFC 3339 in UTC. Lists go on where \
                `next_cursor` says.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "apiKey": [] }, { "session": [] }],
        "paths": paths,
        "webhooks": webhooks(),
        "components": components,
    })
}

/// The request that a webhook's receiver gets for each event (`docs/reference/events.md`).
fn webhooks() -> Map<String, Value> {
    let parameters: Vec<Value> =
        HEADERS.iter().map(|(name, _)| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
    let event = |name: &str| {
        json!({ "post": {
            "summary": format!("Event {name}"),
            "parameters": parameters,
            "requestBody": { "$ref": "#/components/requestBodies/WebhookEvent" },
            "responses": {
                "2XX": { "description": "the event is delivered" },
                "410": { "description": "the webhook is disabled" },
                "default": { "description": "the event is sent again later" },
            },
        } })
    };
    KNOWN.into_iter().map(|name| (name.to_owned(), event(name))).collect()
}

/// Headers of an event, and what each says.
const HEADERS: [(&str, &str); 3] = [
    ("webhook-id", "the same at each attempt to deliver this event"),
    ("webhook-timestamp", "seconds since the Unix epoch"),
    ("webhook-signature", "signatures as Standard Webhooks defines them, separated by spaces"),
];

fn event_parameters() -> Value {
    let header = |(name, description): &(&str, &str)| {
        let schema = json!({ "type": "string" });
        let header =
            json!({ "name": name, "in": "header", "required": true, "description": description, "schema": schema });
        ((*name).to_owned(), header)
    };
    Value::Object(HEADERS.iter().map(header).collect())
}

fn event_body() -> Value {
    let nullable = |kind: &str| json!({ "type": [kind, "null"] });
    let data = json!({
        "type": "object",
        "required": ["organization", "subject", "actor", "address", "old", "new"],
        "properties": {
            "organization": { "type": "string" },
            "subject": { "type": "string", "description": "the ID of what was changed" },
            "actor": { "type": "string", "description": "key:{id}, member:{id} or keyturn" },
            "address": nullable("string"),
            "old": nullable("object"),
            "new": nullable("object"),
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": { "type": "string", "enum": KNOWN },
            "timestamp": { "type": "string", "format": "date-time" },
            "data": data,
        },
    });
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}
