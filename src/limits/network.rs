//! The nested networks of an address. At some level, the owner of a large allocation counts as one.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use crate::domain::decision::ClientAddress;

/// Networks from the widest to the narrowest: IPv6 /32, /48, /56, /64; IPv4 /16, /24, and the address itself twice.
pub type Levels = [IpAddr; 4];

/// Returns the narrowest network: an IPv4 address, or an IPv6 /64.
pub fn network(address: ClientAddress) -> IpAddr {
    let [.., narrowest] = levels(address);
    narrowest
}

/// Returns the nested networks of an address. Callers without a known address share one.
pub fn levels(address: ClientAddress) -> Levels {
    match address {
        ClientAddress::Known(IpAddr::V6(address)) => {
            let bits = address.to_bits();
            [32, 48, 56, 64].map(|length: u32| IpAddr::V6(Ipv6Addr::from_bits(bits & (u128::MAX << (128 - length)))))
        }
        ClientAddress::Known(IpAddr::V4(address)) => {
            let bits = address.to_bits();
            [16, 24, 32, 32].map(|length: u32| IpAddr::V4(Ipv4Addr::from_bits(bits & (u32::MAX << (32 - length)))))
        }
        ClientAddress::Unreadable(_) | ClientAddress::NotTheCaller => [IpAddr::V6(Ipv6Addr::UNSPECIFIED); 4],
    }
}

/// Hashes a name. The hash is keyed, so that nobody can choose names with equal hashes.
pub fn name(of: impl std::hash::Hash) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_nested() {
        let of = |text: &str| levels(ClientAddress::Known(text.parse().unwrap())).map(|network| network.to_string());
        assert_eq!(of("203.0.113.9"), ["203.0.0.0", "203.0.113.0", "203.0.113.9", "203.0.113.9"]);
        let v6 = of("2001:db8:1:2345:6::7");
        assert_eq!(v6, ["2001:db8::", "2001:db8:1::", "2001:db8:1:2300::", "2001:db8:1:2345::"]);
    }
}
