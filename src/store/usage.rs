//! Counts of use and what is told once: traits, and what is asked of them.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, KeyUsage};
use crate::store::{AuditEntry, Seq, StoreError};

/// Whose use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsageOf {
    /// One key's.
    Key(KeyId),
    /// That of all keys of an organization.
    Organization(Slug),
}

/// How finely it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interval {
    /// By hours in UTC.
    Hour,
    /// By days in UTC.
    Day,
}

/// Which keys to list with their use. Busiest first, then by id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusyKeys {
    /// Whose.
    pub organization: Slug,
    /// The first day.
    pub first_day: i64,
    /// The last day; `None`: up to now.
    pub last_day: Option<i64>,
    /// Only those after this one, with its uses.
    pub after: Option<(u64, KeyId)>,
    /// At most so many.
    pub limit: u32,
}

/// A key with what was counted of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusyKey {
    /// Its id.
    pub key: KeyId,
    /// Its name.
    pub name: String,
    /// What was counted in the days asked for.
    pub counts: Counts,
    /// When it was last used at all.
    pub last_used_at: Option<Timestamp>,
}

/// From where a key was used, or what was asked for, and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageDetail {
    /// Whether it is an address, or else what was asked for.
    pub is_address: bool,
    /// The address, or scopes separated by spaces; `None`: others, not told apart.
    pub value: Option<String>,
    /// In exchanges.
    pub exchanges: u64,
    /// In checks.
    pub verifications: u64,
    /// The last day on which it was seen, since the epoch.
    pub last_day: i64,
}

/// Which stale keys to list. Newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaleKeys {
    /// Whose.
    pub organization: Slug,
    /// Idle since before this moment.
    pub idle_before: Timestamp,
    /// The moment at which they are active.
    pub now: Timestamp,
    /// Only those after this one in the list's order.
    pub after: Option<(Timestamp, KeyId)>,
    /// At most so many.
    pub limit: u32,
}

/// The kinds of what is told once.
pub mod kind {
    /// A key ends soon: period is the expiry, detail the threshold in days.
    pub const EXPIRING: &str = "expiring";
    /// A key is stale: period is since when it is idle.
    pub const STALE: &str = "stale";
    /// A stale key was disabled: period as before.
    pub const STALE_DISABLED: &str = "stale-disabled";
    /// A key was kept out by its networks: period is the hour, detail the address.
    pub const NETWORK: &str = "network";
}

/// Something that is told once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Of which key.
    pub key: KeyId,
    /// What: one of [`kind`].
    pub kind: &'static str,
    /// Of which period of the key's life.
    pub period: i64,
    /// What tells several of one period apart.
    pub detail: String,
    /// At most so many of one period.
    pub most: u32,
}

/// Uses of keys.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Adds a batch of counts, all of it or nothing.
    async fn add_usage(&self, batch: &[KeyUsage]) -> Result<(), StoreError>;
    /// Adds the details of a batch, all of them or none.
    async fn add_details(&self, batch: &[KeyUsage]) -> Result<(), StoreError>;
}

/// What was counted.
#[async_trait]
pub trait UsageReports: Send + Sync {
    /// What was counted in each hour or day (since the epoch, both ends included) in which anything was, in order.
    async fn usage(
        &self,
        of: &UsageOf,
        interval: Interval,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, Counts)>, StoreError>;
    /// What was counted of keys on each day (since the epoch, both ends included) on which anything was, in order. Those
    /// that the organization does not have are left out. Meant for a page of keys and a month.
    async fn usage_of_keys(
        &self,
        organization: &Slug,
        keys: &[KeyId],
        first_day: i64,
        last_day: i64,
    ) -> Result<BTreeMap<KeyId, Vec<(i64, Counts)>>, StoreError>;
    /// An organization's keys with what was counted of each, the busiest first.
    async fn busy_keys(&self, asked: &BusyKeys) -> Result<Vec<BusyKey>, StoreError>;
    /// From where a key was used since a day, and what was asked for.
    async fn usage_details(&self, key: &KeyId, first_day: i64) -> Result<Vec<UsageDetail>, StoreError>;
    /// Forgets hours, days and details before those given.
    async fn forget_usage(&self, hour: i64, day: i64, detail_day: i64) -> Result<(), StoreError>;
}

/// What one node does for all, and what is told once.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// Counts the active keys of all organizations that expire after `now` and not after each of three moments. The last
    /// of them must be the latest.
    async fn count_expiring_keys(&self, now: Timestamp, until: [Timestamp; 3]) -> Result<[u64; 3], StoreError>;
    /// Takes a chore if it was last begun before a moment; of several nodes one gets it.
    async fn claim_chore(&self, name: &str, begun_before: Timestamp, now: Timestamp) -> Result<bool, StoreError>;
    /// Notes that something is told, and writes its audit row; false, and nothing written, when it was told already or when
    /// as many of its period were as may be.
    async fn tell(&self, notice: &Notice, at: Timestamp, entry: &AuditEntry) -> Result<bool, StoreError>;
    /// Writes the disabled state of a stale key with its notice and its audit entry, in one transaction. Writes nothing and
    /// returns `None` if the key was used since `idle_before`, if it was changed meanwhile, or if the notice was given before.
    async fn disable_stale_key(
        &self,
        disabled: &ApiKey,
        idle_before: Timestamp,
        notice: &Notice,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError>;
    /// Forgets what was told before a moment, but for what is told once in a key's life.
    async fn forget_notices(&self, before: Timestamp) -> Result<(), StoreError>;
    /// The active keys of an organization that were last used (else rotated, else made) before a moment, newest first.
    async fn stale_keys(&self, asked: &StaleKeys) -> Result<Vec<ApiKey>, StoreError>;
    /// The active keys that end by themselves after `now` and not after `until`, soonest first; at most `limit`, after
    /// the last one that is known.
    async fn expiring_keys(
        &self,
        now: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, KeyId)>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError>;
}
