//! Warnings beside an answer.

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::warnings::Warning;

/// A warning: the field and what to know about it.
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
