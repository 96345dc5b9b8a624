//! Usage charts as SVG, styled by CSS, with their numbers as a table.

use askama::Template;

use crate::console::ui::{format_count, html};
use crate::domain::usage::{Counts, UsageOutcome};

html! { Chart Spark }

/// Width of a column and of its bar, in SVG units.
const COLUMN: u32 = 10;
const BAR: u32 = 8;
/// Maximum number of labels below a chart.
const NAMES: usize = 6;

/// The counts of one interval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct Column {
    /// The label in the table.
    pub(in crate::console) name: String,
    /// The label below the chart.
    pub(in crate::console) short: String,
    pub(in crate::console) counts: Counts,
}

/// One segment of a stacked column.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::console) struct Bar {
    class: &'static str,
    x: u32,
    y: String,
    height: String,
}

/// Usage over time, by outcome.
#[derive(Template)]
#[template(path = "console/ui/chart.html")]
pub(in crate::console) struct Chart {
    /// Unique among the charts of a page.
    id: &'static str,
    caption: String,
    /// Unit of a column: `Day (UTC)`, `Hour (UTC)`.
    unit: &'static str,
    rows: Vec<[String; 4]>,
    bars: Vec<(String, Vec<Bar>)>,
    /// The labels of the vertical axis, from the top.
    scale: [String; 3],
    names: Vec<String>,
    width: u32,
}

impl Chart {
    pub(in crate::console) fn new(
        id: &'static str,
        caption: impl Into<String>,
        unit: &'static str,
        columns: Vec<Column>,
    ) -> Self {
        let most = columns.iter().map(|column| all(&column.counts)).max().unwrap_or_default();
        let top = round_up(most);
        let bars = columns.iter().zip(0..).map(|(column, place)| (describe(column), bars(&column.counts, place, top)));
        let every = columns.len().div_ceil(NAMES).max(1);
        let named = columns.iter().step_by(every).map(|column| column.short.clone());
        Self {
            id,
            caption: caption.into(),
            unit,
            bars: bars.collect(),
            scale: [format_count(top), if top >= 2 { format_count(top / 2) } else { String::new() }, "0".into()],
            names: named.collect(),
            width: COLUMN * u32::try_from(columns.len()).unwrap_or(u32::MAX / COLUMN).max(1),
            rows: columns.iter().map(row).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.bars.iter().all(|(_, bars)| bars.is_empty())
    }
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

fn row(column: &Column) -> [String; 4] {
    let counts = &column.counts;
    [
        column.name.clone(),
        format_count(exchanges(counts)),
        format_count(verifications(counts)),
        format_count(denials(counts)),
    ]
}

fn describe(column: &Column) -> String {
    let [name, exchanges, verifications, denials] = row(column);
    format!("{name}: {exchanges} token requests, {verifications} verifications, {denials} denied")
}

fn bars(counts: &Counts, place: u32, top: u64) -> Vec<Bar> {
    let parts = [("exchanges", exchanges(counts)), ("checks", verifications(counts)), ("denials", denials(counts))];
    let (mut below, mut bars) = (0.0, Vec::new());
    for (class, number) in parts {
        if number == 0 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a drawing is exact to a pixel at best")]
        let height = (number as f64 * 100.0 / top as f64).max(0.4);
        below += height;
        bars.push(Bar {
            class,
            x: place * COLUMN + 1,
            y: format!("{:.1}", 100.0 - below),
            height: format!("{height:.1}"),
        });
    }
    bars
}

/// Rounds up to one significant digit.
fn round_up(number: u64) -> u64 {
    let mut ten: u64 = 1;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            let round = ten.saturating_mul(step);
            if round >= number {
                return round;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

/// A sparkline of recent usage. Each outcome is a single path, because a page has many sparklines.
#[derive(Template)]
#[template(path = "console/ui/spark.html")]
pub(in crate::console) struct Spark {
    lines: Vec<(&'static str, String)>,
    width: u32,
    description: String,
}

impl Spark {
    /// Draws daily counts, oldest first.
    pub(in crate::console) fn new(days: &[Counts]) -> Self {
        let top = days.iter().map(all).max().unwrap_or_default().max(1);
        let mut total = Counts::default();
        let mut lines = ["exchanges", "checks", "denials"].map(|class| (class, String::new()));
        for (counts, place) in days.iter().zip(0..) {
            total.merge(counts);
            for bar in bars(counts, place, top) {
                if let Some((_, line)) = lines.iter_mut().find(|(class, _)| *class == bar.class) {
                    let (x, y) = (bar.x + BAR / 2, &bar.y);
                    // Drawn from the top down.
                    line.push_str(&format!("M{x} {y}v{}", bar.height));
                }
            }
        }
        let description = match (total.uses(), denials(&total)) {
            (0, 0) => format!("no requests in the last {} days", days.len()),
            (uses, 0) => format!("{} requests in the last {} days", format_count(uses), days.len()),
            (uses, denied) => format!(
                "{} requests and {} denied in the last {} days",
                format_count(uses),
                format_count(denied),
                days.len()
            ),
        };
        let lines = lines.into_iter().filter(|(_, line)| !line.is_empty()).collect();
        Self { lines, width: COLUMN * u32::try_from(days.len()).unwrap_or(1).max(1), description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(exchanged: u64, verified: u64, denied: u64) -> Counts {
        let mut counts = Counts::default();
        counts.add(UsageOutcome::Exchanged, exchanged);
        counts.add(UsageOutcome::Verified, verified);
        counts.add(UsageOutcome::DeniedNetwork, denied);
        counts
    }

    #[test]
    fn scales_end_at_a_round_number() {
        for (number, round) in [(0, 1), (1, 1), (3, 3), (7, 8), (11, 20), (50, 50), (501, 600), (801, 1000)] {
            assert_eq!(round_up(number), round);
        }
        assert!(round_up(u64::MAX) > 0, "it ends");
    }

    #[test]
    fn segments_are_stacked() {
        let bars = bars(&counts(50, 25, 25), 2, 100);
        let shown: Vec<_> = bars.iter().map(|bar| (bar.class, bar.x, bar.y.as_str(), bar.height.as_str())).collect();
        assert_eq!(
            shown,
            [("exchanges", 21, "50.0", "50.0"), ("checks", 21, "25.0", "25.0"), ("denials", 21, "0.0", "25.0")]
        );
    }

    #[test]
    fn charts_have_a_table() {
        let column = Column { name: "2026-01-02".into(), short: "Jan 2".into(), counts: counts(1_234, 5, 6) };
        let html = Chart::new("use", "Requests by day", "Day", vec![column]).render().unwrap();
        for part in
            ["<table", "1\u{202f}234", "<td class=\"number\">5</td>", "<td class=\"number\">6</td>", "2026-01-02"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("style="), "no style of its own: {html}");
    }

    #[test]
    fn sparklines_have_a_description() {
        assert!(Spark::new(&[Counts::default(); 30]).render().unwrap().contains("no requests in the last 30 days"));
        let html = Spark::new(&[counts(1, 1, 0), counts(0, 0, 3)]).render().unwrap();
        assert!(html.contains("2 requests and 3 denied in the last 2 days"), "{html}");
        assert!(html.contains("class=\"exchanges\" d=\"M5 66.7v33.3\""), "{html}");
        let busy = Spark::new(&[counts(1, 1, 1); 30]).render().unwrap();
        assert!(busy.len() < 2_000, "a page has many: {}", busy.len());
    }
}
