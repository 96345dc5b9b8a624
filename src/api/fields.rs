//! What fields of bodies have in common.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A scope as the API writes it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewScope")]
pub(super) struct ScopeField {
    #[schemars(schema_with = "crate::api::openapi::schemas::action")]
    action: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::resource")]
    resource: String,
}

/// Tells `null` from absent: `Some(None)` is `null`.
pub(super) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads a field that may be absent and cannot be cleared: `null` is refused.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    const WRONG: &str = "null is not allowed; leave the field out to keep its value";
    Option::<T>::deserialize(deserializer)?.map(Some).ok_or_else(|| D::Error::custom(WRONG))
}

impl ScopeField {
    /// Action and resource filter, as they were written.
    pub(super) fn pairs(fields: &[Self]) -> impl Iterator<Item = (&str, &str)> {
        fields.iter().map(|field| (field.action.as_str(), field.resource.as_str()))
    }
}
