//! What the profile and the named networks of a key come to.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::api_key::ApiKey;
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::profile::{NamedNetwork, Profile};
use crate::domain::slug::Slug;

/// The profiles and named networks of an organization, each sorted by name, with the addresses that they allow.
///
/// A key without references has its own grants and networks. A profile or network that does not exist allows nothing.
#[derive(Clone, Debug, Default)]
pub struct SharedAccess {
    profiles: Vec<(Profile, Networks)>,
    networks: Vec<(NamedNetwork, Networks)>,
}

/// The versions of the profile and networks that a key refers to. One of the two increases with every change of its access in
/// effect by them: neither is deleted while a key refers to it, and a profile that refers to other networks has another version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedVersion {
    /// The version of the key's profile.
    pub profile: Option<u64>,
    /// The sum of the versions of the networks that the key and its profile refer to.
    pub networks: u64,
}

impl SharedAccess {
    /// Without profiles and networks.
    pub const fn empty() -> Self {
        Self { profiles: Vec::new(), networks: Vec::new() }
    }

    pub fn new(profiles: Vec<Profile>, networks: Vec<NamedNetwork>) -> Self {
        let mut networks: Vec<_> = networks.into_iter().map(|network| (network.addresses(), network)).collect();
        networks.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        let networks = networks.into_iter().map(|(addresses, network)| (network, addresses)).collect();
        let mut shared = Self { profiles: Vec::new(), networks };
        let resolve = |profile: Profile| {
            let addresses = shared.union(&profile.networks, &profile.named_networks).into_owned();
            (profile, addresses)
        };
        let mut profiles: Vec<_> = profiles.into_iter().map(resolve).collect();
        profiles.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        shared.profiles = profiles;
        shared
    }

    /// Returns the profiles, sorted by name.
    pub fn profiles(&self) -> impl ExactSizeIterator<Item = &Profile> + Clone {
        self.profiles.iter().map(|(profile, _)| profile)
    }

