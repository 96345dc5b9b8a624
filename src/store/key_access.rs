//! The access that keys have in effect, to find keys by it.
//!
//! The columns and grants of a key are its own access. Its access with a profile and named networks is decided in Rust, for each
//! different combination of references and own settings. There are few of them, and statements select the keys of those that match.

use std::collections::BTreeMap;

use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::store::key_rows::{grants_from, names_from, networks_from};
use crate::store::sql::columns::slug;
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
struct SharedGrants {
    profile: String,
    /// The column `grants`.
    own: String,
    in_effect: Grants,
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
            let reading =
                query("SELECT DISTINCT profile, grants FROM api_keys WHERE organization = $1 AND profile IS NOT NULL");
            let rows = reading.bind(organization.as_str()).fetch_all(&self.database).await?;
            access.grants = rows.iter().map(|row| SharedGrants::from_row(row, &shared)).collect::<Result<_, _>>()?;
        }
        if parts.networks {
            let reading = query(
                "SELECT profile, networks, named_networks FROM api_keys \
                 WHERE organization = $1 AND (profile IS NOT NULL OR named_networks <> '') \
                 GROUP BY profile, networks, named_networks",
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
        Ok(Self { profile, own, in_effect })
    }
}

impl SharedNetworks {
    fn from_row(row: &Row, shared: &SharedAccess) -> Result<Self, StoreError> {
        let profile = row.try_get::<Option<String>>("profile")?.unwrap_or_default();
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
        let all = self.grants.iter().map(|keys| (keys.profile.as_str(), keys, matches(&keys.in_effect)));
        let (profiles, others) = split(all);
        let mut any = vec![format!("{own} AND profile IS NULL")];
        any.extend(of_profiles(&profiles, &mut bind));
        let row = |keys: &&SharedGrants| format!("({}, {})", bind(&keys.profile), bind(&keys.own));
        let rows: Vec<String> = others.iter().map(row).collect();
        if !rows.is_empty() {
            any.push(format!(
                "id IN (SELECT id FROM api_keys WHERE organization = $1 AND profile IS NOT NULL \
                 AND (profile, grants) IN (VALUES {}))",
                rows.join(", ")
            ));
        }
        format!("({})", any.join(" OR "))
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
        let all = self.networks.iter().map(|keys| (keys.profile.as_str(), keys, matches(&keys.in_effect)));
        let (profiles, others) = split(all);
        let mut any = vec![format!("{own} AND profile IS NULL AND named_networks = ''")];
        any.extend(of_profiles(&profiles, &mut bind));
        let row = |SharedNetworks { profile, own: [list, named], .. }: &&SharedNetworks| {
            format!("({}, {}, {})", bind(profile), bind(list), bind(named))
        };
        let rows: Vec<String> = others.iter().map(row).collect();
        if !rows.is_empty() {
            any.push(format!(
                "id IN (SELECT id FROM api_keys WHERE organization = $1 AND (profile IS NOT NULL OR named_networks <> '') \
                 AND (COALESCE(profile, ''), networks, named_networks) IN (VALUES {}))",
                rows.join(", ")
            ));
        }
        format!("({})", any.join(" OR "))
    }
}

/// Returns the profiles of which every combination matches, and the matching combinations of others. Keys are found faster by
/// their profile alone.
fn split<'a, T>(all: impl Iterator<Item = (&'a str, &'a T, bool)>) -> (Vec<&'a str>, Vec<&'a T>) {
    let mut by_profile: BTreeMap<&str, (bool, Vec<&T>)> = BTreeMap::new();
    for (profile, keys, is_match) in all {
        let (is_whole, found) = by_profile.entry(profile).or_insert((!profile.is_empty(), Vec::new()));
        *is_whole &= is_match;
        found.extend(is_match.then_some(keys));
    }
    let (whole, parts): (Vec<_>, Vec<_>) = by_profile.into_iter().partition(|(_, (is_whole, _))| *is_whole);
    let profiles = whole.into_iter().map(|(profile, _)| profile).collect();
    (profiles, parts.into_iter().flat_map(|(_, (_, found))| found).take(MOST).collect())
}

fn of_profiles(profiles: &[&str], bind: &mut impl FnMut(&str) -> String) -> Option<String> {
    let places: Vec<String> = profiles.iter().map(|profile| bind(profile)).collect();
    (!places.is_empty()).then(|| format!("profile IN ({})", places.join(", ")))
}
