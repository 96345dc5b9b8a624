//! `/api/v1/organizations/{org}/signing-keys`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::guard::{AdminSigningKeys, ReadSigningKeys};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::http::checks::Checks;
use crate::node::Tenant;
use crate::organizations::{RetireError, RotateError, SigningKeyRotation, retire_signing_key, rotate_signing_key};
use crate::signing::SigningKey;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, "/organizations/{org}/signing-keys", list)
        .operation("listSigningKeys", "List signing keys")
        .returns(StatusCode::OK, "The signing keys.");
    routes
        .add(Method::POST, "/organizations/{org}/signing-keys/rotate", rotate)
        .operation("rotateSigningKey", "Publish the next signing key")
        .returns(StatusCode::CREATED, "The next signing key.");
    routes
        .add(Method::DELETE, "/organizations/{org}/signing-keys/{kid}", retire)
        .operation(
            "deleteSigningKey",
            "Delete a signing key. Every token that it signed is invalid at once. The current key is replaced first",
        )
        .returns(StatusCode::NO_CONTENT, "The signing key is deleted.");
}

async fn list(call: Call<ReadSigningKeys>) -> Result<Reply<ListJson<SigningKeyJson>>, Problem> {
    let tenant = call.node().tenant(call.organization()).ok_or_else(Problem::not_found)?;
    Ok(ListJson::all(tenant.ring.all().map(|key| SigningKeyJson::new(&tenant, key, call.now))))
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
    /// When it begins to sign.
    #[schemars(extend("format" = "date-time"))]
    active_from: String,
    #[schemars(extend("format" = "date-time"))]
    superseded_at: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SigningKeyRotation")]
struct RotateBody {
    /// The algorithm whose key is rotated; by default that of tokens for the default API. An API chooses its algorithm.
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::optional_algorithm")]
    algorithm: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::ahead")]
    publish_ahead_seconds: Option<i64>,
    /// Delete the current key as soon as the next one signs: every token that it signed is invalid at once. The next
    /// key is then published without delay.
    #[serde(default)]
    retire_now: bool,
}

async fn rotate(call: Call<AdminSigningKeys>, body: RotateBody) -> Result<Reply<SigningKeyJson>, Problem> {
    let mut checks = Checks::default();
    if body.retire_now && body.publish_ahead_seconds.is_some_and(|seconds| seconds != 0) {
        checks.wrong("publish_ahead_seconds", "must be 0 or absent with retire_now");
    }
    let algorithm = checks.choice("algorithm", body.algorithm.as_deref());
    let settings = &call.node().settings;
    let ahead_seconds =
        checks.bounded("publish_ahead_seconds", body.publish_ahead_seconds, settings.publish_ahead_seconds, 86_400);
    checks.done()?;
    let rotation = SigningKeyRotation { algorithm, ahead_seconds, retire_now: body.retire_now };
    let kid = rotate_signing_key(call.node(), call.organization(), rotation, &call.by()).await?;
    SigningKeyJson::find(&call, &kid)
}

async fn retire(call: Call<AdminSigningKeys>) -> Result<Reply<()>, Problem> {
    let kid = call.path("kid", |kid| Some(kid.to_owned()))?;
    retire_signing_key(call.node(), call.organization(), &kid, &call.by()).await?;
    Ok(Reply::new(()))
}

impl SigningKeyJson {
    fn new(tenant: &Tenant, key: &SigningKey, now: Timestamp) -> Self {
        Self {
            kid: key.kid().to_owned(),
            algorithm: key.algorithm().as_str(),
            status: tenant.key_state(key, now).as_str(),
            created_at: rfc3339(key.created_at()),
            active_from: rfc3339(key.active_from()),
            superseded_at: tenant.ring.superseded_at(key.kid()).map(rfc3339),
        }
    }

    /// Returns a signing key of the organization that the path names.
    pub(super) fn find<P>(call: &Call<P>, kid: &str) -> Result<Reply<Self>, Problem> {
        let tenant = call.node().tenant(call.organization()).ok_or_else(Problem::not_found)?;
        let key = tenant.ring.find(kid).ok_or_else(Problem::not_found)?;
        Ok(Reply::new(Self::new(&tenant, key, call.now)))
    }
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::NotFound => Self::not_found(),
            error @ RotateError::UnusedAlgorithm(_) => {
                Self::invalid(vec![Violation::new("algorithm", error.to_string())])
            }
            error @ (RotateError::Pending { .. } | RotateError::Raced | RotateError::TooMany) => {
                Self::conflict(error.to_string())
            }
            RotateError::Create(cause) => Self::unavailable(&cause),
            RotateError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<RetireError> for Problem {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::NotFound => Self::not_found(),
            RetireError::Rotate(error) => error.into(),
        }
    }
}
