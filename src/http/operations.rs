//! For operators: `/healthz`, `/readyz`, `/metrics`.

use std::time::{Duration, Instant};

use actix_web::http::header::{ALLOW, CACHE_CONTROL};
use actix_web::{HttpResponse, web};
use parking_lot::Mutex;
use serde_json::json;

use crate::clock;
use crate::http::access::{Explanation, Refused};
use crate::http::context::HttpContext;
use crate::node::Node;

/// How long the store may take to show that it is there.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// The same for a store that did not answer when changes were asked for.
const CUT_OFF_PATIENCE: Duration = Duration::from_millis(200);

/// How long an answer of the store counts.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The code of a response of `/readyz` that is not 200.
pub const NOT_READY: &str = "NOT_READY";

const SILENT: &str = "the store does not answer";
const LOGIN_REFUSED: &str = "the database refuses user or password";

/// Registers what stays on the public address if `server.operations_listen` is set: no metrics, and no details.
pub fn public_routes(config: &mut web::ServiceConfig) {
    config
        .service(operation("/healthz").route(web::get().to(alive)).route(web::head().to(alive)))
        .service(operation("/readyz").route(web::get().to(ready_plainly)).route(web::head().to(ready_plainly)));
}

/// Registers the routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(operation("/healthz").route(web::get().to(alive)).route(web::head().to(alive)))
        .service(operation("/readyz").route(web::get().to(ready)).route(web::head().to(ready)))
        .service(operation("/metrics").route(web::get().to(metrics)).route(web::head().to(metrics)));
}

fn operation(path: &str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(|| async {
        let mut response = HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD"))
            .json(json!({ "status": "only GET and HEAD are allowed here" }));
        Refused::note(&mut response, "VALIDATION_FAILED", None);
        response
    }))
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({ "status": "alive" }))
}

async fn ready(context: web::Data<HttpContext>) -> HttpResponse {
    let node = &context.node;
    let reason = not_ready(&context).await;
    let mut body = status(reason);
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
    respond(reason, &body)
}

async fn ready_plainly(context: web::Data<HttpContext>) -> HttpResponse {
    let reason = not_ready(&context).await;
    respond(reason, &status(reason))
}

fn status(reason: Option<&str>) -> serde_json::Value {
    json!({ "status": if reason.is_some() { "not ready" } else { "ready" } })
}

fn respond(reason: Option<&'static str>, body: &serde_json::Value) -> HttpResponse {
    let mut response = if reason.is_some() { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    let mut response = response.insert_header((CACHE_CONTROL, "no-store")).json(body);
    if let Some(reason) = reason {
        Refused::note(&mut response, NOT_READY, Some(Explanation::because(reason)));
    }
    response
}

/// Why the node may not take traffic. While its lease is live it decides from memory, however slow the store is.
async fn not_ready(context: &HttpContext) -> Option<&'static str> {
    let reason = reason_not_ready(context).await;
    context.store_probe.log(reason);
    reason
}

async fn reason_not_ready(context: &HttpContext) -> Option<&'static str> {
    let node = &context.node;
    if context.is_stopping() {
        return Some("stopping");
    }
    let is_in_step = node.cluster.is_some() && node.is_current();
    if !is_in_step && let Some(reason) = context.store_probe.unreachable(node).await {
        return Some(reason);
    }
    if node.tenants().is_empty() {
        return Some("no organization yet: run keyturn init");
    }
    (!node.is_current()).then_some("the changes of other nodes are not followed yet")
}

/// Why the store does not answer, asked at most once a second whatever the number of requests; and why the node was not
/// ready when it was last asked, which is logged once and not for each probe.
#[derive(Debug, Default)]
pub struct StoreProbe {
    last: tokio::sync::Mutex<Option<(Instant, Option<&'static str>)>>,
    logged: Mutex<Option<&'static str>>,
}

impl StoreProbe {
    async fn unreachable(&self, node: &Node) -> Option<&'static str> {
        let mut last = self.last.lock().await;
        if let Some((at, reason)) = *last
            && at.elapsed() < PROBE_EVERY
        {
            return reason;
        }
        let known = last.and_then(|(_, reason)| reason);
        let reason = probe_store(node, known).await;
        *last = Some((clock::stopwatch(), reason));
        reason
    }

    /// Logs whether the node is ready if that has changed.
    fn log(&self, reason: Option<&'static str>) {
        let before = std::mem::replace(&mut *self.logged.lock(), reason);
        match (before, reason) {
            (before, Some(reason)) if before != Some(reason) => tracing::warn!(reason, "not ready"),
            (Some(_), None) => tracing::info!("ready again"),
            _ => {}
        }
    }
}

/// Why the store does not answer soon; `None` if it does. An error is logged unless the reason is the known one.
async fn probe_store(node: &Node, known: Option<&'static str>) -> Option<&'static str> {
    let is_cut_off = node.cluster.as_ref().is_some_and(|cluster| cluster.is_cut_off());
    // It does not answer, as was logged already: only the reason is asked for.
    let patience = if is_cut_off { CUT_OFF_PATIENCE } else { STORE_PATIENCE };
    let (reason, error) = match tokio::time::timeout(patience, node.store.ping()).await {
        Ok(Ok(())) => return is_cut_off.then_some(SILENT),
        Ok(Err(error)) if error.is_login_refused() => (LOGIN_REFUSED, error.to_string()),
        Ok(Err(error)) => (SILENT, error.to_string()),
        Err(_) => (SILENT, "no answer in time".to_owned()),
    };
    if known != Some(reason) {
        tracing::error!(%error, "failed to reach the database");
    }
    Some(reason)
}

async fn metrics(context: web::Data<HttpContext>) -> HttpResponse {
    context.node.metrics.records(context.node.list.len());
    context.node.metrics.cluster().lease(context.node.is_current());
    context.node.observe_pool();
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(context.node.metrics.render())
}
