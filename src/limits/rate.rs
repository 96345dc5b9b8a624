//! A bounded table of rate limits: the generic cell rate algorithm with one number per key.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use crate::clock::{self, BootTime};

const MINUTE: u64 = 60_000_000_000;

/// Maximum number of keys in a table. Rarely used keys are evicted, so strangers cannot exhaust memory.
const CAPACITY: usize = 65_536;

/// A limit per minute and key, which allows bursts.
pub(super) struct Rate<K> {
    interval: u64,
    /// Time at which each key's allowance is complete again, in nanoseconds of the boot clock.
    full_at: Cache<K, Arc<AtomicU64>>,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    pub(super) fn per_minute(most: NonZeroU32) -> Self {
        Self { interval: MINUTE / u64::from(most.get()), full_at: Cache::new(CAPACITY) }
    }

    /// Takes one. Over the limit, returns the seconds until the next one is allowed.
    pub(super) fn take(&self, key: &K) -> Result<(), u64> {
        self.take_at(key, clock::boot())
    }

    /// Returns one that does not count.
    pub(super) fn release(&self, key: &K) {
        let Some(full_at) = self.full_at.get(key) else { return };
        let _ = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(at.saturating_sub(self.interval)));
    }

    /// Whether any were taken recently.
    pub(super) fn is_used(&self, key: &K) -> bool {
        self.full_at.get(key).is_some_and(|at| at.load(Ordering::Relaxed) > clock::boot().as_nanos())
    }

    fn take_at(&self, key: &K, now: BootTime) -> Result<(), u64> {
        let now = now.as_nanos();
        let full_at = match self.full_at.get(key) {
            Some(full_at) => full_at,
            None => {
                let inserted =
                    self.full_at.get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
                let Ok(full_at) = inserted;
                full_at
            }
        };
        let next = |at: u64| {
            let next = at.max(now).saturating_add(self.interval);
            (next <= now.saturating_add(MINUTE)).then_some(next)
        };
        match full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(at) => {
                let wait = at.saturating_add(self.interval).saturating_sub(now.saturating_add(MINUTE));
                Err(wait / 1_000_000_000 + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn rate(most: u32) -> Rate<u32> {
        Rate::per_minute(NonZeroU32::new(most).unwrap())
    }

    #[test]
    fn burst_is_a_minutes_allowance_and_recovers_gradually() {
        let (rate, start) = (rate(30), BootTime::from_nanos(1_000 * MINUTE));
        for _ in 0..30 {
            assert_eq!(rate.take_at(&1, start), Ok(()));
        }
        assert_eq!(rate.take_at(&1, start), Err(3));
        assert_eq!(rate.take_at(&2, start), Ok(()), "every key has its own");
        assert_eq!(rate.take_at(&1, start.plus(Duration::from_secs(2))), Ok(()));
        assert!(rate.take_at(&1, start.plus(Duration::from_secs(2))).is_err());
        assert_eq!(rate.take_at(&1, start.plus(Duration::from_secs(90))), Ok(()));
    }

    #[test]
    fn released_ones_do_not_count() {
        let rate = rate(2);
        for _ in 0..100 {
            assert_eq!(rate.take(&1), Ok(()));
            rate.release(&1);
        }
        assert!(!rate.is_used(&1));
        assert_eq!(rate.take(&1), Ok(()));
        assert!(rate.is_used(&1));
    }

    #[test]
    fn memory_is_bounded() {
        let rate = rate(10);
        for key in 0..300_000 {
            assert_eq!(rate.take(&key), Ok(()));
        }
        assert!(rate.full_at.len() <= CAPACITY);
    }
}
