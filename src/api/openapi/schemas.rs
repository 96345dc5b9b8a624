//! JSON schemas of domain types. `domain/` does not depend on the document.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::choices::{Algorithm, Choice as _, ScopeStyle};
use crate::domain::customer::{self, ExternalId};
use crate::domain::outcome::Code;
use crate::domain::policy::Policy;
use crate::domain::{attribute, metadata};

/// The fields of edits that `null` clears.
const CLEARED_BY_NULL: [&str; 9] = [
    "audience",
    "customer",
    "expires_at",
    "grantable_scopes",
    "max_keys",
    "owner",
    "profile",
    "token_ttl_seconds",
    "token_typ",
];

/// Removes `null` from the fields of an edit that it does not clear: absent fields keep their values.
pub fn without_null(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties.iter_mut() {
        let Some(property) = property.as_object_mut().filter(|_| !CLEARED_BY_NULL.contains(&name.as_str())) else {
            continue;
        };
        property.retain(|key, value| key != "default" || !value.is_null());
        for key in ["type", "enum"] {
            let Some(values) = property.get_mut(key).and_then(Value::as_array_mut) else { continue };
            values.retain(|value| !value.is_null() && value != "null");
            if let (1, "type", Some(only)) = (values.len(), key, values.first().cloned()) {
                property.insert(key.into(), only);
            }
        }
    }
}

/// A name: one line without leading or trailing white space.
pub fn name(_: &mut SchemaGenerator) -> Schema {
    const INNER: &str = "[^\\u0000-\\u001f\\u007f-\\u009f]";
    const END: &str = "[^\\s\\u0000-\\u001f\\u007f-\\u009f]";
    json_schema!({ "type": "string", "maxLength": 100, "pattern": format!("^({END}({INNER}*{END})?)?$") })
}

/// The operator's ID of a customer.
pub fn external_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": ExternalId::MAX, "examples": ["user_8f3a"] })
}

/// The ID of a customer, or null for none.
pub fn nullable_customer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^[0-9A-Za-z]{16}$" })
}

/// The name of a profile, or null for none.
pub fn nullable_slug(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^[a-z0-9-]{1,40}$" })
}

/// The limit of a customer's keys, or null for the policy's.
pub fn customer_keys(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": customer::MAX_KEYS })
}

/// Pairs of a name and a value.
pub fn metadata(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": metadata::MAX_PAIRS,
        "propertyNames": { "pattern": format!("^[0-9A-Za-z_.-]{{1,{}}}$", metadata::MAX_NAME) },
        "additionalProperties": { "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" },
        "examples": [{ "plan": "pro" }]
    })
}

/// Custom claims by name.
pub fn token_claims(_: &mut SchemaGenerator) -> Schema {
    attributes("Custom claims of tokens.", r##"^[!#-<>-\[\]-~]{1,128}$"##, "plan")
}

/// Custom headers by name.
fn verify_headers() -> Schema {
    attributes("Custom headers of successful responses of `/verify`.", "^[Xx]-[0-9A-Za-z-]{1,126}$", "X-Plan")
}

fn attributes(what: &str, names: &str, example: &str) -> Schema {
    json_schema!({
        "description": format!("{what} The source of each value: `metadata.NAME`, `customer.external_id`, `customer.metadata.NAME`, `owner`, or a constant. `=` before a constant is for one that begins like a source. A value that is missing or longer than {} bytes is left out.", attribute::MAX_VALUE_BYTES),
        "type": "object",
        "maxProperties": attribute::MAX_ATTRIBUTES,
        "propertyNames": { "pattern": names },
        "additionalProperties": { "type": ["string", "integer", "boolean"], "maxLength": attribute::MAX_VALUE_BYTES + 1 },
        "examples": [{ example: "metadata.plan" }]
    })
}

/// A machine-readable error code.
pub fn code(_: &mut SchemaGenerator) -> Schema {
    let is_of_api = |code: &&Code| !matches!(code, Code::NotReady | Code::SessionRequired);
    let codes: Vec<_> = Code::ALL.iter().filter(is_of_api).map(|code| code.as_str()).collect();
    json_schema!({ "type": "string", "enum": codes })
}

/// How an API writes its scopes.
pub fn scope_style(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ScopeStyle::NAMES })
}

/// A name in URLs.
pub fn slug(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[a-z0-9-]{1,40}$" })
}

/// An audience.
pub fn audience(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[!-~]{1,256}$", "examples": ["https://orders.example.com"] })
}

/// A list of scopes, or null for all.
pub fn nullable_scopes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["array", "null"], "items": { "type": "string" } })
}

/// An audience, or null for the one in the configuration.
pub fn nullable_audience(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^[!-~]{1,256}$" })
}

/// Lifetime of tokens in seconds, or null for the default.
pub fn token_ttl(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 60, "maximum": 3600 })
}

/// The `typ` header of tokens, or null for the default.
pub fn token_typ(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["at+jwt", "JWT", null] })
}

/// An algorithm that signs tokens.
pub fn algorithm(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Algorithm::NAMES })
}

/// An algorithm that signs tokens, or `null`.
pub fn optional_algorithm(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["ES256", "EdDSA", "RS256", null] })
}

/// A description.
pub fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 1000 })
}

/// An optional reason.
pub fn reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "maxLength": 1000 })
}

/// A time in the future, or null for never.
pub fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date-time", "examples": ["2030-01-31T00:00:00Z"] })
}

