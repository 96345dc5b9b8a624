//! Usage counters in memory, written in batches. Never part of a decision.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{KeyUsage, UsageOutcome, Use};

const SHARDS: usize = 32;

/// The counters since the last batch.
pub struct Usage {
    shards: Vec<Mutex<HashMap<KeyId, KeyUsage>>>,
    hasher: RandomState,
}

impl Default for Usage {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Usage {
    /// Counts one use of a key that exists.
    pub fn count(&self, key: &KeyId, outcome: UsageOutcome, address: ClientAddress, now: Timestamp) {
        let used = Use {
            outcome,
            address,
            apis: &[],
            is_of_keyturn: false,
            requested: None,
            is_by_previous_secret: false,
            secret_version: None,
            at: now,
        };
        self.count_use(key, &used);
    }

    /// Counts one use of a key that exists, with what it requested.
    pub fn count_use(&self, key: &KeyId, used: &Use<'_>) {
        self.with(key, |usage| usage.count(used));
    }

    /// Takes all counts.
    pub fn take(&self) -> Vec<KeyUsage> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            taken.extend(std::mem::take(&mut *shard).into_values());
        }
        taken
    }

    /// Returns counts that could not be written.
    pub fn give_back(&self, batch: Vec<KeyUsage>) {
        for usage in batch {
            self.with(&usage.key.clone(), |known| known.merge(usage));
        }
    }

    fn with(&self, key: &KeyId, change: impl FnOnce(&mut KeyUsage)) {
        let place = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        if let Some(shard) = self.shards.get(place) {
            let mut shard = shard.lock();
            change(shard.entry(*key).or_insert_with(|| KeyUsage::new(*key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_not_lost() {
        let (usage, key) = (Usage::default(), KeyId::from_random([1; 16]));
        let count =
            || usage.count(&key, UsageOutcome::Exchanged, ClientAddress::NotTheCaller, Timestamp::from_seconds(7200));
        count();
        let batch = usage.take();
        count();
        usage.give_back(batch);
        let all = usage.take();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].counts, [(2, UsageOutcome::Exchanged, 2)]);
        assert!(usage.take().is_empty());
    }
}
