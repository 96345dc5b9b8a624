//! `GET /api/v1/organizations/{org}/denials`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::api::call::Call;
use crate::api::guard::ReadUsage;
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::key_text::KeyId;
use crate::store::{DenialFilter, DeniedRequest};
use crate::usage;

/// Longest reason, request ID and address in a query.
const MAX_TEXT: usize = 128;

pub(super) fn routes(routes: &mut Routes) {
    let text = || json!({ "type": "string", "maxLength": MAX_TEXT });
    routes
        .add(Method::GET, "/organizations/{org}/denials", list)
        .operation("listDenials", "List recent denials, the latest first")
        .query("key", "Only denials of the key with this ID.", json!({ "type": "string" }))
        .query("reason", "Only denials with this reason, such as `wrong_secret`, or code in lower case.", text())
        .query("request_id", "Only the denial of the request with this `X-Request-Id`.", text())
        .query("address", "Only denials of this client address.", text())
        .pages()
        .returns(
            StatusCode::OK,
            "A page of denials. Requests of one client that are denied for the same reason are one item. Bounded; for \
             numbers, use the usage.",
        );
}

/// Denied requests from one address with the same key, endpoint, reason and request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Denial")]
struct DenialJson {
    id: String,
    /// The key, or an unknown ID that the client presented; null if the credential names none.
    client_id: Option<String>,
    /// Whether the client presented a secret or a token of the key.
    authenticated: bool,
    /// The client's address; null if it is unknown.
    address: Option<String>,
    /// The pattern of the route.
    endpoint: String,
    /// The status that the client saw.
    status: u16,
    /// The code that the client saw.
    code: String,
    /// The reason in the log, or else the code in lower case.
    reason: String,
    /// The scope that was not granted.
    missing_scope: Option<String>,
    /// The `scope` of a token request.
    requested_scope: Option<String>,
    /// The audiences of a token request.
    audience: Option<String>,
    /// The `X-Request-Id` of the latest requests, the latest first.
    request_ids: Vec<String>,
    /// The number of requests.
    count: u64,
    #[schemars(extend("format" = "date-time"))]
    first_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_at: String,
}

impl From<DeniedRequest> for DenialJson {
    fn from(denied: DeniedRequest) -> Self {
        Self {
            id: denied.id,
            client_id: denied.client_id.map(|id| id.to_string()),
            authenticated: denied.is_authenticated,
            address: denied.address,
            endpoint: denied.endpoint,
            status: denied.status,
            code: denied.code,
            reason: denied.reason,
            missing_scope: denied.missing_scope,
            requested_scope: denied.requested_scope,
            audience: denied.audience,
            request_ids: denied.request_ids,
            count: denied.count,
            first_at: rfc3339(denied.first_at),
            last_at: rfc3339(denied.last_at),
        }
    }
}

async fn list(call: Call<ReadUsage>) -> Result<Reply<ListJson<DenialJson>>, Problem> {
    let filter = call.query(|query| {
        let mut text = |name: &str| {
            query.parse(name, "1 to 128 visible ASCII characters", |text| {
                let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
                (is_visible && (1..=MAX_TEXT).contains(&text.len())).then(|| text.to_owned())
            })
        };
        let (reason, request_id, address) = (text("reason"), text("request_id"), text("address"));
        DenialFilter {
            key: query.parse("key", "the ID of a key", KeyId::parse),
            reason: reason.map(|reason| reason.to_ascii_lowercase()),
            request_id,
            address,
            after: query.cursor(usage::read_denials_cursor),
            ..DenialFilter::new(call.organization().clone(), query.limit())
        }
    })?;
    let page = usage::denials(call.node(), &filter).await?;
    Ok(ListJson::page(page, usage::denials_cursor, DenialJson::from))
}
