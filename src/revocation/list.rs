//! Cached records of keys and customers, and IDs of revoked tokens.
//!
//! A record that is read from the store is cached only if no change of its key or customer was applied since the read began.
//! Otherwise a slow read could bring back a state from before a revocation.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::clock::{self, BootTime};
use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;

const SHARDS: usize = 256;

/// Maximum number of cached IDs of keys that do not exist. Separate from the records, so that a flood of them evicts no
/// record.
const ABSENT: usize = 10_000;

/// Size of a record with few scopes and networks, with its share of the table.
const RECORD_BYTES: u64 = 1024;

/// Size of a customer without metadata, with its share of the table.
const CUSTOMER_BYTES: u64 = 512;

/// Customers can use this part of the memory for keys, in addition to it.
const CUSTOMERS_PART: u64 = 4;

/// Size of a scope or network in addition to its text. A scope's text is held twice, the second time in the text of the set.
const ENTRY_BYTES: usize = 64;

/// Size of a record in memory.
#[derive(Clone)]
struct RecordSize;

impl Weighter<KeyId, Arc<ApiKey>> for RecordSize {
    fn weight(&self, _: &KeyId, key: &Arc<ApiKey>) -> u64 {
        let scopes: usize = key.grants.scopes().map(|(_, scope)| 2 * scope.text_bytes() + ENTRY_BYTES).sum();
        let scopes = scopes + key.grants.len() * ENTRY_BYTES;
        let texts = key.name.len() + key.description.len() + key.created_by.len();
        let networks = key.networks.iter().len() + key.named_networks.len();
        RECORD_BYTES + (scopes + texts + networks * ENTRY_BYTES) as u64
    }
}

impl Weighter<CustomerId, Arc<Customer>> for RecordSize {
    fn weight(&self, _: &CustomerId, customer: &Arc<Customer>) -> u64 {
        let pairs = customer.metadata.iter().count() * ENTRY_BYTES + customer.metadata.bytes();
        let texts = customer.external_id.as_str().len() + customer.name.len() + customer.created_by.len();
        CUSTOMER_BYTES + (texts + pairs) as u64
    }
}

/// Records and revocations in memory.
pub struct RevocationList {
    records: Cache<KeyId, Arc<ApiKey>, RecordSize>,
    customers: Cache<CustomerId, Arc<Customer>, RecordSize>,
    /// IDs that do not exist, so that repeated lookups take as long as those of existing keys.
    absent: Cache<KeyId, ()>,
    /// Number of applied changes per shard of keys and customers.
    applied: Vec<Mutex<u64>>,
    hasher: RandomState,
    revoked_tokens: RwLock<HashMap<String, Revoked>>,
}

/// A token that was revoked individually.
struct Revoked {
    /// Expiry by the wall clock.
    expires_at: Timestamp,
    /// Time at which this process learned of the revocation.
    learned_at: BootTime,
}

/// How long this process must have known that something has expired before it deletes it. No token lives longer, so the
/// tokens have expired by then even if the wall clock was wrong meanwhile.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600 + 300);

/// Taken before a record is read from the store, and returned with the record.
#[derive(Clone, Copy, Debug)]
pub struct FillTicket<I> {
    id: I,
    applied: u64,
}

