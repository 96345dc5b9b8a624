//! Rate limits by network, login and credential. Imports `domain` and `clock`.
//!
//! Limits apply to failures and changes, never to the token requests of a valid key, so that a stranger behind the same
//! address cannot block it. Every table is bounded.

mod network;
mod rate;
mod sign_in;

use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::domain::decision::ClientAddress;
use rate::Rate;

pub use network::{levels, name, network};
pub use sign_in::{SignInAttempt, SignInLimits};

/// A limit per IPv4 address or IPv6 /64. Callers without a known address share one.
pub struct AddressLimit(Option<Rate<IpAddr>>);

impl AddressLimit {
    /// Creates a limit per minute, which allows bursts; 0 is unlimited.
    pub fn per_minute(most: u32) -> Self {
        Self(NonZeroU32::new(most).map(Rate::per_minute))
    }

    /// Counts a request. Over the limit, returns the seconds to wait.
    pub fn count(&self, address: ClientAddress) -> Result<(), u64> {
        self.0.as_ref().map_or(Ok(()), |rate| rate.take(&network(address)))
    }

    fn release(&self, address: ClientAddress) {
        if let Some(rate) = &self.0 {
            rate.release(&network(address));
        }
    }
}

/// A limit by name, such as `key:{id}` or `member:{id}`.
pub struct NameLimit(Option<Rate<String>>);

impl NameLimit {
    /// Creates a limit per minute, which allows bursts; 0 is unlimited.
    pub fn per_minute(most: u32) -> Self {
        Self(NonZeroU32::new(most).map(Rate::per_minute))
    }

    /// Counts a request. Over the limit, returns the seconds to wait.
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
    fn limit_is_per_ipv4_address_or_ipv6_network() {
        let limit = AddressLimit::per_minute(2);
        assert!(limit.count(at("192.0.2.1")).is_ok() && limit.count(at("192.0.2.1")).is_ok());
        assert!(limit.count(at("192.0.2.1")).is_err_and(|seconds| (1..=31).contains(&seconds)));
        assert!(limit.count(at("192.0.2.2")).is_ok());
        assert!(limit.count(at("2001:db8::1")).is_ok() && limit.count(at("2001:db8::2")).is_ok());
        assert!(limit.count(at("2001:db8::3")).is_err() && limit.count(at("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn zero_is_unlimited() {
        let limit = AddressLimit::per_minute(0);
        assert!((0..10_000).all(|_| limit.count(at("192.0.2.1")).is_ok()));
    }
}
