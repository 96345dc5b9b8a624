//! The list: records of keys, and the ids of tokens that were revoked by themselves.
//!
//! A record read from the store is kept only if no change of its key was applied since before the read
//! began; otherwise a slow read could bring back a state that a revocation has already ended.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::clock::{self, BootTime};
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;

const SHARDS: usize = 256;

/// Ids of keys that do not exist which are remembered, apart from the records, so that no flood of them
/// drives a record out.
const ABSENT: usize = 10_000;

/// Bytes of a record with few scopes and networks, with its share of the table.
const RECORD_BYTES: u64 = 1024;

/// Bytes of one scope or network beyond its text. A scope's text is held twice, the second time as part of the set's.
const ENTRY_BYTES: usize = 64;

/// Weighs a record by the memory that it takes.
#[derive(Clone)]
struct RecordSize;

impl Weighter<KeyId, Arc<ApiKey>> for RecordSize {
    fn weight(&self, _: &KeyId, key: &Arc<ApiKey>) -> u64 {
        let scopes = key.scopes.iter();
        let scopes: usize =
            scopes.map(|scope| 2 * (scope.action().as_str().len() + scope.filter().as_str().len()) + ENTRY_BYTES).sum();
        let texts = key.name.len() + key.description.len() + key.created_by.len();
        RECORD_BYTES + (scopes + texts + key.networks.iter().len() * ENTRY_BYTES) as u64
    }
}

/// What is held in memory.
pub struct RevocationList {
    records: Cache<KeyId, Arc<ApiKey>, RecordSize>,
    /// Ids that do not exist: asked for again, they take as long as those that do.
    absent: Cache<KeyId, ()>,
    /// Per shard of keys, how many changes were applied.
    applied: Vec<Mutex<u64>>,
    hasher: RandomState,
    revoked_tokens: RwLock<HashMap<String, Revoked>>,
}

/// A token that was revoked by itself.
struct Revoked {
    /// When it expires, by the wall clock.
    expires_at: Timestamp,
    /// When this process learned of it.
    learned_at: BootTime,
}

/// How long this process must have known that something is over before it forgets it: no token lives longer, so that the
/// tokens concerned have expired by then however wrong the wall clock was meanwhile.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600 + 300);

/// Taken before a record is read from the store, given back with it.
#[derive(Clone, Copy, Debug)]
pub struct FillTicket {
    key: KeyId,
    applied: u64,
}

