//! The only place that reads the time. Everything else is handed it.

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

/// A moment as RFC 3339 in UTC, with milliseconds where there are any.
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default().to_string()
}

/// Reads RFC 3339 with any offset; `None` when it is not that, or not before the year 10000.
///
/// ```
/// use keyturn::clock::{parse_rfc3339, rfc3339};
/// let at = parse_rfc3339("2030-01-01T01:00:00+01:00");
/// assert_eq!(at.map(rfc3339).as_deref(), Some("2030-01-01T00:00:00Z"));
/// assert_eq!(parse_rfc3339("2030-01-01"), None);
/// assert_eq!(parse_rfc3339("20300101T000000Z"), None);
/// assert_eq!(parse_rfc3339("2030-01-01T00:00:00Z[Europe/Paris]"), None);
/// assert_eq!(parse_rfc3339("10000-01-01T00:00:00Z"), None);
/// ```
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    if !is_rfc3339(text.as_bytes()) {
        return None;
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond())).filter(|at| *at <= Timestamp::MAX)
}

/// Whether a text has the shape of RFC 3339 §5.6; the date library takes more than that.
fn is_rfc3339(text: &[u8]) -> bool {
    let matches = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                other => byte.eq_ignore_ascii_case(other),
            })
    };
    let Some((head, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..).filter(|_| (1..=9).contains(&digits)).unwrap_or_default()
        }
        whole => whole,
    };
    matches(head, b"0000-00-00T00:00:00")
        && (matches(zone, b"Z") || matches(zone, b"+00:00") || matches(zone, b"-00:00"))
}
