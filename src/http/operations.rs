//! For operators: `/healthz`, `/readyz`, `/metrics`.

use actix_web::http::header::{ALLOW, CACHE_CONTROL};
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::http::context::HttpContext;

/// Registers the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(operation("/healthz").route(web::get().to(alive)).route(web::head().to(alive)))
        .service(operation("/readyz").route(web::get().to(ready)).route(web::head().to(ready)))
        .service(operation("/metrics").route(web::get().to(metrics)).route(web::head().to(metrics)));
}

fn operation(path: &str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(|| async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD"))
            .json(json!({ "status": "only GET and HEAD are allowed here" }))
    }))
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": "alive" }))
}

async fn ready(context: web::Data<HttpContext>) -> HttpResponse {
    let reason = if context.is_stopping() {
        Some("stopping")
    } else if context.node.tenants().is_empty() {
        Some("no organization yet: run keyturn init")
    } else if let Err(error) = context.node.store.ping().await {
        tracing::error!(%error, "the store does not answer");
        Some("the store does not answer")
    } else {
        None
    };
    let mut response = if reason.is_some() { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    let status = if reason.is_some() { "not ready" } else { "ready" };
    let mut body = json!({ "status": status });
    if let (Some(reason), Some(body)) = (reason, body.as_object_mut()) {
        body.insert("reason".into(), reason.into());
    }
    response.insert_header((CACHE_CONTROL, "no-store")).json(body)
}

async fn metrics(context: web::Data<HttpContext>) -> HttpResponse {
    context.node.metrics.records(context.node.list.len());
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(context.node.metrics.render())
}
