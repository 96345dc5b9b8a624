//! The use of the keys that are granted an API.

use crate::domain::apis::Api;
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyId;
use crate::store::key_rows::grants_from;
use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::{Row, query};
use crate::store::usage::details::OTHER;
use crate::store::{Store, StoreError};

/// A key that is granted an API, without revoked ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyOfApi {
    pub id: KeyId,
    pub name: String,
    pub grants: Grants,
    /// Successful token requests and verifications since the day.
    pub exchanges: u64,
    pub verifications: u64,
}

/// Successful requests of a key that named the same scopes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedOfKey {
    pub key: KeyId,
    /// Scopes separated by spaces; `None` if they were not recorded.
    pub scopes: Option<String>,
    pub exchanges: u64,
    pub verifications: u64,
}

impl Store {
    /// Returns the keys that are granted an API with their use since a day, by ID.
    pub async fn keys_of_api(&self, api: &Api, first_day: i64) -> Result<Vec<KeyOfApi>, StoreError> {
        // Every successful request has an address.
        let rows = query(
            "SELECT k.id, k.name, k.grants, CAST(COALESCE(SUM(d.exchanges), 0) AS BIGINT) AS exchanges, \
             CAST(COALESCE(SUM(d.verifications), 0) AS BIGINT) AS verifications \
             FROM key_grants g JOIN api_keys k ON k.id = g.key_id \
             LEFT JOIN usage_details d ON d.key_id = k.id AND d.kind = 'address' AND d.day >= $3 \
             WHERE g.organization = $1 AND g.kind = 'api' AND g.value = $2 AND k.state <> 'revoked' \
             GROUP BY k.id, k.name, k.grants ORDER BY k.id",
        );
        let rows = rows.bind(api.organization.as_str()).bind(api.id.as_str()).bind(first_day);
        let read = |row: &Row| {
            Ok(KeyOfApi {
                id: key_id(row)?,
                name: row.try_get("name")?,
                grants: grants_from(&row.try_get::<String>("grants")?)?,
                exchanges: unsigned(row.try_get("exchanges")?, "count of use")?,
                verifications: unsigned(row.try_get("verifications")?, "count of use")?,
            })
        };
        rows.fetch_all(&self.database).await?.iter().map(read).collect()
    }

    /// Returns the scopes that the keys of an API requested since a day, for whatever API.
    pub async fn requested_of_api(&self, api: &Api, first_day: i64) -> Result<Vec<RequestedOfKey>, StoreError> {
        let rows = query(
            "SELECT d.key_id AS id, d.value, CAST(SUM(d.exchanges) AS BIGINT) AS exchanges, \
             CAST(SUM(d.verifications) AS BIGINT) AS verifications \
             FROM key_grants g JOIN api_keys k ON k.id = g.key_id JOIN usage_details d ON d.key_id = k.id \
             WHERE g.organization = $1 AND g.kind = 'api' AND g.value = $2 AND k.state <> 'revoked' \
             AND d.kind = 'scope' AND d.day >= $3 GROUP BY d.key_id, d.value ORDER BY d.key_id, d.value",
        );
        let rows = rows.bind(api.organization.as_str()).bind(api.id.as_str()).bind(first_day);
        let read = |row: &Row| {
            let value: String = row.try_get("value")?;
            Ok(RequestedOfKey {
                key: key_id(row)?,
                scopes: (value != OTHER).then_some(value),
                exchanges: unsigned(row.try_get("exchanges")?, "count of use")?,
                verifications: unsigned(row.try_get("verifications")?, "count of use")?,
            })
        };
        rows.fetch_all(&self.database).await?.iter().map(read).collect()
    }
}

fn key_id(row: &Row) -> Result<KeyId, StoreError> {
    let text: String = row.try_get("id")?;
    KeyId::parse(&text).ok_or_else(|| StoreError::Unreadable { what: "key", detail: format!("ID {text:?}") })
}
