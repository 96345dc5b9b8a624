//! Types of body fields.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::http::checks::{Checks, ScopeInput};
use crate::keys::{RequestedGrant, RequestedGrants};

/// The body of a request that takes none: absent, or `{}`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Empty")]
pub(super) struct NoBody {}

/// A scope in a request body.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "NewScope", untagged)]
pub(super) enum ScopeField {
    /// A scope as a string. Tokens and responses keep its spelling.
    Text(#[schemars(schema_with = "crate::api::openapi::schemas::scope")] String),
    /// A scope in parts.
    Parts(ScopeParts),
}

/// A scope as action and resource filter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewScopeParts")]
pub(super) struct ScopeParts {
    #[schemars(schema_with = "crate::api::openapi::schemas::action")]
    action: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::resource")]
    resource: String,
}

/// The scopes of a key for one API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewGrant")]
pub(super) struct GrantField {
    /// The API's name.
    api: String,
    /// Scopes in the style of the API.
    scopes: Vec<String>,
}

/// Reads the grants of a new or edited key.
pub(super) fn requested_grants(
    checks: &mut Checks,
    scopes: Option<Vec<ScopeField>>,
    apis: Option<Vec<GrantField>>,
) -> RequestedGrants {
    let requested = |GrantField { api, scopes }: GrantField| RequestedGrant { api, scopes };
    RequestedGrants {
        scopes: scopes.map(|scopes| checks.scopes(ScopeField::inputs(&scopes))),
        apis: apis.map(|apis| apis.into_iter().map(requested).collect()),
    }
}

/// Implemented by hand because the errors of serde's untagged enums name neither the field nor what is expected.
impl<'de> Deserialize<'de> for ScopeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherForm;

        impl<'de> Visitor<'de> for EitherForm {
            type Value = ScopeField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scope: a string such as read:orders/*, or an object with action and resource")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ScopeField, E> {
                Ok(ScopeField::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScopeField, A::Error> {
                ScopeParts::deserialize(MapAccessDeserializer::new(map)).map(ScopeField::Parts)
            }
        }

        deserializer.deserialize_any(EitherForm)
    }
}

/// Distinguishes `null` from an absent field: `Some(None)` is `null`.
pub(super) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads a field that can be absent but not cleared: `null` is an error.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    const WRONG: &str = "null is not allowed; leave the field out to keep its value";
    Option::<T>::deserialize(deserializer)?.map(Some).ok_or_else(|| D::Error::custom(WRONG))
}

impl ScopeField {
    /// Returns the scopes for [`crate::http::checks::Checks`].
    pub(super) fn inputs(fields: &[Self]) -> impl Iterator<Item = ScopeInput<'_>> {
        fields.iter().map(|field| match field {
            Self::Text(text) => ScopeInput::Text(text),
            Self::Parts(parts) => ScopeInput::Parts(&parts.action, &parts.resource),
        })
    }
}