    /// Returns the named networks, sorted by name.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = &NamedNetwork> + Clone {
        self.networks.iter().map(|(network, _)| network)
    }

    pub fn profile(&self, name: &Slug) -> Option<&Profile> {
        self.held_profile(name).map(|(profile, _)| profile)
    }

    pub fn network(&self, name: &Slug) -> Option<&NamedNetwork> {
        self.held_network(name).map(|(network, _)| network)
    }

    /// Returns the addresses that a profile allows.
    pub fn addresses_of_profile(&self, name: &Slug) -> Networks {
        self.held_profile(name).map_or_else(Networks::none, |(_, addresses)| addresses.clone())
    }

    /// Returns the same with one profile added or replaced.
    pub fn with_profile(&self, profile: Profile) -> Self {
        let others = self.profiles().filter(|held| held.name != profile.name).cloned();
        Self::new(others.chain([profile.clone()]).collect(), self.networks().cloned().collect())
    }

    /// Returns the same with one network added or replaced.
    pub fn with_network(&self, network: NamedNetwork) -> Self {
        let others = self.networks().filter(|held| held.name != network.name).cloned();
        Self::new(self.profiles().cloned().collect(), others.chain([network.clone()]).collect())
    }

    /// Returns the scopes of a key: what both its profile and its own grants allow. A key with a profile and without grants
    /// of its own has all that the profile grants.
    pub fn grants_of<'a>(&'a self, key: &'a ApiKey) -> Cow<'a, Grants> {
        self.grants_with(key.profile.as_ref(), &key.grants)
    }

    /// Returns what is left of the own grants of a key by its profile, as [`SharedAccess::grants_of`].
    pub fn grants_with<'a>(&'a self, profile: Option<&Slug>, own: &'a Grants) -> Cow<'a, Grants> {
        let Some(name) = profile else { return Cow::Borrowed(own) };
        match self.profile(name) {
            None => Cow::Owned(Grants::default()),
            Some(profile) if own.is_empty() => Cow::Borrowed(&profile.grants),
            Some(profile) => Cow::Owned(profile.grants.intersection(own)),
        }
    }

    /// Returns the networks of a key: what both its profile and its own networks allow.
    pub fn networks_of<'a>(&'a self, key: &'a ApiKey) -> Cow<'a, Networks> {
        self.networks_with(key.profile.as_ref(), &key.networks, &key.named_networks)
    }

    /// Returns the networks of a key with a profile and networks of its own.
    pub fn networks_with<'a>(
        &'a self,
        profile: Option<&Slug>,
        list: &'a Networks,
        named: &[Slug],
    ) -> Cow<'a, Networks> {
        let own = self.union(list, named);
        let Some(name) = profile else { return own };
        match self.held_profile(name) {
            None => Cow::Owned(Networks::none()),
            Some((_, addresses)) if own.iter().len() == 0 => Cow::Borrowed(addresses),
            Some((_, addresses)) => Cow::Owned(addresses.intersection(&own)),
        }
    }

    /// Returns the networks that a key allows by itself, without its profile; empty for every address.
    pub fn own_networks_of<'a>(&self, key: &'a ApiKey) -> Cow<'a, Networks> {
        self.union(&key.networks, &key.named_networks)
    }

    /// Whether a key can be used from an address: the same as `networks_of(key).allows(address)`. Does not allocate.
    pub fn allows(&self, key: &ApiKey, address: IpAddr) -> bool {
        let own = match key.named_networks.as_slice() {
            [] => key.networks.allows(address),
            named => {
                let is_in = |name| self.held_network(name).is_some_and(|(_, addresses)| addresses.allows(address));
                key.networks.lists(address) || named.iter().any(is_in)
            }
        };
        own && key
            .profile
            .as_ref()
            .is_none_or(|name| self.held_profile(name).is_some_and(|(_, addresses)| addresses.allows(address)))
    }

    /// Whether a key can be used from no address at all, because those of its profile and its own have none in common.
    pub fn allows_nowhere(&self, key: &ApiKey) -> bool {
        has_references(key) && self.networks_of(key).is_none()
    }

    /// Returns the versions of what a key refers to; `None` if it refers to nothing.
    pub fn version_of(&self, key: &ApiKey) -> Option<SharedVersion> {
        if !has_references(key) {
            return None;
        }
        let profile = key.profile.as_ref().and_then(|name| self.profile(name));
        let of_profile = profile.iter().flat_map(|profile| &profile.named_networks);
        let networks = key.named_networks.iter().chain(of_profile).filter_map(|name| self.network(name));
        Some(SharedVersion {
            profile: profile.map(|profile| profile.version),
            networks: networks.map(|network| network.version).sum(),
        })
    }

    /// Returns the longest lifetime of a key's tokens in seconds, if its profile limits it.
    pub fn token_ttl_of(&self, key: &ApiKey) -> Option<u32> {
        self.profile(key.profile.as_ref()?)?.token_ttl_seconds
    }

    /// Returns a key with the grants and networks that it has in effect.
    pub fn effective<'a>(&self, key: &'a ApiKey) -> Cow<'a, ApiKey> {
        if !has_references(key) {
            return Cow::Borrowed(key);
        }
        let (grants, networks) = (self.grants_of(key).into_owned(), self.networks_of(key).into_owned());
        Cow::Owned(ApiKey { grants, networks, ..key.clone() })
    }

    /// Returns the addresses of a list and of named networks together; all if there are neither.
    fn union<'a>(&self, list: &'a Networks, named: &[Slug]) -> Cow<'a, Networks> {
        if named.is_empty() {
            return Cow::Borrowed(list);
        }
        let named = named.iter().filter_map(|name| self.held_network(name));
        let entries: Vec<IpNet> = list.iter().chain(named.flat_map(|(_, addresses)| addresses.entries())).collect();
        Cow::Owned(Networks::of_entries(entries))
    }

    fn held_profile(&self, name: &Slug) -> Option<&(Profile, Networks)> {
        let place = self.profiles.binary_search_by(|(profile, _)| profile.name.cmp(name)).ok()?;
        self.profiles.get(place)
    }

    fn held_network(&self, name: &Slug) -> Option<&(NamedNetwork, Networks)> {
        let place = self.networks.binary_search_by(|(network, _)| network.name.cmp(name)).ok()?;
        self.networks.get(place)
    }
}

