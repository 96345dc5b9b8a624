//! From where a key was used lately, and what was asked for.

use std::cmp::Reverse;

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::day_of;
use crate::keys::{KeyError, load};
use crate::node::Node;
use crate::store::UsageDetail;

/// How many days are looked back, today included.
const DAYS: i64 = 30;

/// Exchanges and checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// Exchanges.
    pub exchanges: u64,
    /// Checks.
    pub verifications: u64,
}

/// An address from which a key was used, or what was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The address, or scopes separated by spaces.
    pub what: String,
    /// How often.
    pub uses: Part,
    /// The last day on which it was seen, since the epoch.
    pub last_day: i64,
}

/// What was seen of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SeenDetails {
    /// The most frequent first, then by text.
    pub told: Vec<Seen>,
    /// Uses of which it is not known, for they were too various to be told apart.
    pub others: Part,
}

/// The successful uses of a key in the last 30 days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyDetails {
    /// The first of those days, since the epoch.
    pub first_day: i64,
    /// Addresses.
    pub addresses: SeenDetails,
    /// What was asked for.
    pub asked: SeenDetails,
}

impl Part {
    pub(super) fn add(&mut self, detail: &UsageDetail) {
        self.exchanges = self.exchanges.saturating_add(detail.exchanges);
        self.verifications = self.verifications.saturating_add(detail.verifications);
    }

    /// All of it.
    pub fn all(&self) -> u64 {
        self.exchanges.saturating_add(self.verifications)
    }
}

/// Tells from where a key was used in the last 30 days, and what was asked for.
pub async fn details(node: &Node, organization: &Slug, id: &KeyId, now: Timestamp) -> Result<KeyDetails, KeyError> {
    let (first_day, details) = lately(node, organization, id, now).await?;
    Ok(told(details, first_day))
}

/// The first of the last 30 days, and what was seen of a key since.
pub(super) async fn lately(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    now: Timestamp,
) -> Result<(i64, Vec<UsageDetail>), KeyError> {
    load(node, organization, id).await?;
    let first_day = day_of(now).saturating_sub(DAYS - 1);
    Ok((first_day, node.store.usage_details(id, first_day).await?))
}

/// Puts the most frequent first; of those as frequent as each other, the one that was first before.
pub(super) fn by_frequency(details: &mut [UsageDetail]) {
    details.sort_by_key(|detail| Reverse(detail.exchanges.saturating_add(detail.verifications)));
}

fn told(mut details: Vec<UsageDetail>, first_day: i64) -> KeyDetails {
    by_frequency(&mut details);
    let (mut addresses, mut asked) = (SeenDetails::default(), SeenDetails::default());
    for detail in details {
        let kind = if detail.is_address { &mut addresses } else { &mut asked };
        let mut uses = Part::default();
        uses.add(&detail);
        match detail.value {
            Some(what) => kind.told.push(Seen { what, uses, last_day: detail.last_day }),
            None => kind.others.add(&detail),
        }
    }
    KeyDetails { first_day, addresses, asked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_told_most_frequent_first_and_the_rest_in_one_sum() {
        let detail = |is_address, value: Option<&str>, exchanges, verifications, last_day| UsageDetail {
            is_address,
            value: value.map(str::to_owned),
            exchanges,
            verifications,
            last_day,
        };
        let details = told(
            vec![
                detail(true, None, 7, 8, 9),
                detail(true, Some("10.0.0.1"), 5, 0, 4),
                detail(true, Some("10.0.0.2"), 2, 3, 6),
                detail(true, Some("10.0.0.3"), 0, 6, 5),
                detail(false, Some("read:a"), 1, 0, 3),
            ],
            2,
        );
        let shown: Vec<_> = details.addresses.told.iter().map(|seen| (seen.what.as_str(), seen.last_day)).collect();
        assert_eq!(shown, [("10.0.0.3", 5), ("10.0.0.1", 4), ("10.0.0.2", 6)]);
        assert_eq!(details.addresses.others, Part { exchanges: 7, verifications: 8 });
        assert_eq!(details.asked.told[0].uses, Part { exchanges: 1, verifications: 0 });
        assert_eq!((details.asked.told.len(), details.asked.others, details.first_day), (1, Part::default(), 2));
    }
}
