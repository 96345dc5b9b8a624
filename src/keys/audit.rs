//! A key in the audit log: everything that can change, except secrets.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::apis::ApiId;

pub(super) fn audit_value(key: &ApiKey) -> Value {
    let (state, reason) = match &key.lifecycle {
        Lifecycle::Active => ("active", None),
        Lifecycle::Disabled { .. } => ("disabled", None),
        Lifecycle::Revoked { reason, .. } => ("revoked", reason.as_deref()),
    };
    json!({
        "name": key.name,
        "description": key.description,
        "metadata": key.metadata,
        "owner": key.owner,
        "customer": key.customer.map(|id| id.to_string()),
        "profile": key.profile,
        "scopes": key.grants.default_scopes(),
        "apis": apis(key),
        "allowed_cidrs": key.networks,
        "networks": key.named_networks,
        "expires_at": key.expires_at.map(rfc3339),
        "state": state,
        "revoked_reason": reason,
        "hint": key.hint,
        "previous_secret_until": key.previous.as_ref().map(|previous| rfc3339(previous.until)),
        "generation": key.generation,
        "secret_version": key.secret_version,
        "version": key.version,
    })
}

/// The grants of other APIs than the default one, by API ID.
fn apis(key: &ApiKey) -> Value {
    let others = key.grants.iter().filter(|grant| grant.api != ApiId::DEFAULT);
    others.map(|grant| (grant.api.to_string(), json!(grant.scopes))).collect::<serde_json::Map<_, _>>().into()
}
