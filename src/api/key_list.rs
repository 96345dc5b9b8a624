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
use crate::domain::choices::ScopeStyle;
use crate::domain::customer::CustomerId;
use crate::domain::key_view::{KeyView, RuleBroken};
use crate::domain::member::MemberId;
use crate::domain::metadata::{MAX_NAME, MAX_PAIRS, Metadata, MetadataError};
use crate::domain::networks::Networks;
use crate::domain::scope::Scope;
use crate::domain::slug::Slug;
use crate::keys;
use crate::store::{KeyFilter, KeyOrder};

pub(super) fn routes(routes: &mut Routes) {
    let orders = ["created_at", "name", "expires_at", "last_used_at"];
    let orders: Vec<String> = orders.iter().flat_map(|order| [(*order).to_owned(), format!("-{order}")]).collect();
    let statuses = json!({ "enum": ["all", "active", "expired", "disabled", "revoked"], "default": "all" });
    let rules: Vec<&str> = std::iter::once("any").chain(RuleBroken::ALL.map(RuleBroken::setting)).collect();
    let time = || json!({ "type": "string", "format": "date-time" });
    routes
        .add(Method::GET, "/organizations/{org}/keys", list)
        .operation("listKeys", "List API keys")
        .query("status", "Only keys in this state.", statuses)
        .query(
            "search",
            "Only keys whose name or description contains this text, ignoring case; or with this ID; or whose secret ends with \
             these four characters.",
            json!({ "type": "string", "maxLength": 100 }),
        )
        .query("owner", "Only keys of the member with this ID.", json!({ "type": "string", "maxLength": 64 }))
        .query(
            "customer",
            "Only keys of the customer with this ID.",
            json!({ "type": "string", "pattern": "^[0-9A-Za-z]{16}$" }),
        )
        .query("profile", "Only keys with the profile with this name.", json!({ "type": "string", "maxLength": 40 }))
        .query("network", "Only keys that refer to the network with this name.", json!({ "type": "string", "maxLength": 40 }))
        .query("api", "Only keys that are granted the API with this name, with their profile.", json!({ "type": "string", "maxLength": 40 }))
        .query(
            "scope",
            "Only keys with a scope in effect that contains this one, such as `read:orders/1`. With `api`, it is read in the style of that \
             API. A scope of another API with the same text matches as well.",
            json!({ "type": "string", "maxLength": 300 }),
        )
        .query(
            "cidr",
            "Only keys with an allowed network in effect that contains this network or address. Keys that can be used from any network \
             are left out: see `view`.",
            json!({ "type": "string", "maxLength": 50 }),
        )
        .query(
            "metadata",
            "Only keys with this pair in their metadata, such as `metadata[plan]=pro`. With several pairs, only keys with all of \
             them.",
            json!({ "type": "object", "maxProperties": MAX_PAIRS, "propertyNames": { "pattern": format!("^[0-9A-Za-z_.-]{{1,{MAX_NAME}}}$") }, "additionalProperties": { "type": "string", "minLength": 1 } }),
        )
        .query("expires_before", "Only keys that expire before this time.", time())
        .query("unused_since", "Only keys that were not used, rotated or created since this time.", time())
        .query(
            "view",
            "Only keys that are neither revoked nor expired, and expire within 14 days (`expiring`), were unused for 90 days \
             (`unused`), were never used, have no expiry, can be used from any network, have full access (`*:*` or below \
             `keyturn/`), or whose previous secret still works (`rotating`).",
            json!({ "enum": KeyView::ALL.map(KeyView::as_str) }),
        )
        .query(
            "violates",
            "Only keys that break this setting of the policy, and are neither revoked nor expired. `any` is every setting but \
             `disable_when_stale`.",
            json!({ "enum": rules }),
        )
        .query("total", "Whether the response has the number of keys on all pages.", json!({ "type": "boolean", "default": false }))
        .query("sort", "The order; with `-`, descending.", json!({ "enum": orders, "default": "-created_at" }))
        .pages()
        .returns(StatusCode::OK, "A page of keys.");
}

async fn list(call: Call<ReadKeys>) -> Result<Reply<ListJson<KeyJson>>, Problem> {
    // 1. The filter.
    let apis = call.apis();
    let (mut filter, violates, has_total) = call.query(|query| {
        let (order, is_descending) = query
            .parse(
                "sort",
                "created_at, name, expires_at or last_used_at, with - before it to sort descending",
                keys::read_order,
            )
            .unwrap_or((KeyOrder::Created, true));
        let api = query.parse("api", "the name of an API", |text| {
            apis.iter().find(|served| served.api.name.as_str() == text).map(|served| (served.api.id, served.api.style))
        });
        let style = api.map_or(ScopeStyle::Filters, |(_, style)| style);
        let pairs = query.pairs("metadata");
        if !pairs.iter().all(|(name, _)| Metadata::is_name(name)) {
            query.wrong("metadata", MetadataError::Name.to_string());
        }
        let filter = KeyFilter {
            api: api.map(|(id, _)| id),
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
            customer: query.parse("customer", "the ID of a customer", CustomerId::parse),
            profile: query.parse("profile", "the name of a profile", Slug::parse),
            named_network: query.parse("network", "the name of a network", Slug::parse),
            scope: query.parse("scope", "a scope such as read:orders/1", |text| Scope::parse_as(style, text).ok()),
            network: query.parse("cidr", "a network such as 10.0.0.0/8, or an address", |text| {
                Networks::parse(&[text]).ok().filter(|networks| networks.iter().len() == 1)?.iter().next()
            }),
            metadata: pairs,
            expires_before: query.time("expires_before"),
            unused_since: query.time("unused_since"),
            view: query.parse("view", "the name of a view", KeyView::parse),
            order,
            is_descending,
            after: query.cursor(|text| keys::read_cursor(text, order, is_descending)),
            limit: query.limit(),
            ..KeyFilter::new(call.organization().clone(), call.now)
        };
        (filter, query.get("violates").map(str::to_owned), query.flag("total"))
    })?;
    if let Some(name) = violates {
        let rules = keys::broken_rules(call.node(), call.organization(), &name).await?;
        let wrong = || Problem::invalid_field("violates", "must be any, or a setting that an existing key can break");
        filter.broken = Some(rules.ok_or_else(wrong)?);
    }

    // 2. The page.
    let (order, is_descending) = (filter.order, filter.is_descending);
    let total = if has_total { Some(keys::count(call.node(), &filter).await?) } else { None };
    let page = keys::list(call.node(), filter).await?;
    let cursor = |key: &_| keys::cursor(order, is_descending, &order.cursor(key));
    Ok(ListJson::counted_page(page, total, cursor, |key| KeyJson::new(&key, &apis, call.now)))
}