/// Whether the access of a key depends on a profile or on named networks.
pub fn has_references(key: &ApiKey) -> bool {
    key.profile.is_some() || !key.named_networks.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::api_key::tests::key;
    use crate::domain::apis::ApiId;
    use crate::domain::grants::Grant;
    use crate::domain::scope::{Scope, ScopeSet};
    use crate::domain::timestamp::Timestamp;

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn profile(name: &str, grants: Grants, networks: &[&str], named: &[&str]) -> Profile {
        Profile {
            organization: Slug::default_organization(),
            name: slug(name),
            description: String::new(),
            grants,
            networks: Networks::parse(networks).unwrap(),
            named_networks: named.iter().map(|name| slug(name)).collect(),
            token_ttl_seconds: None,
            version: 1,
            created_at: Timestamp::from_seconds(0),
        }
    }

    fn network(name: &str, cidrs: &[&str], excluded: &[&str]) -> NamedNetwork {
        NamedNetwork {
            organization: Slug::default_organization(),
            name: slug(name),
            description: String::new(),
            cidrs: Networks::parse(cidrs).unwrap(),
            excluded: excluded.iter().map(|entry| entry.parse().unwrap()).collect(),
            version: 1,
            created_at: Timestamp::from_seconds(0),
        }
    }

    const SCOPES: [&str; 7] = ["read:a", "read:a/*", "read:#", "read:*", "*:*", "write:a/b", "read:keyturn/keys"];
    const ASKED: [&str; 6] = ["read:a", "read:a/b", "read:c", "write:a/b", "read:keyturn/keys", "write:keyturn/keys"];
    const CIDRS: [&str; 6] = ["10.0.0.0/8", "10.0.0.0/9", "10.0.0.1/32", "2001:db8::/32", "0.0.0.0/0", "10.0.0.0/30"];
    const ADDRESSES: [&str; 6] = ["10.0.0.1", "10.0.0.2", "10.200.0.1", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1"];

    fn api(index: u8) -> ApiId {
        if index == 0 { ApiId::DEFAULT } else { ApiId::from_random([index; 16]) }
    }

    fn any_grants() -> impl Strategy<Value = Grants> {
        let one = || prop::option::of(prop::sample::subsequence(SCOPES.to_vec(), 0..4));
        (one(), one()).prop_map(|(first, second)| {
            let grant = |(index, scopes): (u8, Option<Vec<&str>>)| {
                scopes.map(|scopes| Grant { api: api(index), scopes: ScopeSet::parse(&scopes.join(" ")).unwrap() })
            };
            Grants::new([(0, first), (1, second)].into_iter().filter_map(grant))
        })
    }

    fn any_cidrs(least: usize) -> impl Strategy<Value = Vec<&'static str>> {
        prop::sample::subsequence(CIDRS.to_vec(), least..4)
    }

    fn any_names() -> impl Strategy<Value = Vec<&'static str>> {
        prop::sample::subsequence(vec!["lab", "office", "gone"], 0..3)
    }

    proptest! {
        #[test]
        fn a_key_has_no_scope_that_its_profile_and_its_own_grants_do_not_both_have(
            granted in any_grants(), own in any_grants(), asked in prop::sample::select(ASKED.to_vec()), index in 0..2_u8
        ) {
            let shared = SharedAccess::new(vec![profile("p", granted.clone(), &[], &[])], Vec::new());
            let subject = ApiKey { profile: Some(slug("p")), grants: own.clone(), ..key("", &[]) };
            let asked = Scope::parse(asked).unwrap();
            let has = |grants: &Grants| grants.get(api(index)).is_some_and(|scopes| scopes.contains(&asked));
            let effective = shared.grants_of(&subject);
            prop_assert!(!has(&effective) || has(&granted), "not of the profile");
            prop_assert!(!has(&effective) || own.is_empty() || has(&own), "not of the key");
            if own.is_empty() {
                prop_assert_eq!(&*effective, &granted);
            }
        }

        #[test]
        fn an_address_must_be_allowed_by_key_and_profile(
            list in any_cidrs(0), named in any_names(), of_profile in any_cidrs(0), named_by_profile in any_names(),
            (lab, office, excluded) in (any_cidrs(1), any_cidrs(1), any_cidrs(0))
        ) {
            let networks = vec![network("office", &office, &excluded), network("lab", &lab, &[])];
            let profile = profile("p", Grants::default(), &of_profile, &named_by_profile);
            let shared = SharedAccess::new(vec![profile], networks);
            let holds = |list: &[&str], address: IpAddr| Networks::parse(list).unwrap().lists(address);
            // From the definition, without the set operations.
            let is_in = |name: &str, address| match name {
                "lab" => holds(&lab, address),
                "office" => holds(&office, address) && !holds(&excluded, address),
                _ => false,
            };
            let allows = |list: &[&str], names: &[&str], address| {
                list.is_empty() && names.is_empty()
                    || holds(list, address)
                    || names.iter().any(|name| is_in(name, address))
            };
            let alone = ApiKey { named_networks: named.iter().map(|name| slug(name)).collect(), ..key("", &list) };
            let subject = ApiKey { profile: Some(slug("p")), ..alone.clone() };
            for address in ADDRESSES {
                let address: IpAddr = address.parse().unwrap();
                let own = allows(&list, &named, address);
                let both = own && allows(&of_profile, &named_by_profile, address);
                prop_assert_eq!(shared.allows(&alone, address), own);
                prop_assert_eq!(shared.allows(&subject, address), both, "{}", address);
                prop_assert_eq!(shared.networks_of(&subject).allows(address), both, "{}", address);
                prop_assert_eq!(shared.effective(&subject).networks.allows(address), both, "{}", address);
            }
        }
    }

    #[test]
    fn a_reference_to_nothing_allows_nothing() {
        let shared = SharedAccess::default();
        let lost = ApiKey { profile: Some(slug("gone")), ..key("read", &[]) };
        let address = "10.0.0.1".parse().unwrap();
        assert!(
            shared.grants_of(&lost).is_empty() && shared.networks_of(&lost).is_none() && !shared.allows(&lost, address)
        );
        let lost = ApiKey { named_networks: vec![slug("gone")], ..key("read", &[]) };
        assert!(shared.networks_of(&lost).is_none() && !shared.allows(&lost, address));
    }

    #[test]
    fn exclusions_win_within_their_network() {
        let shared = SharedAccess::new(Vec::new(), vec![network("office", &["10.0.0.0/8"], &["10.0.0.1/32"])]);
        let office = ApiKey { named_networks: vec![slug("office")], ..key("read", &[]) };
        let allows = |key: &ApiKey, address: &str| shared.allows(key, address.parse().unwrap());
        assert!(allows(&office, "10.0.0.2") && !allows(&office, "10.0.0.1") && !allows(&office, "::ffff:10.0.0.1"));
        let listed = ApiKey { networks: Networks::parse(&["10.0.0.1"]).unwrap(), ..office };
        assert!(allows(&listed, "10.0.0.1"), "the key allows it besides the network");
    }

    #[test]
    fn the_version_of_what_a_key_shares_increases_with_each_change() {
        let networks = |lab: u64, office: u64| {
            vec![
                NamedNetwork { version: lab, ..network("lab", &["10.0.0.0/8"], &[]) },
                NamedNetwork { version: office, ..network("office", &["10.0.0.0/8"], &[]) },
            ]
        };
        let key = ApiKey { profile: Some(slug("p")), named_networks: vec![slug("office")], ..key("read", &[]) };
        let version = |profiles: u64, named: &[&str], lab, office| {
            let profile = Profile { version: profiles, ..profile("p", Grants::default(), &[], named) };
            let shared = SharedAccess::new(vec![profile], networks(lab, office)).version_of(&key).unwrap();
            (shared.profile, shared.networks)
        };
        assert_eq!(version(1, &["lab"], 1, 1), (Some(1), 2));
        assert_eq!(version(1, &["lab"], 2, 1), (Some(1), 3));
        assert_eq!(version(1, &["lab"], 2, 2), (Some(1), 4));
        assert_eq!(version(2, &[], 9, 2), (Some(2), 2), "the profile no longer refers to the network");
        let shared = SharedAccess::new(Vec::new(), networks(1, 1));
        assert_eq!(shared.version_of(&ApiKey { profile: None, named_networks: Vec::new(), ..key.clone() }), None);
        assert_eq!(shared.version_of(&key), Some(SharedVersion { profile: None, networks: 1 }));
    }
}
