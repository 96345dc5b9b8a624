//! Rules for a restore of the database.
//!
//! A restore R brings back the state of a backup B, which was taken at some time from `B.at` to `B.end`; from `R.at` on
//! the nodes were being stopped, and none served again before `R.end`. For events that started after `R.end`, a change
//!
//! - that was confirmed before `B.at`, or started after `R.end`, counts as usual;
//! - that started after `B.end` and before `R.end` is *lost*: it neither ends nor grants anything;
//! - that may have been made on either side of the backup proves nothing.
//!
//! Before `R.at`, every change counts as usual. An accepted check A that started after `R.end` is a violation if
//!
//! 11. its token was issued, or its session started, before `R.end`;
//! 12. its secret was issued by a lost change.

use super::super::history::{Call, Check, Event, Outcome, What};

/// A backup and the restore that used it.
struct Restore<'a> {
    backup: &'a Event,
    restore: &'a Event,
}

/// The restores of a history.
pub struct Restores<'a>(Vec<Restore<'a>>);

impl<'a> Restores<'a> {
    pub fn new(history: &'a [Event]) -> Self {
        let restore = |restore: &'a Event| {
            let What::Restore { backup } = restore.what else { return None };
            let backup = history.get(usize::try_from(backup).ok()?)?;
            (restore.outcome == Outcome::Accepted).then_some(Restore { backup, restore })
        };
        Self(history.iter().filter_map(restore).collect())
    }

    /// Whether a change is certainly part of the state at an event, if it was confirmed before the event started.
    pub fn is_kept(&self, change: &Event, event: &Event) -> bool {
        self.before(event)
            .all(|found| change.last_moment() < found.backup.at || change.at >= found.restore.last_moment())
    }

    /// Whether a change is certainly not part of the state at an event.
    pub fn is_lost(&self, change: &Event, event: &Event) -> bool {
        self.before(event).any(|found| found.loses(change))
    }

    /// Rules 11 and 12: returns the first that an accepted check violates, and the restore.
    pub fn broken(
        &self,
        event: &Event,
        check: &Check,
        (mint, issued): (Option<&Event>, Option<&Event>),
    ) -> Option<(&'static str, &'a Event)> {
        self.before(event).find_map(|found| {
            let began_before = |event: &Event| event.at < found.restore.last_moment();
            let rule = if mint.is_some_and(began_before) {
                "a token from before a restore was accepted"
            } else if check.call == Call::Session && issued.is_some_and(began_before) {
                "a session from before a restore was accepted"
            } else if issued.is_some_and(|issued| found.loses(issued)) {
                "a secret from after the restored backup was accepted"
            } else {
                return None;
            };
            Some((rule, found.restore))
        })
    }

    /// Whether a restore explains the denial of a check: it ended the token or session, or the secret may be lost.
    pub fn explains(&self, event: &Event, check: &Check, (mint, issued): (Option<&Event>, Option<&Event>)) -> bool {
        self.before(event).any(|found| {
            let began_before = |event: &Event| event.at < found.restore.last_moment();
            let is_ended =
                mint.is_some_and(began_before) || check.call == Call::Session && issued.is_some_and(began_before);
            let may_be_lost = issued.is_some_and(|issued| {
                !matches!(issued.what, What::Create { .. })
                    && began_before(issued)
                    && issued.last_moment() >= found.backup.at
            });
            is_ended || may_be_lost
        })
    }

    /// Returns the restores that were over when an event started.
    fn before(&self, event: &Event) -> impl Iterator<Item = &Restore<'a>> {
        let at = event.at;
        self.0.iter().filter(move |found| found.restore.last_moment() <= at)
    }
}

impl Restore<'_> {
    /// Whether the backup certainly does not contain a change that was made before the restore.
    fn loses(&self, change: &Event) -> bool {
        // A key is added to the history after it is created.
        !matches!(change.what, What::Create { .. })
            && self.backup.end.is_some_and(|end| change.at > end)
            && change.at < self.restore.last_moment()
    }
}

#[cfg(test)]
#[path = "restore_rules_tests.rs"]
mod tests;
