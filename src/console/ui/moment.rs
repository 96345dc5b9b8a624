//! Moments, as people read them.

use askama::Template;

use crate::clock::rfc3339;
use crate::console::ui::html;
use crate::domain::timestamp::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

html! { Moment }

/// A moment: how far away it is, and exactly when in UTC.
#[derive(Template, Clone, PartialEq, Eq, Debug)]
#[template(source = r#"<time datetime="{{ exact }}" title="{{ long }}">{{ text }}</time>"#, ext = "html")]
pub(in crate::console) struct Moment {
    exact: String,
    long: String,
    text: String,
}

impl Moment {
    /// As a date and a time of day.
    pub(in crate::console) fn at(at: Timestamp) -> Self {
        let long = long(at);
        Self { exact: rfc3339(at), text: long.clone(), long }
    }

    /// As a distance from now.
    pub(in crate::console) fn from_now(at: Timestamp, now: Timestamp) -> Self {
        Self { exact: rfc3339(at), long: long(at), text: distance(at, now) }
    }

    /// As a date.
    pub(in crate::console) fn day(at: Timestamp) -> Self {
        Self { exact: rfc3339(at), long: long(at), text: date(at) }
    }
}

fn long(at: Timestamp) -> String {
    let text = rfc3339(at);
    let (date, rest) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", rest.get(..5).unwrap_or_default())
}

/// The date in UTC.
pub(in crate::console) fn date(at: Timestamp) -> String {
    rfc3339(at).split('T').next().unwrap_or_default().to_owned()
}

/// Whole days from now until then, begun ones counted.
pub(in crate::console) fn days_left(at: Timestamp, now: Timestamp) -> i64 {
    at.millis_since(now).div_euclid(1000).saturating_add(DAY - 1) / DAY
}

/// The length of a time in the largest unit that fits: `12 days`, or `less than a minute`.
pub(in crate::console) fn span(from: Timestamp, to: Timestamp) -> String {
    told(to.as_seconds().saturating_sub(from.as_seconds()).abs(), 0)
}

/// Seconds in the largest unit that fits. `rounding` is 0 where begun units do not count, 2 to round by half of one.
fn told(seconds: i64, rounding: i64) -> String {
    // Each with where it begins: what was chosen as 90 days is not told as two months.
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

fn distance(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.as_seconds().saturating_sub(now.as_seconds());
    match ahead {
        // What is to come is rounded, so that it is not a day less at once.
        1.. => format!("in {}", told(ahead, 2)),
        _ if ahead > -MINUTE => "just now".into(),
        _ => format!("{} ago", span(now, at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_in_the_largest_unit_that_fits() {
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
            assert_eq!(distance(at(from), at(now)), text);
        }
    }

    #[test]
    fn a_moment_shows_its_exact_time() {
        let html = Moment::day(Timestamp::from_seconds(1_700_000_000)).render().unwrap();
        assert!(html.contains("title=\"2023-11-14 22:13 UTC\">2023-11-14<"), "{html}");
    }

    #[test]
    fn begun_days_count() {
        let at = Timestamp::from_seconds;
        assert_eq!((days_left(at(DAY), at(0)), days_left(at(DAY + 1), at(0)), days_left(at(1), at(0))), (1, 2, 1));
    }
}
