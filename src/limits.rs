//! How often something may come from one address. Imports `domain` only.
//!
//! Failures are limited, and secrets that take long to check; never a good key, so that no stranger behind
//! the same address can keep it from its token.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::decision::ClientAddress;

/// The limit, by IPv4 address and IPv6 /64. Callers whose address is unreadable share one.
pub struct AddressLimit(Option<DefaultKeyedRateLimiter<IpAddr>>);

impl AddressLimit {
    /// So many a minute, in a burst or spread; 0 is no limit.
    pub fn per_minute(most: u32) -> Self {
        Self(NonZeroU32::new(most).map(|most| RateLimiter::keyed(Quota::per_minute(most))))
    }

    /// Counts one. When there were too many, says after how many seconds to come back.
    pub fn count(&self, address: ClientAddress) -> Result<(), u64> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter
            .check_key(&network(address))
            .map_err(|until| until.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
    }

    /// Forgets addresses that have been quiet for long.
    pub fn tidy(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// How often somebody may do something, by a name of it: as trying to sign in as one member.
pub struct AccountLimit(DefaultKeyedRateLimiter<String>);

impl AccountLimit {
    /// So many a minute, in a burst or spread.
    pub fn per_minute(most: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(most)))
    }

    /// Counts one. When there were too many, says after how many seconds to come back.
    pub fn count(&self, account: &str) -> Result<(), u64> {
        self.0
            .check_key(&account.to_owned())
            .map_err(|until| until.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
    }

    /// Forgets accounts that have been quiet for long.
    pub fn tidy(&self) {
        self.0.retain_recent();
    }
}

/// What an address is counted as: itself, or its /64.
pub fn network(address: ClientAddress) -> IpAddr {
    match address {
        ClientAddress::Known(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        ClientAddress::Known(address) => address,
        ClientAddress::Unreadable(_) | ClientAddress::NotTheCaller => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
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
