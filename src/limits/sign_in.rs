//! Limits of sign-in attempts.
//!
//! An attempt is counted before the password is checked, so that parallel guesses count, and released unless the
//! password was wrong. Limits are nested by network, so a botnet in one allocation counts as one. A browser or network
//! that has signed in before has limits of its own that strangers cannot exhaust.

use std::net::IpAddr;
use std::num::NonZeroU32;

use quick_cache::sync::Cache;

use crate::domain::decision::ClientAddress;
use crate::limits::network::{levels, name};
use crate::limits::{AddressLimit, Rate};

/// Attempts per minute for one login from an IPv4 /16, /24 or address, or an IPv6 /32, /48, /56 or /64.
const PER_LEVEL: [NonZeroU32; 4] = [
    NonZeroU32::new(240).unwrap(),
    NonZeroU32::new(120).unwrap(),
    NonZeroU32::new(60).unwrap(),
    NonZeroU32::new(30).unwrap(),
];

/// Attempts per minute for one login from a browser that has signed in before.
const PER_DEVICE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// Attempts per minute for one login from all networks. Beyond it, only networks without recent failures are allowed.
const ANYWHERE: NonZeroU32 = NonZeroU32::new(600).unwrap();

/// Maximum number of remembered networks, by login.
const KNOWN: usize = 65_536;

pub struct SignInLimits {
    address: AddressLimit,
    /// Widest first.
    levels: [Rate<(u64, IpAddr)>; 4],
    devices: Rate<u64>,
    anywhere: Rate<u64>,
    known: Cache<(u64, IpAddr), ()>,
}

/// A sign-in attempt, which counts until it is released.
#[derive(Clone, Copy, Debug)]
pub struct SignInAttempt {
    account: u64,
    address: ClientAddress,
    device: Option<u64>,
    taken: [bool; 4],
    is_counted_everywhere: bool,
}

impl SignInLimits {
    /// `failures_per_minute` limits failures of one address for all logins; 0 is unlimited.
    pub fn new(failures_per_minute: u32) -> Self {
        Self {
            address: AddressLimit::per_minute(failures_per_minute),
            levels: PER_LEVEL.map(Rate::per_minute),
            devices: Rate::per_minute(PER_DEVICE),
            anywhere: Rate::per_minute(ANYWHERE),
            known: Cache::new(KNOWN),
        }
    }

    /// Counts an attempt for a login. `device` is the caller's browser if it has signed in to the login before. Over
    /// the limit, returns the seconds to wait.
    pub fn take(
        &self,
        account: &str,
        address: ClientAddress,
        device: Option<impl std::hash::Hash>,
    ) -> Result<SignInAttempt, u64> {
        let account = name(account);
        let device = device.map(|device| name((account, device)));
        let mut attempt = SignInAttempt { account, address, device, taken: [false; 4], is_counted_everywhere: false };
        // 1. A browser that has signed in before has only its own limit.
        if let Some(device) = device {
            self.devices.take(&device)?;
            return Ok(attempt);
        }
        // 2. The networks, narrowest first, so that a small flood does not exhaust a wide network.
        self.address.count(address)?;
        let networks = levels(address);
        let [widest, .., narrowest] = networks;
        let is_known = self.known.get(&(account, narrowest)).is_some();
        let had_failed = self.levels.first().is_some_and(|rate| rate.is_used(&(account, widest)));
        for (index, (rate, network)) in self.levels.iter().zip(networks).enumerate().rev() {
            if let Err(seconds) = rate.take(&(account, network)) {
                self.release(attempt);
                return Err(seconds);
            }
            if let Some(taken) = attempt.taken.get_mut(index) {
                *taken = true;
            }
            // A network that has signed in before has only its own limit.
            if is_known {
                return Ok(attempt);
            }
        }
        // 3. All networks together.
        match self.anywhere.take(&account) {
            Ok(()) => attempt.is_counted_everywhere = true,
            Err(seconds) if had_failed => {
                self.release(attempt);
                return Err(seconds);
            }
            Err(_) => {}
        }
        Ok(attempt)
    }

    /// Releases an attempt that was not a failure: the server was busy, or the login changed meanwhile.
    pub fn release(&self, attempt: SignInAttempt) {
        let SignInAttempt { account, address, device, taken, is_counted_everywhere } = attempt;
        if let Some(device) = device {
            self.devices.release(&device);
            return;
        }
        self.address.release(address);
        for ((rate, network), taken) in self.levels.iter().zip(levels(address)).zip(taken) {
            if taken {
                rate.release(&(account, network));
            }
        }
        if is_counted_everywhere {
            self.anywhere.release(&account);
        }
    }

    /// Releases a successful attempt and remembers its network.
    pub fn succeed(&self, attempt: SignInAttempt) {
        self.release(attempt);
        let [.., narrowest] = levels(attempt.address);
        self.known.insert((attempt.account, narrowest), ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_DEVICE: Option<u64> = None;

    fn v6(subnet: u16, host: u16) -> ClientAddress {
        ClientAddress::Known(IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, subnet, host, 0, 0, 0, 1)))
    }

    fn v4(address: &str) -> ClientAddress {
        ClientAddress::Known(address.parse().unwrap())
    }

    #[test]
    fn one_allocation_shares_a_limit() {
        let limits = SignInLimits::new(0);
        let let_in = (0..4096).filter(|n| limits.take("owner", v6(n / 256, n % 256), NO_DEVICE).is_ok()).count();
        assert!((240..300).contains(&let_in), "{let_in}");
        assert!(limits.take("owner", v4("203.0.113.9"), NO_DEVICE).is_ok());
        assert!(limits.take("other", v6(1, 1), NO_DEVICE).is_ok());
    }

    #[test]
    fn distributed_flood_spares_networks_without_failures() {
        let limits = SignInLimits::new(0);
        for n in 0..=255_u8 {
            for _ in 0..30 {
                let _ = limits.take("owner", v4(&format!("10.{n}.0.1")), NO_DEVICE);
            }
        }
        assert!(limits.take("owner", v4("10.7.0.2"), NO_DEVICE).is_err(), "its network has failures");
        assert!(limits.take("owner", v4("203.0.113.9"), NO_DEVICE).is_ok());
    }

    #[test]
    fn known_devices_and_networks_have_their_own_limits() {
        let limits = SignInLimits::new(0);
        let home = v6(1, 1);
        limits.succeed(limits.take("owner", home, NO_DEVICE).unwrap());
        for n in 0..4096_u16 {
            let _ = limits.take("owner", v6(n / 256, n % 256), NO_DEVICE);
        }
        assert!(limits.take("owner", v6(99, 1), NO_DEVICE).is_err());
        assert!(limits.take("owner", v6(99, 1), Some("browser")).is_ok());
        let known = (0..100).filter(|_| limits.take("owner", home, NO_DEVICE).is_ok()).count();
        assert!((25..=30).contains(&known), "{known}");
        let tries = (0..100).filter(|_| limits.take("owner", v6(99, 1), Some("browser")).is_ok()).count();
        assert_eq!(tries, 29);
    }

    #[test]
    fn only_failures_count() {
        let limits = SignInLimits::new(1);
        for n in 0..1_000_u16 {
            let attempt = limits.take("owner", v6(1, n % 7), NO_DEVICE).unwrap();
            if n % 2 == 0 { limits.release(attempt) } else { limits.succeed(attempt) }
        }
    }
}
