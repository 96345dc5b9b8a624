//! Decides whether a history satisfies the guarantee. Pure: a history in, findings out.
//!
//! A change is *confirmed* if its outcome is `Accepted`; it was made at some time from its `at` to its `end`. A change
//! without a known outcome may have been made at any time since its `at`, or never. An accepted check was decided at
//! some time from its `at` to its `end`. So an accepted check A is a violation if, for its key,
//!
//! 1. a revoke was confirmed before `A.at`;
//! 2. a disable D was confirmed before `A.at`, and no enable can have come between D and the time that determines the
//!    credential's validity: for a secret that is A itself, for a token it is its issue, because D invalidates existing
//!    tokens permanently;
//! 3. a rotation that started after the credential's secret was issued was confirmed before `A.at`: it invalidates the
//!    older secret and all its tokens. A rotation with a grace period invalidates them at its end;
//! 4. a narrowing N was confirmed before `A.at`, A involves the write scope (it was requested, or the new or presented
//!    token has it: such a token is invalidated completely), and no widening can have come between N and that same
//!    time;
//! 5. it requested the write scope with a token that never had it;
//! 6. a revocation of its token was confirmed before `A.at`;
//! 7. it started more than a lease after PostgreSQL had stopped responding to its node, and ended before PostgreSQL
//!    could respond again;
//! 15. the key was given to a customer and a suspension S of it was confirmed before `A.at`, and no reinstatement can have
//!     come between S and the time that determines the credential's validity, as in rule 2;
//! 16. its token was issued before the key was given to a customer, and that was confirmed before `A.at`.
//!
//! `organization_rules` has the rules about the policy, the state and the signing keys of the key's organization,
//! `api_rules` those about APIs, `profile_rules` those about profiles, `restore_rules` those about a database that was restored from a backup.
//!
//! An enable or widening E *can have come after* a change C if it was not denied and its last possible time is later
//! than `C.at`.

#[path = "api_rules.rs"]
mod api_rules;
#[path = "organization_rules.rs"]
mod organization_rules;
#[path = "profile_rules.rs"]
mod profile_rules;
#[path = "restore_rules.rs"]
mod restore_rules;

use std::collections::HashMap;

use api_rules::Apis;
use organization_rules::Organizations;
use profile_rules::Profiles;
use restore_rules::Restores;

use super::history::{Call, Check, Credential, Event, GRACE, Outcome, What};

/// The lease, and what clocks and scheduling can add to it between two processes on one machine.
const LEASE: u64 = 1_000_000;
const SLACK: u64 = 50_000;

/// A denial this soon after a change that granted the right is late, not spurious.
const PATIENCE: u64 = 2_000_000;

/// The findings, each with the indexes of its events in the history.
#[derive(Debug, Default)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// Confirmed changes that are missing afterwards.
    pub lost: Vec<Violation>,
    /// Denials of a valid credential that no change explains.
    pub spurious: Vec<u64>,
    /// The same, shortly after the change that made it valid.
    pub late: Vec<u64>,
}

#[derive(Debug)]
pub struct Violation {
    pub rule: &'static str,
    pub change: u64,
    pub seen: u64,
    /// Microseconds from the confirmation of the change to the start of the check.
    pub after: u64,
}

pub fn check(history: &[Event]) -> Verdict {
    let book = Book::new(history);
    let mut verdict = Verdict::default();
    for event in history {
        match (&event.what, event.outcome) {
            (What::Check(check), Outcome::Accepted) => {
                verdict.violations.extend(book.broken(event, check).into_iter().chain(book.unproven(event)));
            }
            (What::Check(check), Outcome::Refused) if !book.explained(event, check, PATIENCE) => {
                verdict.spurious.push(event.id);
                if check.last {
                    let change = book.issued(check).unwrap_or(event).id;
                    verdict.lost.push(Violation { rule: LOST_SECRET, change, seen: event.id, after: 0 });
                }
            }
            (What::Check(check), Outcome::Refused) if !book.explained(event, check, 0) => verdict.late.push(event.id),
            (What::View { status, wide }, Outcome::Accepted) => verdict.lost.extend(book.lost(event, status, *wide)),
            _ => {}
        }
    }
    verdict
}

