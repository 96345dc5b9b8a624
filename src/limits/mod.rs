//! How often something may come from one network, for one login or with one credential. Imports `domain` and `clock`.
//!
//! Failures are limited, and changes; never a good key's exchange, so that no stranger behind the same address can
//! keep it from its token. Every table is bounded.

mod network;
mod rate;
mod sign_in;

use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::domain::decision::ClientAddress;
use rate::Rate;

pub use network::{levels, name, network};
pub use sign_in::{SignInAttempt, SignInLimits};

/// A limit by IPv4 address and IPv6 /64. Callers whose address is unreadable share one.
pub struct AddressLimit(Option<Rate<IpAddr>>);

impl AddressLimit {
    /// So many a minute, in a burst or spread; 0 is no limit.
    pub fn per_minute(most: u32) -> Self {
        Self(NonZeroU32::new(most).map(Rate::per_minute))
    }

    /// Counts one. If there were too many, returns after how many seconds to come back.
    pub fn count(&self, address: ClientAddress) -> Result<(), u64> {
        self.0.as_ref().map_or(Ok(()), |rate| rate.take(&network(address)))
    }

    fn give_back(&self, address: ClientAddress) {
        if let Some(rate) = &self.0 {
            rate.give_back(&network(address));
        }
    }
}

/// A limit by name, such as `key:{id}` or `member:{id}`.
pub struct NameLimit(Option<Rate<String>>);

impl NameLimit {
    /// So many a minute, in a burst or spread; 0 is no limit.
    pub fn per_minute(most: u32) -> Self {
        Self(NonZeroU32::new(most).map(Rate::per_minute))
    }

    /// Counts one. If there were too many, returns after how many seconds to come back.
    pub fn count(&self, name: &str) -> Result<(), u64> {
        self.0.as_ref().map_or(Ok(()), |rate| rate.take(&name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> ClientAddress {
        ClientAddress::Known(address.parse().unwrap())
    }

    #[test]
    fn each_address_has_its_own_limit_and_a_network_of_ipv6_one() {
        let limit = AddressLimit::per_minute(2);
        assert!(limit.count(at("192.0.2.1")).is_ok() && limit.count(at("192.0.2.1")).is_ok());
        assert!(limit.count(at("192.0.2.1")).is_err_and(|seconds| (1..=31).contains(&seconds)));
        assert!(limit.count(at("192.0.2.2")).is_ok());
        assert!(limit.count(at("2001:db8::1")).is_ok() && limit.count(at("2001:db8::2")).is_ok());
        assert!(limit.count(at("2001:db8::3")).is_err() && limit.count(at("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn zero_is_no_limit() {
        let limit = AddressLimit::per_minute(0);
        assert!((0..10_000).all(|_| limit.count(at("192.0.2.1")).is_ok()));
    }
}
