//! Points in time and lengths of time, formatted for people.

use askama::Template;

use crate::clock::rfc3339;
use crate::console::ui::html;
use crate::domain::timestamp::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

html! { Moment }

/// A point in time. The exact UTC time is always visible, because titles are out of reach by touch and keyboard; the script adds
/// the local time to it.
#[derive(Template, Clone, PartialEq, Eq, Debug)]
#[template(
    source = r#"<time class="moment" datetime="{{ datetime }}">{% if let Some(text) = text %}{{ text }} {% endif %}<small>{{ exact }}</small></time>"#,
    ext = "html"
)]
pub(in crate::console) struct Moment {
    datetime: String,
    exact: String,
    text: Option<String>,
}

impl Moment {
    /// Formats a date and time.
    pub(in crate::console) fn at(at: Timestamp) -> Self {
        Self { datetime: format_machine_readable(at), exact: format_date_and_time(at), text: None }
    }

    /// Formats a distance from now, with the date and time.
    pub(in crate::console) fn from_now(at: Timestamp, now: Timestamp) -> Self {
        Self { text: Some(format_distance(at, now)), ..Self::at(at) }
    }

    /// Formats a date, with the time of day.
    pub(in crate::console) fn day(at: Timestamp) -> Self {
        let (moment, date) = (Self::at(at), format_date(at));
        let time = moment.exact.get(date.len()..).unwrap_or_default().trim_start().to_owned();
        Self { text: Some(date), exact: time, ..moment }
    }
}

/// Formats a time for scripts, to the second.
fn format_machine_readable(at: Timestamp) -> String {
    let text = rfc3339(at);
    format!("{}Z", text.get(..19).unwrap_or(&text))
}

/// Formats the date and time in UTC.
pub(in crate::console) fn format_date_and_time(at: Timestamp) -> String {
    let text = rfc3339(at);
    let (date, rest) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", rest.get(..5).unwrap_or_default())
}

