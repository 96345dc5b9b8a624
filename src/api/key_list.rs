//! `GET /api/v1/organizations/{org}/keys`: which keys, in which order, from where on.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::guard::{Guarded, ReadKeys};
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::domain::api_key::Status;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::keys;
use crate::store::{KeyFilter, KeyOrder, KeyPlace};

const PARAMETERS: [&str; 6] = ["status", "search", "owner", "sort", "limit", "cursor"];

const ORDERS: [(&str, KeyOrder); 4] = [
    ("created_at", KeyOrder::Created),
    ("name", KeyOrder::Name),
    ("expires_at", KeyOrder::Expiry),
    ("last_used_at", KeyOrder::LastUse),
];

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
    let next_cursor = page.keys.last().filter(|_| page.more).map(|key| cursor(order, is_descending, &order.place(key)));
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
    let query = Form::parse(request.query_string().as_bytes())
        .map_err(|error| Problem::invalid_field("query", error.to_string()))?;
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
        let after = read_cursor(&text, filter.order, filter.is_descending);
        let wrong = || Problem::invalid_field("cursor", "not one that a list in this order gave as next_cursor");
        filter.after = Some(after.ok_or_else(wrong)?);
    }
    Ok(filter)
}

fn order(value: &str) -> Result<(KeyOrder, bool), Problem> {
    let (name, is_descending) = value.strip_prefix('-').map_or((value, false), |name| (name, true));
    let known = ORDERS.iter().find(|(known, _)| *known == name);
    let (_, order) = known.ok_or_else(|| {
        let allowed = "allowed is created_at, name, expires_at and last_used_at, with - before it for the last first";
        Problem::invalid_field("sort", allowed)
    })?;
    Ok((*order, is_descending))
}

fn known(name: &str) -> &str {
    if PARAMETERS.contains(&name) { name } else { "query" }
}

fn order_name(order: KeyOrder, is_descending: bool) -> String {
    let name = ORDERS.iter().find(|(_, known)| *known == order).map_or("", |(name, _)| name);
    format!("{}{name}", if is_descending { "-" } else { "" })
}

/// The order, the value and the id of the last key on a page; the value comes last, for a name may be anything.
fn cursor(order: KeyOrder, is_descending: bool, place: &KeyPlace) -> String {
    let (id, value) = match place {
        KeyPlace::At(at, id) => (id, at.to_string()),
        KeyPlace::Named(name, id) => (id, name.clone()),
    };
    URL_SAFE_NO_PAD.encode(format!("{} {id} {value}", order_name(order, is_descending)))
}

fn read_cursor(text: &str, order: KeyOrder, is_descending: bool) -> Option<KeyPlace> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = plain.splitn(3, ' ');
    if parts.next()? != order_name(order, is_descending) {
        return None;
    }
    let (id, value) = (KeyId::parse(parts.next()?)?, parts.next()?);
    Some(match order {
        KeyOrder::Name if !value.contains('\0') => KeyPlace::Named(value.to_owned(), id),
        KeyOrder::Name => return None,
        KeyOrder::Created | KeyOrder::Expiry | KeyOrder::LastUse => KeyPlace::At(value.parse().ok()?, id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_for_the_order_it_was_given_in() {
        let id = KeyId::from_random([3; 16]);
        let named = KeyPlace::Named("a name - with spaces".into(), id);
        let text = cursor(KeyOrder::Name, true, &named);
        assert_eq!(read_cursor(&text, KeyOrder::Name, true), Some(named));
        assert_eq!(read_cursor(&text, KeyOrder::Name, false), None);
        assert_eq!(read_cursor(&text, KeyOrder::Created, true), None);
        let at = KeyPlace::At(-5, id);
        assert_eq!(read_cursor(&cursor(KeyOrder::LastUse, false, &at), KeyOrder::LastUse, false), Some(at));
        for junk in ["", "!", "AAAA", &URL_SAFE_NO_PAD.encode("created_at x y")] {
            assert_eq!(read_cursor(junk, KeyOrder::Created, false), None, "{junk}");
        }
    }
}