const LOST_SECRET: &str = "what should be good is refused after recovery";

/// The changes of each key, and the outages.
struct Book<'a> {
    history: &'a [Event],
    changes: HashMap<u32, Vec<&'a Event>>,
    outages: Vec<&'a Event>,
    organizations: Organizations<'a>,
    apis: Apis<'a>,
    profiles: Profiles<'a>,
    restores: Restores<'a>,
}

impl<'a> Book<'a> {
    fn new(history: &'a [Event]) -> Self {
        let (organizations, apis) = (Organizations::new(history), Apis::new(history));
        let restores = Restores::new(history);
        let (changes, outages, profiles) = (HashMap::new(), Vec::new(), Profiles::new(history));
        let mut book = Self { history, changes, outages, organizations, apis, profiles, restores };
        for event in history {
            match event.what {
                What::Check(_) | What::View { .. } | What::Create { .. } | What::Backup | What::Restore { .. } => {}
                What::Outage => book.outages.push(event),
                _ if event.possible() => book.changes.entry(event.key).or_default().push(event),
                _ => {}
            }
        }
        book
    }

    /// Rules 1 to 6 and 8 to 18: returns the first violation by an accepted check.
    fn broken(&self, event: &Event, check: &Check) -> Option<Violation> {
        let mint = self.mint(check);
        let lives_by = mint.unwrap_or(event);
        let mint_is_wide = mint.and_then(minted_wide);
        let touches_write = check.write || check.minted == Some(true) || mint_is_wide == Some(true);
        let found = |rule, change: &Event| {
            let after = event.at.saturating_sub(change.last_moment());
            Some(Violation { rule, change: change.id, seen: event.id, after })
        };

        if let Some((rule, restore)) = self.restores.broken(event, check, (mint, self.issued(check))) {
            return found(rule, restore);
        }
        if let Some(revoke) = self.answered_before(event, |what| *what == What::Revoke) {
            return found("a revoked key was accepted", revoke);
        }
        if let Some(disable) = self.answered_before(event, |what| *what == What::Disable)
            && !self.can_have_come_between(disable, &What::Enable, lives_by)
        {
            return found("a disabled key, or a token from before, was accepted", disable);
        }
        if let Some(suspension) = self.answered_before(event, |what| matches!(what, What::SuspendCustomer { .. }))
            && self.answered_before(event, |what| gives_to(what, suspension)).is_some()
            && let Some(back) = reinstatement(suspension)
            && !self.can_have_come_between(suspension, &back, lives_by)
        {
            return found("a key of a suspended customer, or a token from before, was accepted", suspension);
        }
        if let Some(given) = self.answered_before(event, |what| matches!(what, What::GiveToCustomer { .. }))
            && mint.is_some_and(|mint| mint.last_moment() <= given.at)
        {
            return found("a token from before its key was given to a customer was accepted", given);
        }
        if let Some(issued) = self.issued(check)
            && let Some(rotation) = self.answered_before(event, |what| *what == What::Rotate)
            && rotation.at >= issued.last_moment()
        {
            return found("a secret that was rotated out, or its token, was accepted", rotation);
        }
        if let Some(issued) = self.issued(check)
            && let Some(rotation) = self.graces_over(event).find(|rotation| rotation.at >= issued.last_moment())
        {
            return found("a secret whose grace was over, or its token, was accepted", rotation);
        }
        if touches_write
            && let Some(narrowing) = self.answered_before(event, |what| *what == What::Narrow)
            && !self.can_have_come_between(narrowing, &What::Widen, lives_by)
        {
            return found("a scope that was taken away was accepted", narrowing);
        }
        if check.write && mint_is_wide == Some(false) {
            return found("a token was accepted for a scope that it never had", lives_by);
        }
        if let Credential::Token { mint } = check.credential
            && let Some(end) = self.answered_before(event, |what| *what == What::RevokeToken { mint })
        {
            return found("a revoked token was accepted", end);
        }
        let seen = (event, &self.restores);
        let (rule, change) = self
            .organizations
            .broken(seen, check, mint)
            .or_else(|| self.apis.broken(seen, check, mint, touches_write))
            .or_else(|| self.profiles.broken(seen, check, mint, touches_write))?;
        found(rule, change)
    }

