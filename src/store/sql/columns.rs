//! Values of single columns.

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::store::StoreError;

pub(in crate::store) fn key_id(text: String) -> Result<KeyId, StoreError> {
    KeyId::parse(&text).ok_or_else(|| StoreError::Unreadable { what: "API key", detail: format!("id {text:?}") })
}

/// Converts a number that is never negative.
pub(in crate::store) fn unsigned(number: i64, what: &'static str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Unreadable { what, detail: number.to_string() })
}

pub(in crate::store) fn slug(text: String) -> Result<Slug, StoreError> {
    Slug::parse(&text).ok_or_else(|| StoreError::Unreadable { what: "organization", detail: format!("slug {text:?}") })
}
