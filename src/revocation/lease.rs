//! The lease: permission to act on memory without reading the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::BootTime;

/// Duration of a lease, from the start of the poll that it is based on.
pub const LEASE: Duration = Duration::from_secs(1);

/// Safety margin after a lease, because clocks of two machines run at different speeds.
pub const MARGIN: Duration = Duration::from_millis(100);

/// Time until which memory may be used.
#[derive(Debug)]
pub struct Lease(AtomicU64);

impl Lease {
    /// The permanent lease of the only node.
    pub fn unending() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// A lease that has not started.
    pub fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether the lease is valid. Check this before reading memory, never after: memory that is read after a moment at
    /// which the lease was valid is at least as new as that moment.
    pub fn is_live(&self, now: BootTime) -> bool {
        now.as_nanos() < self.0.load(Ordering::Acquire)
    }

    /// Extends the lease. Every change that was visible at `started`, and every earlier confirmed change, must be
    /// applied.
    pub(super) fn extend(&self, started: BootTime) {
        self.0.fetch_max(started.plus(LEASE).as_nanos(), Ordering::AcqRel);
    }

    /// Ends the lease: memory must not be used.
    pub(super) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_starts_with_the_poll() {
        let lease = Lease::none();
        let started = BootTime::from_nanos(5_000_000_000);
        assert!(!lease.is_live(started));
        lease.extend(started);
        assert!(lease.is_live(started.plus(LEASE - Duration::from_nanos(1))));
        assert!(!lease.is_live(started.plus(LEASE)));
        lease.end();
        assert!(!lease.is_live(started));
        assert!(Lease::unending().is_live(started));
    }
}
