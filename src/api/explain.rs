//! `POST /api/v1/organizations/{org}/keys/{id}/explain`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::guard::ReadKeys;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::domain::decision::Finding;
use crate::http::checks::Checks;
use crate::http::client_response::ClientResponse;
use crate::keys::{self, ExplainedCheck, Question, RequestedScope};

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/explain", explain)
        .operation("explainKey", "Explain whether an API key would be allowed")
        .returns(StatusCode::OK, "The verdict, what the client sees, and every check in order.");
}

/// The request to explain. `action` and `resource` go together, or else `scope`. Checks of absent fields are skipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Question")]
struct ExplainBody {
    address: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    /// A scope in the style of the API.
    scope: Option<String>,
    /// The audience that the client requests. Without it, the API is the one that a token request would be for.
    audience: Option<String>,
    /// RFC 3339. The default is now.
    at: Option<String>,
}

/// The result of all checks.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
struct ExplainJson {
    /// `allowed` only if every check that applies to a request was made; `incomplete` if none failed but some were skipped.
    #[schemars(extend("enum" = ["allowed", "denied", "incomplete"]))]
    verdict: &'static str,
    /// What the client sees, if the request is denied.
    responses: Option<ResponsesJson>,
    checks: Vec<CheckJson>,
}

/// The responses to a denied request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeniedResponses")]
struct ResponsesJson {
    /// Of `/oauth/token`.
    token_request: ResponseJson,
    /// Of `/verify`.
    verification: ResponseJson,
}

/// A response to a denied request.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeniedResponse")]
struct ResponseJson {
    status: u16,
    /// The body, an object.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    body: serde_json::Value,
}

/// A check.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedCheck")]
struct CheckJson {
    check: &'static str,
    outcome: Outcome,
    detail: String,
}

/// The result of a check.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Passed,
    Failed,
    NotAsked,
}

async fn explain(call: Call<ReadKeys>, body: ExplainBody) -> Result<Reply<ExplainJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    let in_parts = checks.scope(body.action.as_deref(), body.resource.as_deref()).map(RequestedScope::Filter);
    if body.scope.is_some() && in_parts.is_some() {
        checks.wrong("scope", "cannot be combined with action and resource");
    }
    let question = Question {
        address: body.address.and_then(|text| checks.address("address", &text)),
        audience: body.audience,
        scope: body.scope.map(RequestedScope::Text).or(in_parts),
        token: None,
        at: body.at.and_then(|text| checks.moment("at", &text)).unwrap_or(call.now),
    };
    checks.done()?;
    let explanation = keys::explain(call.node(), call.organization(), &id, &question).await?;
    Ok(Reply::new(ExplainJson {
        verdict: explanation.verdict.as_str(),
        responses: explanation.denial.as_ref().map(|denial| ResponsesJson {
            token_request: ClientResponse::of_token_request(denial).into(),
            verification: ClientResponse::of_verification(denial).into(),
        }),
        checks: explanation.checks.into_iter().map(CheckJson::from).collect(),
    }))
}

impl From<ClientResponse> for ResponseJson {
    fn from(response: ClientResponse) -> Self {
        Self { status: response.status, body: response.body() }
    }
}

impl From<ExplainedCheck> for CheckJson {
    fn from(explained: ExplainedCheck) -> Self {
        let outcome = match explained.finding {
            Finding::Passed => Outcome::Passed,
            Finding::NotAsked => Outcome::NotAsked,
            Finding::Failed(_) => Outcome::Failed,
        };
        Self { check: explained.check.as_str(), outcome, detail: explained.detail }
    }
}
