//! Usage counters of a key.

mod details;

use std::net::IpAddr;

pub use details::{DetailCount, Details, MOST_DISTINCT, RequestedDetail, RequestedOfApi, UsedDetail, may_hold_secret};

use crate::domain::apis::ApiId;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;

/// The outcome of one use of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UsageOutcome {
    Exchanged,
    /// A token or secret was verified.
    Verified,
    /// Wrong secret, or invalid token.
    DeniedInvalid,
    DeniedExpired,
    DeniedDisabled,
    DeniedNetwork,
    DeniedScope,
    DeniedAudience,
}

impl UsageOutcome {
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

    /// Name in the database and the API.
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

    /// Index in [`UsageOutcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// One use of a key.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    pub outcome: UsageOutcome,
    /// The client's address.
    pub address: ClientAddress,
    /// The APIs that it was for; empty if unknown.
    pub apis: &'a [ApiId],
    /// Whether it was a request to Keyturn itself, which no API sees.
    pub is_of_keyturn: bool,
    /// The requested scopes or requirements.
    pub requested: Option<UsedDetail<'a>>,
    /// Whether the previous secret was used.
    pub is_by_previous_secret: bool,
    /// Version of the secret behind the request, if the key has a previous one.
    pub secret_version: Option<u64>,
    pub at: Timestamp,
}

/// Counts by outcome, in the order of [`UsageOutcome::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts(pub [u64; 8]);

impl Counts {
    pub fn of(&self, outcome: UsageOutcome) -> u64 {
        self.0.get(outcome.index()).copied().unwrap_or_default()
    }

    pub fn add(&mut self, outcome: UsageOutcome, count: u64) {
        if let Some(known) = self.0.get_mut(outcome.index()) {
            *known = known.saturating_add(count);
        }
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for outcome in UsageOutcome::ALL {
            self.add(outcome, other.of(outcome));
        }
    }

    /// Returns the increase since an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = Self::default();
        for outcome in UsageOutcome::ALL {
            since.add(outcome, self.of(outcome).saturating_sub(earlier.of(outcome)));
        }
        since
    }

    /// Number of uses that were allowed.
    pub fn uses(&self) -> u64 {
        self.of(UsageOutcome::Exchanged).saturating_add(self.of(UsageOutcome::Verified))
    }
}

/// Usage of one key since the last write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyUsage {
    pub key: KeyId,
    /// Hours since the epoch, outcome, count.
    pub counts: Vec<(i64, UsageOutcome, u64)>,
    pub last_used: Option<LastUse>,
    pub details: Details,
}

/// The time and address of a key's last use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LastUse {
    pub at: Timestamp,
    pub address: Option<IpAddr>,
}

impl KeyUsage {
    pub fn new(key: KeyId) -> Self {
        Self { key, counts: Vec::new(), last_used: None, details: Details::default() }
    }

    /// Counts one use. Does not allocate if the same kind of use was counted before.
    pub fn count(&mut self, used: &Use<'_>) {
        self.add(hour_of(used.at), used.outcome, 1);
        let last = LastUse { at: used.at, address: used.address.known() };
        let uses = match used.outcome {
            UsageOutcome::Exchanged => (1, 0),
            UsageOutcome::Verified => (0, 1),
            UsageOutcome::DeniedNetwork => {
                if let Some(address) = last.address {
                    self.details.record_denied(address, last);
                }
                return;
            }
            UsageOutcome::DeniedScope | UsageOutcome::DeniedAudience => return self.record_last_use(used, last),
            UsageOutcome::DeniedInvalid | UsageOutcome::DeniedExpired | UsageOutcome::DeniedDisabled => return,
        };
        self.record_last_use(used, last);
        if let Some(version) = used.secret_version {
            self.details.count_secret(hour_of(used.at), version, 1);
        }
        let day = day_of(used.at);
        if let Some(address) = last.address {
            self.details.count_address(day, address, uses);
        }
        for api in used.apis.iter().filter(|_| !used.is_of_keyturn) {
            self.details.count_api(day, *api, uses);
        }
        if let Some(requested) = used.requested {
            let api = match used.apis {
                [api] => Some(*api),
                _ => None,
            };
            self.details.count_request(day, api, requested, uses);
        }
    }

    /// Records that the key's secret or token was authentic, even if the request was denied.
    fn record_last_use(&mut self, used: &Use<'_>, last: LastUse) {
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

    /// Adds usage of the same key from another counter.
    pub fn merge(&mut self, other: Self) {
        for (hour, outcome, count) in other.counts {
            self.add(hour, outcome, count);
        }
        self.last_used = self.last_used.max(other.last_used);
        self.details.merge(other.details);
    }
}

/// Returns the UTC day, in days since the epoch.
pub fn day_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(86_400)
}

/// Returns the hour, in hours since the epoch.
pub fn hour_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_the_latest_use() {
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
