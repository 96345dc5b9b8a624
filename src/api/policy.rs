//! `/api/v1/organizations/{org}/policy`.

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::body;
use crate::api::etag::{etag, if_match};
use crate::api::guard::{AdminPolicy, Guarded, ReadPolicy};
use crate::api::problem::Problem;
use crate::domain::organization::Organization;
use crate::domain::policy::Policy;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::organizations::{self, Effect};

type Context = web::Data<HttpContext>;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/organizations/{org}/policy")
            .route(web::get().to(show))
            .route(web::put().to(replace))
            .default_service(web::to(|| async { Problem::method_not_allowed("GET, PUT") })),
    );
}

async fn show(guarded: Guarded<ReadPolicy>, context: Context) -> Result<HttpResponse, Problem> {
    Ok(answer(&organizations::read_policy(&context.node, &guarded.organization()).await?))
}

/// What a policy would mean, without being put in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyDryRun")]
pub(super) struct DryRunJson {
    #[schemars(schema_with = "crate::api::openapi::schemas::policy")]
    policy: Policy,
    /// What it would mean to keys that there are; empty: nothing.
    effects: Vec<EffectJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyEffect")]
pub(super) struct EffectJson {
    setting: &'static str,
    meaning: String,
    count: u64,
    /// The ids of some of the keys.
    examples: Vec<String>,
}

impl From<Effect> for EffectJson {
    fn from(effect: Effect) -> Self {
        Self {
            setting: effect.setting,
            meaning: effect.description,
            count: effect.count,
            examples: effect.examples.iter().map(ToString::to_string).collect(),
        }
    }
}

async fn replace(
    guarded: Guarded<AdminPolicy>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (version, is_dry_run) = (if_match(&request), is_dry_run(&request)?);
    let policy: Policy = body::read(&request, payload).await?;
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    if is_dry_run {
        let effects = organizations::effects(&node, &organization, &policy, guarded.now).await?;
        let effects = effects.into_iter().map(EffectJson::from).collect();
        return Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(DryRunJson { policy, effects }));
    }
    let replaced = context
        .node
        .run_to_end(async move { organizations::replace_policy(&node, &organization, &by, version, policy).await });
    Ok(answer(&replaced.await?))
}

fn is_dry_run(request: &HttpRequest) -> Result<bool, Problem> {
    let query = Form::parse(request.query_string().as_bytes())
        .map_err(|error| Problem::invalid_field("query", error.to_string()))?;
    // One without a value is none to a form, and this one must not be overlooked.
    let given = request.query_string().split('&').filter(|pair| !pair.is_empty()).count();
    if given != query.names().count() {
        return Err(Problem::invalid_field("dry_run", "allowed is dry_run=true and dry_run=false"));
    }
    let mut found = false;
    for name in query.names() {
        if name != "dry_run" || query.values(name).count() > 1 {
            return Err(Problem::invalid_field("query", "allowed is dry_run, once"));
        }
        found = match query.value(name) {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(Problem::invalid_field("dry_run", "allowed is true and false")),
        };
    }
    Ok(found)
}

fn answer(organization: &Organization) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((ETAG, etag(organization.policy_version)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(&organization.policy)
}
