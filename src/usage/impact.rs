//! What narrowing a key would have refused of its use so far.

use crate::domain::key_text::KeyId;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::KeyError;
use crate::node::Node;
use crate::store::UsageDetail;
use crate::usage::details::{Part, by_frequency, lately};

/// What a key is to be narrowed to; `None` stays as it is.
#[derive(Clone, Debug)]
pub struct Narrowing {
    /// Scopes.
    pub scopes: Option<ScopeSet>,
    /// Networks.
    pub networks: Option<Networks>,
}

/// What would have been refused on one account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Refusals {
    /// All of it.
    pub total: Part,
    /// Each address, or what was asked for; the most frequent first.
    pub of: Vec<UsageDetail>,
    /// Uses of which it is not known, for they were too various to be told apart.
    pub uncounted: Part,
}

/// What would have been refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Impact {
    /// The first day looked at, since the epoch.
    pub first_day: i64,
    /// By the networks.
    pub by_address: Refusals,
    /// By the scopes.
    pub by_scope: Refusals,
}

impl Impact {
    /// How much would have been refused at least: the same use may be refused on both accounts.
    pub fn total(&self) -> Part {
        let (one, other) = (self.by_address.total, self.by_scope.total);
        Part {
            exchanges: one.exchanges.max(other.exchanges),
            verifications: one.verifications.max(other.verifications),
        }
    }
}

/// Tells what a key's narrowing would have refused of the successful uses of the last 30 days.
pub async fn impact(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    to: &Narrowing,
    now: Timestamp,
) -> Result<Impact, KeyError> {
    let (first_day, details) = lately(node, organization, id, now).await?;
    Ok(refused(details, to, first_day))
}

fn refused(details: Vec<UsageDetail>, to: &Narrowing, first_day: i64) -> Impact {
    let mut impact = Impact { first_day, by_address: Refusals::default(), by_scope: Refusals::default() };
    for detail in details {
        // `None`: it cannot be told.
        let (account, is_allowed) = if detail.is_address {
            let Some(networks) = &to.networks else { continue };
            let address = detail.value.as_deref().and_then(|text| text.parse().ok());
            (&mut impact.by_address, address.map(|address| networks.allows(address)))
        } else {
            let Some(scopes) = &to.scopes else { continue };
            let asked = detail.value.as_deref().and_then(|text| ScopeSet::parse(text).ok());
            (&mut impact.by_scope, asked.map(|asked| scopes.contains_all(&asked)))
        };
        match is_allowed {
            None => account.uncounted.add(&detail),
            Some(true) => {}
            Some(false) => {
                account.total.add(&detail);
                account.of.push(detail);
            }
        }
    }
    by_frequency(&mut impact.by_address.of);
    by_frequency(&mut impact.by_scope.of);
    impact
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(is_address: bool, value: Option<&str>, exchanges: u64, verifications: u64) -> UsageDetail {
        UsageDetail { is_address, value: value.map(str::to_owned), exchanges, verifications, last_day: 5 }
    }

    #[test]
    fn what_would_be_refused_is_counted_by_address_and_by_what_was_asked_for() {
        let details = || {
            vec![
                detail(true, Some("10.0.0.1"), 5, 0),
                detail(true, Some("203.0.113.7"), 312, 1),
                detail(true, Some("2001:db8::1"), 400, 0),
                detail(true, None, 7, 8),
                detail(false, Some("read:a/b write:a"), 3, 0),
                detail(false, Some("read:a/b"), 9, 2),
                detail(false, None, 1, 1),
            ]
        };
        let narrowing = Narrowing {
            scopes: Some(ScopeSet::parse("read:a/*").unwrap()),
            networks: Some(Networks::parse(&["10.0.0.0/8"]).unwrap()),
        };
        let impact = refused(details(), &narrowing, 0);
        let shown: Vec<&str> = impact.by_address.of.iter().filter_map(|detail| detail.value.as_deref()).collect();
        assert_eq!(shown, ["2001:db8::1", "203.0.113.7"]);
        assert_eq!(impact.by_address.total, Part { exchanges: 712, verifications: 1 });
        assert_eq!(impact.by_address.uncounted, Part { exchanges: 7, verifications: 8 });
        assert_eq!(impact.by_scope.total, Part { exchanges: 3, verifications: 0 });
        assert_eq!(impact.total(), Part { exchanges: 712, verifications: 1 });
        let nothing = refused(details(), &Narrowing { scopes: None, networks: None }, 0);
        assert_eq!((nothing.total(), nothing.by_address), (Part::default(), Refusals::default()));
    }
}
