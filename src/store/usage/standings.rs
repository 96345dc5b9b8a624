//! How much each key of an organization had been used by the end of a day.
//!
//! Read from the database once and kept in memory with a mark: the sum of all that was counted of the organization up to
//! that day, which is written in one transaction with the counts of its keys. It is used again only where the mark is the
//! same still, so what memory says is what the database would say, whichever node has counted since. Up to now the mark
//! is another as soon as something was counted or a key was made; days that are over keep theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;

/// Standings kept at most.
const MOST_STANDINGS: usize = 64;

/// Keys in all of them together at most: 24 bytes each, so 12 MiB.
const MOST_KEYS: usize = 500_000;

/// So many may rank keys at once, for each holds all of an organization's meanwhile.
const AT_ONCE: usize = 2;

/// The uses of keys, by id.
pub(super) type Uses = Vec<(KeyId, u64)>;

/// Whether a standing is still as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Freshness {
    /// The first day of which counts of the organization are kept.
    pub(super) oldest: Option<i64>,
    /// The sum of them up to the standing's day.
    pub(super) sum: i64,
    /// The last change of any key, for the standing up to now; a new key is in it before it is used.
    pub(super) change: Option<i64>,
}

/// What is kept, those asked for last first.
#[derive(Debug)]
pub(in crate::store) struct Standings {
    kept: Mutex<Vec<Arc<Standing>>>,
    turns: Semaphore,
}

/// One standing. Its lock is held while it is read: whoever wants the same waits for it and does not read it again.
#[derive(Debug)]
pub(super) struct Standing {
    organization: Slug,
    /// The day; `None`: up to now.
    day: Option<i64>,
    keys: AtomicUsize,
    pub(super) known: tokio::sync::Mutex<Option<(Freshness, Arc<Uses>)>>,
}

impl Default for Standings {
    fn default() -> Self {
        Self { kept: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Standings {
    /// A turn to rank keys; `None` is never.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// The standing of an organization at the end of a day or up to now, known or not.
    pub(super) fn of(&self, organization: &Slug, day: Option<i64>) -> Arc<Standing> {
        let mut kept = self.kept.lock();
        let known = kept.iter().position(|standing| standing.day == day && standing.organization == *organization);
        let standing = match known {
            Some(place) => kept.remove(place),
            None => Arc::new(Standing {
                organization: organization.clone(),
                day,
                keys: AtomicUsize::new(0),
                known: tokio::sync::Mutex::default(),
            }),
        };
        kept.insert(0, Arc::clone(&standing));
        kept.truncate(MOST_STANDINGS);
        standing
    }

    /// Notes how many keys a standing has, and drops those that were asked for longest ago where there are too many.
    pub(super) fn make_room(&self, standing: &Standing, keys: usize) {
        standing.keys.store(keys, Ordering::Relaxed);
        let mut room = MOST_KEYS;
        self.kept.lock().retain(|standing| {
            let left = room.checked_sub(standing.keys.load(Ordering::Relaxed));
            room = left.unwrap_or(room);
            left.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_was_asked_for_last_stays() {
        let standings = Standings::default();
        let acme = Slug::parse("acme").unwrap();
        let kept = |standings: &Standings| -> Vec<i64> {
            standings.kept.lock().iter().filter_map(|standing| standing.day).collect()
        };
        for day in 0..100 {
            standings.of(&acme, Some(day));
        }
        assert_eq!(kept(&standings), (100 - MOST_STANDINGS as i64..100).rev().collect::<Vec<_>>());
        let old = standings.of(&acme, Some(50));
        assert_eq!(kept(&standings)[0], 50);
        standings.make_room(&standings.of(&acme, Some(60)), MOST_KEYS - 1);
        standings.make_room(&old, 2);
        assert!(!kept(&standings).contains(&50), "asked for before the other");
        standings.make_room(&standings.of(&acme, Some(70)), MOST_KEYS + 1);
        assert!(!kept(&standings).contains(&70), "too large by itself");
        assert!(kept(&standings).contains(&60));
        assert!(Arc::ptr_eq(&standings.of(&acme, Some(60)), &standings.of(&acme, Some(60))));
        assert!(!Arc::ptr_eq(&standings.of(&Slug::parse("other").unwrap(), Some(60)), &standings.of(&acme, Some(60))));
    }
}
