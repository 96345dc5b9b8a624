//! Recent client addresses, APIs and requested scopes of a key.

use std::cmp::Reverse;

use crate::domain::apis::ApiId;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::day_of;
use crate::keys::{KeyError, load};
use crate::node::Node;
use crate::store::{DetailKind, UsageDetail};

/// Number of days, including today.
pub(super) const DAYS: i64 = 30;

/// Number of token requests and verifications.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UseCounts {
    pub exchanges: u64,
    pub verifications: u64,
}

/// An address, an API or requested scopes, with its uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueUses {
    /// The API, if it is one and known.
    pub api: Option<ApiId>,
    /// Address, or scopes separated by spaces; empty for an API.
    pub value: String,
    pub uses: UseCounts,
    /// Last day with a use, since the epoch.
    pub last_day: i64,
}

/// Uses by value of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ValueList {
    /// Most frequent first, then sorted by text.
    pub listed: Vec<ValueUses>,
    /// Uses whose value was not recorded, because there were too many distinct ones.
    pub others: UseCounts,
}

/// Successful uses of a key in the last 30 days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyDetails {
    /// First of those days, since the epoch.
    pub first_day: i64,
    pub addresses: ValueList,
    /// A request of several APIs is counted for each of them.
    pub apis: ValueList,
    pub requested: ValueList,
}

impl UseCounts {
    pub(super) fn add(&mut self, detail: &UsageDetail) {
        self.exchanges = self.exchanges.saturating_add(detail.exchanges);
        self.verifications = self.verifications.saturating_add(detail.verifications);
    }

    pub fn all(&self) -> u64 {
        self.exchanges.saturating_add(self.verifications)
    }
}

/// Returns the client addresses, APIs and requested scopes of a key in the last 30 days.
pub async fn details(node: &Node, organization: &Slug, id: &KeyId, now: Timestamp) -> Result<KeyDetails, KeyError> {
    let (first_day, details) = recent_details(node, organization, id, now).await?;
    Ok(group(details, first_day))
}

/// Returns the first of the last 30 days, and the details since.
pub(super) async fn recent_details(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    now: Timestamp,
) -> Result<(i64, Vec<UsageDetail>), KeyError> {
    load(node, organization, id).await?;
    let first_day = day_of(now).saturating_sub(DAYS - 1);
    Ok((first_day, node.store.usage_details(id, first_day).await?))
}

/// Sorts by frequency; stable for equal values.
pub(super) fn sort_by_frequency(details: &mut [UsageDetail]) {
    details.sort_by_key(|detail| Reverse(detail.exchanges.saturating_add(detail.verifications)));
}

fn group(mut details: Vec<UsageDetail>, first_day: i64) -> KeyDetails {
    sort_by_frequency(&mut details);
    let (mut addresses, mut apis, mut requested) = (ValueList::default(), ValueList::default(), ValueList::default());
    for detail in details {
        let (kind, is_known) = match detail.kind {
            DetailKind::Address => (&mut addresses, detail.value.is_some()),
            DetailKind::Api => (&mut apis, detail.api.is_some()),
            DetailKind::Scope => (&mut requested, detail.value.is_some()),
        };
        let mut uses = UseCounts::default();
        uses.add(&detail);
        if is_known {
            let (api, value) = (detail.api, detail.value.unwrap_or_default());
            kind.listed.push(ValueUses { api, value, uses, last_day: detail.last_day });
        } else {
            kind.others.add(&detail);
        }
    }
    KeyDetails { first_day, addresses, apis, requested }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_frequent_first_and_others_summed() {
        let detail = |kind, value: Option<&str>, exchanges, verifications, last_day| UsageDetail {
            kind,
            api: (kind != DetailKind::Address).then_some(ApiId::DEFAULT),
            value: value.map(str::to_owned),
            exchanges,
            verifications,
            last_day,
        };
        let details = group(
            vec![
                detail(DetailKind::Address, None, 7, 8, 9),
                detail(DetailKind::Address, Some("10.0.0.1"), 5, 0, 4),
                detail(DetailKind::Address, Some("10.0.0.2"), 2, 3, 6),
                detail(DetailKind::Address, Some("10.0.0.3"), 0, 6, 5),
                detail(DetailKind::Api, None, 14, 17, 9),
                detail(DetailKind::Scope, Some("read:a"), 1, 0, 3),
            ],
            2,
        );
        let listed: Vec<_> = details.addresses.listed.iter().map(|seen| (seen.value.as_str(), seen.last_day)).collect();
        assert_eq!(listed, [("10.0.0.3", 5), ("10.0.0.1", 4), ("10.0.0.2", 6)]);
        assert_eq!(details.addresses.others, UseCounts { exchanges: 7, verifications: 8 });
        assert_eq!((details.apis.listed.len(), details.apis.listed[0].uses.all()), (1, 31));
        assert_eq!(details.requested.listed[0].uses, UseCounts { exchanges: 1, verifications: 0 });
        assert_eq!(
            (details.requested.listed.len(), details.requested.others, details.first_day),
            (1, UseCounts::default(), 2)
        );
    }
}
