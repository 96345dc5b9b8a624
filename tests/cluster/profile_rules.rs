//! Rules for profiles: networks and scopes that a key has only as far as its profile has them.
//!
//! In the terms of `checker`, an accepted check A is a violation if
//!
//! 17. the key was given a profile, an edit E of it was confirmed before `A.at` after which it does not allow A (no network of the
//!     nodes' clients, unless A is an introspection, which has no client address; or no write scope although A involves it), and
//!     no edit that allows A can have come between E and A;
//! 18. its token was issued before the key was given a profile, and that was confirmed before `A.at`.
//!
//! Each profile is given to one key, and allows everything when it is given.

use std::collections::HashMap;

use super::super::history::{Call, Check, Event, Outcome, What};
use super::restore_rules::Restores;

/// The changes of each key's profile.
pub struct Profiles<'a>(HashMap<u32, Vec<&'a Event>>);

impl<'a> Profiles<'a> {
    pub fn new(history: &'a [Event]) -> Self {
        let mut changes: HashMap<u32, Vec<&Event>> = HashMap::new();
        for event in history.iter().filter(|event| event.possible()) {
            if matches!(event.what, What::GiveProfile { .. } | What::EditProfile { .. }) {
                changes.entry(event.key).or_default().push(event);
            }
        }
        Self(changes)
    }

    /// Returns the first rule that an accepted check violates, and the change that ended the required state.
    pub fn broken(
        &self,
        (event, restores): (&Event, &Restores<'_>),
        check: &Check,
        mint: Option<&Event>,
        touches_write: bool,
    ) -> Option<(&'static str, &'a Event)> {
        let changes = || self.0.get(&event.key).into_iter().flatten().copied();
        let confirmed =
            || changes().filter(|change| change.last_moment() < event.at && restores.is_kept(change, event));
        let allows = |change: &&Event| is_allowed_after(&change.what, check, touches_write);
        let is_of_the_key = |edit: &&Event| confirmed().any(|given| gives(&given.what, &edit.what));
        let ending = confirmed().filter(|change| !allows(change)).filter(is_of_the_key).max_by_key(|change| change.at);
        if let Some(ending) = ending {
            let end = event.end.unwrap_or(u64::MAX);
            let mut back = changes().filter(allows).filter(|change| !restores.is_lost(change, event));
            if !back.any(|change| change.last_moment() > ending.at && change.at < end) {
                return Some(("a credential was accepted for what its profile no longer has", ending));
            }
        }
        let is_earlier = |given: &&Event| mint.is_some_and(|mint| mint.last_moment() <= given.at);
        let mut given = confirmed().filter(|change| matches!(change.what, What::GiveProfile { .. }));
        Some(("a token from before its key was given a profile was accepted", given.find(is_earlier)?))
    }

    /// Whether changes of its profile explain the denial of a check, if changes that grant rights can take `patience` to become
    /// effective.
    pub fn explains(
        &self,
        (event, restores): (&Event, &Restores<'_>),
        check: &Check,
        mint: Option<&Event>,
        (touches_write, patience): (bool, u64),
    ) -> bool {
        let end = event.end.unwrap_or(u64::MAX);
        let changes = self.0.get(&event.key).into_iter().flatten().copied();
        let begun: Vec<&Event> = changes.filter(|change| change.at < end && !restores.is_lost(change, event)).collect();
        let allows = |change: &&Event| is_allowed_after(&change.what, check, touches_write);
        let ended = begun.iter().copied().filter(|change| !allows(change)).map(Event::last_moment).max();
        let is_back = |ended: u64| {
            begun.iter().copied().filter(allows).any(|change| {
                change.outcome == Outcome::Accepted
                    && restores.is_kept(change, event)
                    && change.at >= ended
                    && change.last_moment().saturating_add(patience) <= event.at
            })
        };
        let is_given = |change: &&Event| matches!(change.what, What::GiveProfile { .. });
        let given = begun.iter().copied().filter(is_given).map(Event::last_moment).max();
        given.is_some_and(|given| mint.is_some_and(|mint| given > mint.at))
            || ended.is_some_and(|ended| !is_back(ended))
    }
}

/// Whether a check is allowed after a change.
fn is_allowed_after(what: &What, check: &Check, touches_write: bool) -> bool {
    match what {
        What::EditProfile { open, write, .. } => {
            (*open || check.call == Call::Introspect) && (*write || !touches_write)
        }
        _ => true,
    }
}

/// Whether a change gives the key the profile that another one edits.
fn gives(what: &What, edit: &What) -> bool {
    match (what, edit) {
        (What::GiveProfile { profile }, What::EditProfile { profile: edited, .. }) => profile == edited,
        _ => false,
    }
}

#[cfg(test)]
#[path = "profile_rules_tests.rs"]
mod tests;