    /// Rule 7.
    fn unproven(&self, event: &Event) -> Option<Violation> {
        let end = event.end?;
        let outage = self.outages.iter().find(|outage| {
            let concerns = outage.node.is_none() || outage.node == event.node;
            concerns && event.at > outage.at + LEASE + SLACK && outage.end.is_none_or(|over| end < over)
        })?;
        let after = event.at - outage.at;
        Some(Violation {
            rule: "accepted without a lease and without the database",
            change: outage.id,
            seen: event.id,
            after,
        })
    }

    /// Whether changes explain the denial of a check, if changes that grant rights can take `patience` to become
    /// effective.
    fn explained(&self, event: &Event, check: &Check, patience: u64) -> bool {
        let Some(issued) = self.issued(check) else { return true };
        let mint = self.mint(check);
        let end = event.end.unwrap_or(u64::MAX);
        let begun = || {
            let changes = self.changes.get(&event.key).into_iter().flatten();
            changes.filter(move |change| change.at < end && !self.restores.is_lost(change, event))
        };
        let last =
            |what: What| begun().filter(move |change| change.what == what).max_by_key(|change| change.last_moment());
        let undone = |change: &Event, by: What| {
            begun().any(|back| {
                back.what == by
                    && back.outcome == Outcome::Accepted
                    && self.restores.is_kept(back, event)
                    && back.at >= change.last_moment()
                    && back.last_moment().saturating_add(patience) <= event.at
            })
        };
        let outlives = |change: &Event| mint.is_some_and(|mint| change.last_moment() > mint.at);

        let revoked = last(What::Revoke).is_some();
        let disabled = last(What::Disable).is_some_and(|change| outlives(change) || !undone(change, What::Enable));
        let suspended = begun()
            .filter(|change| matches!(change.what, What::SuspendCustomer { .. }))
            .max_by_key(|change| change.last_moment())
            .is_some_and(|change| outlives(change) || reinstatement(change).is_none_or(|back| !undone(change, back)));
        let given = begun().any(|change| matches!(change.what, What::GiveToCustomer { .. }) && outlives(change));
        // A node that has not applied the widening denies a token with more scopes than the key that it knows.
        let touches_write = check.write || mint.and_then(minted_wide) == Some(true);
        let narrowed =
            last(What::Narrow).is_some_and(|change| outlives(change) || touches_write && !undone(change, What::Widen));
        let rotates = |change: &Event| matches!(change.what, What::Rotate | What::RotateWithGrace);
        let rotated =
            begun().any(|change| rotates(change) && change.id != issued.id && change.last_moment() > issued.at);
        let fresh = issued.last_moment().saturating_add(patience) > event.at;
        let lacking = check.write && mint.and_then(minted_wide) == Some(false);
        let ended =
            matches!(check.credential, Credential::Token { mint } if last(What::RevokeToken { mint }).is_some());
        let by_organization = self.organizations.explains((event, &self.restores), check, mint, patience);
        let by_api = self.apis.explains((event, &self.restores), check, mint, (touches_write, patience));
        let by_profile = self.profiles.explains((event, &self.restores), check, mint, (touches_write, patience));
        let restored = self.restores.explains(event, check, (mint, Some(issued)));
        let of_key = revoked || disabled || narrowed || rotated || fresh || lacking || ended;
        of_key || suspended || given || by_organization || by_api || by_profile || restored
    }

