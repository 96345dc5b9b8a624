//! Time ranges of usage charts. All of them end now.

use askama::Template;

use crate::clock::rfc3339;
use crate::console::ui::{Column, format_count, format_month_and_day, html};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::http::form::Form;
use crate::store::Interval;
use crate::usage::{Span, Usage};

html! { Ranges Totals }

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Days in a column of the longest range.
const WEEK: usize = 7;

/// A time range that ends now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::console) enum Range {
    /// 24 hours by hour.
    Day,
    /// 7 days by hour.
    Week,
    /// 30 days by day.
    Month,
    /// 90 days by day.
    Quarter,
    /// 52 weeks by week.
    Year,
}

/// Links to all ranges.
#[derive(Template)]
#[template(
    source = r#"<ul class="ranges" aria-label="Time range">{% for (query, name, is_current) in links %}<li><a href="?range={{ query }}"{% if *is_current %} aria-current="true"{% endif %}>{{ name }}</a></li>{% endfor %}</ul>"#,
    ext = "html"
)]
pub(in crate::console) struct Ranges {
    links: Vec<(&'static str, &'static str, bool)>,
}

/// Total counts by outcome and by reason of denial.
#[derive(Template)]
#[template(path = "console/usage/totals.html")]
pub(in crate::console) struct Totals {
    exchanges: String,
    verifications: String,
    denials: String,
    reasons: Vec<(&'static str, String)>,
}

impl Range {
    const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// Reads the range from a query. The default is 30 days.
    pub(in crate::console) fn read(query: &Form) -> Self {
        let wanted = query.value("range");
        Self::ALL.into_iter().find(|range| Some(range.query()) == wanted).unwrap_or(Self::Month)
    }

    fn query(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
            Self::Year => "1y",
        }
    }

    pub(in crate::console) fn name(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::Quarter => "90 days",
            Self::Year => "12 months",
        }
    }

    /// Unit of a column of the chart.
    pub(in crate::console) fn unit(self) -> &'static str {
        match self {
            Self::Day | Self::Week => "Hour (UTC)",
            Self::Month | Self::Quarter => "Day (UTC)",
            Self::Year => "Week of (UTC)",
        }
    }

    pub(in crate::console) fn links(self) -> Ranges {
        Ranges { links: Self::ALL.into_iter().map(|range| (range.query(), range.name(), range == self)).collect() }
    }

    /// Returns the hours or days of the range, including the current one.
    pub(in crate::console) fn span(self, now: Timestamp) -> Span {
        let (interval, seconds, number) = match self {
            Self::Day => (Interval::Hour, HOUR, 24),
            Self::Week => (Interval::Hour, HOUR, 7 * 24),
            Self::Month => (Interval::Day, DAY, 30),
            Self::Quarter => (Interval::Day, DAY, 90),
            Self::Year => (Interval::Day, DAY, 364),
        };
        Span::touched(interval, now.plus_seconds(-(number - 1) * seconds), now.plus_millis(1))
    }

    /// Converts usage into chart columns.
    pub(in crate::console) fn columns(self, usage: &Usage) -> Vec<Column> {
        let together = if self == Self::Year { WEEK } else { 1 };
        let column = |(place, buckets): (usize, &[Counts])| {
            let at = usage.span.start_of(place * together);
            let text = rfc3339(at);
            let (date, time) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
            let mut counts = Counts::default();
            buckets.iter().for_each(|bucket| counts.merge(bucket));
            let (name, short) = match self {
                Self::Day => (format!("{date} {time}"), time.to_owned()),
                Self::Week => (format!("{date} {time}"), format_month_and_day(at)),
                Self::Month | Self::Quarter | Self::Year => (date.to_owned(), format_month_and_day(at)),
            };
            Column { at, name, short, counts }
        };
        usage.buckets.chunks(together).enumerate().map(column).collect()
    }
}

impl From<&Counts> for Totals {
    fn from(counts: &Counts) -> Self {
        let reason = |outcome| match outcome {
            UsageOutcome::Exchanged | UsageOutcome::Verified => None,
            UsageOutcome::DeniedInvalid => Some("Invalid secret or token"),
            UsageOutcome::DeniedExpired => Some("Key expired"),
            UsageOutcome::DeniedDisabled => Some("Key disabled"),
            UsageOutcome::DeniedNetwork => Some("Network not allowed"),
            UsageOutcome::DeniedScope => Some("Scope not granted"),
            UsageOutcome::DeniedAudience => Some("Audience not allowed"),
        };
        let denied = |outcome: UsageOutcome| Some((reason(outcome)?, counts.of(outcome)));
        let denied: Vec<_> = UsageOutcome::ALL.into_iter().filter_map(denied).collect();
        Self {
            exchanges: format_count(counts.of(UsageOutcome::Exchanged)),
            verifications: format_count(counts.of(UsageOutcome::Verified)),
            denials: format_count(denied.iter().fold(0, |sum: u64, (_, number)| sum.saturating_add(*number))),
            reasons: denied
                .into_iter()
                .filter(|(_, number)| *number > 0)
                .map(|(reason, number)| (reason, format_count(number)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_ends_with_the_current_interval() {
        let now = Timestamp::from_seconds(1_700_000_000);
        for (range, buckets) in
            [(Range::Day, 24), (Range::Week, 168), (Range::Month, 30), (Range::Quarter, 90), (Range::Year, 364)]
        {
            let span = range.span(now);
            let seconds = if span.interval() == Interval::Hour { HOUR } else { DAY };
            assert_eq!((span.end().as_seconds() - span.start().as_seconds()) / seconds, buckets, "{range:?}");
            assert!(span.end() > now && span.end().plus_seconds(-seconds) <= now, "{range:?}");
            let usage = Usage { span, buckets: vec![Counts([1; 8]); usize::try_from(buckets).unwrap()] };
            let columns = range.columns(&usage);
            assert!(columns.len() <= 168, "a page stays small");
            let total: u64 = columns.iter().map(|column| column.counts.of(UsageOutcome::Exchanged)).sum();
            assert_eq!(total, u64::try_from(buckets).unwrap(), "nothing is lost");
        }
    }
}
