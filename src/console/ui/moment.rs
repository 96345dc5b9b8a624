//! Points in time and lengths of time, formatted for people.

use askama::Template;

use crate::clock::rfc3339;
use crate::console::ui::html;
use crate::domain::timestamp::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

html! { Moment }

/// A point in time, with the exact UTC time as its title.
#[derive(Template, Clone, PartialEq, Eq, Debug)]
#[template(source = r#"<time datetime="{{ exact }}" title="{{ long }}">{{ text }}</time>"#, ext = "html")]
pub(in crate::console) struct Moment {
    exact: String,
    long: String,
    text: String,
}

impl Moment {
    /// Formats a date and time.
    pub(in crate::console) fn at(at: Timestamp) -> Self {
        let long = format_date_and_time(at);
        Self { exact: rfc3339(at), text: long.clone(), long }
    }

    /// Formats a distance from now.
    pub(in crate::console) fn from_now(at: Timestamp, now: Timestamp) -> Self {
        Self { exact: rfc3339(at), long: format_date_and_time(at), text: format_distance(at, now) }
    }

    /// Formats a date.
    pub(in crate::console) fn day(at: Timestamp) -> Self {
        Self { exact: rfc3339(at), long: format_date_and_time(at), text: format_date(at) }
    }
}

fn format_date_and_time(at: Timestamp) -> String {
    let text = rfc3339(at);
    let (date, rest) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", rest.get(..5).unwrap_or_default())
}

/// Formats the date in UTC.
pub(in crate::console) fn format_date(at: Timestamp) -> String {
    rfc3339(at).split('T').next().unwrap_or_default().to_owned()
}

/// Returns the number of days left, rounded up.
pub(in crate::console) fn days_left(at: Timestamp, now: Timestamp) -> i64 {
    at.millis_since(now).div_euclid(1000).saturating_add(DAY - 1) / DAY
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
    let Some((_, length, name)) = units.into_iter().find(|(begin, ..)| seconds >= *begin) else {
        return "less than a minute".into();
    };
    let number = seconds.saturating_add(length.checked_div(rounding).unwrap_or_default()) / length;
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

fn format_distance(at: Timestamp, now: Timestamp) -> String {
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
            (100 + 30 * DAY - 20, 100, "in 30 days"),
            (100, 100 + 70 * DAY - 1, "69 days ago"),
            (100 + 130 * DAY, 100, "in 4 months"),
            (100 + 364 * DAY, 100, "in 12 months"),
        ] {
            assert_eq!(format_distance(at(from), at(now)), text);
        }
    }

    #[test]
    fn title_has_the_exact_time() {
        let html = Moment::day(Timestamp::from_seconds(1_700_000_000)).render().unwrap();
        assert!(html.contains("title=\"2023-11-14 22:13 UTC\">2023-11-14<"), "{html}");
    }

    #[test]
    fn days_left_rounds_up() {
        let at = Timestamp::from_seconds;
        assert_eq!((days_left(at(DAY), at(0)), days_left(at(DAY + 1), at(0)), days_left(at(1), at(0))), (1, 2, 1));
    }
}
