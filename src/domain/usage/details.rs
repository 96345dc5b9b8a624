//! Details of a key's uses: client addresses, APIs, requested scopes, and the use of the previous secret.
//!
//! Bounded: at most [`MOST_DISTINCT`] addresses, APIs and requests per key and day; further ones are counted as other.

use std::fmt;
use std::net::IpAddr;

use crate::domain::apis::ApiId;
use crate::domain::requirement::Required;
use crate::domain::scope::ScopeSet;
use crate::domain::usage::LastUse;
use crate::domain::webhook;

/// Maximum number of distinct addresses, and of distinct requests, per key and day.
pub const MOST_DISTINCT: usize = 64;

/// Maximum length of a stored request in bytes.
const LONGEST_TEXT: usize = 512;

/// A run of this many letters, digits, `_` and `-` may be a misplaced secret and is not stored.
const SECRET_LENGTH: usize = 40;

/// The same for a run that mixes upper and lower case, as random text does.
const MIXED_SECRET_LENGTH: usize = 20;

/// Scopes or requirements that a use requested.
#[derive(Clone, Copy, Debug)]
pub enum UsedDetail<'a> {
    Scopes(&'a ScopeSet),
    Required(&'a [Required]),
}

/// [`UsedDetail`] with ownership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestedDetail {
    Scopes(ScopeSet),
    Required(Box<[Required]>),
}

/// Requested scopes or requirements, and their API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedOfApi {
    /// `None` if the use was of several APIs.
    pub api: Option<ApiId>,
    pub requested: RequestedDetail,
}

/// Number of uses on a day with the same detail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetailCount<T> {
    /// Days since the epoch.
    pub day: i64,
    /// `None` for all others.
    pub value: Option<T>,
    pub exchanges: u64,
    pub verifications: u64,
}

/// Details of a key's uses since the last write.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    pub addresses: Vec<DetailCount<IpAddr>>,
    /// A use of several APIs is counted for each of them.
    pub apis: Vec<DetailCount<ApiId>>,
    pub requested: Vec<DetailCount<RequestedOfApi>>,
    /// Addresses that the allowed networks denied, with the first time.
    pub denied: Vec<(IpAddr, LastUse)>,
    /// Last use of the previous secret.
    pub previous_secret: Option<LastUse>,
    /// Hours since the epoch, version of the secret, requests. Only while the key has a previous secret.
    pub of_secrets: Vec<(i64, u64, u64)>,
}

/// Whether a text may contain a misplaced secret, and so must not be stored or logged.
pub fn may_hold_secret(text: &str) -> bool {
    let is_mixed = |run: &str| {
        run.bytes().any(|byte| byte.is_ascii_lowercase()) && run.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let is_random = |run: &str| run.len() >= SECRET_LENGTH || (run.len() >= MIXED_SECRET_LENGTH && is_mixed(run));
    let is_break = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
    text.contains(webhook::SECRET_PREFIX) || text.split(is_break).any(is_random)
}

impl UsedDetail<'_> {
    fn equals(&self, known: &RequestedDetail) -> bool {
        match (self, known) {
            (Self::Scopes(scopes), RequestedDetail::Scopes(known)) => *scopes == known,
            (Self::Required(required), RequestedDetail::Required(known)) => **required == **known,
            (Self::Scopes(_), RequestedDetail::Required(_)) | (Self::Required(_), RequestedDetail::Scopes(_)) => false,
        }
    }

    fn to_requested(self) -> RequestedDetail {
        match self {
            Self::Scopes(scopes) => RequestedDetail::Scopes((*scopes).clone()),
            Self::Required(required) => RequestedDetail::Required((*required).into()),
        }
    }
}

