//! A bounded table of rate limits: the generic cell rate algorithm, one number per key.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use crate::clock::{self, BootTime};

const MINUTE: u64 = 60_000_000_000;

/// Keys that one table remembers. Rarely used ones make room for new ones, so strangers cannot fill the memory.
const CAPACITY: usize = 65_536;

/// So many per minute and key, as a burst or spread.
pub(super) struct Rate<K> {
    interval: u64,
    /// When each key's allowance is whole again, in nanoseconds of the boot clock.
    whole_at: Cache<K, Arc<AtomicU64>>,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    pub(super) fn per_minute(most: NonZeroU32) -> Self {
        Self { interval: MINUTE / u64::from(most.get()), whole_at: Cache::new(CAPACITY) }
    }

    /// Takes one. If there were too many, returns after how many seconds the next is allowed.
    pub(super) fn take(&self, key: &K) -> Result<(), u64> {
        self.take_at(key, clock::boot())
    }

    /// Gives one back that turned out not to count.
    pub(super) fn give_back(&self, key: &K) {
        let Some(whole_at) = self.whole_at.get(key) else { return };
        let _ =
            whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(at.saturating_sub(self.interval)));
    }

    /// Whether anything was taken lately.
    pub(super) fn is_used(&self, key: &K) -> bool {
        self.whole_at.get(key).is_some_and(|at| at.load(Ordering::Relaxed) > clock::boot().as_nanos())
    }

    fn take_at(&self, key: &K, now: BootTime) -> Result<(), u64> {
        let now = now.as_nanos();
        let whole_at = match self.whole_at.get(key) {
            Some(whole_at) => whole_at,
            None => {
                let made = self.whole_at.get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
                let Ok(whole_at) = made;
                whole_at
            }
        };
        let next = |at: u64| {
            let next = at.max(now).saturating_add(self.interval);
            (next <= now.saturating_add(MINUTE)).then_some(next)
        };
        match whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
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
    fn burst_is_a_minutes_allowance_and_comes_back_bit_by_bit() {
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
    fn what_is_given_back_does_not_count() {
        let rate = rate(2);
        for _ in 0..100 {
            assert_eq!(rate.take(&1), Ok(()));
            rate.give_back(&1);
        }
        assert!(!rate.is_used(&1));
        assert_eq!(rate.take(&1), Ok(()));
        assert!(rate.is_used(&1));
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let rate = rate(10);
        for key in 0..300_000 {
            assert_eq!(rate.take(&key), Ok(()));
        }
        assert!(rate.whole_at.len() <= CAPACITY);
    }
}
