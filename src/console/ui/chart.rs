//! Usage charts as SVG, styled by CSS, with their numbers as a table.
//!
//! All horizontal positions are percentages of the plot, so bars, labels and hit areas of a column are at the same place at any width.

use askama::Template;

use crate::console::ui::{format_count, html};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, UsageOutcome};

html! { Chart Spark }

/// Width of a column and of its bar in a sparkline, in SVG units.
const COLUMN: u32 = 10;
const BAR: u32 = 8;
/// Part of a column's width on each side of its bar.
const GAP: f64 = 0.1;
/// Distances between labels, in columns. The smallest with at most [`MAX_LABELS`] labels is used.
const LABEL_STEPS: [usize; 10] = [1, 2, 4, 5, 8, 10, 15, 24, 30, 48];
const MAX_LABELS: usize = 7;
/// Height of the smallest visible bar, in percent of the plot: less than a pixel.
const MIN_HEIGHT: f64 = 0.4;

/// The counts of one interval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct Column {
    /// Start of the interval.
    pub(in crate::console) at: Timestamp,
    /// The label in the table.
    pub(in crate::console) name: String,
    /// The label below the chart.
    pub(in crate::console) short: String,
    pub(in crate::console) counts: Counts,
}

/// The requests of one interval by secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct SecretColumn {
    pub(in crate::console) at: Timestamp,
    pub(in crate::console) name: String,
    pub(in crate::console) short: String,
    pub(in crate::console) current: u64,
    pub(in crate::console) previous: u64,
}

/// A kind of requests: its class, its name, and its name after a number.
type Series = (&'static str, &'static str, &'static str);

const OUTCOMES: [Series; 3] = [
    ("exchanges", "Token requests", "token requests"),
    ("checks", "Verifications", "verifications"),
    ("denials", "Denied", "denied"),
];
const SECRETS: [Series; 2] = [
    ("exchanges", "Current secret", "with the current secret"),
    ("checks", "Previous secret", "with the previous secret"),
];

/// An interval with the counts of each series.
struct Interval {
    at: Timestamp,
    name: String,
    short: String,
    counts: Vec<u64>,
}

/// A column with its hit area and its stacked bars. All positions are percentages.
#[derive(Clone, PartialEq, Debug)]
struct Drawn {
    description: String,
    x: String,
    width: String,
    bar_x: String,
    bar_width: String,
    bars: Vec<Bar>,
}

/// One segment of a stacked column.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::console) struct Bar {
    class: &'static str,
    y: String,
    height: String,
}

/// Usage over time, by outcome or by secret.
#[derive(Template)]
#[template(path = "console/ui/chart.html")]
pub(in crate::console) struct Chart {
    /// Unique among the charts of a page.
    id: &'static str,
    caption: String,
    /// Unit of a column: `Day (UTC)`, `Hour (UTC)`.
    unit: &'static str,
    series: &'static [Series],
    /// The name of each interval, and its counts.
    rows: Vec<(String, Vec<String>)>,
    columns: Vec<Drawn>,
    /// The labels of the vertical axis: distance from the top in percent, and number.
    scale: Vec<(u32, String)>,
    /// The labels below the columns: center of the column in percent, and label.
    labels: Vec<(String, String)>,
    /// Start of the first column, and length of a column, in seconds.
    start: i64,
    step: i64,
}

impl Chart {
    pub(in crate::console) fn new(
        id: &'static str,
        caption: impl Into<String>,
        unit: &'static str,
        columns: Vec<Column>,
    ) -> Self {
        let columns = columns.into_iter().map(|column| Interval {
            counts: vec![exchanges(&column.counts), verifications(&column.counts), denials(&column.counts)],
            at: column.at,
            name: column.name,
            short: column.short,
        });
        Self::of_intervals(id, caption.into(), unit, &OUTCOMES, &columns.collect::<Vec<_>>())
    }

