//! `GET /api/v1/organizations/{org}/keys`.

use actix_web::http::{Method, StatusCode};
use serde_json::json;

use crate::api::call::Call;
use crate::api::guard::ReadKeys;
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::domain::api_key::Status;
use crate::domain::member::MemberId;
use crate::keys;
use crate::store::{KeyFilter, KeyOrder};

pub(super) fn routes(routes: &mut Routes) {
    let orders = ["created_at", "name", "expires_at", "last_used_at"];
    let orders: Vec<String> = orders.iter().flat_map(|order| [(*order).to_owned(), format!("-{order}")]).collect();
    let statuses = json!({ "enum": ["all", "active", "expired", "disabled", "revoked"], "default": "all" });
    routes
        .add(Method::GET, "/organizations/{org}/keys", list)
        .operation("listKeys", "List API keys")
        .query("status", "Only keys in this state.", statuses)
        .query(
            "search",
            "Only keys whose name contains this text, ignoring case.",
            json!({ "type": "string", "maxLength": 100 }),
        )
        .query("owner", "Only keys of the member with this ID.", json!({ "type": "string", "maxLength": 64 }))
        .query("sort", "The order; with `-`, descending.", json!({ "enum": orders, "default": "-created_at" }))
        .pages()
        .returns(StatusCode::OK, "A page of keys.");
}

async fn list(call: Call<ReadKeys>) -> Result<Reply<ListJson<KeyJson>>, Problem> {
    let filter = call.query(|query| {
        let (order, is_descending) = query
            .parse(
                "sort",
                "created_at, name, expires_at or last_used_at, with - before it to sort descending",
                keys::read_order,
            )
            .unwrap_or((KeyOrder::Created, true));
        KeyFilter {
            status: query
                .parse("status", "all, active, expired, disabled or revoked", |text| match text {
                    "all" => Some(None),
                    text => Status::ALL.into_iter().find(|status| status.as_str() == text).map(Some),
                })
                .flatten(),
            search: query.parse("search", "at most 100 characters", |text| {
                (text.chars().count() <= 100).then(|| text.to_owned())
            }),
            owner: query
                .parse("owner", "the ID of a member", |text| (text.len() <= 64).then(|| MemberId(text.to_owned()))),
            order,
            is_descending,
            after: query.cursor(|text| keys::read_cursor(text, order, is_descending)),
            limit: query.limit(),
            ..KeyFilter::new(call.organization().clone(), call.now)
        }
    })?;
    let (order, is_descending) = (filter.order, filter.is_descending);
    let page = keys::list(call.node(), filter).await?;
    let cursor = |key: &_| keys::cursor(order, is_descending, &order.cursor(key));
    Ok(ListJson::page(page, cursor, |key| KeyJson::new(&key, call.now)))
}
