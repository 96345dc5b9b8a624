//! Values of options: durations, points in time.

use serde_json::{Map, Value};

use crate::cli::CliError;
use crate::clock::{self, parse_rfc3339, rfc3339};

const UNITS: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 7 * 86_400)];

/// Reads a duration such as `90d`, `12h` or `3600` in seconds.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    let (digits, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor))).unwrap_or((text, 1));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse::<i64>().ok().filter(|_| is_number).and_then(|number| number.checked_mul(factor));
    seconds.ok_or_else(|| {
        "must be a number with a unit (s, m, h, d or w), such as 90d or 12h, or a number of seconds".into()
    })
}

/// Reads pairs, each `NAME=VALUE`; `option` is named in errors.
pub(super) fn parse_pairs(option: &str, pairs: &[String]) -> Result<Map<String, Value>, CliError> {
    let read = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), Value::from(value)));
        pair.ok_or_else(|| CliError::Use(format!("{option} {text}: must be NAME=VALUE")))
    };
    pairs.iter().map(read).collect()
}

/// Reads a point in time and returns it as RFC 3339. A plain date is the start of that day in UTC.
pub(super) fn parse_moment(text: &str) -> Result<String, String> {
    let whole = if text.len() == "2030-01-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    match parse_rfc3339(&whole) {
        Some(_) => Ok(whole),
        None => Err("must be a date such as 2030-01-31, or a date and time such as 2030-01-31T12:00:00Z".into()),
    }
}

/// Reads a point in time, or how long ago it was: `24h` is a day ago.
pub(super) fn parse_past(text: &str) -> Result<String, String> {
    match parse_duration(text) {
        Ok(seconds) => Ok(rfc3339(clock::now().plus_seconds(seconds.checked_neg().unwrap_or_default()))),
        Err(_) => parse_moment(text).map_err(|expected| format!("{expected}, or how long ago, such as 24h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, seconds) in
            [("0", 0), ("45", 45), ("45s", 45), ("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600)]
        {
            assert_eq!(parse_duration(text), Ok(seconds), "{text}");
        }
        for text in ["", "d", "-5", "+5", "1.5h", "1h30m", "90 d", "90D", "9223372036854775807w", "٣d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_dates_start_at_midnight_utc() {
        assert_eq!(parse_moment("2030-01-31").as_deref(), Ok("2030-01-31T00:00:00Z"));
        assert_eq!(parse_moment("2030-01-31T12:00:00+01:00").as_deref(), Ok("2030-01-31T12:00:00+01:00"));
        for text in ["", "2030-02-30", "2030-1-31", "tomorrow", "2030-01-31T12:00", "10000-01-01T00:00:00Z"] {
            assert!(parse_moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_count_back_from_now() {
        let now = clock::now();
        let day_ago = parse_rfc3339(&parse_past("24h").unwrap()).unwrap();
        assert!(now.millis_since(day_ago).abs_diff(86_400_000) < 60_000);
        assert_eq!(parse_past("2026-01-31").as_deref(), Ok("2026-01-31T00:00:00Z"));
        assert!(parse_past("yesterday").unwrap_err().contains("24h"));
    }
}