impl RequestedDetail {
    /// Returns scopes separated by spaces; `None` if they are too long or may contain a misplaced secret.
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
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
            && self.apis.is_empty()
            && self.requested.is_empty()
            && self.denied.is_empty()
            && self.previous_secret.is_none()
            && self.of_secrets.is_empty()
    }

    /// Counts uses from an address. Does not allocate if the address is known.
    pub fn count_address(&mut self, day: i64, address: IpAddr, uses: (u64, u64)) {
        add(&mut self.addresses, day, uses, |known| known == Some(&address), || Some(address));
    }

    /// Counts uses of an API.
    pub fn count_api(&mut self, day: i64, api: ApiId, uses: (u64, u64)) {
        add(&mut self.apis, day, uses, |known| known == Some(&api), || Some(api));
    }

    /// Counts uses that requested something of an API. Does not allocate if the request is known.
    pub fn count_request(&mut self, day: i64, api: Option<ApiId>, requested: UsedDetail<'_>, uses: (u64, u64)) {
        add(
            &mut self.requested,
            day,
            uses,
            |known| known.is_some_and(|known| known.api == api && requested.equals(&known.requested)),
            || Some(RequestedOfApi { api, requested: requested.to_requested() }),
        );
    }

    /// Counts requests by a secret of a key that has two.
    pub fn count_secret(&mut self, hour: i64, version: u64, count: u64) {
        match self.of_secrets.iter_mut().find(|(h, v, _)| *h == hour && *v == version) {
            Some((_, _, known)) => *known = known.saturating_add(count),
            None => self.of_secrets.push((hour, version, count)),
        }
    }

    /// Records an address that the allowed networks denied.
    pub fn record_denied(&mut self, address: IpAddr, at: LastUse) {
        if self.denied.len() < MOST_DISTINCT && !self.denied.iter().any(|(known, _)| *known == address) {
            self.denied.push((address, at));
        }
    }

    /// Adds details of the same key from another counter.
    pub fn merge(&mut self, other: Self) {
        for DetailCount { day, value, exchanges, verifications } in other.addresses {
            let uses = (exchanges, verifications);
            add(&mut self.addresses, day, uses, |known| known == value.as_ref(), || value);
        }
        for DetailCount { day, value, exchanges, verifications } in other.apis {
            let uses = (exchanges, verifications);
            add(&mut self.apis, day, uses, |known| known == value.as_ref(), || value);
        }
        for DetailCount { day, value, exchanges, verifications } in other.requested {
            let uses = (exchanges, verifications);
            add(&mut self.requested, day, uses, |known| known == value.as_ref(), || value.clone());
        }
        for (address, at) in other.denied {
            self.record_denied(address, at);
        }
        self.previous_secret = self.previous_secret.max(other.previous_secret);
        for (hour, version, count) in other.of_secrets {
            self.count_secret(hour, version, count);
        }
    }
}

/// Adds to an existing count, or starts a new one if there is room.
fn add<T>(
    list: &mut Vec<DetailCount<T>>,
    day: i64,
    (exchanges, verifications): (u64, u64),
    matches: impl Fn(Option<&T>) -> bool,
    new: impl FnOnce() -> Option<T>,
) {
    let mut index = list.iter().position(|count| count.day == day && matches(count.value.as_ref()));
    let is_full = index.is_none() && list.len() >= MOST_DISTINCT;
    if is_full {
        index = list.iter().position(|count| count.day == day && count.value.is_none());
    }
    match index.and_then(|index| list.get_mut(index)) {
        Some(count) => {
            count.exchanges = count.exchanges.saturating_add(exchanges);
            count.verifications = count.verifications.saturating_add(verifications);
        }
        None => list.push(DetailCount { day, value: if is_full { None } else { new() }, exchanges, verifications }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> IpAddr {
        IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8])
    }

    #[test]
    fn further_values_are_counted_as_other() {
        let mut details = Details::default();
        for n in 0..100 {
            details.count_address(1, address(n), (1, 2));
            details.count_address(1, address(0), (1, 0));
        }
        let mut twice = details.clone();
        twice.merge(details.clone());
        for (details, times) in [(&details, 1), (&twice, 2)] {
            assert_eq!(details.addresses.len(), MOST_DISTINCT + 1);
            assert_eq!(details.addresses.iter().map(|seen| seen.exchanges).sum::<u64>(), 200 * times);
            let first = details.addresses.iter().find(|count| count.value == Some(address(0))).unwrap();
            assert_eq!((first.exchanges, first.verifications), (101 * times, 2 * times));
            let other = details.addresses.iter().find(|count| count.value.is_none()).unwrap();
            assert_eq!((other.exchanges, other.verifications), (36 * times, 72 * times));
        }
    }

    #[test]
    fn misplaced_secrets_are_not_stored() {
        let text_of = |text: &str| RequestedDetail::Scopes(ScopeSet::parse(text).unwrap()).text();
        assert_eq!(text_of("read:a/b write").as_deref(), Some("read:a/b write"));
        assert_eq!(text_of("read:a/2f1d8c1e-7a4b-4a53-9a55-0a8f5b7c6d11").as_deref().map(str::len), Some(43));
        assert_eq!(text_of(&format!("read:a/{}", "x".repeat(40))), None);
        assert_eq!(text_of(&format!("read:{}", "ab_c-".repeat(9))), None);
        assert_eq!(text_of("read:a/hpguggcJqIXC7nV0aZ9w"), None);
        assert!(text_of("read:a/customer_invoice_lines").is_some());
        assert_eq!(text_of(&(0..40).map(|n| format!("read:some/thing/{n} ")).collect::<String>()), None);
    }
}
