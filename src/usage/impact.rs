//! The part of a key's recent use that a narrowing would have denied.

use std::net::IpAddr;

use crate::domain::key_text::KeyId;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::KeyError;
use crate::node::Node;
use crate::store::UsageDetail;
use crate::usage::details::{UseCounts, recent_details, sort_by_frequency};

/// A narrowing of a key; `None` keeps a field.
#[derive(Clone, Debug)]
pub struct Narrowing {
    pub scopes: Option<ScopeSet>,
    pub networks: Option<Networks>,
}

/// Denied uses for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeniedUses {
    /// All denied uses.
    pub total: UseCounts,
    /// By address or by requested scopes, most frequent first.
    pub of: Vec<UsageDetail>,
    /// Uses whose value was not recorded, because there were too many distinct ones.
    pub uncounted: UseCounts,
}

/// The effect of a narrowing on recent use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Impact {
    /// First day of the period, since the epoch.
    pub first_day: i64,
    pub by_address: DeniedUses,
    pub by_scope: DeniedUses,
}

impl Impact {
    /// Minimum number of denied uses. The same use may be denied for both reasons.
    pub fn total(&self) -> UseCounts {
        let (one, other) = (self.by_address.total, self.by_scope.total);
        UseCounts {
            exchanges: one.exchanges.max(other.exchanges),
            verifications: one.verifications.max(other.verifications),
        }
    }
}

/// Returns the successful uses of the last 30 days that a narrowing would have denied.
pub async fn impact(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    to: &Narrowing,
    now: Timestamp,
) -> Result<Impact, KeyError> {
    let (first_day, details) = recent_details(node, organization, id, now).await?;
    Ok(denied(details, to, first_day))
}

fn denied(details: Vec<UsageDetail>, to: &Narrowing, first_day: i64) -> Impact {
    let networks = to.networks.as_ref().map(|networks| |address| networks.allows(address));
    let scopes = to
        .scopes
        .as_ref()
        .map(|scopes| |text: &str| ScopeSet::parse(text).ok().map(|requested| scopes.contains_all(&requested)));
    denied_uses(
        details,
        first_day,
        networks.as_ref().map(|allows| allows as _),
        scopes.as_ref().map(|allows| allows as _),
    )
}

/// Returns the uses that would have been denied. `None` leaves addresses or scopes out; a requested scope that cannot be read is
/// `None`.
pub(super) fn denied_uses(
    details: Vec<UsageDetail>,
    first_day: i64,
    allows_address: Option<&dyn Fn(IpAddr) -> bool>,
    allows_scopes: Option<&dyn Fn(&str) -> Option<bool>>,
) -> Impact {
    let mut impact = Impact { first_day, by_address: DeniedUses::default(), by_scope: DeniedUses::default() };
    for detail in details {
        // `None` if the value was not recorded.
        let (account, is_allowed) = if detail.is_address {
            let Some(allows) = allows_address else { continue };
            let address = detail.value.as_deref().and_then(|text| text.parse().ok());
            (&mut impact.by_address, address.map(allows))
        } else {
            let Some(allows) = allows_scopes else { continue };
            (&mut impact.by_scope, detail.value.as_deref().and_then(allows))
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
    sort_by_frequency(&mut impact.by_address.of);
    sort_by_frequency(&mut impact.by_scope.of);
    impact
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(is_address: bool, value: Option<&str>, exchanges: u64, verifications: u64) -> UsageDetail {
        UsageDetail { is_address, value: value.map(str::to_owned), exchanges, verifications, last_day: 5 }
    }

    #[test]
    fn denied_uses_by_address_and_scope() {
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
        let impact = denied(details(), &narrowing, 0);
        let listed: Vec<&str> = impact.by_address.of.iter().filter_map(|detail| detail.value.as_deref()).collect();
        assert_eq!(listed, ["2001:db8::1", "203.0.113.7"]);
        assert_eq!(impact.by_address.total, UseCounts { exchanges: 712, verifications: 1 });
        assert_eq!(impact.by_address.uncounted, UseCounts { exchanges: 7, verifications: 8 });
        assert_eq!(impact.by_scope.total, UseCounts { exchanges: 3, verifications: 0 });
        assert_eq!(impact.total(), UseCounts { exchanges: 712, verifications: 1 });
        let nothing = denied(details(), &Narrowing { scopes: None, networks: None }, 0);
        assert_eq!((nothing.total(), nothing.by_address), (UseCounts::default(), DeniedUses::default()));
    }
}
