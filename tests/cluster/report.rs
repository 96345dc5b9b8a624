//! The result of a scenario as a table row, as JSON, and as an explanation of failures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::checker::{Verdict, Violation};
use crate::faults::{Evidence, Fault};
use crate::history::{Call, Event, Outcome, What};

pub struct Report {
    fault: Fault,
    checks: BTreeMap<Call, Counts>,
    changes: u64,
    /// Durations of confirmed changes in microseconds, sorted.
    waits: Vec<u64>,
    /// Checks and changes with a 503 response, and the number of those that must not have one.
    unavailable: [u64; 2],
    unexcused: usize,
    verdict: Verdict,
    evidence: Evidence,
    problems: Vec<String>,
    explained: Vec<String>,
    pub odd: BTreeMap<String, u64>,
    pub kept: Option<PathBuf>,
}

#[derive(Default)]
struct Counts {
    accepted: u64,
    refused: u64,
    unavailable: u64,
    unanswered: u64,
}

pub const HEAD: &str = "| fault | checks | accepted | changes | answered in ms: median, p99, longest | 503 | spurious | late | lost | violations | evidence |\n\
    | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

impl Report {
    pub fn new(fault: Fault, history: &[Event], verdict: Verdict, evidence: Evidence, problems: Vec<String>) -> Self {
        let mut report = Self {
            fault,
            checks: BTreeMap::new(),
            changes: 0,
            waits: Vec::new(),
            unavailable: [0; 2],
            unexcused: 0,
            explained: verdict
                .violations
                .iter()
                .chain(&verdict.lost)
                .take(8)
                .map(|found| explain(found, history))
                .collect(),
            verdict,
            evidence,
            problems,
            odd: BTreeMap::new(),
            kept: None,
        };
        for event in history {
            report.count(event);
        }
        report.waits.sort_unstable();
        for id in report.verdict.spurious.iter().take(3) {
            let event = usize::try_from(*id).ok().and_then(|place| history.get(place));
            report.explained.push(format!("refused without a reason: {}", event.map(line).unwrap_or_default()));
        }
        report
    }

    fn count(&mut self, event: &Event) {
        let is_change = !matches!(event.what, What::Check(_));
        let is_unexcused =
            event.outcome == Outcome::Unavailable && !self.fault.excuses_unavailable(event.node, is_change);
        self.unexcused += usize::from(is_unexcused);
        match &event.what {
            What::Check(check) => {
                let counts = self.checks.entry(check.call).or_default();
                match event.outcome {
                    Outcome::Accepted => counts.accepted += 1,
                    Outcome::Refused => counts.refused += 1,
                    Outcome::Unavailable => counts.unavailable += 1,
                    Outcome::Unknown | Outcome::Unreached => counts.unanswered += 1,
                }
                self.unavailable[0] += u64::from(event.outcome == Outcome::Unavailable);
            }
            What::Create { .. } | What::View { .. } | What::Outage | What::Backup | What::Restore { .. } => {}
            _ => {
                self.unavailable[1] += u64::from(event.outcome == Outcome::Unavailable);
                if let (Outcome::Accepted, Some(end)) = (event.outcome, event.end) {
                    self.changes += 1;
                    // A rotation waits until the next key signs everywhere, which takes seconds.
                    if !matches!(event.what, What::RotateSigningKey { .. }) {
                        self.waits.push(end - event.at);
                    }
                }
            }
        }
    }

    pub fn is_violated(&self) -> bool {
        !self.verdict.violations.is_empty()
    }

    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// Returns the reasons why the run fails.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.problems.clone();
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                faults.push(format!("{count} {what}"));
            }
        };
        add(self.verdict.violations.len(), "checks were accepted although they must be denied");
        add(self.verdict.lost.len(), "confirmed changes are lost");
        add(self.unexcused, "calls got 503 although PostgreSQL responded");
        let toothless = self.evidence.0.iter().filter(|(bit, _)| !bit);
        faults.extend(toothless.map(|(_, what)| format!("the fault did not bite: {what}")));
        if self.changes < 5 || self.total(|counts| counts.accepted) < 50 {
            faults.push("too little happened to show anything".into());
        }
        faults
    }

    pub fn row(&self) -> String {
        let evidence: Vec<_> = self.evidence.0.iter().map(|(_, what)| what.as_str()).collect();
        let [median, most, longest] = [50, 99, 100].map(|percent| percentile(&self.waits, percent) / 1000);
        let accepted: Vec<_> =
            self.checks.iter().map(|(call, counts)| format!("{call:?} {}", counts.accepted)).collect();
        format!(
            "| {} | {} | {} | {} | {median}, {most}, {longest} | {} | {} | {} | {} | {} | {} |",
            self.fault.name(),
            self.total(|counts| counts.accepted + counts.refused + counts.unavailable + counts.unanswered),
            accepted.join(", "),
            self.changes,
            self.unavailable[0] + self.unavailable[1],
            self.verdict.spurious.len(),
            self.verdict.late.len(),
            self.verdict.lost.len(),
            self.verdict.violations.len(),
            evidence.join("; "),
        )
    }

    pub fn json(&self) -> Value {
        let checks: BTreeMap<String, Value> =
            self.checks.iter().map(|(call, counts)| (format!("{call:?}"), counts.json())).collect();
        let evidence: Vec<_> = self.evidence.0.iter().map(|(bit, what)| json!({ "bit": bit, "what": what })).collect();
        let [median, p99, longest] = [50, 99, 100].map(|percent| percentile(&self.waits, percent));
        json!({
            "fault": self.fault.name(),
            "good": self.is_good(),
            "checks": checks,
            "changes_answered": self.changes,
            "change_microseconds": { "median": median, "p99": p99, "longest": longest },
            "unavailable": { "checks": self.unavailable[0], "changes": self.unavailable[1] },
            "spurious_refusals": self.verdict.spurious.len(),
            "late_refusals": self.verdict.late.len(),
            "lost_changes": self.verdict.lost.len(),
            "violations": self.verdict.violations.len(),
            "evidence": evidence,
            "failed_because": self.faults(),
            "odd_answers": self.odd,
            "history": self.kept,
        })
    }

    /// Returns all details of a failure, and unusual observations of a success.
    pub fn explain(&self) -> String {
        let name = self.fault.name();
        let mut text = String::new();
        for fault in self.faults() {
            text += &format!("{name}: {fault}\n");
        }
        for explained in &self.explained {
            text += &format!("  {explained}\n");
        }
        for (odd, count) in &self.odd {
            text += &format!("  {name}: odd answer ×{count}: {odd}\n");
        }
        if let Some(kept) = &self.kept {
            text += &format!("  {name}: the history, and beside it what the processes said: {}\n", kept.display());
        }
        text
    }

    fn total(&self, of: impl Fn(&Counts) -> u64) -> u64 {
        self.checks.values().map(of).sum()
    }
}

impl Counts {
    fn json(&self) -> Value {
        json!({
            "accepted": self.accepted, "refused": self.refused,
            "unavailable": self.unavailable, "unanswered": self.unanswered,
        })
    }
}

/// Describes a violation with its two events.
pub fn explain(found: &Violation, history: &[Event]) -> String {
    let event = |id: u64| usize::try_from(id).ok().and_then(|place| history.get(place)).map(line).unwrap_or_default();
    format!(
        "{}, {} µs after the answer\n    change: {}\n    seen:   {}",
        found.rule,
        found.after,
        event(found.change),
        event(found.seen)
    )
}

fn line(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

/// Returns a percentile of sorted numbers.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
