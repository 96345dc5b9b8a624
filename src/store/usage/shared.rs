//! Usage of the keys that refer to a profile or a named network.

use sqlx::AssertSqlSafe;

use crate::domain::slug::Slug;
use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::{Query, query};
use crate::store::usage::reports::{UsageDetail, detail_from_row};
use crate::store::{Store, StoreError};

/// The keys, without revoked ones, that have one of some profiles or refer to a network.
#[derive(Clone, Debug)]
pub struct SharingKeys {
    pub organization: Slug,
    pub profiles: Vec<Slug>,
    pub network: Option<Slug>,
}

impl SharingKeys {
    /// A condition on `api_keys k`, whose values [`SharingKeys::bind`] binds from `$1`.
    fn condition(&self) -> String {
        let places: Vec<String> = (0..self.profiles.len()).map(|index| format!("${}", index + 3)).collect();
        let of_profiles = if places.is_empty() { "''".to_owned() } else { places.join(", ") };
        format!(
            "k.organization = $1 AND k.state <> 'revoked' AND (k.profile IN ({of_profiles}) OR k.id IN \
             (SELECT key_id FROM key_grants WHERE organization = $1 AND kind = 'named' AND value = $2))"
        )
    }

    fn bind(&self, statement: Query) -> Query {
        let network = self.network.as_ref().map_or("", Slug::as_str);
        let statement = statement.bind(self.organization.as_str()).bind(network);
        self.profiles.iter().fold(statement, |statement, name| statement.bind(name.as_str()))
    }
}

impl Store {
    /// Returns the number of keys that refer to a profile or network.
    pub async fn count_sharing(&self, keys: &SharingKeys) -> Result<u64, StoreError> {
        let counting = query(AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM api_keys k WHERE {}", keys.condition())));
        let row = keys.bind(counting).fetch_one(&self.database).await?;
        unsigned(row.try_get("n")?, "number of keys")
    }

    /// Returns the addresses, APIs and requested scopes of all these keys together, since a day.
    pub async fn usage_of_sharing(&self, keys: &SharingKeys, first_day: i64) -> Result<Vec<UsageDetail>, StoreError> {
        let day = keys.profiles.len() + 3;
        let reading = query(AssertSqlSafe(format!(
            "SELECT d.kind AS kind, d.api AS api, d.value AS value, CAST(SUM(d.exchanges) AS BIGINT) AS exchanges, \
             CAST(SUM(d.verifications) AS BIGINT) AS verifications, MAX(d.day) AS last_day \
             FROM usage_details d JOIN api_keys k ON k.id = d.key_id WHERE {} AND d.day >= ${day} \
             GROUP BY d.kind, d.api, d.value ORDER BY d.kind, d.api, d.value",
            keys.condition()
        )));
        keys.bind(reading).bind(first_day).fetch_all(&self.database).await?.iter().map(detail_from_row).collect()
    }
}
