//! How keys were used: by hour or day, of one key or of an organization, and the busiest keys.

use std::collections::BTreeMap;

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, day_of};
use crate::keys::{KeyError, load};
use crate::node::Node;
use crate::store::{BusyKey, BusyKeys, Interval, UsageOf};

/// Seconds of an hour and of a day.
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// Whole hours or days in UTC, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    interval: Interval,
    first: i64,
    last: i64,
}

/// What was counted in a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usage {
    /// When.
    pub span: Span,
    /// Each hour or day in order, those without use too.
    pub buckets: Vec<Counts>,
}

impl Span {
    /// The hours or days that a range touches: from a moment up to, and without, another.
    pub fn touched(interval: Interval, from: Timestamp, to: Timestamp) -> Self {
        let first = from.as_seconds().div_euclid(seconds(interval));
        let last = to.plus_millis(-1).as_seconds().div_euclid(seconds(interval));
        Self { interval, first, last: last.max(first) }
    }

    /// How finely it is told.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// When the first hour or day begins.
    pub fn start(&self) -> Timestamp {
        self.start_of(0)
    }

    /// When the last one has ended.
    pub fn end(&self) -> Timestamp {
        Timestamp::from_seconds(self.last.saturating_add(1).saturating_mul(seconds(self.interval)))
    }

    /// When one of them begins, counted from 0.
    pub fn start_of(&self, place: usize) -> Timestamp {
        let place = self.first.saturating_add(i64::try_from(place).unwrap_or(i64::MAX));
        Timestamp::from_seconds(place.saturating_mul(seconds(self.interval)))
    }

    /// The whole days that it touches.
    pub fn days(&self) -> Self {
        Self::touched(Interval::Day, self.start(), self.end())
    }
}

impl Usage {
    /// All of it.
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        self.buckets.iter().for_each(|bucket| totals.merge(bucket));
        totals
    }
}

/// How one key was used.
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

/// How all keys of an organization were used.
pub async fn usage_of_organization(node: &Node, organization: &Slug, span: Span) -> Result<Usage, KeyError> {
    usage(node, &UsageOf::Organization(organization.clone()), span).await
}

/// The keys of an organization with what was counted of each in the whole days that a span touches, busiest first.
pub async fn busiest(
    node: &Node,
    organization: &Slug,
    span: Span,
    after: Option<(u64, KeyId)>,
    limit: u32,
    now: Timestamp,
) -> Result<Page<BusyKey>, KeyError> {
    let days = span.days();
    let asked = BusyKeys {
        organization: organization.clone(),
        first_day: days.first,
        last_day: (days.end() <= now).then_some(days.last),
        after,
        limit: Page::<BusyKey>::read_limit(limit),
    };
    Ok(Page::new(node.store.busy_keys(&asked).await?, limit))
}

/// How some keys were used on each of the last days in UTC, the oldest first and today last: as many entries as days.
/// Keys that the organization does not have are left out. Meant for a page of a list and a month at most.
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
    Ok(counted.into_iter().map(|(key, counted)| (key, each(first, last, counted))).collect())
}

async fn usage(node: &Node, of: &UsageOf, span: Span) -> Result<Usage, KeyError> {
    let counted = node.store.usage(of, span.interval, span.first, span.last).await?;
    Ok(Usage { span, buckets: each(span.first, span.last, counted) })
}

/// The counts of each hour or day, those without use too.
fn each(first: i64, last: i64, counted: Vec<(i64, Counts)>) -> Vec<Counts> {
    let mut counted = counted.into_iter().peekable();
    let bucket = |place| counted.next_if(|(found, _)| *found == place).map(|(_, counts)| counts).unwrap_or_default();
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
    fn a_span_is_of_whole_hours_or_days_and_leaves_out_what_begins_at_its_end() {
        let at = Timestamp::from_seconds;
        let hours = Span::touched(Interval::Hour, at(3600), at(3 * 3600));
        assert_eq!((hours.first, hours.last), (1, 2));
        assert_eq!((hours.start(), hours.end(), hours.start_of(1)), (at(3600), at(3 * 3600), at(2 * 3600)));
        let days = Span::touched(Interval::Day, at(DAY + 5), at(2 * DAY + 1));
        assert_eq!((days.first, days.last), (1, 2));
        assert_eq!(hours.days(), Span { interval: Interval::Day, first: 0, last: 0 });
    }
}
