//! Keys that are granted an API, by themselves or by a profile.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::domain::apis::{Api, ApiId};
use crate::domain::profile::SharedAccess;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::store::apis::api_id;
use crate::store::key_rows::grants_from;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::statement::{Query, Row, query};
use crate::store::{Store, StoreError};

/// The keys, without revoked ones, that can have an API in effect: those with a grant of their own, and those with a profile that
/// grants it.
pub(super) struct GrantedKeys<'a> {
    api: &'a Api,
    profiles: Vec<&'a Slug>,
}

impl<'a> GrantedKeys<'a> {
    pub(super) fn new(api: &'a Api, shared: &'a SharedAccess) -> Self {
        let granting = shared.profiles().filter(|profile| profile.grants.get(api.id).is_some());
        Self { api, profiles: granting.map(|profile| &profile.name).collect() }
    }

    /// A condition on `api_keys k`, whose values [`GrantedKeys::bind`] binds from `$1`; `$2` is the API.
    pub(super) fn condition(&self) -> String {
        let places: Vec<String> = (0..self.profiles.len()).map(|index| format!("${}", index + 3)).collect();
        let of_profiles = if places.is_empty() { "''".to_owned() } else { places.join(", ") };
        format!(
            "k.organization = $1 AND k.state <> 'revoked' AND (k.profile IN ({of_profiles}) OR k.id IN \
             (SELECT key_id FROM key_grants WHERE organization = $1 AND kind = 'api' AND value = $2))"
        )
    }

    /// The number of the next value.
    pub(super) fn next(&self) -> usize {
        self.profiles.len() + 3
    }

    pub(super) fn bind(&self, statement: Query) -> Query {
        let statement = statement.bind(self.api.organization.as_str()).bind(self.api.id.as_str());
        self.profiles.iter().fold(statement, |statement, name| statement.bind(name.as_str()))
    }
}

impl Store {
    /// Returns the number of keys that have each API in effect, by API ID, without those that are revoked.
    pub async fn keys_of_apis(
        &self,
        organization: &Slug,
        shared: &SharedAccess,
    ) -> Result<Vec<(ApiId, u64)>, StoreError> {
        let mut numbers: BTreeMap<ApiId, u64> = BTreeMap::new();
        let alone = query(
            // All parts are read from an index alone, not from the rows of the keys.
            "SELECT value AS api, COUNT(*) AS n FROM key_grants WHERE organization = $1 AND kind = 'api' AND key_id NOT IN \
             (SELECT id FROM api_keys WHERE organization = $1 AND state = 'revoked') AND key_id NOT IN \
             (SELECT id FROM api_keys WHERE organization = $1 AND profile IS NOT NULL) GROUP BY value",
        );
        for row in alone.bind(organization.as_str()).fetch_all(&self.database).await? {
            numbers.insert(api_id(&row.try_get::<String>("api")?)?, number(&row)?);
        }
        let with_profile = query(
            "SELECT k.profile AS profile, g.value AS api, COUNT(*) AS n FROM api_keys k \
             LEFT JOIN key_grants g ON g.key_id = k.id AND g.kind = 'api' \
             WHERE k.organization = $1 AND k.profile IS NOT NULL AND k.state <> 'revoked' GROUP BY k.profile, g.value",
        );
        for row in with_profile.bind(organization.as_str()).fetch_all(&self.database).await? {
            let Some(profile) = shared.profile(&slug(row.try_get("profile")?)?) else { continue };
            // Without grants of its own, a key has all APIs of its profile.
            let own = row.try_get::<Option<String>>("api")?.map(|text| api_id(&text)).transpose()?;
            for grant in profile.grants.iter().filter(|grant| own.is_none_or(|own| own == grant.api)) {
                *numbers.entry(grant.api).or_default() += number(&row)?;
            }
        }
        Ok(numbers.into_iter().collect())
    }

    /// Returns the scopes that each key has in effect for an API, without keys that are revoked.
    pub async fn grants_of_api(&self, api: &Api, shared: &SharedAccess) -> Result<Vec<ScopeSet>, StoreError> {
        let keys = GrantedKeys::new(api, shared);
        let sql = format!("SELECT k.grants AS grants, k.profile AS profile FROM api_keys k WHERE {}", keys.condition());
        let rows = keys.bind(query(AssertSqlSafe(sql))).fetch_all(&self.database).await?;
        let granted = |row: &Row| {
            let grants = grants_from(&row.try_get::<String>("grants")?)?;
            let profile = row.try_get::<Option<String>>("profile")?.map(slug).transpose()?;
            Ok(shared.grants_with(profile.as_ref(), &grants).get(api.id).cloned())
        };
        rows.iter().filter_map(|row| granted(row).transpose()).collect()
    }
}

fn number(row: &Row) -> Result<u64, StoreError> {
    unsigned(row.try_get("n")?, "number of keys")
}