impl RevocationList {
    /// An empty list whose records take at most so many bytes.
    pub fn new(bytes: u64) -> Self {
        let records = usize::try_from(bytes / RECORD_BYTES).unwrap_or(usize::MAX).max(1);
        Self {
            records: Cache::with_weighter(records, bytes, RecordSize),
            absent: Cache::new(ABSENT),
            applied: (0..SHARDS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
            revoked_tokens: RwLock::new(HashMap::new()),
        }
    }

    /// The current record of a key, if it is in memory.
    pub fn record(&self, key: &KeyId) -> Option<Arc<ApiKey>> {
        self.records.get(key)
    }

    /// Call before reading a key's record from the store.
    pub fn begin_fill(&self, key: &KeyId) -> FillTicket {
        let applied = self.shard(key).map_or(0, |shard| *shard.lock());
        FillTicket { key: *key, applied }
    }

    /// Keeps a record that was read after its ticket was taken, unless its key has changed since.
    pub fn complete_fill(&self, ticket: FillTicket, record: Arc<ApiKey>) {
        if let Some(shard) = self.shard(&ticket.key) {
            let applied = shard.lock();
            if *applied == ticket.applied {
                self.records.insert(ticket.key, record);
            }
        }
    }

    /// Remembers that a key was not there when it was read after its ticket was taken.
    pub fn complete_absence(&self, ticket: FillTicket) {
        if let Some(shard) = self.shard(&ticket.key) {
            let applied = shard.lock();
            if *applied == ticket.applied {
                self.absent.insert(ticket.key, ());
            }
        }
    }

    /// Whether a key is known not to exist.
    pub fn is_absent(&self, key: &KeyId) -> bool {
        self.absent.get(key).is_some()
    }

    /// Applies a change of a key: whatever is held of it, or being read, is dropped.
    pub fn apply_key_change(&self, key: &KeyId) {
        if let Some(shard) = self.shard(key) {
            let mut applied = shard.lock();
            *applied += 1;
            self.records.remove(key);
            self.absent.remove(key);
        }
    }

    /// Drops every record, and whatever is being read: nothing held may be acted on any more. Revoked tokens stay
    /// revoked.
    pub fn forget_records(&self) {
        for shard in &self.applied {
            *shard.lock() += 1;
        }
        // A read that was complete before its shard was counted is in here by now.
        self.records.clear();
        self.absent.clear();
    }

    /// Applies the revocation of one token that would die at a moment anyway.
    pub fn apply_token_revocation(&self, jti: &str, expires_at: Timestamp) {
        let revoked = Revoked { expires_at, learned_at: clock::boot() };
        self.revoked_tokens.write().entry(jti.to_owned()).or_insert(revoked);
    }

    /// Whether a token was revoked by itself.
    pub fn is_token_revoked(&self, jti: &str) -> bool {
        self.revoked_tokens.read().contains_key(jti)
    }

    /// Forgets revoked tokens that have expired, and returns their IDs.
    ///
    /// The wall clock alone does not decide: a clock that was ahead and is corrected would bring a revoked token back. A
    /// token is forgotten only after this process has known of its revocation for longer than any token lives.
    pub fn forget_tokens(&self, now: Timestamp, boot: BootTime) -> Vec<String> {
        let mut tokens = self.revoked_tokens.write();
        let is_dead = |revoked: &Revoked| revoked.expires_at <= now && boot.since(revoked.learned_at) >= LONGEST_LIFE;
        tokens.extract_if(|_, revoked| is_dead(revoked)).map(|(jti, _)| jti).collect()
    }

    /// How many records are in memory.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    fn shard(&self, key: &KeyId) -> Option<&Mutex<u64>> {
        let hash = self.hasher.hash_one(key);
        self.applied.get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::tests::key;

    #[test]
    fn a_read_that_a_change_overtook_is_not_kept() {
        let list = RevocationList::new(1 << 20);
        let old = Arc::new(key("read:a", &[]));
        let ticket = list.begin_fill(&old.id);
        list.apply_key_change(&old.id);
        list.complete_fill(ticket, old.clone());
        assert!(list.record(&old.id).is_none());
        let ticket = list.begin_fill(&old.id);
        list.complete_fill(ticket, old.clone());
        assert!(list.record(&old.id).is_some());
        list.apply_key_change(&old.id);
        assert!(list.record(&old.id).is_none());
    }

    #[test]
    fn records_are_bounded_by_bytes() {
        let list = RevocationList::new(4 << 20);
        let scopes = (0..50).map(|n| format!("read:{n}/{}", "x".repeat(240))).collect::<Vec<_>>().join(" ");
        for n in 0..2_000 {
            let mut large = key(&scopes, &[]);
            large.id = KeyId::parse(&format!("{n:016}")).unwrap();
            list.complete_fill(list.begin_fill(&large.id), Arc::new(large));
        }
        assert!((100..=300).contains(&list.len()), "{}", list.len());
    }

    #[test]
    fn nothing_is_left_when_records_are_forgotten() {
        let (list, record) = (RevocationList::new(1 << 20), Arc::new(key("read:a", &[])));
        list.complete_fill(list.begin_fill(&record.id), record.clone());
        let overtaken = list.begin_fill(&record.id);
        list.forget_records();
        assert!(list.record(&record.id).is_none());
        list.complete_fill(overtaken, record.clone());
        assert!(list.record(&record.id).is_none());
    }

    #[test]
    fn a_key_that_is_made_is_absent_no_more() {
        let (list, id) = (RevocationList::new(1 << 20), key("read:a", &[]).id);
        let (early, late) = (list.begin_fill(&id), list.begin_fill(&id));
        list.complete_absence(early);
        assert!(list.is_absent(&id));
        list.apply_key_change(&id);
        assert!(!list.is_absent(&id));
        list.complete_absence(late);
        assert!(!list.is_absent(&id), "a read that its creation overtook");
    }

    #[test]
    fn a_revoked_token_is_remembered_until_it_has_expired() {
        let list = RevocationList::new(1 << 20);
        list.apply_token_revocation("j", Timestamp::from_seconds(10));
        let later = clock::boot().plus(LONGEST_LIFE);
        assert_eq!(list.forget_tokens(Timestamp::from_seconds(9), later), [""; 0]);
        assert!(list.is_token_revoked("j") && !list.is_token_revoked("k"));
        assert_eq!(list.forget_tokens(Timestamp::from_seconds(10), later), ["j"]);
        assert!(!list.is_token_revoked("j"));
    }

    #[test]
    fn a_wall_clock_that_is_ahead_forgets_no_revocation() {
        let list = RevocationList::new(1 << 20);
        list.apply_token_revocation("j", Timestamp::from_seconds(10));
        let a_century_ahead = Timestamp::from_seconds(3_155_760_000);
        assert_eq!(list.forget_tokens(a_century_ahead, clock::boot().plus(Duration::from_secs(3599))), [""; 0]);
        assert!(list.is_token_revoked("j"));
    }
}
