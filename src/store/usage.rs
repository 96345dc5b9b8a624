//! What is asked of the counts of use, and what is told once.

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::Counts;

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