/// Replaces each RFC 3339 time in UTC within a text by a date and time for people.
pub(in crate::console) fn replace_times(text: &str) -> String {
    let (mut written, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        match skip_time(rest) {
            Some(after) => {
                let (date, time) = (rest.get(..10).unwrap_or_default(), rest.get(11..16).unwrap_or_default());
                written.push_str(&format!("{date} {time} UTC"));
                rest = after;
            }
            None => {
                written.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    written
}

/// Returns the text after an RFC 3339 time in UTC, if it begins with one.
fn skip_time(text: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes().get(..SHAPE.len())?;
    let is_alike = |(found, shape): (&u8, &u8)| if *shape == b'0' { found.is_ascii_digit() } else { found == shape };
    let is_time = bytes.iter().zip(SHAPE).all(is_alike);
    let rest = text.get(SHAPE.len()..).filter(|_| is_time)?;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let fraction = rest.strip_prefix('.').map_or(0, |rest| 1 + digits(rest));
    rest.get(fraction..)?.strip_prefix('Z')
}

/// Formats the month and day in UTC, for labels that are read in sequence: `Nov 27`.
pub(in crate::console) fn format_month_and_day(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = format_date(at);
    let mut parts = date.split('-').skip(1).map(|part| part.parse::<usize>().unwrap_or_default());
    let (month, day) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{} {day}", MONTHS.get(month.wrapping_sub(1)).unwrap_or(&""))
}

/// Formats the date in UTC.
pub(in crate::console) fn format_date(at: Timestamp) -> String {
    rfc3339(at).split('T').next().unwrap_or_default().to_owned()
}

/// Whether a time is at most this many days ahead.
pub(in crate::console) fn is_within_days(at: Timestamp, now: Timestamp, days: i64) -> bool {
    (1..=days.saturating_mul(DAY * 1000)).contains(&at.millis_since(now))
}

/// Formats the time between two moments in the largest unit that fits: `12 days`, `less than a minute`.
pub(in crate::console) fn format_span(from: Timestamp, to: Timestamp) -> String {
    format_length(to.as_seconds().saturating_sub(from.as_seconds()).abs(), 0)
}

/// Formats seconds in the largest unit that fits. A `rounding` of 0 rounds down, 2 rounds to the nearest unit.
fn format_length(seconds: i64, rounding: i64) -> String {
    // The smallest length for which each unit is used: 90 days stay days.
    let units = [
        (365 * DAY, 365 * DAY, "year"),
        (100 * DAY, 30 * DAY, "month"),
        (DAY, DAY, "day"),
        (HOUR, HOUR, "hour"),
        (MINUTE, MINUTE, "minute"),
    ];
    let unit_of = |seconds| units.into_iter().find(|(begin, ..)| seconds >= *begin);
    let count = |length: i64| seconds.saturating_add(length.checked_div(rounding).unwrap_or_default()) / length;
    // Rounding up can reach the next unit: 3,599 seconds are "1 hour", not "60 minutes".
    let Some((_, length, name)) = unit_of(seconds).and_then(|(_, length, _)| unit_of(count(length) * length)) else {
        return "less than a minute".into();
    };
    let number = count(length);
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

/// Formats the distance of a time from now. Every page uses this, so that a moment reads the same everywhere.
pub(in crate::console) fn format_distance(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.as_seconds().saturating_sub(now.as_seconds());
    match ahead {
        // Times ahead are rounded, so that a new 90-day key does not read "in 89 days".
        1.. => format!("in {}", format_length(ahead, 2)),
        _ if ahead > -MINUTE => "just now".into(),
        _ => format!("{} ago", format_span(now, at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_use_the_largest_unit_that_fits() {
        let at = Timestamp::from_seconds;
        for (from, now, text) in [
            (100, 100, "just now"),
            (100, 159, "just now"),
            (100, 160, "1 minute ago"),
            (100, 100 + 2 * HOUR, "2 hours ago"),
            (0, 400 * DAY, "1 year ago"),
            (130, 100, "in less than a minute"),
            (100 + DAY, 100, "in 1 day"),
            (100 + 90 * DAY - 1, 100, "in 90 days"),
            (100 + HOUR - 1, 100, "in 1 hour"),
            (100 + DAY - 1, 100, "in 1 day"),
            (100, 100 + HOUR - 1, "59 minutes ago"),
            (100 + 30 * DAY - 20, 100, "in 30 days"),
            (100, 100 + 70 * DAY - 1, "69 days ago"),
            (100 + 130 * DAY, 100, "in 4 months"),
            (100 + 364 * DAY, 100, "in 12 months"),
        ] {
            assert_eq!(format_distance(at(from), at(now)), text);
        }
    }

    #[test]
    fn exact_time_is_visible_and_without_milliseconds() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(
            Moment::from_now(at, at.plus_seconds(120)).render().unwrap(),
            "<time class=\"moment\" datetime=\"2023-11-14T22:13:20Z\">2 minutes ago <small>2023-11-14 22:13 UTC</small></time>"
        );
        assert!(Moment::day(at).render().unwrap().ends_with(">2023-11-14 <small>22:13 UTC</small></time>"));
        assert_eq!(format_month_and_day(at), "Nov 14");
    }

    #[test]
    fn times_within_a_text_are_replaced() {
        for (text, shown) in [
            ("until 2026-11-28T21:52:51.875Z; é", "until 2026-11-28 21:52 UTC; é"),
            ("2026-11-28T21:52:51Z", "2026-11-28 21:52 UTC"),
            ("2026-11-28T21:52:51+01:00", "2026-11-28T21:52:51+01:00"),
            ("2026-11-28T21:5é", "2026-11-28T21:5é"),
        ] {
            assert_eq!(replace_times(text), shown);
        }
    }

    #[test]
    fn days_ahead_include_their_end() {
        let at = Timestamp::from_seconds;
        let within = |seconds| is_within_days(at(seconds), at(0), 14);
        assert_eq!([0, 1, 14 * DAY, 14 * DAY + 1].map(within), [false, true, true, false]);
    }
}