    /// Draws the requests of the current and the previous secret.
    pub(in crate::console) fn of_secrets(
        id: &'static str,
        caption: impl Into<String>,
        unit: &'static str,
        columns: Vec<SecretColumn>,
    ) -> Self {
        let columns = columns.into_iter().map(|column| Interval {
            counts: vec![column.current, column.previous],
            at: column.at,
            name: column.name,
            short: column.short,
        });
        Self::of_intervals(id, caption.into(), unit, &SECRETS, &columns.collect::<Vec<_>>())
    }

    fn of_intervals(
        id: &'static str,
        caption: String,
        unit: &'static str,
        series: &'static [Series],
        columns: &[Interval],
    ) -> Self {
        let most = columns.iter().map(|column| sum(&column.counts)).max().unwrap_or_default();
        let top = round_up(most);
        let width = 100.0 / as_number(columns.len().max(1));
        let draw = |(place, column): (usize, &Interval)| {
            let x = as_number(place) * width;
            Drawn {
                description: describe(column, series),
                x: percent(x),
                width: percent(width),
                bar_x: percent(x + GAP * width),
                bar_width: percent(width * (1.0 - 2.0 * GAP)),
                bars: bars(series.iter().map(|(class, ..)| *class).zip(column.counts.iter().copied()), top),
            }
        };
        let at = |place: usize| columns.get(place).map(|column| column.at.as_seconds());
        Self {
            id,
            caption,
            unit,
            series,
            columns: columns.iter().enumerate().map(draw).collect(),
            scale: scale(top),
            labels: labels(columns, width),
            start: at(0).unwrap_or_default(),
            step: at(0).zip(at(1)).map_or(0, |(first, second)| second - first),
            rows: columns.iter().map(row).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.columns.iter().all(|column| column.bars.is_empty())
    }

    /// The index of the last column.
    fn last(&self) -> usize {
        self.columns.len().saturating_sub(1)
    }

    /// The description of the last column, which the readout shows first.
    fn latest(&self) -> &str {
        self.columns.last().map_or("", |column| &column.description)
    }
}

fn as_number(place: usize) -> f64 {
    f64::from(u32::try_from(place).unwrap_or(u32::MAX))
}

/// Formats a percentage exactly enough for a screen of 20,000 pixels.
fn percent(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Labels the last column, and others at equal distances before it.
fn labels(columns: &[Interval], width: f64) -> Vec<(String, String)> {
    let step = LABEL_STEPS.into_iter().find(|step| columns.len() <= step * MAX_LABELS);
    let step = step.unwrap_or(columns.len().div_ceil(MAX_LABELS));
    let mut labels: Vec<_> = columns
        .iter()
        .enumerate()
        .rev()
        .step_by(step)
        .map(|(place, column)| (percent((as_number(place) + 0.5) * width), column.short.clone()))
        .collect();
    labels.reverse();
    labels
}

/// The labels of the vertical axis. The middle one is exact, or absent.
fn scale(top: u64) -> Vec<(u32, String)> {
    let middle = top.is_multiple_of(2).then(|| (50, format_count(top / 2)));
    [Some((0, format_count(top))), middle, Some((100, "0".into()))].into_iter().flatten().collect()
}

fn exchanges(counts: &Counts) -> u64 {
    counts.of(UsageOutcome::Exchanged)
}

fn verifications(counts: &Counts) -> u64 {
    counts.of(UsageOutcome::Verified)
}

/// Returns all denials, whatever their reason.
fn denials(counts: &Counts) -> u64 {
    all(counts).saturating_sub(counts.uses())
}

fn all(counts: &Counts) -> u64 {
    UsageOutcome::ALL.into_iter().fold(0, |sum: u64, outcome| sum.saturating_add(counts.of(outcome)))
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
}

fn row(column: &Interval) -> (String, Vec<String>) {
    (column.name.clone(), column.counts.iter().map(|count| format_count(*count)).collect())
}

fn describe(column: &Interval, series: &[Series]) -> String {
    let parts = column.counts.iter().zip(series).map(|(count, (.., text))| format!("{} {text}", format_count(*count)));
    format!("{}: {}", column.name, parts.collect::<Vec<_>>().join(", "))
}

/// Returns the segments of a column. Each begins at the exact sum of those below it, so heights that are raised to be visible
/// do not add up.
fn bars(parts: impl IntoIterator<Item = (&'static str, u64)>, top: u64) -> Vec<Bar> {
    #[expect(clippy::cast_precision_loss, reason = "a drawing is exact to a pixel at best")]
    let part_of_top = |number: u64| number as f64 * 100.0 / top as f64;
    let (mut below, mut bars) = (0_u64, Vec::new());
    for (class, number) in parts {
        if number == 0 {
            continue;
        }
        let (bottom, height) = (100.0 - part_of_top(below), part_of_top(number).max(MIN_HEIGHT));
        below = below.saturating_add(number);
        bars.push(Bar { class, y: percent((bottom - height).max(0.0)), height: percent(height) });
    }
    bars
}

/// Rounds up to the top of a scale. Its half is a whole number, unless it is 1, and at least half of the scale is used.
fn round_up(number: u64) -> u64 {
    if let Some(small) = [1, 2, 4, 6, 8].into_iter().find(|top| *top >= number) {
        return small;
    }
    let mut ten: u64 = 1;
    loop {
        for step in [10, 12, 16, 20, 24, 30, 40, 50, 60, 80] {
            let round = ten.saturating_mul(step);
            if round >= number {
                return round;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

/// A sparkline of recent usage, with its total. Each outcome is a single path, because a page has many sparklines.
#[derive(Template)]
#[template(path = "console/ui/spark.html")]
pub(in crate::console) struct Spark {
    lines: Vec<(&'static str, String)>,
    width: u32,
    uses: String,
    /// The number of denied requests, unless it is 0.
    pub(in crate::console) denied: Option<String>,
    description: String,
}

impl Spark {
    /// Returns the top of the scale that all sparklines of a page share.
    pub(in crate::console) fn common_top<'a>(all_days: impl IntoIterator<Item = &'a Vec<Counts>>) -> u64 {
        all_days.into_iter().flatten().map(all).max().unwrap_or_default().max(1)
    }

    /// Draws daily counts, oldest first, on a scale up to `top`.
    pub(in crate::console) fn new(days: &[Counts], top: u64) -> Self {
        let mut total = Counts::default();
        let mut lines = ["exchanges", "checks", "denials"].map(|class| (class, String::new()));
        for (counts, place) in days.iter().zip(0_u32..) {
            total.merge(counts);
            let parts =
                [("exchanges", exchanges(counts)), ("checks", verifications(counts)), ("denials", denials(counts))];
            for bar in bars(parts, top.max(1)) {
                if let Some((_, line)) = lines.iter_mut().find(|(class, _)| *class == bar.class) {
                    let (x, y) = (place * COLUMN + 1 + BAR / 2, &bar.y);
                    // Drawn from the top down.
                    line.push_str(&format!("M{x} {y}v{}", bar.height));
                }
            }
        }
        let (uses, denied) = (format_count(total.uses()), Some(denials(&total)).filter(|denied| *denied > 0));
        let denied = denied.map(format_count);
        let description = match (total.uses(), &denied) {
            (0, None) => format!("no requests in the last {} days", days.len()),
            (_, None) => format!("{uses} requests in the last {} days", days.len()),
            (_, Some(denied)) => format!("{uses} requests and {denied} denied in the last {} days", days.len()),
        };
        let lines = lines.into_iter().filter(|(_, line)| !line.is_empty()).collect();
        Self { lines, width: COLUMN * u32::try_from(days.len()).unwrap_or(1).max(1), uses, denied, description }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn counts(exchanged: u64, verified: u64, denied: u64) -> Counts {
        let mut counts = Counts::default();
        counts.add(UsageOutcome::Exchanged, exchanged);
        counts.add(UsageOutcome::Verified, verified);
        counts.add(UsageOutcome::DeniedNetwork, denied);
        counts
    }

    fn column(place: u32, counts: Counts) -> Column {
        let at = Timestamp::from_seconds(i64::from(place) * 86_400);
        Column { at, name: format!("day {place} of many"), short: format!("day {place}"), counts }
    }

    /// The attributes of each element with a name, read from the text of a page, and the text after its start tag.
    fn elements<'a>(html: &'a str, name: &str) -> Vec<(BTreeMap<&'a str, &'a str>, &'a str)> {
        let open = format!("<{name} ");
        let element = |rest: &'a str| {
            let (tag, after) = rest.split_once('>').unwrap();
            let parts: Vec<&str> = tag.trim_end_matches('/').split('"').collect();
            let attributes = parts.chunks_exact(2).map(|pair| (pair[0].trim().trim_end_matches('='), pair[1]));
            (attributes.collect(), after.split('<').next().unwrap_or_default())
        };
        html.split(&*open).skip(1).map(element).collect()
    }

    fn number(text: &str) -> f64 {
        text.trim_end_matches('%').replace('\u{202f}', "").parse().unwrap()
    }

    proptest! {
        #[test]
        fn labels_and_values_can_be_read_from_the_drawing(
            data in prop::collection::vec((0_u64..=4, 0_u64..2_000, 0_u64..2_000, 0_u64..2_000), 1..170)
        ) {
            // 1. Draw, and read only the HTML from here on. A plot is 208 points high.
            let data: Vec<[u64; 3]> = data.iter().map(|(scale, a, b, c)| [*a, *b, *c].map(|n| n * 10_u64.pow(*scale as u32) / 100)).collect();
            let columns = data.iter().zip(0..).map(|([a, b, c], place)| column(place, counts(*a, *b, *c))).collect();
            let html = Chart::new("use", "Requests", "Day", columns).render().unwrap();
            if data.iter().flatten().all(|count| *count == 0) {
                prop_assert!(html.contains("No requests"));
                return Ok(());
            }
            let pixel = 100.0 / 208.0;

            // 2. The scale is even: numbers are where a ruler would put them, and at least half of it is used.
            let (axis, plot) = html.split_once("class=\"plot-area\"").unwrap();
            let scale: Vec<_> = elements(axis, "text").iter().map(|(at, text)| (number(at["y"]), number(text))).collect();
            let top = scale[0].1;
            for (y, value) in &scale {
                prop_assert!((top * (100.0 - y) / 100.0 - value).abs() < 1e-9, "{scale:?}");
            }
            let most = data.iter().map(|parts| parts.iter().sum::<u64>()).max().unwrap();
            prop_assert!(most as f64 > top / 2.0 || most <= 2 && most as f64 == top, "{most} of {top}");

            // 3. Each label's column holds its date, and the last column is labelled.
            let (plot, below) = plot.split_once("class=\"labels\"").unwrap();
            let hits: Vec<_> = elements(plot, "rect").into_iter().map(|(at, _)| at).filter(|at| at["class"] == "hit").collect();
            prop_assert_eq!(hits.len(), data.len());
            let titles: Vec<_> = plot.split("<title>").skip(1).map(|text| text.split('<').next().unwrap()).collect();
            let labels = elements(below.split_once("</svg>").unwrap().0, "text");
            prop_assert!(labels.len() <= 7);
            for (at, label) in &labels {
                let x = number(at["x"]);
                let column = hits.iter().position(|hit| number(hit["x"]) < x && x < number(hit["x"]) + number(hit["width"]));
                prop_assert!(titles[column.unwrap()].starts_with(&format!("{label} of many:")), "{label} at {x}");
            }
            prop_assert_eq!(labels.last().unwrap().1, format!("day {}", data.len() - 1));

            // 4. Each value is read to within one pixel, at the place of its column.
            for (values, group) in data.iter().zip(plot.split("<g>").skip(1)) {
                let rects: Vec<_> = elements(group, "rect").into_iter().map(|(at, _)| at).collect();
                let (hit, bars) = rects.split_first().unwrap();
                let mut below = 0.0;
                for (class, value) in ["exchanges", "checks", "denials"].into_iter().zip(values) {
                    let bar = bars.iter().find(|bar| bar["class"] == class);
                    prop_assert_eq!(bar.is_some(), *value > 0);
                    let Some(bar) = bar else { continue };
                    let (low, high) = (number(bar["y"]) + number(bar["height"]), number(bar["y"]));
                    let read = |y: f64| 100.0 - y;
                    let exact = |value: f64| value * 100.0 / top;
                    prop_assert!((read(low) - exact(below)).abs() < pixel, "bottom of {class}: {bar:?}");
                    below += *value as f64;
                    prop_assert!((read(high) - exact(below)).abs() < pixel, "top of {class}: {bar:?}");
                    let center = number(bar["x"]) + number(bar["width"]) / 2.0;
                    prop_assert!((center - number(hit["x"]) - number(hit["width"]) / 2.0).abs() < 0.01);
                }
            }
        }
    }

    #[test]
    fn scales_have_a_true_middle_and_no_empty_half() {
        for (number, round) in
            [(0, 1), (1, 1), (3, 4), (7, 8), (11, 12), (41, 50), (501, 600), (801, 1000), (1_024, 1_200)]
        {
            assert_eq!(round_up(number), round);
        }
        assert!(round_up(u64::MAX) > 0, "it ends");
        assert_eq!(scale(1).len(), 2, "no middle between 0 and 1");
    }

    #[test]
    fn secrets_are_two_series() {
        let columns = (0..3_u32).map(|hour| SecretColumn {
            at: Timestamp::from_seconds(i64::from(hour) * 3_600),
            name: format!("hour {hour}"),
            short: format!("{hour}:00"),
            current: u64::from(hour),
            previous: 2 - u64::from(hour),
        });
        let html =
            Chart::of_secrets("secrets", "Requests by secret", "Hour (UTC)", columns.collect()).render().unwrap();
        for part in [
            "<title>hour 1: 1 with the current secret, 1 with the previous secret</title>",
            "<li class=\"exchanges\">Current secret</li><li class=\"checks\">Previous secret</li></ul>",
            "<th scope=\"col\" class=\"number\">Previous secret</th>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert_eq!(
            (html.matches("rect class=\"exchanges\"").count(), html.matches("rect class=\"checks\"").count()),
            (2, 2)
        );
        assert!(!html.contains("Denied"));
    }

    #[test]
    fn charts_have_a_table() {
        let column = Column { name: "2026-01-02".into(), ..column(0, counts(1_234, 5, 6)) };
        let html = Chart::new("use", "Requests by day", "Day", vec![column]).render().unwrap();
        for part in
            ["<table", "1\u{202f}234", "<td class=\"number\">5</td>", "<td class=\"number\">6</td>", "2026-01-02"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("style="), "no style of its own: {html}");
    }

    #[test]
    fn sparklines_of_a_page_share_a_scale_and_have_a_number() {
        let none = Spark::new(&[Counts::default(); 30], 1).render().unwrap();
        assert!(none.contains("no requests in the last 30 days"), "{none}");
        let (small, large) = (vec![counts(1, 1, 0), counts(0, 0, 3)], vec![counts(5, 0, 0), counts(0, 5, 5)]);
        let top = Spark::common_top([&small, &large]);
        let html = Spark::new(&small, top).render().unwrap();
        assert!(html.contains("2 requests and 3 denied in the last 2 days"), "{html}");
        assert!(html.contains("class=\"exchanges\" d=\"M5 90v10\""), "a tenth of the other key's: {html}");
        assert!(Spark::new(&large, top).render().unwrap().contains("class=\"denials\" d=\"M15 0v50\""));
        let busy = Spark::new(&[counts(1, 1, 1); 30], 3).render().unwrap();
        assert!(busy.len() < 2_200, "a page has many: {}", busy.len());
    }
}
