//! JSON of a key.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::warnings::WarningJson;
use crate::clock::rfc3339;
use crate::domain::api_key::{ApiKey, Lifecycle, Status};
use crate::domain::apis::ServedApi;
use crate::domain::grants::{Grant, Grants};
use crate::domain::key_text::KeyText;
use crate::domain::networks::Networks;
use crate::domain::scope::{Action, ResourceFilter, Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::warnings::Warning;

/// A key. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(super) struct KeyJson {
    id: String,
    name: String,
    description: String,
    /// Pairs that you store with the key.
    metadata: BTreeMap<String, String>,
    organization: String,
    owner: Option<String>,
    /// The ID of the customer whom the key is given to.
    customer: Option<String>,
    #[schemars(schema_with = "crate::api::openapi::schemas::status")]
    status: Status,
    hint: String,
    /// Name of the profile that limits the key.
    profile: Option<String>,
    /// The key's own scopes for the default API. A key with a profile has at most those that the profile grants too.
    scopes: Vec<ScopeJson>,
    /// All APIs that the key itself is granted. If there are none, a key with a profile has all that the profile grants.
    apis: Vec<GrantJson>,
    #[schemars(schema_with = "crate::api::openapi::schemas::networks")]
    allowed_cidrs: Networks,
    /// Names of further networks that the key can be used from.
    networks: Vec<String>,
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
    previous_secret_hint: Option<String>,
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
        let one = |(action, filter): (&Action, &ResourceFilter)| Self {
            action: action.as_str().to_owned(),
            resource: filter.as_str().to_owned(),
        };
        scopes.iter().filter_map(Scope::parts).map(one).collect()
    }
}

/// The scopes of a key for one API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Grant")]
pub(super) struct GrantJson {
    /// The API's name.
    api: String,
    scopes: Vec<String>,
}

impl GrantJson {
    /// Returns grants without those of deleted APIs.
    pub(super) fn list(grants: &Grants, apis: &[ServedApi]) -> Vec<Self> {
        grants.iter().filter_map(|grant| Self::new(grant, apis)).collect()
    }

    /// Returns a grant; `None` if its API was deleted.
    pub(super) fn new(grant: &Grant, apis: &[ServedApi]) -> Option<Self> {
        let api = &apis.iter().find(|served| served.api.id == grant.api)?.api;
        Some(Self { api: api.name.to_string(), scopes: grant.scopes.iter().map(ToString::to_string).collect() })
    }
}

impl KeyJson {
    /// Returns a key as of a time. `apis` are those of its organization.
    pub(super) fn new(key: &ApiKey, apis: &[ServedApi], now: Timestamp) -> Self {
        let (revoked_at, revoked_reason) = match &key.lifecycle {
            Lifecycle::Revoked { at, reason } => (Some(*at), reason.clone()),
            Lifecycle::Active | Lifecycle::Disabled { .. } => (None, None),
        };
        let previous = key.previous.as_ref().filter(|previous| now < previous.until);
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            description: key.description.clone(),
            metadata: key.metadata.to_map(),
            organization: key.organization.to_string(),
            owner: key.owner.as_ref().map(|owner| owner.0.clone()),
            customer: key.customer.map(|id| id.to_string()),
            status: key.status(now),
            hint: key.hint.clone(),
            profile: key.profile.as_ref().map(Slug::to_string),
            scopes: ScopeJson::list(key.grants.of_default_api()),
            apis: GrantJson::list(&key.grants, apis),
            allowed_cidrs: key.networks.clone(),
            networks: key.named_networks.iter().map(Slug::to_string).collect(),
            created_at: rfc3339(key.created_at),
            created_by: key.created_by.clone(),
            expires_at: key.expires_at.map(rfc3339),
            rotated_at: key.rotated_at.map(rfc3339),
            revoked_at: revoked_at.map(rfc3339),
            revoked_reason,
            last_used_at: key.last_used_at.map(rfc3339),
            last_used_ip: key.last_used_ip.clone(),
            previous_secret_until: previous.map(|previous| rfc3339(previous.until)),
            previous_secret_hint: previous.map(|previous| previous.hint.clone()),
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
    pub(super) fn with_secret(key: &ApiKey, text: &KeyText, apis: &[ServedApi], now: Timestamp) -> Self {
        Self { secret: Some(text.reveal().to_string()), ..Self::new(key, apis, now) }
    }
}
