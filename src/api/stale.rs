//! `GET /api/v1/organizations/{org}/keys/stale`: keys that were not used for long.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::guard::{Guarded, ReadKeys};
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::api::query::{Query, cursor};
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::keys;

/// The list whose cursors these are.
const LIST: &str = "stale";

/// Most days that can be asked for: ten years.
const MAX_DAYS: u32 = 3660;

/// Registers the route. It comes before that of a single key, whose id no `stale` is.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/organizations/{org}/keys/stale")
            .route(web::get().to(list))
            .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
    );
}

/// A page of keys, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StaleKeyList")]
pub(super) struct StaleJson {
    items: Vec<KeyJson>,
    next_cursor: Option<String>,
}

async fn list(
    guarded: Guarded<ReadKeys>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::read(&request, &["days", "limit", "cursor"])?;
    let (days, limit) = (query.number("days", 1, MAX_DAYS)?, query.limit()?);
    let after = query.cursor(LIST)?.map(|(created_at, key)| (Timestamp::from_millis(created_at), key));
    let page = keys::stale(&context.node, &guarded.organization(), days, after, limit, guarded.now).await?;
    let last = page.keys.last().filter(|_| page.more);
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(StaleJson {
        next_cursor: last.map(|key| cursor(LIST, key.created_at.as_millis(), &key.id)),
        items: page.keys.iter().map(|key| KeyJson::new(key, guarded.now)).collect(),
    }))
}
