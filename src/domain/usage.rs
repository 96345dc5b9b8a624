//! What is counted of a key's use.

use std::net::IpAddr;

use crate::domain::decision::Denial;
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

    /// Whether the key was used, and not only tried.
    pub const fn is_use(self) -> bool {
        matches!(self, Self::Exchanged | Self::Verified)
    }
}

impl From<&Denial> for UsageOutcome {
    fn from(denial: &Denial) -> Self {
        match denial {
            Denial::NotAuthentic | Denial::Revoked | Denial::Stale => Self::DeniedInvalid,
            Denial::Expired => Self::DeniedExpired,
            Denial::Disabled => Self::DeniedDisabled,
            Denial::AddressUnreadable | Denial::NetworkNotAllowed(_) => Self::DeniedNetwork,
            Denial::ScopeNotHeld(_) => Self::DeniedScope,
        }
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
        Self { key, counts: Vec::new(), last_used: None }
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
    }
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
        };
        let mut one = usage(vec![(1, UsageOutcome::Exchanged, 2)], 10);
        one.merge(usage(vec![(1, UsageOutcome::Exchanged, 3), (2, UsageOutcome::Verified, 1)], 5));
        assert_eq!(one, usage(vec![(1, UsageOutcome::Exchanged, 5), (2, UsageOutcome::Verified, 1)], 10));
    }
}
