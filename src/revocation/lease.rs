//! The lease: until when memory may be acted on without asking the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::BootTime;

/// How long a node may act on memory after the moment at which it began to ask for changes.
pub const LEASE: Duration = Duration::from_secs(1);

/// What is waited beyond a lease, for clocks of two machines do not run equally fast.
pub const MARGIN: Duration = Duration::from_millis(100);

/// Until when memory may be acted on.
#[derive(Debug)]
pub struct Lease(AtomicU64);

impl Lease {
    /// The lease of a node that is alone with its store.
    pub fn unending() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// A lease that has not begun.
    pub fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether it holds at a moment. To be asked before memory is looked at, never after: what memory says after
    /// a moment at which the lease held is at least as new as that moment.
    pub fn is_live(&self, now: BootTime) -> bool {
        now.as_nanos() < self.0.load(Ordering::Acquire)
    }

    /// Every change that was visible at `asked`, or any that was answered before, is applied.
    pub(super) fn extend(&self, asked: BootTime) {
        self.0.fetch_max(asked.plus(LEASE).as_nanos(), Ordering::AcqRel);
    }

    /// Ends it: memory is not to be acted on.
    pub(super) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_runs_from_the_moment_of_asking() {
        let lease = Lease::none();
        let asked = BootTime::from_nanos(5_000_000_000);
        assert!(!lease.is_live(asked));
        lease.extend(asked);
        assert!(lease.is_live(asked.plus(LEASE - Duration::from_nanos(1))));
        assert!(!lease.is_live(asked.plus(LEASE)));
        lease.end();
        assert!(!lease.is_live(asked));
        assert!(Lease::unending().is_live(asked));
    }
}
