//! The effect of a change of a profile or a named network, before it is made: on the access of the keys that refer to it, and on
//! their recent requests.

use crate::domain::apis::ApiId;
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::profile::{NamedNetwork, Profile};
use crate::domain::scope::Scope;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::day_of;
use crate::node::{Node, Tenant, Unavailable};
use crate::store::SharingKeys;
use crate::usage::details::DAYS;
use crate::usage::impact::{Impact, ScopeChange, denied_uses};

/// A change of what keys share.
#[derive(Clone, Debug)]
pub enum SharedChange {
    /// A profile before and after.
    Profile(Box<Profile>, Box<Profile>),
    /// A network before and after.
    Network(Box<NamedNetwork>, Box<NamedNetwork>),
}

/// The effect of a change on all keys that refer to a profile or network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedImpact {
    /// Number of keys, without revoked ones.
    pub keys: u64,
    /// The scopes that a profile loses and gains, by API.
    pub lost_scopes: Vec<(ApiId, Scope)>,
    pub gained_scopes: Vec<(ApiId, Scope)>,
    /// Parts of the networks before that are not allowed after, and the other way round.
    pub lost_networks: Networks,
    pub gained_networks: Networks,
    /// The longest lifetime of tokens, if the change makes that of an API that the profile grants shorter.
    pub shorter_lifetime: Option<u32>,
    /// Successful requests that the change would have denied. Of a network: requests from the addresses that it loses, which
    /// other networks of a key can still allow.
    pub denied: Impact,
}

/// Returns the effect of a change of a profile or network on its keys and on their requests of the last 30 days.
pub async fn shared_impact(
    node: &Node,
    tenant: &Tenant,
    change: &SharedChange,
    now: Timestamp,
) -> Result<SharedImpact, Unavailable> {
    let first_day = day_of(now).saturating_sub(DAYS - 1);
    let sharing = sharing(tenant, change);
    let keys = node.store.count_sharing(&sharing).await?;
    let details = node.store.usage_of_sharing(&sharing, first_day).await?;
    let nothing = Grants::default();
    let (grants, addresses) = match change {
        SharedChange::Profile(old, new) => {
            let after = tenant.shared.with_profile((**new).clone());
            let addresses = [&tenant.shared, &after].map(|shared| shared.addresses_of_profile(&old.name));
            ([&old.grants, &new.grants], addresses)
        }
        SharedChange::Network(old, new) => ([&nothing, &nothing], [old.addresses(), new.addresses()]),
    };
    let [old_addresses, new_addresses] = &addresses;
    let lost_networks = beyond(old_addresses, new_addresses);
    let scopes = match change {
        SharedChange::Profile(old, new) => {
            Some(ScopeChange { apis: &tenant.apis, old: Some(&old.grants), new: &new.grants })
        }
        SharedChange::Network(..) => None,
    };
    let denied = denied_uses(details, first_day, Some(&|address| !lost_networks.allows(address)), scopes);
    Ok(SharedImpact {
        keys,
        lost_scopes: missing(grants[0], grants[1]),
        gained_scopes: missing(grants[1], grants[0]),
        gained_networks: beyond(new_addresses, old_addresses),
        lost_networks,
        shorter_lifetime: match change {
            SharedChange::Profile(old, new) => new.token_ttl_seconds.filter(|_| {
                let in_effect = |profile: &Profile, api: u32| profile.token_ttl_seconds.map_or(api, |ttl| ttl.min(api));
                let granted = tenant.apis.iter().filter(|served| old.grants.get(served.api.id).is_some());
                granted.map(|served| served.ttl_seconds).any(|api| in_effect(new, api) < in_effect(old, api))
            }),
            SharedChange::Network(..) => None,
        },
        denied,
    })
}

/// The keys that refer to what changes.
fn sharing(tenant: &Tenant, change: &SharedChange) -> SharingKeys {
    let organization = tenant.organization.slug.clone();
    match change {
        SharedChange::Profile(old, _) => SharingKeys { organization, profiles: vec![old.name.clone()], network: None },
        SharedChange::Network(old, _) => {
            let refers = |profile: &&Profile| profile.named_networks.contains(&old.name);
            let profiles: Vec<Slug> = tenant.shared.profiles().filter(refers).map(|held| held.name.clone()).collect();
            SharingKeys { organization, profiles, network: Some(old.name.clone()) }
        }
    }
}

/// The scopes of `one` that `other` does not contain.
fn missing(one: &Grants, other: &Grants) -> Vec<(ApiId, Scope)> {
    let is_missing = |(api, scope): &(ApiId, &Scope)| !other.get(*api).is_some_and(|held| held.contains(scope));
    one.scopes().filter(is_missing).map(|(api, scope)| (api, scope.clone())).collect()
}

/// The addresses that `one` allows and `other` does not.
fn beyond(one: &Networks, other: &Networks) -> Networks {
    let other: Vec<_> = other.entries().collect();
    one.without(&other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scope::ScopeSet;

    #[test]
    fn lost_and_gained_networks_are_what_only_one_side_allows() {
        let networks = |list: &[&str]| Networks::parse(list).unwrap();
        let (old, new) = (networks(&["10.0.0.0/30", "192.0.2.0/24"]), networks(&["10.0.0.0/31", "::/0"]));
        assert_eq!(beyond(&old, &new).to_string(), "10.0.0.2/31,192.0.2.0/24");
        assert_eq!(beyond(&new, &old).to_string(), "::/0");
        assert!(beyond(&new, &Networks::all()).is_none());
    }

    #[test]
    fn lost_scopes_are_those_that_no_scope_of_the_same_api_contains() {
        let grants = |text: &str| Grants::of_default(ScopeSet::parse(text).unwrap());
        let lost: Vec<String> = missing(&grants("read:a/b write"), &grants("read:a/*"))
            .iter()
            .map(|(_, scope)| scope.to_string())
            .collect();
        assert_eq!(lost, ["write"]);
        assert_eq!(missing(&grants("read"), &Grants::default()).len(), 1);
    }
}
