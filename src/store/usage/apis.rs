//! The use of APIs, and of the keys that are granted one.

use sqlx::AssertSqlSafe;

use crate::domain::apis::{Api, ApiId};
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyId;
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::store::granted_keys::GrantedKeys;
use crate::store::key_rows::grants_from;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::statement::{Row, query};
use crate::store::usage::details::OTHER;
use crate::store::{Store, StoreError};

/// A key that has an API in effect, without revoked ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyOfApi {
    pub id: KeyId,
    pub name: String,
    /// In effect.
    pub grants: Grants,
    /// Successful token requests and verifications of the API since the day.
    pub exchanges: u64,
    pub verifications: u64,
}

/// Successful requests of an API on one day, or of the days in a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsesOfApi {
    pub api: ApiId,
    /// The day or the last day, since the epoch.
    pub day: i64,
    pub exchanges: u64,
    pub verifications: u64,
}

/// Successful requests of an API by a key that named the same scopes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedOfKey {
    pub key: KeyId,
    /// Scopes separated by spaces; `None` if they were not recorded, or the request was of several APIs.
    pub scopes: Option<String>,
    pub exchanges: u64,
    pub verifications: u64,
}

impl Store {
    /// Returns the keys that have an API in effect with their use since a day, by ID.
    pub async fn keys_of_api(
        &self,
        api: &Api,
        shared: &SharedAccess,
        first_day: i64,
    ) -> Result<Vec<KeyOfApi>, StoreError> {
        let keys = GrantedKeys::new(api, shared);
        let rows = query(AssertSqlSafe(format!(
            "SELECT k.id, k.name, k.grants, k.profile, CAST(COALESCE(SUM(d.exchanges), 0) AS BIGINT) AS exchanges, \
             CAST(COALESCE(SUM(d.verifications), 0) AS BIGINT) AS verifications \
             FROM api_keys k LEFT JOIN usage_details d ON d.key_id = k.id AND d.kind = 'api' AND d.api = $2 AND d.day >= ${} \
             WHERE {} GROUP BY k.id, k.name, k.grants, k.profile ORDER BY k.id",
            keys.next(),
            keys.condition()
        )));
        let read = |row: &Row| {
            let own = grants_from(&row.try_get::<String>("grants")?)?;
            let profile = row.try_get::<Option<String>>("profile")?.map(slug).transpose()?;
            let grants = shared.grants_with(profile.as_ref(), &own).into_owned();
            if grants.get(api.id).is_none() {
                return Ok(None);
            }
            Ok(Some(KeyOfApi {
                id: key_id(row)?,
                name: row.try_get("name")?,
                grants,
                exchanges: unsigned(row.try_get("exchanges")?, "count of use")?,
                verifications: unsigned(row.try_get("verifications")?, "count of use")?,
            }))
        };
        let rows = keys.bind(rows).bind(first_day).fetch_all(&self.database).await?;
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// Returns the scopes of an API that its keys requested since a day.
    pub async fn requested_of_api(
        &self,
        api: &Api,
        shared: &SharedAccess,
        first_day: i64,
    ) -> Result<Vec<RequestedOfKey>, StoreError> {
        let keys = GrantedKeys::new(api, shared);
        let rows = query(AssertSqlSafe(format!(
            "SELECT d.key_id AS id, CASE WHEN d.api = '' THEN '' ELSE d.value END AS value, CAST(SUM(d.exchanges) AS BIGINT) AS exchanges, \
             CAST(SUM(d.verifications) AS BIGINT) AS verifications \
             FROM api_keys k JOIN usage_details d ON d.key_id = k.id WHERE {} \
             AND d.kind = 'scope' AND d.api IN ($2, '') AND d.day >= ${} GROUP BY 1, 2 ORDER BY 1, 2",
            keys.condition(),
            keys.next()
        )));
        let rows = keys.bind(rows).bind(first_day);
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

    /// Returns the requests of an API on each day with any, in order. Both ends are inclusive.
    pub async fn usage_of_api(&self, api: &Api, first_day: i64, last_day: i64) -> Result<Vec<UsesOfApi>, StoreError> {
        let rows = query(
            "SELECT api, day, exchanges, verifications FROM usage_of_api_days \
             WHERE organization = $1 AND api = $2 AND day BETWEEN $3 AND $4 ORDER BY day",
        );
        let rows = rows.bind(api.organization.as_str()).bind(api.id.as_str()).bind(first_day).bind(last_day);
        rows.fetch_all(&self.database).await?.iter().map(uses_of_api).collect()
    }

    /// Returns the requests of each API of an organization in a range of days, by ID. Includes deleted APIs.
    pub async fn usage_by_api(
        &self,
        organization: &Slug,
        first_day: i64,
        last_day: i64,
    ) -> Result<Vec<UsesOfApi>, StoreError> {
        let rows = query(
            "SELECT api, MAX(day) AS day, CAST(SUM(exchanges) AS BIGINT) AS exchanges, \
             CAST(SUM(verifications) AS BIGINT) AS verifications FROM usage_of_api_days \
             WHERE organization = $1 AND day BETWEEN $2 AND $3 GROUP BY api ORDER BY api",
        );
        let rows = rows.bind(organization.as_str()).bind(first_day).bind(last_day);
        rows.fetch_all(&self.database).await?.iter().map(uses_of_api).collect()
    }
}

fn uses_of_api(row: &Row) -> Result<UsesOfApi, StoreError> {
    let text: String = row.try_get("api")?;
    let unreadable = || StoreError::Unreadable { what: "API", detail: format!("ID {text:?}") };
    Ok(UsesOfApi {
        api: ApiId::parse(&text).ok_or_else(unreadable)?,
        day: row.try_get("day")?,
        exchanges: unsigned(row.try_get("exchanges")?, "count of use")?,
        verifications: unsigned(row.try_get("verifications")?, "count of use")?,
    })
}

fn key_id(row: &Row) -> Result<KeyId, StoreError> {
    let text: String = row.try_get("id")?;
    KeyId::parse(&text).ok_or_else(|| StoreError::Unreadable { what: "key", detail: format!("ID {text:?}") })
}
