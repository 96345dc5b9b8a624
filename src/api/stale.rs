//! `GET /api/v1/organizations/{org}/keys/stale`.

use actix_web::http::{Method, StatusCode};
use serde_json::json;

use crate::api::call::Call;
use crate::api::guard::ReadKeys;
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::api::query::{cursor, read_cursor};
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::domain::api_key::ApiKey;
use crate::domain::timestamp::Timestamp;
use crate::keys;

/// The name of the list in its cursors.
const LIST: &str = "stale";

/// Maximum `days`: ten years.
const MAX_DAYS: u32 = 3660;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, "/organizations/{org}/keys/stale", list)
        .operation("listStaleKeys", "List stale API keys: active keys that nobody uses")
        .query(
            "days",
            "Minimum number of days without use. The default is the policy's `stale_after_days`; if that is null, the list \
             is empty.",
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_DAYS }),
        )
        .pages()
        .returns(StatusCode::OK, "A page of keys, newest first.");
}

async fn list(call: Call<ReadKeys>) -> Result<Reply<ListJson<KeyJson>>, Problem> {
    let (days, limit, after) = call.query(|query| {
        let after = query.cursor(|text| read_cursor(LIST, text));
        (query.number("days", 1, MAX_DAYS), query.limit(), after)
    })?;
    let after = after.map(|(created_at, key)| (Timestamp::from_millis(created_at), key));
    let page = keys::stale(call.node(), call.organization(), days, after, limit, call.now).await?;
    let cursor = |key: &ApiKey| cursor(LIST, key.created_at.as_millis(), &key.id);
    let apis = call.apis();
    Ok(ListJson::page(page, cursor, |key| KeyJson::new(&key, &apis, call.now)))
}
