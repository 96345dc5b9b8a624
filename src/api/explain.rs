//! `POST /api/v1/organizations/{org}/keys/{id}/explain`: each check of the decision, and the one that fails.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::guard::{Guarded, ReadKeys};
use crate::api::problem::Problem;
use crate::domain::decision::Finding;
use crate::domain::key_text::KeyId;
use crate::http::checks::Checks;
use crate::http::context::HttpContext;
use crate::keys::{self, ExplainedCheck, Question};

/// Registers the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/organizations/{org}/keys/{id}/explain")
            .route(web::post().to(explain))
            .default_service(web::to(|| async { Problem::method_not_allowed("POST") })),
    );
}

/// What is asked. Action and resource come together; what is absent is not asked about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Question")]
pub(super) struct ExplainBody {
    address: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    /// RFC 3339; now when absent.
    at: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
pub(super) struct ExplainJson {
    allowed: bool,
    checks: Vec<CheckJson>,
}

/// One check, in the order in which they are made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedCheck")]
pub(super) struct CheckJson {
    check: &'static str,
    outcome: Outcome,
    detail: String,
}

/// What came of a check.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Passed,
    Failed,
    NotReached,
    NotAsked,
}

async fn explain(
    guarded: Guarded<ReadKeys>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = KeyId::parse(&path.1).ok_or_else(Problem::not_found)?;
    let body: ExplainBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    let question = Question {
        address: body.address.and_then(|text| checks.address("address", &text)),
        scope: checks.scope(body.action.as_deref(), body.resource.as_deref()),
        at: body.at.and_then(|text| checks.moment("at", &text)).unwrap_or(guarded.now),
    };
    checks.done()?;
    let explanation = keys::explain(&context.node, &guarded.organization(), &id, &question).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ExplainJson {
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
