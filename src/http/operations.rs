//! For operators: `/healthz`, `/readyz`, `/metrics`.

use std::time::Duration;

use actix_web::http::header::{ALLOW, CACHE_CONTROL};
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::http::context::HttpContext;
use crate::node::Node;

/// How long the store may take to show that it is there.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

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
    let node = &context.node;
    let reason = if context.is_stopping() {
        Some("stopping")
    } else if !is_store_there(node).await {
        Some("the store does not answer")
    } else if node.tenants().is_empty() {
        Some("no organization yet: run keyturn init")
    } else if !node.is_current() {
        Some("the changes of other nodes are not followed yet")
    } else {
        None
    };
    let mut response = if reason.is_some() { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    let status = if reason.is_some() { "not ready" } else { "ready" };
    let mut body = json!({ "status": status });
    if let (Some(reason), Some(body)) = (reason, body.as_object_mut()) {
        body.insert("reason".into(), reason.into());
    }
    if let (Some(_), Some(body)) = (&node.cluster, body.as_object_mut()) {
        body.insert("lease".into(), if node.is_current() { "live" } else { "none" }.into());
    }
    let warnings = node.warnings();
    if let (false, Some(body)) = (warnings.is_empty(), body.as_object_mut()) {
        body.insert("warnings".into(), warnings.into());
    }
    response.insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// Whether the store answers, and soon: who asks whether we are ready does not wait for long.
async fn is_store_there(node: &Node) -> bool {
    if node.cluster.as_ref().is_some_and(|cluster| cluster.is_cut_off()) {
        return false;
    }
    match tokio::time::timeout(STORE_PATIENCE, node.store.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "the store does not answer");
            false
        }
        Err(_) => {
            tracing::error!("the store does not answer in time");
            false
        }
    }
}

async fn metrics(context: web::Data<HttpContext>) -> HttpResponse {
    context.node.metrics.records(context.node.list.len());
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(context.node.metrics.render())
}
