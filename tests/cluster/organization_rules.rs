//! Rules for the other inputs of a check: the policy, the state and the signing keys of the key's organization.
//!
//! In the terms of `checker`, an accepted check A is a violation if, for its organization,
//!
//! 8. A requested an audience, a policy P without it was confirmed before `A.at`, and no policy with it can have come
//!    between P and A;
//! 9. a suspension S was confirmed before `A.at`, and no resumption can have come between S and A;
//! 10. A's token was issued before a signing key rotation R started, and R was confirmed before `A.at`.
//!
//! A rotation without a known outcome may have stored its new key without deleting the previous one, and a later
//! rotation deletes only the current key. Rule 10 therefore ignores tokens that were issued before the end of the next
//! successful rotation.

use std::collections::HashMap;

use super::super::history::{Check, Event, Outcome, What};
use super::restore_rules::Restores;

/// The changes of each organization.
pub struct Organizations<'a> {
    of_key: HashMap<u32, usize>,
    changes: HashMap<usize, Vec<&'a Event>>,
}

impl<'a> Organizations<'a> {
    pub fn new(history: &'a [Event]) -> Self {
        let mut organizations = Self { of_key: HashMap::new(), changes: HashMap::new() };
        for event in history {
            match &event.what {
                What::Create { organization, .. } => {
                    organizations.of_key.insert(event.key, *organization);
                }
                What::SetAudiences { organization, .. }
                | What::Suspend { organization }
                | What::Resume { organization }
                | What::RotateSigningKey { organization }
                    if event.possible() =>
                {
                    organizations.changes.entry(*organization).or_default().push(event);
                }
                _ => {}
            }
        }
        organizations
    }

    /// Returns the first rule that an accepted check violates, and the change that ended the required state.
    pub fn broken(
        &self,
        (event, restores): (&Event, &Restores<'_>),
        check: &Check,
        mint: Option<&Event>,
    ) -> Option<(&'static str, &'a Event)> {
        let answered_before = |kind: &dyn Fn(&What) -> bool| self.answered_before((event, restores), kind);
        if let Some(audience) = alias(check)
            && let Some(removal) = answered_before(&|what| allows(what, audience) == Some(false))
            && !self.can_have_come_between((event, restores), removal, |what| allows(what, audience) == Some(true))
        {
            return Some(("an audience that the policy does not allow was accepted", removal));
        }
        if let Some(suspension) = answered_before(&|what| matches!(what, What::Suspend { .. }))
            && !self.can_have_come_between((event, restores), suspension, |what| matches!(what, What::Resume { .. }))
        {
            return Some(("a credential of a suspended organization was accepted", suspension));
        }
        let rotation = self.rotations(event).find(|rotation| {
            rotation.last_moment() < event.at
                && restores.is_kept(rotation, event)
                && mint.is_some_and(|mint| self.is_ended_by(rotation, mint, event))
        })?;
        Some(("a token of a deleted signing key was accepted", rotation))
    }

    /// Whether the organization's changes explain the denial of a check, if changes that grant rights can take
    /// `patience` to become effective.
    pub fn explains(
        &self,
        (event, restores): (&Event, &Restores<'_>),
        check: &Check,
        mint: Option<&Event>,
        patience: u64,
    ) -> bool {
        let end = event.end.unwrap_or(u64::MAX);
        let begun = || self.of(event).filter(move |change| change.at < end && !restores.is_lost(change, event));
        let restored = |after: u64, back: &dyn Fn(&What) -> bool| {
            begun().any(|change| {
                change.outcome == Outcome::Accepted
                    && restores.is_kept(change, event)
                    && back(&change.what)
                    && change.at >= after
                    && change.last_moment().saturating_add(patience) <= event.at
            })
        };
        let last =
            |kind: &dyn Fn(&What) -> bool| begun().filter(|change| kind(&change.what)).map(Event::last_moment).max();

        let denied = alias(check).is_some_and(|audience| {
            let removed = last(&|what| allows(what, audience) == Some(false)).unwrap_or_default();
            !restored(removed, &|what| allows(what, audience) == Some(true))
        });
        let suspended = last(&|what| matches!(what, What::Suspend { .. }))
            .is_some_and(|suspended| !restored(suspended, &|what| matches!(what, What::Resume { .. })));
        let deleted = mint.is_some_and(|mint| {
            self.rotations(event).any(|rotation| rotation.at < end && rotation.last_moment() > mint.at)
        });
        denied || suspended || deleted
    }

    fn of(&self, event: &Event) -> impl Iterator<Item = &'a Event> {
        let organization = self.of_key.get(&event.key).copied().unwrap_or_default();
        self.changes.get(&organization).into_iter().flatten().copied()
    }

    fn rotations(&self, event: &Event) -> impl Iterator<Item = &'a Event> {
        self.of(event).filter(|change| matches!(change.what, What::RotateSigningKey { .. }))
    }

    /// Whether the rotation certainly deleted the key that signed the token.
    fn is_ended_by(&self, rotation: &Event, mint: &Event, event: &Event) -> bool {
        let is_settled = |open: &Event| {
            self.rotations(event)
                .any(|next| next.outcome == Outcome::Accepted && next.at > open.at && next.last_moment() <= mint.at)
        };
        mint.last_moment() <= rotation.at
            && self
                .rotations(event)
                .filter(|other| other.outcome != Outcome::Accepted && other.at < rotation.last_moment())
                .all(is_settled)
    }

    /// Returns the last started of the changes that were confirmed before the event started.
    fn answered_before(
        &self,
        (event, restores): (&Event, &Restores<'_>),
        kind: &dyn Fn(&What) -> bool,
    ) -> Option<&'a Event> {
        let answered = self
            .of(event)
            .filter(|change| kind(&change.what) && change.last_moment() < event.at && restores.is_kept(change, event));
        answered.max_by_key(|change| change.at)
    }

    fn can_have_come_between(
        &self,
        (event, restores): (&Event, &Restores<'_>),
        change: &Event,
        back: impl Fn(&What) -> bool,
    ) -> bool {
        let end = event.end.unwrap_or(u64::MAX);
        let others = self.of(event).filter(|other| !restores.is_lost(other, event));
        let mut others = others.filter(|other| other.last_moment() > change.at && other.at < end);
        others.any(|other| back(&other.what))
    }
}

/// The requested audience of the default API.
fn alias(check: &Check) -> Option<&String> {
    check.audience.as_ref().filter(|_| check.api.is_none())
}

/// Whether a policy allows the audience; `None` for other changes.
fn allows(what: &What, audience: &String) -> Option<bool> {
    match what {
        What::SetAudiences { audiences, .. } => Some(audiences.contains(audience)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "organization_rules_tests.rs"]
mod tests;
