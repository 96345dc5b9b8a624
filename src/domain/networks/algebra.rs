//! Lists of networks as sets of addresses: union, intersection, difference.

use ipnet::{IpNet, Ipv6Net};

use crate::domain::networks::{EVERYTHING, Networks};

/// The only entry of a list that allows no address: every IPv4-mapped address counts as an IPv4 address. It cannot be entered,
/// and its text is never written, because other software reads it as all of IPv4.
const NOWHERE: IpNet = IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96));

impl Networks {
    /// A list that allows no address.
    pub fn none() -> Self {
        Self(vec![NOWHERE])
    }

    /// Whether no address is allowed.
    pub fn is_none(&self) -> bool {
        self.0 == [NOWHERE]
    }

    /// Returns a list that allows the addresses of any of these entries. Without entries it allows none.
    pub fn of_entries(entries: impl IntoIterator<Item = IpNet>) -> Self {
        let mut list: Vec<IpNet> = Vec::new();
        for entry in entries {
            if entry != NOWHERE && !list.iter().any(|kept| kept.contains(&entry)) {
                list.retain(|kept| !entry.contains(kept));
                list.push(entry);
            }
        }
        if list.is_empty() { Self::none() } else { Self(list) }
    }

    /// Returns the entries; those of `*` for an empty list.
    pub fn entries(&self) -> impl Iterator<Item = IpNet> {
        let list = if self.0.is_empty() { EVERYTHING.as_slice() } else { self.0.as_slice() };
        list.iter().copied()
    }

    /// Returns the addresses that both lists allow.
    pub fn intersection(&self, other: &Self) -> Self {
        if self.0.is_empty() || other.0.is_empty() {
            return if self.0.is_empty() { other.clone() } else { self.clone() };
        }
        let both = |one: IpNet, other: IpNet| match (one.contains(&other), other.contains(&one)) {
            (true, _) => Some(other),
            (false, true) => Some(one),
            (false, false) => None,
        };
        Self::of_entries(self.entries().flat_map(|one| other.entries().filter_map(move |other| both(one, other))))
    }

    /// Returns the addresses that this list allows and none of the excluded networks contains.
    pub fn without(&self, excluded: &[IpNet]) -> Self {
        if excluded.is_empty() {
            return self.clone();
        }
        let mut left: Vec<IpNet> = self.entries().collect();
        for hole in excluded {
            left = left.into_iter().flat_map(|network| cut(network, *hole)).collect();
        }
        // Not compared with each other, because there can be thousands.
        left.retain(|network| *network != NOWHERE);
        if left.is_empty() { Self::none() } else { Self(left) }
    }
}

/// Returns the networks that are left of `network` without `hole`.
fn cut(network: IpNet, hole: IpNet) -> Vec<IpNet> {
    if hole.contains(&network) {
        return Vec::new();
    }
    if !network.contains(&hole) {
        return vec![network];
    }
    let (mut left, mut inner) = (Vec::new(), hole);
    while inner != network {
        let Some(outer) = inner.supernet() else { break };
        left.extend(outer.subnets(inner.prefix_len()).into_iter().flatten().filter(|half| *half != inner));
        inner = outer;
    }
    left
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    const ENTRIES: [&str; 9] = [
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.128.0.0/9",
        "10.0.0.1/32",
        "10.0.0.0/30",
        "0.0.0.0/0",
        "2001:db8::/32",
        "2001:db8::/126",
        "::/0",
    ];
    const ADDRESSES: [&str; 8] = [
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.4",
        "10.200.0.1",
        "192.0.2.1",
        "2001:db8::1",
        "2001:db8::9",
        "::ffff:10.0.0.1",
    ];

    fn any_list() -> impl Strategy<Value = Networks> {
        let parsed = |list: Vec<&str>| Networks::parse(&list).unwrap();
        prop::sample::subsequence(ENTRIES.to_vec(), 0..4).prop_map(parsed)
    }

    fn any_entries() -> impl Strategy<Value = Vec<IpNet>> {
        let parsed = |list: Vec<&str>| list.into_iter().map(|entry| entry.parse().unwrap()).collect();
        prop::sample::subsequence(ENTRIES.to_vec(), 0..4).prop_map(parsed)
    }

    fn addresses() -> impl Iterator<Item = IpAddr> {
        ADDRESSES.iter().map(|address| address.parse().unwrap())
    }

    proptest! {
        #[test]
        fn operations_agree_with_membership(one in any_list(), other in any_list(), holes in any_entries()) {
            let (both, rest) = (one.intersection(&other), one.without(&holes));
            let either = Networks::of_entries(one.entries().chain(other.entries()));
            for address in addresses() {
                let folded = address.to_canonical();
                let is_excluded = holes.iter().any(|hole| hole.contains(&folded));
                prop_assert_eq!(both.allows(address), one.allows(address) && other.allows(address), "{} in {}", address, both);
                prop_assert_eq!(either.allows(address), one.allows(address) || other.allows(address), "{} in {}", address, either);
                prop_assert_eq!(rest.allows(address), one.allows(address) && !is_excluded, "{} in {}", address, rest);
            }
            prop_assert!(one.contains(&both) && other.contains(&both) && one.contains(&rest));
            prop_assert!(either.contains(&one) && either.contains(&other));
        }
    }

    #[test]
    fn a_network_is_cut_into_its_other_parts() {
        let list = Networks::parse(&["10.0.0.0/29"]).unwrap();
        assert_eq!(list.without(&["10.0.0.3/32".parse().unwrap()]).to_string(), "10.0.0.2/32,10.0.0.0/31,10.0.0.4/30");
    }

    #[test]
    fn an_empty_set_allows_no_address_and_is_part_of_every_list() {
        let none = Networks::parse(&["10.0.0.0/8"]).unwrap().intersection(&Networks::parse(&["::/0"]).unwrap());
        assert!(none.is_none() && addresses().all(|address| !none.allows(address)));
        assert!(Networks::parse(&["192.0.2.1"]).unwrap().contains(&none) && !none.contains(&Networks::all()));
        assert!(Networks::all().without(&EVERYTHING).is_none());
        assert_eq!((none.to_strings(), none.to_string()), (vec!["none".to_owned()], "none".into()));
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"["none"]"#);
        assert!(Networks::parse(&none.to_strings()).is_err(), "it cannot be entered");
        assert!(Networks::parse(&[NOWHERE.to_string()]).is_err(), "nor can its entry");
    }
}