/// A lifetime in seconds.
pub fn lifetime(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 1, "maximum": 3_162_240_000i64 })
}

/// The grace period of a rotation, in seconds.
pub fn grace(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": crate::domain::policy::MAX_GRACE_SECONDS })
}

/// The length of a grace period, in seconds, as a required field.
pub fn required_grace(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": crate::domain::policy::MAX_GRACE_SECONDS })
}

/// The time between publication and first use of a signing key, in seconds.
pub fn ahead(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": 86_400 })
}

/// A key's state.
pub fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["active", "expired", "disabled", "revoked"] })
}

/// Allowed networks.
pub fn networks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "CIDRs. Empty allows every address.",
        "type": "array", "items": { "type": "string", "examples": ["10.0.0.0/8", "2001:db8::/32"] }
    })
}

/// A role.
pub fn role(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["viewer", "developer", "admin", "owner"] })
}

/// An optional role.
pub fn optional_role(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["viewer", "developer", "admin", "owner", null] })
}

/// A password.
pub fn password(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// A new password.
pub fn new_password(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 12, "maxLength": 256 })
}

/// An action of a scope.
pub fn action(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^(\\*|[a-z0-9._-]{1,32})$" })
}

/// A resource filter of a scope.
pub fn resource(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!#$&-+\\--\\[\\]-~]+$" })
}

/// A scope as a string.
pub fn scope(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "action:filter, or an action alone, which means action:*.",
        "type": "string", "minLength": 1, "maxLength": 289,
        "pattern": "^(\\*|[a-z0-9._-]{1,32})(:[!#$&-+\\--\\[\\]-~]{1,256})?$",
        "examples": ["read:orders/*", "read"]
    })
}

/// A policy as the API reads and writes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyJson(pub Policy);

impl JsonSchema for PolicyJson {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "The rules for the keys of an organization. Absent settings have their defaults.",
            "additionalProperties": false,
            "properties": {
                "max_keys_per_user": {
                    "description": "Maximum number of keys per member, and per customer without a limit of its own, that are neither revoked nor expired.",
                    "type": ["integer", "null"], "minimum": 0, "maximum": 4294967295u32
                },
                "max_keys": {
                    "description": "Maximum number of keys in the organization that are neither revoked nor expired.",
                    "type": ["integer", "null"], "minimum": 0, "maximum": 4294967295u32
                },
                "expiration_choices": {
                    "description": "The lifetimes to choose from; null allows any expiry.",
                    "type": ["object", "null"],
                    "additionalProperties": false,
                    "required": ["days", "none"],
                    "properties": {
                        "days": { "type": "array", "maxItems": 50, "items": { "type": "integer", "minimum": 1, "maximum": 36525 } },
                        "none": { "description": "Whether \"no expiry\" is a choice.", "type": "boolean" }
                    }
                },
                "max_lifetime_days": {
                    "description": "Maximum lifetime of a key in days, from its creation or last rotation.",
                    "type": ["integer", "null"], "minimum": 1, "maximum": 36525
                },
                "expiry_required": { "description": "Whether a key must have an expiry.", "type": "boolean" },
                "name_required": { "description": "Whether a key must have a name.", "type": "boolean" },
                "scopes_required": { "description": "Whether a key must have at least one scope.", "type": "boolean" },
                "grantable_scopes": {
                    "description": "The scopes that can be granted to keys, in whole or in part; null allows any. Existing keys keep their scopes.",
                    "type": ["array", "null"], "maxItems": 50,
                    "items": { "type": "string", "maxLength": 289 }
                },
                "create_role": {
                    "description": "The lowest role that can create keys.",
                    "enum": ["developer", "admin", "owner"]
                },
                "key_prefix": {
                    "description": "The prefix of new secrets.",
                    "type": "string", "pattern": "^[a-z0-9]{2,16}$"
                },
                "actions": {
                    "description": "The actions that scopes can use. `*` is always allowed.",
                    "type": "array", "minItems": 1, "maxItems": 50,
                    "items": { "type": "string", "pattern": "^[a-z0-9._-]{1,32}$" }
                },
                "audiences": {
                    "description": "Audiences that clients can request, in addition to the default audience and the issuer.",
                    "type": "array", "maxItems": 50,
                    "items": { "type": "string", "pattern": "^[!-~]{1,256}$" }
                },
                "token_ttl_seconds": {
                    "description": "Token lifetime in seconds; null uses the server's setting.",
                    "type": ["integer", "null"], "minimum": 60, "maximum": 3600
                },
                "max_grace_seconds": {
                    "description": "Maximum grace period of a rotation, in seconds.",
                    "type": "integer", "minimum": 0, "maximum": 316224000
                },
                "stale_after_days": {
                    "description": "Number of days without use after which a key is stale; null disables the check.",
                    "type": ["integer", "null"], "minimum": 1, "maximum": 36525
                },
                "disable_when_stale": { "description": "Whether keys that have been stale for a day are disabled.", "type": "boolean" },
                "token_claims": token_claims(&mut SchemaGenerator::default()),
                "verify_headers": verify_headers()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_schema_has_every_setting() {
        let schema = PolicyJson::json_schema(&mut SchemaGenerator::default()).to_value();
        let documented: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let policy = serde_json::to_value(Policy::default()).unwrap();
        let mut settings: Vec<&String> = policy.as_object().unwrap().keys().collect();
        let mut documented = documented;
        settings.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, settings);
    }
}
