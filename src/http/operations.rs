//! Endpoints for operators: `/healthz`, `/readyz`, `/metrics`.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, web};
use parking_lot::Mutex;
use serde_json::json;

use crate::clock;
use crate::http::access::{Explanation, Refused};
use crate::http::context::HttpContext;
use crate::http::methods;
use crate::node::Node;

/// How long a probe waits for the database.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// How long a probe waits if the database did not answer the last query for changes.
const CUT_OFF_PATIENCE: Duration = Duration::from_millis(200);

/// Minimum time between two probes.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The code of a response of `/readyz` that is not 200.
pub const NOT_READY: &str = "NOT_READY";

const SILENT: &str = "the store does not answer";
const LOGIN_REFUSED: &str = "the database refuses user or password";

/// Registers the endpoints of the public address if `server.operations_listen` is set: no metrics and no details.
pub fn public_routes(config: &mut web::ServiceConfig) {
    config.service(operation("/healthz", alive)).service(operation("/readyz", ready_plainly));
}

/// Registers all endpoints.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(operation("/healthz", alive))
        .service(operation("/readyz", ready))
        .service(operation("/metrics", metrics));
}

fn operation<A: FromRequest + 'static>(path: &str, handler: impl Handler<A, Output = HttpResponse>) -> Resource {
    let routes = [(Method::GET, web::to(handler.clone())), (Method::HEAD, web::to(handler))];
    methods::resource(path, routes, |_, allowed| {
        let status = format!("method: must be {allowed}");
        let mut response = HttpResponse::MethodNotAllowed().json(json!({ "status": status }));
        Refused::note(&mut response, "VALIDATION_FAILED", None);
        response
    })
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

/// Returns why the node is not ready. While its lease is live, it decides from memory and does not need the database.
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

/// Whether the database answers, probed at most once a second. Also the last reason why the node was not ready, which is
/// logged when it changes.
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

    /// Logs a change of readiness.
    fn log(&self, reason: Option<&'static str>) {
        let before = std::mem::replace(&mut *self.logged.lock(), reason);
        match (before, reason) {
            (before, Some(reason)) if before != Some(reason) => tracing::warn!(reason, "not ready"),
            (Some(_), None) => tracing::info!("ready again"),
            _ => {}
        }
    }
}

/// Returns why the database does not answer, or `None` if it does. Logs an error unless the reason is known already.
async fn probe_store(node: &Node, known: Option<&'static str>) -> Option<&'static str> {
    let is_cut_off = node.cluster.as_ref().is_some_and(|cluster| cluster.is_cut_off());
    // The failure was logged already; the probe only determines the reason.
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
    context.node.metrics.records(context.node.memory.list.len());
    context.node.metrics.cluster().lease(context.node.is_current());
    context.node.observe_pool();
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(context.node.metrics.render())
}
