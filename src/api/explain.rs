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
use crate::keys::{self, ExplainedCheck, Question};

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/explain", explain)
        .operation("explainKey", "Explain whether an API key would be allowed")
        .returns(StatusCode::OK, "Each check in order, and the first that failed.");
}

/// The request to explain. `action` and `resource` go together. Checks of absent fields are skipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Question")]
struct ExplainBody {
    address: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    /// RFC 3339. The default is now.
    at: Option<String>,
}

/// The result of all checks.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
struct ExplainJson {
    allowed: bool,
    checks: Vec<CheckJson>,
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
    NotReached,
    NotAsked,
}

async fn explain(call: Call<ReadKeys>, body: ExplainBody) -> Result<Reply<ExplainJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    let question = Question {
        address: body.address.and_then(|text| checks.address("address", &text)),
        scope: checks.scope(body.action.as_deref(), body.resource.as_deref()),
        at: body.at.and_then(|text| checks.moment("at", &text)).unwrap_or(call.now),
    };
    checks.done()?;
    let explanation = keys::explain(call.node(), call.organization(), &id, &question).await?;
    Ok(Reply::new(ExplainJson {
        allowed: explanation.is_allowed,
        checks: explanation.checks.into_iter().map(CheckJson::from).collect(),
    }))
}

impl From<ExplainedCheck> for CheckJson {
    fn from(explained: ExplainedCheck) -> Self {
        let outcome = match explained.finding {
            Finding::Passed => Outcome::Passed,
            Finding::NotAsked => Outcome::NotAsked,
            Finding::Failed(_) => Outcome::Failed,
            Finding::NotReached => Outcome::NotReached,
        };
        Self { check: explained.check.as_str(), outcome, detail: explained.detail }
    }
}
