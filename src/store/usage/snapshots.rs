//! Snapshots: the cumulative uses of each key of an organization up to the end of a day, or up to now.
//!
//! A snapshot is read from the database once and cached with a mark: the sum of the organization's counts up to that
//! day, which is written in the same transaction as the counts of its keys. The snapshot is used again only if the mark
//! is unchanged, so it is never older than the database, regardless of the node that wrote counts. The mark of the
//! snapshot up to now changes with every count and every new key; past days keep theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;

/// Maximum number of snapshots.
const MAX_SNAPSHOTS: usize = 64;

/// Maximum number of keys in all snapshots: 24 bytes each, so 12 MiB.
const MAX_KEYS: usize = 500_000;

/// Maximum number of concurrent rankings, because each holds all keys of an organization.
const MAX_RANKINGS: usize = 2;

/// Uses of keys, sorted by key ID.
pub(super) type Uses = Vec<(KeyId, u64)>;

/// The mark of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Freshness {
    /// First day with counts of the organization.
    pub(super) oldest: Option<i64>,
    /// Sum of the counts up to the snapshot's day.
    pub(super) sum: i64,
    /// Last change of any key, for the snapshot up to now, which must contain new keys.
    pub(super) change: Option<i64>,
}

/// Cached snapshots, most recently used first.
#[derive(Debug)]
pub(in crate::store) struct Snapshots {
    kept: Mutex<Vec<Arc<Snapshot>>>,
    rankings: Semaphore,
}

/// One snapshot. Its lock is held while it is read, so that concurrent rankings read it once.
#[derive(Debug)]
pub(super) struct Snapshot {
    organization: Slug,
    /// `None`: up to now.
    day: Option<i64>,
    keys: AtomicUsize,
    pub(super) known: tokio::sync::Mutex<Option<(Freshness, Arc<Uses>)>>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { kept: Mutex::default(), rankings: Semaphore::new(MAX_RANKINGS) }
    }
}

impl Snapshots {
    /// Waits for permission to rank keys. `None` never happens.
    pub(super) async fn acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.rankings.acquire().await.ok()
    }

    /// Returns the snapshot of an organization at the end of a day or up to now, read or not.
    pub(super) fn of(&self, organization: &Slug, day: Option<i64>) -> Arc<Snapshot> {
        let mut kept = self.kept.lock();
        let known = kept.iter().position(|snapshot| snapshot.day == day && snapshot.organization == *organization);
        let snapshot = match known {
            Some(index) => kept.remove(index),
            None => Arc::new(Snapshot {
                organization: organization.clone(),
                day,
                keys: AtomicUsize::new(0),
                known: tokio::sync::Mutex::default(),
            }),
        };
        kept.insert(0, Arc::clone(&snapshot));
        kept.truncate(MAX_SNAPSHOTS);
        snapshot
    }

    /// Records the number of keys of a snapshot, and drops the least recently used snapshots if there are too many
    /// keys.
    pub(super) fn make_room(&self, snapshot: &Snapshot, keys: usize) {
        snapshot.keys.store(keys, Ordering::Relaxed);
        let mut room = MAX_KEYS;
        self.kept.lock().retain(|snapshot| {
            let left = room.checked_sub(snapshot.keys.load(Ordering::Relaxed));
            room = left.unwrap_or(room);
            left.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_used_snapshots_are_dropped() {
        let snapshots = Snapshots::default();
        let acme = Slug::parse("acme").unwrap();
        let kept = |snapshots: &Snapshots| -> Vec<i64> {
            snapshots.kept.lock().iter().filter_map(|snapshot| snapshot.day).collect()
        };
        for day in 0..100 {
            snapshots.of(&acme, Some(day));
        }
        assert_eq!(kept(&snapshots), (100 - MAX_SNAPSHOTS as i64..100).rev().collect::<Vec<_>>());
        let old = snapshots.of(&acme, Some(50));
        assert_eq!(kept(&snapshots)[0], 50);
        snapshots.make_room(&snapshots.of(&acme, Some(60)), MAX_KEYS - 1);
        snapshots.make_room(&old, 2);
        assert!(!kept(&snapshots).contains(&50), "least recently used");
        snapshots.make_room(&snapshots.of(&acme, Some(70)), MAX_KEYS + 1);
        assert!(!kept(&snapshots).contains(&70), "too large by itself");
        assert!(kept(&snapshots).contains(&60));
        assert!(Arc::ptr_eq(&snapshots.of(&acme, Some(60)), &snapshots.of(&acme, Some(60))));
        assert!(!Arc::ptr_eq(&snapshots.of(&Slug::parse("other").unwrap(), Some(60)), &snapshots.of(&acme, Some(60))));
    }
}
