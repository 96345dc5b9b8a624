//! JSON of a key.

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::warnings::WarningJson;
use crate::clock::rfc3339;
use crate::domain::api_key::{ApiKey, Lifecycle, Status};
use crate::domain::key_text::KeyText;
use crate::domain::networks::Networks;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::http::warnings::Warning;

/// A key. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(super) struct KeyJson {
    id: String,
    name: String,
    description: String,
    organization: String,
    owner: Option<String>,
    #[schemars(schema_with = "crate::api::openapi::schemas::status")]
    status: Status,
    hint: String,
    scopes: Vec<ScopeJson>,
    #[schemars(schema_with = "crate::api::openapi::schemas::networks")]
    allowed_cidrs: Networks,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    created_by: String,
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    rotated_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    revoked_at: Option<String>,
    revoked_reason: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
    last_used_ip: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    previous_secret_until: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    previous_secret_last_used_at: Option<String>,
    previous_secret_last_used_ip: Option<String>,
    version: u64,
    /// Risky but allowed settings. Only in responses that create or edit the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningJson>,
    /// The key's secret. Only in responses that create or rotate the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A scope.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Scope")]
pub(super) struct ScopeJson {
    action: String,
    resource: String,
}

impl ScopeJson {
    /// Returns scopes in their order.
    pub(super) fn list(scopes: &ScopeSet) -> Vec<Self> {
        let one = |scope: &Scope| Self {
            action: scope.action().as_str().to_owned(),
            resource: scope.filter().as_str().to_owned(),
        };
        scopes.iter().map(one).collect()
    }
}

impl KeyJson {
    /// Returns a key as of a time.
    pub(super) fn new(key: &ApiKey, now: Timestamp) -> Self {
        let (revoked_at, revoked_reason) = match &key.lifecycle {
            Lifecycle::Revoked { at, reason } => (Some(*at), reason.clone()),
            Lifecycle::Active | Lifecycle::Disabled { .. } => (None, None),
        };
        let previous = key.previous.as_ref().filter(|previous| now < previous.until);
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            description: key.description.clone(),
            organization: key.organization.to_string(),
            owner: key.owner.as_ref().map(|owner| owner.0.clone()),
            status: key.status(now),
            hint: key.hint.clone(),
            scopes: ScopeJson::list(&key.scopes),
            allowed_cidrs: key.networks.clone(),
            created_at: rfc3339(key.created_at),
            created_by: key.created_by.clone(),
            expires_at: key.expires_at.map(rfc3339),
            rotated_at: key.rotated_at.map(rfc3339),
            revoked_at: revoked_at.map(rfc3339),
            revoked_reason,
            last_used_at: key.last_used_at.map(rfc3339),
            last_used_ip: key.last_used_ip.clone(),
            previous_secret_until: previous.map(|previous| rfc3339(previous.until)),
            previous_secret_last_used_at: previous.and_then(|previous| previous.last_used_at).map(rfc3339),
            previous_secret_last_used_ip: previous.and_then(|previous| previous.last_used_ip.clone()),
            version: key.version,
            warnings: Vec::new(),
            secret: None,
        }
    }

    /// Adds warnings.
    pub(super) fn warned(self, warnings: Vec<Warning>) -> Self {
        Self { warnings: warnings.into_iter().map(WarningJson::from).collect(), ..self }
    }

    /// Returns a key with its secret, which is shown once.
    pub(super) fn with_secret(key: &ApiKey, text: &KeyText, now: Timestamp) -> Self {
        Self { secret: Some(text.reveal().to_string()), ..Self::new(key, now) }
    }
}
