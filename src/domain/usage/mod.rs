//! What is counted of a key's use.

mod details;

use std::net::IpAddr;

pub use details::{Details, MOST_DISTINCT, RequestedDetail, Seen, UsedDetail, may_hold_secret};

use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;

/// What came of one use of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UsageOutcome {
    /// A token was minted.
    Exchanged,
    /// A token or key text was found good.
    Verified,
    /// Not the key's secret, or a dead token of its.
    DeniedInvalid,
    /// Past its expiry.
    DeniedExpired,
    /// Suspended.
    DeniedDisabled,
    /// From a network that is not allowed.
    DeniedNetwork,
    /// A scope that is not held.
    DeniedScope,
    /// An audience that is not allowed.
    DeniedAudience,
}

impl UsageOutcome {
    /// Every outcome.
    pub const ALL: [Self; 8] = [
        Self::Exchanged,
        Self::Verified,
        Self::DeniedInvalid,
        Self::DeniedExpired,
        Self::DeniedDisabled,
        Self::DeniedNetwork,
        Self::DeniedScope,
        Self::DeniedAudience,
    ];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchanged => "exchanged",
            Self::Verified => "verified",
            Self::DeniedInvalid => "denied_invalid",
            Self::DeniedExpired => "denied_expired",
            Self::DeniedDisabled => "denied_disabled",
            Self::DeniedNetwork => "denied_network",
            Self::DeniedScope => "denied_scope",
            Self::DeniedAudience => "denied_audience",
        }
    }

    /// Its place in [`UsageOutcome::ALL`].
    pub const fn place(self) -> usize {
        self as usize
    }
}

/// One use of a key, as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// What came of it.
    pub outcome: UsageOutcome,
    /// Where the caller was.
    pub address: ClientAddress,
    /// What was asked for, if something was.
    pub asked: Option<UsedDetail<'a>>,
    /// Whether the secret was the one before the current one.
    pub is_by_previous_secret: bool,
    /// When.
    pub at: Timestamp,
}

/// How often each outcome was, in the order of [`UsageOutcome::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts(pub [u64; 8]);

impl Counts {
    /// How often one outcome was.
    pub fn of(&self, outcome: UsageOutcome) -> u64 {
        self.0.get(outcome.place()).copied().unwrap_or_default()
    }

    /// Adds to one outcome.
    pub fn add(&mut self, outcome: UsageOutcome, count: u64) {
        if let Some(known) = self.0.get_mut(outcome.place()) {
            *known = known.saturating_add(count);
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for outcome in UsageOutcome::ALL {
            self.add(outcome, other.of(outcome));
        }
    }

    /// What came on top of an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = Self::default();
        for outcome in UsageOutcome::ALL {
            since.add(outcome, self.of(outcome).saturating_sub(earlier.of(outcome)));
        }
        since
    }

    /// Uses, denials left out.
    pub fn uses(&self) -> u64 {
        self.of(UsageOutcome::Exchanged).saturating_add(self.of(UsageOutcome::Verified))
    }
}

/// What was counted of one key since the last write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyUsage {
    /// The key.
    pub key: KeyId,
    /// Hour since the epoch, outcome, and how often.
    pub counts: Vec<(i64, UsageOutcome, u64)>,
    /// The last use.
    pub last_used: Option<LastUse>,
    /// From where, and for what.
    pub details: Details,
}

/// When a key was last used, and from where if that is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub address: Option<IpAddr>,
}

impl KeyUsage {
    /// Nothing yet of a key.
    pub fn new(key: KeyId) -> Self {
        Self { key, counts: Vec::new(), last_used: None, details: Details::default() }
    }

    /// Counts one use. Allocates nothing where the like was counted before.
    pub fn count(&mut self, used: &Use<'_>) {
        self.add(hour_of(used.at), used.outcome, 1);
        let last = LastUse { at: used.at, address: used.address.known() };
        let uses = match used.outcome {
            UsageOutcome::Exchanged => (1, 0),
            UsageOutcome::Verified => (0, 1),
            UsageOutcome::DeniedNetwork => {
                if let Some(address) = last.address {
                    self.details.kept_out(address, last);
                }
                return;
            }
            UsageOutcome::DeniedScope | UsageOutcome::DeniedAudience => return self.authenticated(used, last),
            UsageOutcome::DeniedInvalid | UsageOutcome::DeniedExpired | UsageOutcome::DeniedDisabled => return,
        };
        self.authenticated(used, last);
        let day = day_of(used.at);
        if let Some(address) = last.address {
            self.details.used_from(day, address, uses);
        }
        if let Some(asked) = used.asked {
            self.details.asked_for(day, asked, uses);
        }
    }

    /// Notes that a key was authenticated: somebody uses it, whatever it may do.
    fn authenticated(&mut self, used: &Use<'_>, last: LastUse) {
        self.last_used = self.last_used.max(Some(last));
        if used.is_by_previous_secret {
            self.details.previous_secret = self.details.previous_secret.max(Some(last));
        }
    }

    /// Adds to the count of an hour and outcome.
    pub fn add(&mut self, hour: i64, outcome: UsageOutcome, count: u64) {
        match self.counts.iter_mut().find(|(h, o, _)| *h == hour && *o == outcome) {
            Some((_, _, known)) => *known = known.saturating_add(count),
            None => self.counts.push((hour, outcome, count)),
        }
    }

    /// Adds what was counted of the same key elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (hour, outcome, count) in other.counts {
            self.add(hour, outcome, count);
        }
        self.last_used = self.last_used.max(other.last_used);
        self.details.merge(other.details);
    }
}

/// The day of a moment in UTC, since the epoch.
pub fn day_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(86_400)
}

/// The hour of a moment, since the epoch.
pub fn hour_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_up_and_keeps_the_latest_use() {
        let key = KeyId::from_random([1; 16]);
        let usage = |counts: Vec<_>, at: i64| KeyUsage {
            key,
            counts,
            last_used: Some(LastUse { at: Timestamp::from_seconds(at), address: None }),
            details: Details::default(),
        };
        let mut one = usage(vec![(1, UsageOutcome::Exchanged, 2)], 10);
        one.merge(usage(vec![(1, UsageOutcome::Exchanged, 3), (2, UsageOutcome::Verified, 1)], 5));
        assert_eq!(one, usage(vec![(1, UsageOutcome::Exchanged, 5), (2, UsageOutcome::Verified, 1)], 10));
    }
}
