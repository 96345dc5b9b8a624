//! The schemas of what belongs to the domain, which knows nothing of documents.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::api::policy::DryRunJson;
use crate::domain::outcome::Code;

/// Removes `null` from the fields of an edit: one that is absent keeps its value, and only `expires_at` can be cleared.
pub fn without_null(schema: &mut Schema) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties.iter_mut() {
        let Some(property) = property.as_object_mut().filter(|_| name != "expires_at") else { continue };
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

/// A name: one line, without white space at its ends.
pub fn name(_: &mut SchemaGenerator) -> Schema {
    const INNER: &str = "[^\\u0000-\\u001f\\u007f-\\u009f]";
    const END: &str = "[^\\s\\u0000-\\u001f\\u007f-\\u009f]";
    json_schema!({ "type": "string", "maxLength": 100, "pattern": format!("^({END}({INNER}*{END})?)?$") })
}

/// What was wrong, for programs.
pub fn code(_: &mut SchemaGenerator) -> Schema {
    let is_of_api = |code: &&Code| !matches!(code, Code::NotReady | Code::SessionRequired);
    let codes: Vec<_> = Code::ALL.iter().filter(is_of_api).map(|code| code.as_str()).collect();
    json_schema!({ "type": "string", "enum": codes })
}

/// A longer text.
pub fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 1000 })
}

/// A reason, which may be left out.
pub fn reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "maxLength": 1000 })
}

/// A moment to come, or null for never.
pub fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "format": "date-time", "examples": ["2030-01-31T00:00:00Z"] })
}

/// A lifetime in seconds.
pub fn lifetime(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 1, "maximum": 3_162_240_000i64 })
}

/// The grace of a rotation, in seconds.
pub fn grace(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": crate::domain::policy::MAX_GRACE_SECONDS })
}

/// Seconds that a signing key is published ahead of its use.
pub fn ahead(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": 86_400 })
}

/// A key's state.
pub fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["active", "expired", "disabled", "revoked"] })
}

/// Networks, as they are kept.
pub fn networks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "CIDRs; empty: from everywhere.",
        "type": "array", "items": { "type": "string", "examples": ["10.0.0.0/8", "2001:db8::/32"] }
    })
}

/// A role.
pub fn role(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["viewer", "developer", "admin", "owner"] })
}

/// A role that may be left out.
pub fn optional_role(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["viewer", "developer", "admin", "owner", null] })
}

/// A password to sign in with.
pub fn password(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// A password to be.
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

/// A policy.
pub fn policy(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<PolicySchema>()
}

/// What `PUT` of a policy answers: the policy, or with `dry_run` what it would mean.
pub(super) struct ReplacedPolicy;

impl JsonSchema for ReplacedPolicy {
    fn schema_name() -> Cow<'static, str> {
        "ReplacedPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (policy, dry_run) = (generator.subschema_for::<PolicySchema>(), generator.subschema_for::<DryRunJson>());
        json_schema!({ "anyOf": [policy, dry_run] })
    }
}

/// Stands for [`crate::domain::policy::Policy`] in the document.
pub(super) struct PolicySchema;

impl JsonSchema for PolicySchema {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What an organization allows of its keys. What is left out has its default.",
            "additionalProperties": false,
            "properties": {
                "max_keys_per_user": {
                    "description": "Most keys of one member that are neither revoked nor expired.",
                    "type": ["integer", "null"], "minimum": 0, "maximum": 4294967295u32
                },
                "max_keys": {
                    "description": "Most keys of the organization that are neither revoked nor expired.",
                    "type": ["integer", "null"], "minimum": 0, "maximum": 4294967295u32
                },
                "expiration_choices": {
                    "description": "The only lifetimes on offer; null: any date.",
                    "type": ["object", "null"],
                    "additionalProperties": false,
                    "required": ["days", "none"],
                    "properties": {
                        "days": { "type": "array", "maxItems": 50, "items": { "type": "integer", "minimum": 1, "maximum": 36525 } },
                        "none": { "description": "Whether \"no expiry\" is one of them.", "type": "boolean" }
                    }
                },
                "max_lifetime_days": {
                    "description": "Longest life of a key, in days, from its creation or last rotation.",
                    "type": ["integer", "null"], "minimum": 1, "maximum": 36525
                },
                "expiry_required": { "description": "Whether a key must have an expiry.", "type": "boolean" },
                "name_required": { "description": "Whether a key must have a name.", "type": "boolean" },
                "scopes_required": { "description": "Whether a key must have at least one scope.", "type": "boolean" },
                "grantable_scopes": {
                    "description": "The only scopes that can be granted to keys, each of them or a part of it; null: any. Existing keys keep theirs.",
                    "type": ["array", "null"], "maxItems": 50,
                    "items": { "type": "string", "maxLength": 289 }
                },
                "create_role": {
                    "description": "The least role that may create keys.",
                    "enum": ["developer", "admin", "owner"]
                },
                "key_prefix": {
                    "description": "What new key texts begin with.",
                    "type": "string", "pattern": "^[a-z0-9]{2,16}$"
                },
                "actions": {
                    "description": "The vocabulary of actions; * is always allowed.",
                    "type": "array", "minItems": 1, "maxItems": 50,
                    "items": { "type": "string", "pattern": "^[a-z0-9._-]{1,32}$" }
                },
                "audiences": {
                    "description": "Audiences that tokens may be asked for, beside the default one and the issuer.",
                    "type": "array", "maxItems": 50,
                    "items": { "type": "string", "pattern": "^[!-~]{1,256}$" }
                },
                "token_ttl_seconds": {
                    "description": "Life of a token in seconds; null: the server's setting.",
                    "type": ["integer", "null"], "minimum": 60, "maximum": 3600
                },
                "max_grace_seconds": {
                    "description": "Longest grace of a rotation, in seconds.",
                    "type": "integer", "minimum": 0, "maximum": 316224000
                },
                "stale_after_days": {
                    "description": "Days without use after which a key is stale; null: never.",
                    "type": ["integer", "null"], "minimum": 1, "maximum": 36525
                },
                "disable_when_stale": { "description": "Whether keys that have been stale for a day are disabled.", "type": "boolean" }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;

    #[test]
    fn the_document_knows_every_setting_and_no_other() {
        let schema = PolicySchema::json_schema(&mut SchemaGenerator::default()).to_value();
        let documented: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let policy = serde_json::to_value(Policy::default()).unwrap();
        let mut settings: Vec<&String> = policy.as_object().unwrap().keys().collect();
        let mut documented = documented;
        settings.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, settings);
    }
}
