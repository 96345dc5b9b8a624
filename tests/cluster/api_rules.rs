//! Rules for APIs: what a request or a token is for.
//!
//! In the terms of `checker`, an accepted check A for an API is a violation if
//!
//! 13. a change C of the API was confirmed before `A.at` after which it has another audience, or no write scope although A
//!     involves it, or after which it does not exist, and no change that gives it back can have come between C and A;
//! 14. a removal U of the API from the key was confirmed before `A.at`, and no grant can have come between U and the time
//!     that determines the credential's validity: for a secret that is A itself, for a token it is its issue. U ends all
//!     tokens of the key that were issued before it, for whatever API.
//!
//! An API is never created twice, so a deleted one never exists again.

use std::collections::HashMap;

use super::super::history::{Check, Event, Outcome, What};
use super::restore_rules::Restores;

/// The changes of each API by name, and of each key's grants.
pub struct Apis<'a> {
    changes: HashMap<&'a str, Vec<&'a Event>>,
    grants: HashMap<u32, Vec<&'a Event>>,
}

/// An event, and the restores before it.
type Seen<'e, 'r, 'a> = (&'e Event, &'r Restores<'a>);

/// The API, audience and scopes that a check needs.
struct Wanted<'c> {
    api: &'c str,
    audience: Option<&'c String>,
    touches_write: bool,
}

impl<'c> Wanted<'c> {
    /// A token is for what was requested when it was issued.
    fn new(check: &'c Check, mint: Option<&'c Event>, touches_write: bool) -> Option<Self> {
        let of = match mint.map(|mint| &mint.what) {
            Some(What::Check(minted)) => minted,
            _ => check,
        };
        Some(Self { api: of.api.as_deref()?, audience: of.audience.as_ref(), touches_write })
    }

    /// Whether the API allows the check after a change of it.
    fn is_allowed_after(&self, what: &What) -> bool {
        match what {
            What::CreateApi { audience, .. } => self.audience.is_none_or(|wanted| wanted == audience),
            What::EditApi { audience, write, .. } => {
                (audience.is_none() || audience.as_ref() == self.audience) && (*write || !self.touches_write)
            }
            _ => false,
        }
    }
}

impl<'a> Apis<'a> {
    pub fn new(history: &'a [Event]) -> Self {
        let mut apis = Self { changes: HashMap::new(), grants: HashMap::new() };
        for event in history.iter().filter(|event| event.possible()) {
            match &event.what {
                What::CreateApi { api, .. } | What::EditApi { api, .. } | What::DeleteApi { api, .. } => {
                    apis.changes.entry(api).or_default().push(event);
                }
                What::Grant { .. } | What::Ungrant { .. } => apis.grants.entry(event.key).or_default().push(event),
                _ => {}
            }
        }
        apis
    }

    /// Returns the first rule that an accepted check violates, and the change that ended the required state.
    pub fn broken(
        &self,
        (event, restores): Seen<'_, '_, 'a>,
        check: &Check,
        mint: Option<&Event>,
        touches_write: bool,
    ) -> Option<(&'static str, &'a Event)> {
        let is_confirmed = |change: &&&Event| change.last_moment() < event.at && restores.is_kept(change, event);
        let can_have_come_between =
            |change: &Event, before: &Event, others: &[&Event], back: &dyn Fn(&What) -> bool| {
                let end = before.end.unwrap_or(u64::MAX);
                others.iter().any(|other| {
                    back(&other.what)
                        && !restores.is_lost(other, before)
                        && other.last_moment() > change.at
                        && other.at < end
                })
            };
        let wanted = Wanted::new(check, mint, touches_write);

        // 13.
        if let Some(wanted) = &wanted {
            let changes = self.of(wanted.api);
            let ending = changes.iter().filter(is_confirmed).filter(|change| !wanted.is_allowed_after(&change.what));
            if let Some(ending) = ending.max_by_key(|change| change.at)
                && !can_have_come_between(ending, event, changes, &|what| wanted.is_allowed_after(what))
            {
                return Some(("a credential was accepted for what its API no longer has", ending));
            }
        }

        // 14.
        let grants = self.granted(event.key);
        let removals =
            || grants.iter().filter(is_confirmed).filter(|change| matches!(change.what, What::Ungrant { .. }));
        let is_earlier = |removal: &&&Event| mint.is_some_and(|mint| mint.last_moment() <= removal.at);
        let rule = "an API that was removed from the key, or a token from before, was accepted";
        if let Some(removal) = removals().find(is_earlier) {
            return Some((rule, removal));
        }
        let api = wanted?.api;
        let is_removal = |change: &&&Event| matches!(&change.what, What::Ungrant { api: removed } if removed == api);
        let removal = removals().filter(is_removal).max_by_key(|change| change.at)?;
        let is_grant = |what: &What| matches!(what, What::Grant { api: granted } if granted == api);
        let is_back = can_have_come_between(removal, mint.unwrap_or(event), grants, &is_grant);
        (!is_back).then_some((rule, removal))
    }

    /// Whether changes of APIs explain the denial of a check, if changes that grant rights can take `patience` to become
    /// effective.
    pub fn explains(
        &self,
        (event, restores): Seen<'_, '_, 'a>,
        check: &Check,
        mint: Option<&Event>,
        (touches_write, patience): (bool, u64),
    ) -> bool {
        let end = event.end.unwrap_or(u64::MAX);
        let has_begun = |change: &&&Event| change.at < end && !restores.is_lost(change, event);
        let is_given = |changes: &[&Event], after: u64, kind: &dyn Fn(&What) -> bool| {
            changes.iter().filter(has_begun).any(|change| {
                change.outcome == Outcome::Accepted
                    && restores.is_kept(change, event)
                    && kind(&change.what)
                    && change.at >= after
                    && change.last_moment().saturating_add(patience) <= event.at
            })
        };
        let grants = self.granted(event.key);
        let removals = grants.iter().filter(has_begun).filter(|change| matches!(change.what, What::Ungrant { .. }));
        let last_removal = removals.map(|change| change.last_moment()).max();
        if last_removal.is_some_and(|removed| mint.is_some_and(|mint| removed > mint.at)) {
            return true;
        }
        let Some(wanted) = Wanted::new(check, mint, touches_write) else { return false };
        let changes = self.of(wanted.api);
        let is_created = changes.iter().any(|change| matches!(change.what, What::CreateApi { .. }));
        let ended = changes.iter().filter(has_begun).filter(|change| !wanted.is_allowed_after(&change.what));
        let ended = ended.map(|change| change.last_moment()).max();
        // The default API exists, and is granted, without a change.
        let is_denied = (is_created || ended.is_some())
            && !is_given(changes, ended.unwrap_or_default(), &|what| wanted.is_allowed_after(what));
        let is_grant = |what: &What| matches!(what, What::Grant { api } if api == wanted.api);
        let is_not_granted = is_created && !is_given(grants, last_removal.unwrap_or_default(), &is_grant);
        is_denied || is_not_granted
    }

    fn of(&self, api: &str) -> &[&'a Event] {
        self.changes.get(api).map(Vec::as_slice).unwrap_or_default()
    }

    fn granted(&self, key: u32) -> &[&'a Event] {
        self.grants.get(&key).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "api_rules_tests.rs"]
mod tests;
