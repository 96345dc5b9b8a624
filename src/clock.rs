//! The only place that reads the time; everywhere else it is an argument.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// The wall clock, in milliseconds since the epoch; before 1970 it reads as 1970.
#[expect(clippy::disallowed_methods, reason = "this is the home of the clock")]
pub fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A monotonic reading, for measuring how long something took.
#[expect(clippy::disallowed_methods, reason = "this is the home of the clock")]
pub fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

/// Nanoseconds since the machine started, including the time while it slept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BootTime(u64);

impl BootTime {
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time since an earlier moment; zero if that moment is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The clock for leases (`CLOCK_BOOTTIME`): unlike [`stopwatch`], it does not stop when the machine sleeps.
pub fn boot() -> BootTime {
    let reading = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(reading.tv_sec), u64::try_from(reading.tv_nsec));
    BootTime(seconds.unwrap_or_default().saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or_default()))
}

/// Formats a moment as RFC 3339 in UTC, with a fraction if it has one.
pub fn rfc3339(at: Timestamp) -> String {
    let since_epoch = jiff::SignedDuration::from_millis(at.as_millis());
    let civil = EPOCH.checked_add(since_epoch).unwrap_or(jiff::civil::DateTime::MAX);
    format!("{civil}Z")
}

/// Parses RFC 3339 with any offset. `None` if the text is something else, or not before the year 10000.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (civil, zone) = split_zone(text)?;
    if !is_civil(civil.as_bytes()) {
        return None;
    }
    let civil: jiff::civil::DateTime = civil.parse().ok()?;
    let local = civil.duration_since(EPOCH).as_millis();
    let utc = i64::try_from(local).ok()?.checked_sub(offset_millis(zone)?)?;
    Some(Timestamp::from_millis(utc)).filter(|at| *at <= Timestamp::MAX)
}

const EPOCH: jiff::civil::DateTime = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// Splits date and time from `Z` or the offset.
fn split_zone(text: &str) -> Option<(&str, &str)> {
    let zone = if text.ends_with(['Z', 'z']) { 1 } else { 6 };
    text.split_at_checked(text.len().checked_sub(zone)?)
}

/// Whether a text has the form of RFC 3339 §5.6 without its offset; the date library accepts more.
fn is_civil(text: &[u8]) -> bool {
    let Some((head, fraction)) = text.split_at_checked(19) else { return false };
    let shape = b"0000-00-00T00:00:00";
    let shaped = head.iter().zip(shape).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte.eq_ignore_ascii_case(other),
    });
    let fraction = match fraction {
        [] => true,
        [b'.', digits @ ..] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    shaped && fraction
}

/// The milliseconds by which `Z` or `+HH:MM` is ahead of UTC.
fn offset_millis(zone: &str) -> Option<i64> {
    let &[sign, h1, h2, b':', m1, m2] = zone.as_bytes() else {
        return zone.eq_ignore_ascii_case("z").then_some(0);
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
    let millis = (hours * 60 + minutes) * 60_000;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(millis),
        b'-' => Some(-millis),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc3339_is_read_with_any_offset() {
        for (text, utc) in [
            ("2030-01-01T01:00:00+01:00", "2030-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(parse_rfc3339(text).map(rfc3339).as_deref(), Some(utc));
        }
        for other in [
            "2030-01-01",
            "20300101T000000Z",
            "2030-01-01T00:00:00Z[Europe/Paris]",
            "2030-01-01T00:00:00+24:00",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn formatted_moment_is_parsed_back(millis in 0..=Timestamp::MAX.as_millis()) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        }

        #[test]
        fn parsing_never_panics(text in "(\\PC|[0-9TZ:.+-]){0,35}") {
            let _ = parse_rfc3339(&text);
        }
    }
}
