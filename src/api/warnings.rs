//! JSON of warnings.

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::warnings::Warning;

/// A warning about a field.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Warning")]
pub(super) struct WarningJson {
    field: &'static str,
    message: &'static str,
}

impl From<Warning> for WarningJson {
    fn from(Warning { field, message }: Warning) -> Self {
        Self { field, message }
    }
}
