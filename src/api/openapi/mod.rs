//! The OpenAPI 3.1 document of the management API, generated from the table of routes and the types of their handlers.

mod operation;
mod page;
pub(super) mod schemas;

use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::middleware::Compress;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, ResponseError, web};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::problem::Problem;
use crate::api::table;
use crate::domain::event::KNOWN;
use crate::http::methods;

/// Registers `/openapi.json` and `/docs`.
pub(super) fn register(config: &mut web::ServiceConfig) {
    let resource = |path: &str, route| {
        methods::resource(path, [(Method::GET, route)], |_, allowed| {
            Problem::method_not_allowed(allowed).error_response()
        })
    };
    config
        .service(resource("/openapi.json", web::to(serve)).wrap(Compress::default()))
        .service(resource("/docs", web::to(page::serve)).wrap(Compress::default()))
        .service(resource("/docs/style.css", web::to(page::style)).wrap(Compress::default()));
}

/// Rendered once: the endpoint is public, and rendering takes milliseconds.
static RENDERED: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(text()));

async fn serve() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "max-age=300"))
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(RENDERED.clone())
}

/// Returns the document, which is also committed as `docs/openapi.json`.
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
    schemas.subschema_for::<crate::api::problem::ProblemJson>();

    let mut paths: Map<String, Value> = Map::new();
    for route in table().iter() {
        let path = paths.entry(format!("/api/v1{}", route.path)).or_insert_with(|| Map::new().into());
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation::describe(route, &mut schemas));
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
                "description": "An API key's secret, or an access token whose audience is this server.",
            },
            "apiKey": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            "session": {
                "type": "apiKey", "in": "cookie", "name": "__Host-keyturn",
                "description": "The session of a member. Changes also require `X-CSRF-Token`. Over plain HTTP the cookie is \
                    named keyturn_session.",
            },
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyturn management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Manages the API keys, members, policy, signing keys, webhooks, usage and audit log of an \
                organization. Errors are problem documents (RFC 9457) with a `code`. Times are RFC 3339 in UTC. The \
                next page of a list begins at its `next_cursor`. Unknown query parameters and fields are rejected.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "apiKey": [] }, { "session": [] }],
        "paths": paths,
        "webhooks": webhooks(),
        "components": components,
    })
}

/// Describes the request that a webhook sends for each event (`docs/reference/events.md`).
fn webhooks() -> Map<String, Value> {
    let parameters: Vec<Value> =
        HEADERS.iter().map(|(name, _)| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
    let event = |name: &str| {
        json!({ "post": {
            "summary": format!("Event {name}"),
            "parameters": parameters,
            "requestBody": { "$ref": "#/components/requestBodies/WebhookEvent" },
            "responses": {
                "2XX": { "description": "The event is delivered." },
                "410": { "description": "The webhook is disabled." },
                "default": { "description": "The delivery is retried later." },
            },
        } })
    };
    KNOWN.into_iter().map(|name| (name.to_owned(), event(name))).collect()
}

/// The headers of an event.
const HEADERS: [(&str, &str); 3] = [
    ("webhook-id", "The ID of the delivery. It is the same at each attempt."),
    ("webhook-timestamp", "The time of the attempt, in seconds since the Unix epoch."),
    ("webhook-signature", "Signatures as defined by Standard Webhooks, separated by spaces."),
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
            "subject": { "type": "string", "description": "The ID of the changed object." },
            "actor": { "type": "string", "description": "`key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`." },
            "address": nullable("string"),
            "old": nullable("object"),
            "new": nullable("object"),
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": { "type": "string", "enum": KNOWN.as_slice() },
            "timestamp": { "type": "string", "format": "date-time" },
            "data": data,
        },
    });
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}
