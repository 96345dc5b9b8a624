//! The number of access tokens that were issued in a short period, estimated from hourly counts.

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::UsageOutcome;
use crate::keys::KeyError;
use crate::node::Node;
use crate::store::Interval;
use crate::usage::report::{Span, usage_of_organization};

const HOUR_MILLIS: i64 = 3_600_000;

/// Estimates how many access tokens an organization issued from `from` to `to`. Counts are kept by hour, so exchanges
/// are assumed to be spread evenly over an hour. At least 1 if any were issued in those hours.
pub async fn estimate_issued(
    node: &Node,
    organization: &Slug,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Result<u64, KeyError> {
    if to <= from {
        return Ok(0);
    }
    let span = Span::touched(Interval::Hour, from, to);
    let usage = usage_of_organization(node, organization, span).await?;
    let hours = usage
        .buckets
        .iter()
        .enumerate()
        .map(|(index, counts)| (span.start_of(index), counts.of(UsageOutcome::Exchanged)));
    Ok(share(hours, from, to, now))
}

/// Adds up the share of each hour's count that falls between `from` and `to`. The current hour ends at `now`.
fn share(hours: impl Iterator<Item = (Timestamp, u64)>, from: Timestamp, to: Timestamp, now: Timestamp) -> u64 {
    let mut issued = 0;
    for (start, count) in hours {
        let end = start.plus_millis(HOUR_MILLIS).min(now);
        let length = end.millis_since(start);
        let overlap = end.min(to).millis_since(start.max(from));
        if length <= 0 || overlap <= 0 {
            continue;
        }
        let scaled = u128::from(count) * u128::from(overlap.unsigned_abs());
        issued += u64::try_from(scaled.div_ceil(u128::from(length.unsigned_abs()))).unwrap_or(u64::MAX);
    }
    issued
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_800_000_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(NOON + 60 * minute)
    }

    /// The hour before noon had 600 exchanges, the one after it 90 until 12:30.
    #[test]
    fn hours_count_by_their_overlap() {
        let issued = |from, to, now| share([(at(-60), 600), (at(0), 90)].into_iter(), at(from), at(to), at(now));
        for (from, to, now, expected) in [
            (20, 30, 30, 30),
            (-10, 30, 30, 190),
            (-10, 0, 30, 100),
            (-60, 30, 30, 690),
            (0, 30, 30, 90),
            (-5, 0, 0, 50),
        ] {
            assert_eq!(issued(from, to, now), expected, "{from} to {to}");
        }
    }

    #[test]
    fn a_single_token_is_never_rounded_away() {
        assert_eq!(share([(at(0), 1)].into_iter(), at(40), at(41), at(50)), 1);
        assert_eq!(share([(at(0), 0)].into_iter(), at(40), at(41), at(50)), 0);
    }
}
