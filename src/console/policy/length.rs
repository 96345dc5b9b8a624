//! Lengths of time as people write them: `90 days`, `24h`, `10 minutes`.

use crate::http::checks::Checks;

const DAY: u64 = 86_400;
/// Seconds per unit, and the names of the unit. The first name is the singular.
const UNITS: [(u64, &[&str]); 5] = [
    (7 * DAY, &["week", "weeks", "w"]),
    (DAY, &["day", "days", "d"]),
    (3_600, &["hour", "hours", "h"]),
    (60, &["minute", "minutes", "min", "m"]),
    (1, &["second", "seconds", "sec", "s"]),
];

/// A number with the seconds of its unit, if it has one.
fn read(text: &str) -> Option<(u64, Option<u64>)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let number = digits.parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    if unit.is_empty() {
        return Some((number, None));
    }
    let known = UNITS.iter().find(|(_, names)| names.contains(&unit.as_str()));
    known.map(|(seconds, _)| (number, Some(*seconds)))
}

/// Reads a length with a unit, in seconds; 0 needs none. A length that is too long becomes the maximum.
pub(super) fn parse_seconds(text: &str) -> Result<u32, String> {
    match read(text) {
        Some((0, None)) => Ok(0),
        Some((number, None)) => Err(format!("Add a unit, for example {number} minutes or {number} hours.")),
        Some((number, Some(unit))) => Ok(u32::try_from(number.saturating_mul(unit)).unwrap_or(u32::MAX)),
        None => Err("Enter a number and a unit, for example 10 minutes, 24 hours or 30 days.".into()),
    }
}

/// Reads the longest lifetime of tokens of an API or a profile. Blank is `None`.
pub(in crate::console) fn parse_lifetime(checks: &mut Checks, text: &str) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let message = match parse_seconds(text) {
        Ok(seconds) if (60..=3600).contains(&seconds) => return Some(seconds),
        Ok(_) => "Enter 1 minute to 1 hour, or leave blank.".to_owned(),
        Err(message) => message,
    };
    checks.wrong("token_ttl_seconds", message);
    None
}

/// Reads whole days; a number without a unit is a number of days. A length that is too long becomes the maximum.
pub(super) fn parse_days(text: &str) -> Result<u32, String> {
    match read(text) {
        Some((number, None)) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Some((number, Some(unit))) => match number.saturating_mul(unit) {
            seconds if seconds.is_multiple_of(DAY) => Ok(u32::try_from(seconds / DAY).unwrap_or(u32::MAX)),
            _ => Err("Enter whole days, for example 90 days.".into()),
        },
        None => Err("Enter a number of days, for example 90 days.".into()),
    }
}

/// Formats seconds in the largest unit up to days that divides them.
pub(in crate::console) fn format_seconds(seconds: u32) -> String {
    let seconds = u64::from(seconds);
    let whole = UNITS.iter().skip(1).find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = whole.map_or((1, "second"), |(unit, names)| (*unit, names.first().copied().unwrap_or_default()));
    counted(seconds / unit, name)
}

/// Formats a number of days.
pub(super) fn format_days(days: u32) -> String {
    counted(days.into(), "day")
}

fn counted(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_may_be_short_or_long() {
        for (text, seconds) in [
            ("10 minutes", 600),
            ("10m", 600),
            (" 1 Hour ", 3_600),
            ("24h", 86_400),
            ("90 days", 7_776_000),
            ("2w", 1_209_600),
            ("45 s", 45),
            ("0", 0),
            ("999999999999 days", u32::MAX),
            ("18446744073709551615w", u32::MAX),
        ] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        for text in ["", "10", "ten minutes", "-1h", "1.5h", "10 moons", "h", "1h 30m", "+1h", "１h"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_need_no_unit() {
        for (text, days) in [("90", 90), ("90 days", 90), ("1d", 1), ("2 weeks", 14), ("48 hours", 2), ("0", 0)] {
            assert_eq!(parse_days(text), Ok(days), "{text}");
        }
        for text in ["", "-1", "6e2", "36 hours", "a week", "1 month"] {
            assert!(parse_days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn formatted_lengths_are_read_back() {
        for (seconds, text) in
            [(600, "10 minutes"), (90, "90 seconds"), (3_600, "1 hour"), (86_400, "1 day"), (2_592_000, "30 days")]
        {
            assert_eq!(format_seconds(seconds), text);
            assert_eq!(parse_seconds(text), Ok(seconds));
        }
        assert_eq!(parse_days(&format_days(1)), Ok(1));
    }
}