impl RevocationList {
    /// Creates a cache of keys with a maximum size in bytes.
    pub fn new(bytes: u64) -> Self {
        let items = |bytes: u64, each: u64| usize::try_from(bytes / each).unwrap_or(usize::MAX).max(1);
        let for_customers = bytes / CUSTOMERS_PART;
        Self {
            records: Cache::with_weighter(items(bytes, RECORD_BYTES), bytes, RecordSize),
            customers: Cache::with_weighter(items(for_customers, CUSTOMER_BYTES), for_customers, RecordSize),
            absent: Cache::new(ABSENT),
            applied: (0..SHARDS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
            revoked_tokens: RwLock::new(HashMap::new()),
        }
    }

    /// Returns the record of a key, if cached.
    pub fn record(&self, key: &KeyId) -> Option<Arc<ApiKey>> {
        self.records.get(key)
    }

    /// Returns a customer, if cached.
    pub fn customer(&self, id: &CustomerId) -> Option<Arc<Customer>> {
        self.customers.get(id)
    }

    /// Must be called before the record of a key or a customer is read from the store.
    pub fn begin_fill<I: Copy + Hash>(&self, id: &I) -> FillTicket<I> {
        let applied = self.shard(id).map_or(0, |shard| *shard.lock());
        FillTicket { id: *id, applied }
    }

    /// Caches a record that was read after its ticket was taken, unless its key has changed since.
    pub fn complete_fill(&self, ticket: FillTicket<KeyId>, record: Arc<ApiKey>) {
        self.if_unchanged(&ticket, || self.records.insert(ticket.id, record));
    }

    /// Caches a customer that was read after its ticket was taken, unless it has changed since.
    pub fn complete_customer(&self, ticket: FillTicket<CustomerId>, customer: Arc<Customer>) {
        self.if_unchanged(&ticket, || self.customers.insert(ticket.id, customer));
    }

    /// Caches the absence of a key, unless it has changed since its ticket was taken.
    pub fn complete_absence(&self, ticket: FillTicket<KeyId>) {
        self.if_unchanged(&ticket, || self.absent.insert(ticket.id, ()));
    }

    /// Runs `insert`, unless the ticket's key or customer has changed since the ticket was taken.
    fn if_unchanged<I: Hash>(&self, ticket: &FillTicket<I>, insert: impl FnOnce()) {
        if let Some(shard) = self.shard(&ticket.id) {
            let applied = shard.lock();
            if *applied == ticket.applied {
                insert();
            }
        }
    }

    /// Whether a key is known not to exist.
    pub fn is_absent(&self, key: &KeyId) -> bool {
        self.absent.get(key).is_some()
    }

    /// Applies a change of a key: drops its cached record, and invalidates reads in progress.
    pub fn apply_key_change(&self, key: &KeyId) {
        if let Some(shard) = self.shard(key) {
            let mut applied = shard.lock();
            *applied += 1;
            self.records.remove(key);
            self.absent.remove(key);
        }
    }

    /// Applies a change of a customer, like that of a key.
    pub fn apply_customer_change(&self, id: &CustomerId) {
        if let Some(shard) = self.shard(id) {
            let mut applied = shard.lock();
            *applied += 1;
            self.customers.remove(id);
        }
    }

    /// Drops all records and invalidates reads in progress. Revoked tokens stay revoked.
    pub fn forget_records(&self) {
        for shard in &self.applied {
            *shard.lock() += 1;
        }
        // A read that completed before its shard was counted is in the cache by now.
        self.records.clear();
        self.customers.clear();
        self.absent.clear();
    }

    /// Applies the revocation of a token that expires at `expires_at`.
    pub fn apply_token_revocation(&self, jti: &str, expires_at: Timestamp) {
        let revoked = Revoked { expires_at, learned_at: clock::boot() };
        self.revoked_tokens.write().entry(jti.to_owned()).or_insert(revoked);
    }

    /// Whether a token was revoked individually.
    pub fn is_token_revoked(&self, jti: &str) -> bool {
        self.revoked_tokens.read().contains_key(jti)
    }

    /// Drops revoked tokens that have expired, and returns their IDs.
    ///
    /// The wall clock alone is not enough: if it was ahead and is corrected, a revoked token would become valid again.
    /// A token is dropped only after this process has known of its revocation for longer than any token lives.
    pub fn forget_tokens(&self, now: Timestamp, boot: BootTime) -> Vec<String> {
        let mut tokens = self.revoked_tokens.write();
        let has_expired =
            |revoked: &Revoked| revoked.expires_at <= now && boot.since(revoked.learned_at) >= LONGEST_LIFE;
        tokens.extract_if(|_, revoked| has_expired(revoked)).map(|(jti, _)| jti).collect()
    }

    /// Number of cached records of keys.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    fn shard(&self, id: &impl Hash) -> Option<&Mutex<u64>> {
        let hash = self.hasher.hash_one(id);
        self.applied.get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::tests::key;
    use crate::domain::customer::tests::customer;

    #[test]
    fn read_from_before_a_change_is_not_cached() {
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
    fn customer_from_before_a_change_is_not_cached() {
        let (list, old) = (RevocationList::new(1 << 20), Arc::new(customer()));
        let overtaken = list.begin_fill(&old.id);
        list.apply_customer_change(&old.id);
        list.complete_customer(overtaken, old.clone());
        assert!(list.customer(&old.id).is_none());
        list.complete_customer(list.begin_fill(&old.id), old.clone());
        assert_eq!(list.customer(&old.id), Some(old.clone()));
        list.apply_customer_change(&old.id);
        assert!(list.customer(&old.id).is_none());
        list.complete_customer(list.begin_fill(&old.id), old.clone());
        list.forget_records();
        assert!(list.customer(&old.id).is_none());
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
    fn forgetting_records_invalidates_reads() {
        let (list, record) = (RevocationList::new(1 << 20), Arc::new(key("read:a", &[])));
        list.complete_fill(list.begin_fill(&record.id), record.clone());
        let overtaken = list.begin_fill(&record.id);
        list.forget_records();
        assert!(list.record(&record.id).is_none());
        list.complete_fill(overtaken, record.clone());
        assert!(list.record(&record.id).is_none());
    }

    #[test]
    fn created_key_is_not_absent() {
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
    fn revoked_token_is_kept_until_it_has_expired() {
        let list = RevocationList::new(1 << 20);
        list.apply_token_revocation("j", Timestamp::from_seconds(10));
        let later = clock::boot().plus(LONGEST_LIFE);
        assert_eq!(list.forget_tokens(Timestamp::from_seconds(9), later), [""; 0]);
        assert!(list.is_token_revoked("j") && !list.is_token_revoked("k"));
        assert_eq!(list.forget_tokens(Timestamp::from_seconds(10), later), ["j"]);
        assert!(!list.is_token_revoked("j"));
    }

    #[test]
    fn wall_clock_that_is_ahead_drops_no_revocation() {
        let list = RevocationList::new(1 << 20);
        list.apply_token_revocation("j", Timestamp::from_seconds(10));
        let a_century_ahead = Timestamp::from_seconds(3_155_760_000);
        assert_eq!(list.forget_tokens(a_century_ahead, clock::boot().plus(Duration::from_secs(3599))), [""; 0]);
        assert!(list.is_token_revoked("j"));
    }
}
