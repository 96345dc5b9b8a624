//! What is remembered of uses beside how many they were: from where, what was asked for, and with which secret.
//!
//! Compact: at most [`MOST_DISTINCT`] addresses and as many things asked for, by key and day; what comes beyond them is
//! counted as other.

use std::fmt;
use std::net::IpAddr;

use crate::domain::requirement::Required;
use crate::domain::scope::ScopeSet;
use crate::domain::usage::LastUse;
use crate::domain::webhook;

/// How many addresses, and how many things asked for, are told apart by key and day.
pub const MOST_DISTINCT: usize = 64;

/// The longest text of what was asked for that is kept, in bytes.
const LONGEST_TEXT: usize = 512;

/// A run of letters, digits, `_` and `-` of this length may be a misplaced secret, and is not kept.
const SECRET_LENGTH: usize = 40;

/// Of this length it may be one when it has both small and capital letters, as random text has.
const MIXED_SECRET_LENGTH: usize = 20;

/// What a use asked for, where it named something.
#[derive(Clone, Copy, Debug)]
pub enum UsedDetail<'a> {
    /// An exchange asked for scopes.
    Scopes(&'a ScopeSet),
    /// A check had requirements.
    Required(&'a [Required]),
}

/// The same, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestedDetail {
    /// An exchange asked for scopes.
    Scopes(ScopeSet),
    /// A check had requirements.
    Required(Box<[Required]>),
}

/// How often something was seen on a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen<T> {
    /// Day since the epoch.
    pub day: i64,
    /// What; `None` is anything else.
    pub what: Option<T>,
    /// In exchanges.
    pub exchanges: u64,
    /// In checks.
    pub verifications: u64,
}

/// The details of one key's uses since the last write.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    /// From where it was used.
    pub addresses: Vec<Seen<IpAddr>>,
    /// What was asked for.
    pub asked: Vec<Seen<RequestedDetail>>,
    /// From where its networks kept it out, first seen when.
    pub denied: Vec<(IpAddr, LastUse)>,
    /// The last use of the secret before the current one.
    pub previous_secret: Option<LastUse>,
}

/// Whether a text may hold a misplaced secret, and so is neither stored nor logged.
pub fn may_hold_secret(text: &str) -> bool {
    let is_mixed = |run: &str| {
        run.bytes().any(|byte| byte.is_ascii_lowercase()) && run.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let is_random = |run: &str| run.len() >= SECRET_LENGTH || (run.len() >= MIXED_SECRET_LENGTH && is_mixed(run));
    let is_break = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
    text.contains(webhook::SECRET_PREFIX) || text.split(is_break).any(is_random)
}

impl UsedDetail<'_> {
    fn is(&self, known: &RequestedDetail) -> bool {
        match (self, known) {
            (Self::Scopes(scopes), RequestedDetail::Scopes(known)) => *scopes == known,
            (Self::Required(required), RequestedDetail::Required(known)) => **required == **known,
            (Self::Scopes(_), RequestedDetail::Required(_)) | (Self::Required(_), RequestedDetail::Scopes(_)) => false,
        }
    }

    fn keep(&self) -> RequestedDetail {
        match self {
            Self::Scopes(scopes) => RequestedDetail::Scopes((*scopes).clone()),
            Self::Required(required) => RequestedDetail::Required((*required).into()),
        }
    }
}

impl RequestedDetail {
    /// As scopes separated by spaces; `None` where that is too long to keep, or may hold a misplaced secret.
    pub fn text(&self) -> Option<String> {
        let text = self.to_string();
        (text.len() <= LONGEST_TEXT && !may_hold_secret(&text)).then_some(text)
    }
}

impl fmt::Display for RequestedDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scopes(scopes) => scopes.fmt(f),
            Self::Required(required) => {
                for (index, required) in required.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    write!(f, "{gap}{required}")?;
                }
                Ok(())
            }
        }
    }
}

