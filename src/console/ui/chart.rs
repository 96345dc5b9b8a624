//! Charts of use, as SVG that the style colours, with their numbers as a table.

use askama::Template;

use crate::console::ui::{count, html};
use crate::domain::usage::{Counts, UsageOutcome};

html! { Chart Spark }

/// Width of a column and of its bar, in units of the drawing.
const COLUMN: u32 = 10;
const BAR: u32 = 8;
/// Names of columns below a chart, at most.
const NAMES: usize = 6;

/// What was counted in one stretch of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct Column {
    /// Which, in the table.
    pub(in crate::console) name: String,
    /// Which, below the chart.
    pub(in crate::console) short: String,
    /// What.
    pub(in crate::console) counts: Counts,
}

/// A piece of a column.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::console) struct Bar {
    class: &'static str,
    x: u32,
    y: String,
    height: String,
}

/// Use over time, by outcome.
#[derive(Template)]
#[template(path = "console/ui/chart.html")]
pub(in crate::console) struct Chart {
    /// Tells several charts of a page apart.
    id: &'static str,
    caption: String,
    /// What the columns are: `Day`, `Hour (UTC)`.
    unit: &'static str,
    rows: Vec<[String; 4]>,
    bars: Vec<(String, Vec<Bar>)>,
    /// The numbers beside the chart, from the top.
    scale: [String; 3],
    names: Vec<String>,
    width: u32,
}

impl Chart {
    /// A chart of columns in order.
    pub(in crate::console) fn new(
        id: &'static str,
        caption: impl Into<String>,
        unit: &'static str,
        columns: Vec<Column>,
    ) -> Self {
        let most = columns.iter().map(|column| all(&column.counts)).max().unwrap_or_default();
        let top = round_up(most);
        let bars = columns.iter().zip(0..).map(|(column, place)| (told(column), bars(&column.counts, place, top)));
        let every = columns.len().div_ceil(NAMES).max(1);
        let named = columns.iter().step_by(every).map(|column| column.short.clone());
        Self {
            id,
            caption: caption.into(),
            unit,
            bars: bars.collect(),
            scale: [count(top), if top >= 2 { count(top / 2) } else { String::new() }, "0".into()],
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

fn checks(counts: &Counts) -> u64 {
    counts.of(UsageOutcome::Verified)
}

/// Every denial, whatever the reason.
fn denials(counts: &Counts) -> u64 {
    all(counts).saturating_sub(counts.uses())
}

fn all(counts: &Counts) -> u64 {
    UsageOutcome::ALL.into_iter().fold(0, |sum: u64, outcome| sum.saturating_add(counts.of(outcome)))
}

fn row(column: &Column) -> [String; 4] {
    let counts = &column.counts;
    [column.name.clone(), count(exchanges(counts)), count(checks(counts)), count(denials(counts))]
}

fn told(column: &Column) -> String {
    let [name, exchanges, checks, denials] = row(column);
    format!("{name}: {exchanges} exchanges, {checks} checks, {denials} denials")
}

fn bars(counts: &Counts, place: u32, top: u64) -> Vec<Bar> {
    let parts = [("exchanges", exchanges(counts)), ("checks", checks(counts)), ("denials", denials(counts))];
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

/// The next number that is round: one digit, and noughts.
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

/// A small picture of recent use, as it stands in a row: of each kind one line that is drawn up and down, for a page
/// has many of these.
#[derive(Template)]
#[template(path = "console/ui/spark.html")]
pub(in crate::console) struct Spark {
    lines: Vec<(&'static str, String)>,
    width: u32,
    told: String,
}

impl Spark {
    /// What was counted, oldest first.
    pub(in crate::console) fn new(days: &[Counts]) -> Self {
        let top = days.iter().map(all).max().unwrap_or_default().max(1);
        let mut total = Counts::default();
        let mut lines = ["exchanges", "checks", "denials"].map(|class| (class, String::new()));
        for (counts, place) in days.iter().zip(0..) {
            total.merge(counts);
            for bar in bars(counts, place, top) {
                if let Some((_, line)) = lines.iter_mut().find(|(class, _)| *class == bar.class) {
                    let (x, y) = (bar.x + BAR / 2, &bar.y);
                    // From its upper end down.
                    line.push_str(&format!("M{x} {y}v{}", bar.height));
                }
            }
        }
        let told = match (total.uses(), denials(&total)) {
            (0, 0) => format!("not used in {} days", days.len()),
            (uses, 0) => format!("{} uses in {} days", count(uses), days.len()),
            (uses, denied) => format!("{} uses and {} denials in {} days", count(uses), count(denied), days.len()),
        };
        let lines = lines.into_iter().filter(|(_, line)| !line.is_empty()).collect();
        Self { lines, width: COLUMN * u32::try_from(days.len()).unwrap_or(1).max(1), told }
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
    fn a_scale_ends_at_a_round_number() {
        for (number, round) in [(0, 1), (1, 1), (3, 3), (7, 8), (11, 20), (50, 50), (501, 600), (801, 1000)] {
            assert_eq!(round_up(number), round);
        }
        assert!(round_up(u64::MAX) > 0, "it ends");
    }

    #[test]
    fn the_pieces_of_a_column_stand_on_each_other() {
        let bars = bars(&counts(50, 25, 25), 2, 100);
        let shown: Vec<_> = bars.iter().map(|bar| (bar.class, bar.x, bar.y.as_str(), bar.height.as_str())).collect();
        assert_eq!(
            shown,
            [("exchanges", 21, "50.0", "50.0"), ("checks", 21, "25.0", "25.0"), ("denials", 21, "0.0", "25.0")]
        );
    }

    #[test]
    fn a_chart_has_its_numbers_as_a_table() {
        let column = Column { name: "2026-01-02".into(), short: "Jan 2".into(), counts: counts(1_234, 5, 6) };
        let html = Chart::new("use", "Use by day", "Day", vec![column]).render().unwrap();
        for part in
            ["<table", "1\u{202f}234", "<td class=\"number\">5</td>", "<td class=\"number\">6</td>", "2026-01-02"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("style="), "no style of its own: {html}");
    }

    #[test]
    fn a_small_picture_says_what_it_shows() {
        assert!(Spark::new(&[Counts::default(); 30]).render().unwrap().contains("not used in 30 days"));
        let html = Spark::new(&[counts(1, 1, 0), counts(0, 0, 3)]).render().unwrap();
        assert!(html.contains("2 uses and 3 denials in 2 days"), "{html}");
        assert!(html.contains("class=\"exchanges\" d=\"M5 66.7v33.3\""), "{html}");
        let busy = Spark::new(&[counts(1, 1, 1); 30]).render().unwrap();
        assert!(busy.len() < 2_000, "a page has many: {}", busy.len());
    }
}
