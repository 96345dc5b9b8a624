//! The access that keys have in effect, to find keys by it.
//!
//! The columns and grants of a key are its own access. What a profile and named networks make of it is decided in Rust, for each
//! different combination of references and own settings. There are few of them, and statements select the keys of those that match.

use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::store::key_rows::{grants_from, names_from, networks_from};
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::statement::{Row, query};
use crate::store::{Store, StoreError, named_networks, profiles};

/// Maximum number of combinations that a statement selects: the databases limit the values of a statement.
const MOST: usize = 4_000;

/// The access in effect of keys that refer to a profile or to networks.
#[derive(Clone, Debug, Default)]
pub(super) struct InEffect {
    /// Whether keys refer to anything. If not, their own access is their access.
    is_shared: bool,
    grants: Vec<SharedGrants>,
    networks: Vec<SharedNetworks>,
}

/// Keys with the same profile and the same grants of their own.
#[derive(Clone, Debug)]
pub(super) struct SharedGrants {
    profile: String,
    /// The column `grants`.
    own: String,
    /// Number of keys, without revoked ones.
    pub(super) keys: u64,
    pub(super) in_effect: Grants,
}

/// Keys with the same profile, networks of their own and named networks.
#[derive(Clone, Debug)]
struct SharedNetworks {
    /// Empty without a profile.
    profile: String,
    /// The columns `networks` and `named_networks`.
    own: [String; 2],
    in_effect: Networks,
}

/// The parts of the access that a list needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Parts {
    pub(super) grants: bool,
    pub(super) networks: bool,
}

impl Store {
    /// Returns the grants of the keys that have a profile.
    pub(super) async fn shared_grants(&self, organization: &Slug) -> Result<Vec<SharedGrants>, StoreError> {
        Ok(self.in_effect(organization, Parts { grants: true, networks: false }).await?.grants)
    }

    /// Reads parts of the access of keys with references.
    pub(super) async fn in_effect(&self, organization: &Slug, parts: Parts) -> Result<InEffect, StoreError> {
        let mut access = InEffect::default();
        if parts == Parts::default() {
            return Ok(access);
        }
        let profiles = profiles::read(&self.database, Some(organization)).await?;
        let networks = named_networks::read(&self.database, Some(organization)).await?;
        let shared = SharedAccess::new(profiles, networks);
        access.is_shared = shared.profiles().len() + shared.networks().len() > 0;
        if !access.is_shared {
            return Ok(access);
        }
        if parts.grants {
            let reading = query(
                "SELECT profile, grants, CAST(COALESCE(SUM(CASE WHEN state <> 'revoked' THEN 1 ELSE 0 END), 0) AS BIGINT) AS n \
                 FROM api_keys WHERE organization = $1 AND profile IS NOT NULL GROUP BY profile, grants",
            );
            let rows = reading.bind(organization.as_str()).fetch_all(&self.database).await?;
            access.grants = rows.iter().map(|row| SharedGrants::from_row(row, &shared)).collect::<Result<_, _>>()?;
        }
        if parts.networks {
            let reading = query(
                "SELECT DISTINCT COALESCE(profile, '') AS profile, networks, named_networks FROM api_keys \
                 WHERE organization = $1 AND profile IS NOT NULL \
                 UNION SELECT DISTINCT COALESCE(profile, ''), networks, named_networks FROM api_keys \
                 WHERE id IN (SELECT key_id FROM key_grants WHERE organization = $1 AND kind = 'named')",
            );
            let rows = reading.bind(organization.as_str()).fetch_all(&self.database).await?;
            access.networks =
                rows.iter().map(|row| SharedNetworks::from_row(row, &shared)).collect::<Result<_, _>>()?;
        }
        Ok(access)
    }
}

impl SharedGrants {
    fn from_row(row: &Row, shared: &SharedAccess) -> Result<Self, StoreError> {
        let (profile, own) = (row.try_get::<String>("profile")?, row.try_get::<String>("grants")?);
        let grants = grants_from(&own)?;
        let in_effect = shared.grants_with(Some(&slug(profile.clone())?), &grants).into_owned();
        Ok(Self { profile, own, keys: unsigned(row.try_get("n")?, "number of keys")?, in_effect })
    }
}

impl SharedNetworks {
    fn from_row(row: &Row, shared: &SharedAccess) -> Result<Self, StoreError> {
        let profile: String = row.try_get("profile")?;
        let own = [row.try_get::<String>("networks")?, row.try_get("named_networks")?];
        let name = if profile.is_empty() { None } else { Some(slug(profile.clone())?) };
        let [list, named] = &own;
        let (list, named) = (networks_from(list)?, names_from(named)?);
        let in_effect = shared.networks_with(name.as_ref(), &list, &named).into_owned();
        Ok(Self { profile, own, in_effect })
    }
}

impl InEffect {
    /// Returns the condition that the grants of a key match. `own` is the condition on its own grants, and `bind` adds a value.
    pub(super) fn by_grants(
        &self,
        own: String,
        matches: impl Fn(&Grants) -> bool,
        mut bind: impl FnMut(&str) -> String,
    ) -> String {
        if !self.is_shared {
            return own;
        }
        let mut condition = format!("({own} AND profile IS NULL");
        let found: Vec<&SharedGrants> = self.grants.iter().filter(|keys| matches(&keys.in_effect)).take(MOST).collect();
        if !found.is_empty() {
            let rows: Vec<String> =
                found.iter().map(|keys| format!("({}, {})", bind(&keys.profile), bind(&keys.own))).collect();
            condition.push_str(&format!(
                " OR id IN (SELECT id FROM api_keys WHERE organization = $1 AND (profile, grants) IN (VALUES {}))",
                rows.join(", ")
            ));
        }
        condition + ")"
    }

    /// Returns the condition that the networks of a key match.
    pub(super) fn by_networks(
        &self,
        own: String,
        matches: impl Fn(&Networks) -> bool,
        mut bind: impl FnMut(&str) -> String,
    ) -> String {
        if !self.is_shared {
            return own;
        }
        let mut condition = format!("({own} AND profile IS NULL AND named_networks = ''");
        let found = self.networks.iter().filter(|keys| matches(&keys.in_effect)).take(MOST);
        let (of_profiles, others): (Vec<_>, Vec<_>) = found.partition(|keys| !keys.profile.is_empty());
        if !of_profiles.is_empty() {
            let rows: Vec<String> = of_profiles
                .iter()
                .map(|SharedNetworks { profile, own: [list, named], .. }| {
                    format!("({}, {}, {})", bind(profile), bind(list), bind(named))
                })
                .collect();
            condition.push_str(&format!(
                " OR id IN (SELECT id FROM api_keys WHERE organization = $1 AND profile IS NOT NULL \
                 AND (profile, networks, named_networks) IN (VALUES {}))",
                rows.join(", ")
            ));
        }
        if !others.is_empty() {
            let rows: Vec<String> = others
                .iter()
                .map(|SharedNetworks { own: [list, named], .. }| format!("({}, {})", bind(list), bind(named)))
                .collect();
            condition.push_str(&format!(
                " OR id IN (SELECT id FROM api_keys WHERE id IN \
                 (SELECT key_id FROM key_grants WHERE organization = $1 AND kind = 'named') \
                 AND profile IS NULL AND (networks, named_networks) IN (VALUES {}))",
                rows.join(", ")
            ));
        }
        condition + ")"
    }
}