    /// Returns a confirmed change whose effect is missing from a view that started later.
    fn lost(&self, event: &Event, status: &str, wide: bool) -> Option<Violation> {
        let rules = [
            (What::Revoke, None, status != "revoked", "an answered revoke is lost"),
            (What::Disable, Some(What::Enable), status == "active", "an answered disable is lost"),
            (What::Enable, Some(What::Disable), status == "disabled", "an answered enable is lost"),
            (What::Narrow, Some(What::Widen), wide, "an answered narrowing is lost"),
            (What::Widen, Some(What::Narrow), !wide, "an answered widening is lost"),
        ];
        rules.into_iter().find_map(|(made, back, contradicted, rule)| {
            let change = self.answered_before(event, |what| *what == made)?;
            let undone = back.is_some_and(|back| self.can_have_come_between(change, &back, event));
            let after = event.at.saturating_sub(change.last_moment());
            (contradicted && !undone).then_some(Violation { rule, change: change.id, seen: event.id, after })
        })
    }

    /// Returns the last started of the changes that were confirmed before the event started: the least likely to have
    /// been reverted.
    fn answered_before(&self, event: &Event, kind: impl Fn(&What) -> bool) -> Option<&'a Event> {
        let changes = self.changes.get(&event.key)?.iter().copied();
        changes
            .filter(|change| kind(&change.what) && change.last_moment() < event.at)
            .filter(|change| self.restores.is_kept(change, event))
            .max_by_key(|change| change.at)
    }

    /// Returns the rotations whose grace period was over before the event started.
    fn graces_over<'b>(&'b self, event: &'b Event) -> impl Iterator<Item = &'a Event> + use<'a, 'b> {
        let at = event.at;
        let is_over = move |change: &Event| change.last_moment().saturating_add(GRACE + SLACK) < at;
        let changes = self.changes.get(&event.key).into_iter().flatten().copied();
        changes.filter(move |change| {
            change.what == What::RotateWithGrace && is_over(change) && self.restores.is_kept(change, event)
        })
    }

    fn can_have_come_between(&self, change: &Event, back: &What, before: &Event) -> bool {
        let end = before.end.unwrap_or(u64::MAX);
        let changes = self.changes.get(&change.key).into_iter().flatten();
        changes
            .into_iter()
            .filter(|other| !self.restores.is_lost(other, before))
            .any(|other| other.what == *back && other.last_moment() > change.at && other.at < end)
    }

    fn mint(&self, check: &Check) -> Option<&'a Event> {
        let Credential::Token { mint } = check.credential else { return None };
        self.history.get(usize::try_from(mint).ok()?)
    }

    /// Returns the event that issued the secret of a check.
    fn issued(&self, check: &Check) -> Option<&'a Event> {
        let secret = match (check.credential, self.mint(check)) {
            (Credential::Secret { issued }, _) => issued,
            (_, Some(Event { what: What::Check(Check { credential: Credential::Secret { issued }, .. }), .. })) => {
                *issued
            }
            _ => return None,
        };
        self.history.get(usize::try_from(secret).ok()?)
    }
}

/// Whether a change gives the key to the customer of a suspension.
fn gives_to(what: &What, suspension: &Event) -> bool {
    match (what, &suspension.what) {
        (What::GiveToCustomer { customer }, What::SuspendCustomer { customer: suspended }) => customer == suspended,
        _ => false,
    }
}

/// The change that ends a suspension.
fn reinstatement(suspension: &Event) -> Option<What> {
    match &suspension.what {
        What::SuspendCustomer { customer } => Some(What::ReinstateCustomer { customer: customer.clone() }),
        _ => None,
    }
}

fn minted_wide(mint: &Event) -> Option<bool> {
    match &mint.what {
        What::Check(Check { call: Call::Exchange, minted, .. }) => *minted,
        _ => None,
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
