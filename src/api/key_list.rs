//! `GET /api/v1/organizations/{org}/keys`: which keys, in which order, from where on.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::guard::{Guarded, ReadKeys};
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::api::query;
use crate::domain::api_key::Status;
use crate::domain::member::MemberId;
use crate::http::context::HttpContext;
use crate::keys;
use crate::store::{KeyFilter, KeyOrder};

const PARAMETERS: [&str; 6] = ["status", "search", "owner", "sort", "limit", "cursor"];

/// A page of keys.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyList")]
pub(super) struct KeyListJson {
    items: Vec<KeyJson>,
    /// What `cursor` is to be for the next page; null: this is the last.
    next_cursor: Option<String>,
}

/// Lists keys.
pub(super) async fn list(
    guarded: Guarded<ReadKeys>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let filter = read(&request, &guarded)?;
    let (order, is_descending) = (filter.order, filter.is_descending);
    let page = keys::list(&context.node, filter).await?;
    let next_cursor =
        page.keys.last().filter(|_| page.more).map(|key| keys::cursor(order, is_descending, &order.cursor(key)));
    let items = page.keys.iter().map(|key| KeyJson::new(key, guarded.now)).collect();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(KeyListJson { items, next_cursor }))
}

fn read(request: &HttpRequest, guarded: &Guarded<ReadKeys>) -> Result<KeyFilter, Problem> {
    let mut filter = KeyFilter {
        organization: guarded.organization(),
        status: None,
        now: guarded.now,
        search: None,
        owner: None,
        order: KeyOrder::Created,
        is_descending: true,
        after: None,
        limit: 50,
    };
    let query = query::form(request)?;
    let mut place = None;
    for name in query.names() {
        let value = query.value(name).unwrap_or_default();
        if query.values(name).count() > 1 {
            return Err(Problem::invalid_field(known(name), "given more than once"));
        }
        match name {
            "status" if value == "all" => {}
            "status" => {
                let status = Status::ALL.into_iter().find(|status| status.as_str() == value);
                filter.status = Some(status.ok_or_else(|| {
                    Problem::invalid_field("status", "allowed is all, active, expired, disabled and revoked")
                })?);
            }
            "search" if value.chars().count() <= 100 => filter.search = Some(value.to_owned()),
            "search" => return Err(Problem::invalid_field("search", "too long; at most 100 characters are allowed")),
            "owner" if value.len() <= 64 => filter.owner = Some(MemberId(value.to_owned())),
            "owner" => return Err(Problem::invalid_field("owner", "the id of a member is expected")),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=200).contains(limit));
                filter.limit = limit.ok_or_else(|| Problem::invalid_field("limit", "allowed is 1 to 200"))?;
            }
            "sort" => (filter.order, filter.is_descending) = order(value)?,
            "cursor" => place = Some(value.to_owned()),
            other => {
                let allowed = "allowed is status, search, owner, sort, limit and cursor";
                return Err(Problem::invalid_field(known(other), allowed));
            }
        }
    }
    if let Some(text) = place {
        let after = keys::read_cursor(&text, filter.order, filter.is_descending);
        let wrong = || Problem::invalid_field("cursor", "not one that a list in this order gave as next_cursor");
        filter.after = Some(after.ok_or_else(wrong)?);
    }
    Ok(filter)
}

fn order(value: &str) -> Result<(KeyOrder, bool), Problem> {
    keys::read_order(value).ok_or_else(|| {
        let allowed = "allowed is created_at, name, expires_at and last_used_at, with - before it for the last first";
        Problem::invalid_field("sort", allowed)
    })
}

fn known(name: &str) -> &str {
    if PARAMETERS.contains(&name) { name } else { "query" }
}
