//! Usage reports: by hour or day, of a key or an organization, and the busiest keys.

use std::collections::BTreeMap;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, day_of};
use crate::keys::{KeyError, load};
use crate::node::Node;
use crate::store::{BusyKey, BusyKeys, Interval, UsageOf};

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// A range of whole hours or days in UTC, inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    interval: Interval,
    first: i64,
    last: i64,
}

/// Counts in a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usage {
    pub span: Span,
    /// One entry for each hour or day in order, including those without use.
    pub buckets: Vec<Counts>,
}

impl Span {
    /// Returns the hours or days that overlap with a range; `to` is exclusive.
    pub fn touched(interval: Interval, from: Timestamp, to: Timestamp) -> Self {
        let first = from.as_seconds().div_euclid(seconds(interval));
        let last = to.plus_millis(-1).as_seconds().div_euclid(seconds(interval));
        Self { interval, first, last: last.max(first) }
    }

    /// Returns the last days in UTC, including today.
    pub fn last_days(days: i64, now: Timestamp) -> Self {
        Self::touched(Interval::Day, now.plus_seconds(-(days - 1) * DAY), now.plus_millis(1))
    }

    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Start of the first hour or day.
    pub fn start(&self) -> Timestamp {
        self.start_of(0)
    }

    /// End of the last hour or day.
    pub fn end(&self) -> Timestamp {
        Timestamp::from_seconds(self.last.saturating_add(1).saturating_mul(seconds(self.interval)))
    }

    /// Start of the hour or day with this zero-based index.
    pub fn start_of(&self, index: usize) -> Timestamp {
        let number = self.first.saturating_add(i64::try_from(index).unwrap_or(i64::MAX));
        Timestamp::from_seconds(number.saturating_mul(seconds(self.interval)))
    }

    /// First and last hour or day, since the epoch.
    pub(super) fn bounds(&self) -> (i64, i64) {
        (self.first, self.last)
    }

    /// Returns the whole days that overlap with the span.
    pub fn days(&self) -> Self {
        Self::touched(Interval::Day, self.start(), self.end())
    }
}

impl Usage {
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        self.buckets.iter().for_each(|bucket| totals.merge(bucket));
        totals
    }
}

/// Returns the usage of one key.
pub async fn usage_of_key(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    span: Span,
) -> Result<(ApiKey, Usage), KeyError> {
    let key = load(node, organization, id).await?;
    let usage = usage(node, &UsageOf::Key(*id), span).await?;
    Ok((key, usage))
}

/// Returns the usage of all keys that a customer has now.
pub async fn usage_of_customer(node: &Node, customer: &CustomerId, span: Span) -> Result<Usage, KeyError> {
    usage(node, &UsageOf::Customer(*customer), span).await
}

/// Returns the usage of all keys of an organization.
pub async fn usage_of_organization(node: &Node, organization: &Slug, span: Span) -> Result<Usage, KeyError> {
    usage(node, &UsageOf::Organization(organization.clone()), span).await
}

/// Returns the keys of an organization, busiest first, with their counts in the whole days that overlap with a span.
pub async fn busiest(
    node: &Node,
    organization: &Slug,
    span: Span,
    after: Option<(u64, KeyId)>,
    limit: u32,
    now: Timestamp,
) -> Result<Page<BusyKey>, KeyError> {
    let days = span.days();
    let filter = BusyKeys {
        organization: organization.clone(),
        first_day: days.first,
        last_day: (days.end() <= now).then_some(days.last),
        after,
        limit: Page::<BusyKey>::read_limit(limit),
    };
    Ok(Page::new(node.store.busy_keys(&filter).await?, limit))
}

/// Returns the counts of keys for each of the last days in UTC, oldest first, including today. Omits keys that the
/// organization does not have. Meant for a page of keys and at most a month.
pub async fn recent(
    node: &Node,
    organization: &Slug,
    keys: &[KeyId],
    days: u32,
    now: Timestamp,
) -> Result<BTreeMap<KeyId, Vec<Counts>>, KeyError> {
    if days == 0 || keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let last = day_of(now);
    let first = last.saturating_sub(i64::from(days) - 1);
    let counted = node.store.usage_of_keys(organization, keys, first, last).await?;
    Ok(counted.into_iter().map(|(key, counted)| (key, fill_gaps(first, last, counted))).collect())
}

async fn usage(node: &Node, of: &UsageOf, span: Span) -> Result<Usage, KeyError> {
    let counted = node.store.usage(of, span.interval, span.first, span.last).await?;
    Ok(Usage { span, buckets: fill_gaps(span.first, span.last, counted) })
}

/// Returns the counts of each hour or day, including those without use.
pub(super) fn fill_gaps(first: i64, last: i64, counted: Vec<(i64, Counts)>) -> Vec<Counts> {
    let mut counted = counted.into_iter().peekable();
    let bucket = |number| counted.next_if(|(known, _)| *known == number).map(|(_, counts)| counts).unwrap_or_default();
    (first..=last).map(bucket).collect()
}

fn seconds(interval: Interval) -> i64 {
    match interval {
        Interval::Hour => HOUR,
        Interval::Day => DAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_is_rounded_to_whole_hours_or_days() {
        let at = Timestamp::from_seconds;
        let hours = Span::touched(Interval::Hour, at(3600), at(3 * 3600));
        assert_eq!((hours.first, hours.last), (1, 2));
        assert_eq!((hours.start(), hours.end(), hours.start_of(1)), (at(3600), at(3 * 3600), at(2 * 3600)));
        let days = Span::touched(Interval::Day, at(DAY + 5), at(2 * DAY + 1));
        assert_eq!((days.first, days.last), (1, 2));
        assert_eq!(hours.days(), Span { interval: Interval::Day, first: 0, last: 0 });
    }
}
