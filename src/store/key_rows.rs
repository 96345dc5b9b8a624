//! Conversion between API keys and rows.

use std::collections::BTreeMap;

use crate::domain::api_key::{ApiKey, FastVerifier, Lifecycle, PreviousSecret, SecretVerifier};
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyPrefix;
use crate::domain::member::MemberId;
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::customers::customer_id;

use crate::store::sql::columns::{key_id, slug, unsigned};
use crate::store::sql::statement::Row;

/// Reads a row of `api_keys`.
pub(super) fn key_from_row(row: &Row) -> Result<ApiKey, StoreError> {
    let grants: String = row.try_get("grants")?;
    let networks: String = row.try_get("networks")?;
    let prefix: String = row.try_get("prefix")?;
    let owner: Option<String> = row.try_get("owner")?;
    let customer: Option<String> = row.try_get("customer_id")?;
    Ok(ApiKey {
        id: key_id(row.try_get("id")?)?,
        organization: slug(row.try_get("organization")?)?,
        prefix: KeyPrefix::parse(&prefix).map_err(|error| unreadable(&error))?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        metadata: metadata_from(&row.try_get::<String>("metadata")?)?,
        owner: owner.map(MemberId),
        customer: customer.as_deref().map(customer_id).transpose()?,
        profile: row.try_get::<Option<String>>("profile")?.map(slug).transpose()?,
        grants: grants_from(&grants)?,
        networks: networks_from(&networks)?,
        named_networks: names_from(&row.try_get::<String>("named_networks")?)?,
        expires_at: time(row, "expires_at")?,
        lifecycle: lifecycle(row)?,
        generation: unsigned(row.try_get("generation")?, "generation")?,
        secret_version: unsigned(row.try_get("secret_version")?, "secret_version")?,
        version: unsigned(row.try_get("version")?, "version")?,
        secret: SecretVerifier {
            phc: row.try_get("secret_phc")?,
            fast: fast(row.try_get("secret_pepper")?, row.try_get("secret_digest")?)?,
        },
        previous: previous(row)?,
        hint: row.try_get("hint")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
        rotated_at: time(row, "rotated_at")?,
        last_used_at: time(row, "last_used_at")?,
        last_used_ip: row.try_get("last_used_ip")?,
    })
}

/// Returns the columns `state`, `state_at` and `revoked_reason`.
pub(super) fn state_columns(lifecycle: &Lifecycle) -> (&'static str, Option<i64>, Option<&str>) {
    match lifecycle {
        Lifecycle::Active => ("active", None, None),
        Lifecycle::Disabled { at } => ("disabled", Some(at.as_millis()), None),
        Lifecycle::Revoked { at, reason } => ("revoked", Some(at.as_millis()), reason.as_deref()),
    }
}

/// Returns the column `networks`: separated by spaces, empty if unrestricted.
pub(super) fn networks_column(networks: &Networks) -> String {
    networks.to_strings().join(" ")
}

/// Returns the column `grants`: JSON.
pub(super) fn grants_column(grants: &Grants) -> Result<String, StoreError> {
    serde_json::to_string(&grants.to_stored()).map_err(|error| unreadable(&error))
}

/// Reads the column `grants`.
pub(super) fn grants_from(column: &str) -> Result<Grants, StoreError> {
    let stored = serde_json::from_str(column).map_err(|error| unreadable(&error))?;
    Grants::from_stored(stored).map_err(|error| unreadable(&error))
}

/// Returns the column `metadata`: JSON.
pub(super) fn metadata_column(metadata: &Metadata) -> Result<String, StoreError> {
    serde_json::to_string(metadata).map_err(|error| unreadable(&error))
}

/// Reads the column `metadata`.
pub(super) fn metadata_from(column: &str) -> Result<Metadata, StoreError> {
    let pairs: BTreeMap<String, String> = serde_json::from_str(column).map_err(|error| unreadable(&error))?;
    Metadata::new(pairs).map_err(|error| unreadable(&error))
}

/// Returns a column with names of networks, separated by spaces.
pub(super) fn names_column(names: &[Slug]) -> String {
    names.iter().map(Slug::as_str).collect::<Vec<_>>().join(" ")
}

/// Reads a column with names of networks.
pub(super) fn names_from(column: &str) -> Result<Vec<Slug>, StoreError> {
    column.split_ascii_whitespace().map(|name| slug(name.to_owned())).collect()
}

/// Reads a column with networks, separated by spaces.
pub(super) fn networks_from(column: &str) -> Result<Networks, StoreError> {
    let items: Vec<&str> = column.split_ascii_whitespace().collect();
    Networks::parse(&items).map_err(|error| unreadable(&error))
}

fn lifecycle(row: &Row) -> Result<Lifecycle, StoreError> {
    let state: String = row.try_get("state")?;
    let at = time(row, "state_at")?.unwrap_or_default();
    match state.as_str() {
        "active" => Ok(Lifecycle::Active),
        "disabled" => Ok(Lifecycle::Disabled { at }),
        "revoked" => Ok(Lifecycle::Revoked { at, reason: row.try_get("revoked_reason")? }),
        other => Err(unreadable(&format_args!("state {other:?}"))),
    }
}

fn previous(row: &Row) -> Result<Option<PreviousSecret>, StoreError> {
    let (Some(phc), Some(until)) = (row.try_get("previous_phc")?, time(row, "previous_until")?) else {
        return Ok(None);
    };
    let fast = fast(row.try_get("previous_pepper")?, row.try_get("previous_digest")?)?;
    Ok(Some(PreviousSecret {
        secret: SecretVerifier { phc, fast },
        hint: row.try_get::<Option<String>>("previous_hint")?.unwrap_or_default(),
        until,
        last_used_at: time(row, "previous_used_at")?,
        last_used_ip: row.try_get("previous_used_ip")?,
    }))
}

fn fast(pepper: Option<String>, digest: Option<Vec<u8>>) -> Result<Option<FastVerifier>, StoreError> {
    let (Some(pepper), Some(digest)) = (pepper, digest) else { return Ok(None) };
    let digest = <[u8; 32]>::try_from(digest).map_err(|_| unreadable(&"verifier of a wrong length"))?;
    Ok(Some(FastVerifier { pepper, digest }))
}

fn time(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = row.try_get(column)?;
    Ok(millis.map(Timestamp::from_millis))
}

fn unreadable(detail: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: "API key", detail: detail.to_string() }
}