impl Details {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.asked.is_empty() && self.denied.is_empty() && self.previous_secret.is_none()
    }

    /// Notes from where a use came. Allocates nothing for an address that is known.
    pub fn used_from(&mut self, day: i64, address: IpAddr, uses: (u64, u64)) {
        note(&mut self.addresses, day, uses, |known| known == Some(&address), || Some(address));
    }

    /// Notes what a use asked for. Allocates nothing where that is known.
    pub fn asked_for(&mut self, day: i64, asked: UsedDetail<'_>, uses: (u64, u64)) {
        note(&mut self.asked, day, uses, |known| known.is_some_and(|known| asked.is(known)), || Some(asked.keep()));
    }

    /// Notes that a key was kept out by its networks.
    pub fn kept_out(&mut self, address: IpAddr, at: LastUse) {
        if self.denied.len() < MOST_DISTINCT && !self.denied.iter().any(|(known, _)| *known == address) {
            self.denied.push((address, at));
        }
    }

    /// Adds what was noted of the same key elsewhere.
    pub fn merge(&mut self, other: Self) {
        for Seen { day, what, exchanges, verifications } in other.addresses {
            let uses = (exchanges, verifications);
            note(&mut self.addresses, day, uses, |known| known == what.as_ref(), || what);
        }
        for Seen { day, what, exchanges, verifications } in other.asked {
            let uses = (exchanges, verifications);
            note(&mut self.asked, day, uses, |known| known == what.as_ref(), || what.clone());
        }
        for (address, at) in other.denied {
            self.kept_out(address, at);
        }
        self.previous_secret = self.previous_secret.max(other.previous_secret);
    }
}

/// Adds to what is known, or notes something new while there is room for it.
fn note<T>(
    list: &mut Vec<Seen<T>>,
    day: i64,
    (exchanges, verifications): (u64, u64),
    is: impl Fn(Option<&T>) -> bool,
    fresh: impl FnOnce() -> Option<T>,
) {
    let mut place = list.iter().position(|seen| seen.day == day && is(seen.what.as_ref()));
    let is_full = place.is_none() && list.len() >= MOST_DISTINCT;
    if is_full {
        place = list.iter().position(|seen| seen.day == day && seen.what.is_none());
    }
    match place.and_then(|place| list.get_mut(place)) {
        Some(seen) => {
            seen.exchanges = seen.exchanges.saturating_add(exchanges);
            seen.verifications = seen.verifications.saturating_add(verifications);
        }
        None => list.push(Seen { day, what: if is_full { None } else { fresh() }, exchanges, verifications }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> IpAddr {
        IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8])
    }

    #[test]
    fn what_comes_beyond_the_distinct_ones_is_counted_as_other_and_nothing_is_lost() {
        let mut details = Details::default();
        for n in 0..100 {
            details.used_from(1, address(n), (1, 2));
            details.used_from(1, address(0), (1, 0));
        }
        let mut twice = details.clone();
        twice.merge(details.clone());
        for (details, times) in [(&details, 1), (&twice, 2)] {
            assert_eq!(details.addresses.len(), MOST_DISTINCT + 1);
            assert_eq!(details.addresses.iter().map(|seen| seen.exchanges).sum::<u64>(), 200 * times);
            let first = details.addresses.iter().find(|seen| seen.what == Some(address(0))).unwrap();
            assert_eq!((first.exchanges, first.verifications), (101 * times, 2 * times));
            let other = details.addresses.iter().find(|seen| seen.what.is_none()).unwrap();
            assert_eq!((other.exchanges, other.verifications), (36 * times, 72 * times));
        }
    }

    #[test]
    fn what_may_be_a_misplaced_secret_is_not_kept() {
        let asked = |text: &str| RequestedDetail::Scopes(ScopeSet::parse(text).unwrap()).text();
        assert_eq!(asked("read:a/b write").as_deref(), Some("read:a/b write"));
        assert_eq!(asked("read:a/2f1d8c1e-7a4b-4a53-9a55-0a8f5b7c6d11").as_deref().map(str::len), Some(43));
        assert_eq!(asked(&format!("read:a/{}", "x".repeat(40))), None);
        assert_eq!(asked(&format!("read:{}", "ab_c-".repeat(9))), None);
        assert_eq!(asked("read:a/hpguggcJqIXC7nV0aZ9w"), None);
        assert!(asked("read:a/customer_invoice_lines").is_some());
        assert_eq!(asked(&(0..40).map(|n| format!("read:some/thing/{n} ")).collect::<String>()), None);
    }
}
