//! `/api/v1/organizations/{org}/signing-keys`.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::guard::{AdminSigningKeys, Guarded, ReadSigningKeys};
use crate::api::problem::Problem;
use crate::clock::rfc3339;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::http::context::HttpContext;
use crate::node::{Tenant, Unavailable};
use crate::organizations::{RetireError, RotateError, SigningKeyRotation, retire_signing_key, rotate_signing_key};
use crate::signing::SigningKey;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/organizations/{org}/signing-keys")
                .route(web::get().to(list))
                .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
        )
        .service(
            web::resource("/organizations/{org}/signing-keys/rotate")
                .route(web::post().to(rotate))
                .default_service(web::to(|| async { Problem::method_not_allowed("POST") })),
        )
        .service(
            web::resource("/organizations/{org}/signing-keys/{kid}")
                .route(web::delete().to(retire))
                .default_service(web::to(|| async { Problem::method_not_allowed("DELETE") })),
        );
}

async fn list(guarded: Guarded<ReadSigningKeys>, context: web::Data<HttpContext>) -> Result<HttpResponse, Problem> {
    let tenant = context.node.tenant(&guarded.organization()).ok_or_else(Problem::not_found)?;
    let items = tenant.ring.all().map(|key| key_json(&tenant, key, guarded.now)).collect();
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(SigningKeyListJson { items, next_cursor: None }))
}

/// A signing key, without its private part.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
pub(super) struct SigningKeyJson {
    kid: String,
    algorithm: &'static str,
    /// `next`, `current` or `retired`.
    status: &'static str,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When it signs for the first time.
    #[schemars(extend("format" = "date-time"))]
    active_from: String,
    #[schemars(extend("format" = "date-time"))]
    superseded_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SigningKeyList")]
pub(super) struct SigningKeyListJson {
    items: Vec<SigningKeyJson>,
    next_cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SigningKeyRotation")]
pub(super) struct RotateBody {
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::ahead")]
    publish_ahead_seconds: Option<i64>,
    /// Delete the current key as soon as the next one signs: every token that it signed is invalid at once. The next
    /// key is then published without delay.
    #[serde(default)]
    retire_now: bool,
}

async fn rotate(
    guarded: Guarded<AdminSigningKeys>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body: RotateBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    if body.retire_now && body.publish_ahead_seconds.is_some_and(|seconds| seconds != 0) {
        checks.wrong("publish_ahead_seconds", "must be 0 or absent with retire_now");
    }
    let settings = &context.node.settings;
    let ahead =
        checks.bounded("publish_ahead_seconds", body.publish_ahead_seconds, settings.publish_ahead_seconds, 86_400);
    checks.done()?;
    let (node, organization, by, now) = (context.node.clone(), guarded.organization(), guarded.by(), guarded.now);
    let rotated = context.node.run_to_end(async move {
        let rotation = SigningKeyRotation {
            algorithm: node.settings.algorithm,
            ahead_seconds: ahead,
            retire_now: body.retire_now,
        };
        let kid = rotate_signing_key(&node, &organization, rotation, &by).await?;
        let tenant = node.tenant(&organization).ok_or(RotateProblem(Problem::not_found()))?;
        let made = tenant.ring.find(&kid).map(|key| key_json(&tenant, key, now));
        made.ok_or(RotateProblem(Problem::not_found()))
    });
    let key = rotated.await.map_err(|RotateProblem(problem)| problem)?;
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(key))
}

async fn retire(
    guarded: Guarded<AdminSigningKeys>,
    context: web::Data<HttpContext>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let (_, kid) = path.into_inner();
    let retired = context.node.run_to_end(async move {
        retire_signing_key(&node, &organization, &kid, &by).await.map_err(|error| match error {
            RetireError::NotFound => RotateProblem(Problem::not_found()),
            RetireError::Rotate(error) => error.into(),
        })
    });
    retired.await.map_err(|RotateProblem(problem)| problem)?;
    Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish())
}

pub(super) struct RotateProblem(pub(super) Problem);

impl From<Unavailable> for RotateProblem {
    fn from(cause: Unavailable) -> Self {
        Self(Problem::unavailable(&cause))
    }
}

impl From<RotateError> for RotateProblem {
    fn from(error: RotateError) -> Self {
        Self(match error {
            RotateError::NotFound => Problem::not_found(),
            error @ (RotateError::Pending { .. } | RotateError::Raced | RotateError::TooMany) => {
                Problem::conflict(error.to_string())
            }
            RotateError::Create(cause) => Problem::unavailable(&cause),
            RotateError::Unavailable(cause) => cause.into(),
        })
    }
}

pub(super) fn key_json(tenant: &Tenant, key: &SigningKey, now: Timestamp) -> SigningKeyJson {
    SigningKeyJson {
        kid: key.kid().to_owned(),
        algorithm: key.algorithm().as_str(),
        status: tenant.ring.state(key, now).as_str(),
        created_at: rfc3339(key.created_at()),
        active_from: rfc3339(key.active_from()),
        superseded_at: tenant.ring.superseded_at(key.kid()).map(rfc3339),
    }
}
