//! Tests of the rules for restores with handwritten histories.
#![allow(dead_code, unused_imports, reason = "without libtest the tests are left out, and their helpers stay")]

use super::super::super::history::{Call, Check, Credential, Event, Outcome, What};
use super::super::{Verdict, check};

const AUDIENCE: &str = "https://a.example";
/// A time at which every change that grants rights is effective.
const LATER: u64 = 9_000_000;

const FIRST: Credential = Credential::Secret { issued: 0 };

/// A history of one key, issued its first secret by event 0; a backup from 100 to 110 and a restore from 200 to 300.
struct Story(Vec<Event>);

impl Story {
    fn new() -> Self {
        let mut story = Self(Vec::new());
        story.add((0, 0), What::Create { name: "k".into(), organization: 0 });
        story
    }

    fn event(&mut self, (at, end): (u64, Option<u64>), what: What, outcome: Outcome) -> u64 {
        let id = self.0.len() as u64;
        self.0.push(Event { id, at, end, node: Some(0), key: 0, what, outcome });
        id
    }

    fn add(&mut self, (at, end): (u64, u64), what: What) -> u64 {
        self.event((at, Some(end)), what, Outcome::Accepted)
    }

    fn restore(&mut self) -> u64 {
        let backup = self.add((100, 110), What::Backup);
        self.add((200, 300), What::Restore { backup })
    }

    fn check(&mut self, at: u64, call: Call, credential: Credential, audience: Option<&str>, outcome: Outcome) -> u64 {
        let minted = (call == Call::Exchange && outcome == Outcome::Accepted).then_some(false);
        let audience = audience.map(str::to_owned);
        let last = outcome == Outcome::Refused;
        let check = Check { call, credential, write: false, minted, audience, api: None, last };
        self.event((at, Some(at + 5)), What::Check(check), outcome)
    }

    fn accept(&mut self, at: u64, credential: Credential) -> u64 {
        self.check(at, Call::Verify, credential, None, Outcome::Accepted)
    }

    /// The final check, in which an unexplained denial is a loss.
    fn refuse(&mut self, at: u64, credential: Credential) -> u64 {
        self.check(at, Call::Verify, credential, None, Outcome::Refused)
    }

    fn mint(&mut self, at: u64) -> Credential {
        Credential::Token { mint: self.check(at, Call::Exchange, FIRST, None, Outcome::Accepted) }
    }

    fn view(&mut self, at: u64, status: &str) -> u64 {
        self.add((at, at + 5), What::View { status: status.into(), wide: true })
    }

    fn holds(&self) {
        let verdict = check(&self.0);
        assert!(verdict.violations.is_empty() && verdict.lost.is_empty(), "{verdict:?}");
        assert!(verdict.spurious.is_empty() && verdict.late.is_empty(), "{verdict:?}");
    }

    fn broken(&self, change: u64, seen: u64) {
        let violations = check(&self.0).violations;
        let found: Vec<_> = violations.iter().map(|violation| (violation.change, violation.seen)).collect();
        assert_eq!(found, [(change, seen)], "{violations:?}");
    }

    fn lost(&self, seen: u64) {
        let lost: Vec<_> = check(&self.0).lost.iter().map(|found| found.seen).collect();
        assert_eq!(lost, [seen]);
    }
}

#[test]
fn revocation_after_the_backup_is_lost() {
    let mut story = Story::new();
    story.add((120, 130), What::Revoke);
    story.restore();
    story.accept(310, FIRST);
    story.view(320, "active");
    story.holds();
}

#[test]
fn revocation_after_the_backup_holds_until_the_restore() {
    let mut story = Story::new();
    let revoke = story.add((120, 130), What::Revoke);
    let seen = story.accept(140, FIRST);
    story.restore();
    story.broken(revoke, seen);
}

#[test]
fn revocation_before_the_backup_holds_after_the_restore() {
    let mut story = Story::new();
    let revoke = story.add((10, 20), What::Revoke);
    story.restore();
    let seen = story.accept(310, FIRST);
    story.broken(revoke, seen);
    let mut story = Story::new();
    story.add((10, 20), What::Revoke);
    story.restore();
    let seen = story.view(320, "active");
    story.lost(seen);
}

#[test]
fn revocation_during_the_backup_may_be_lost() {
    for status in ["active", "revoked"] {
        let mut story = Story::new();
        story.add((95, 120), What::Revoke);
        story.restore();
        if status == "active" {
            story.accept(310, FIRST);
        } else {
            story.refuse(LATER, FIRST);
        }
        story.view(LATER + 10, status);
        story.holds();
    }
}

#[test]
fn key_given_to_a_customer_during_the_backup_may_not_be_its_key() {
    let customer = || "c".to_owned();
    for (given, holds) in [((95, 120), true), ((10, 20), false)] {
        let mut story = Story::new();
        story.add(given, What::GiveToCustomer { customer: customer() });
        story.restore();
        let suspension = story.add((310, 320), What::SuspendCustomer { customer: customer() });
        let seen = story.accept(330, FIRST);
        if holds {
            story.holds();
        } else {
            story.broken(suspension, seen);
        }
    }
}

#[test]
fn revocation_after_the_restore_holds() {
    let mut story = Story::new();
    story.restore();
    let revoke = story.add((310, 320), What::Revoke);
    let seen = story.accept(330, FIRST);
    story.broken(revoke, seen);
}

#[test]
fn enable_after_the_backup_is_lost() {
    let mut story = Story::new();
    let disable = story.add((10, 20), What::Disable);
    story.add((120, 130), What::Enable);
    story.accept(140, FIRST);
    story.restore();
    let seen = story.accept(310, FIRST);
    story.broken(disable, seen);
    let mut story = Story::new();
    story.add((10, 20), What::Disable);
    story.add((120, 130), What::Enable);
    story.restore();
    story.refuse(LATER, FIRST);
    story.holds();
}

#[test]
fn earlier_tokens_are_violations() {
    for minted in [50, 150, 190] {
        let mut story = Story::new();
        let token = story.mint(minted);
        let restore = story.restore();
        let seen = story.accept(310, token);
        story.broken(restore, seen);
        story.0.pop();
        story.refuse(LATER, token);
        story.holds();
    }
    let mut story = Story::new();
    story.restore();
    let token = story.mint(310);
    story.accept(320, token);
    story.holds();
    let seen = story.refuse(LATER, token);
    story.lost(seen);
}

#[test]
fn rotation_after_the_backup_is_lost() {
    let mut story = Story::new();
    let rotation = story.add((120, 130), What::Rotate);
    let new = Credential::Secret { issued: rotation };
    story.accept(140, new);
    let restore = story.restore();
    story.accept(310, FIRST);
    story.refuse(LATER, new);
    story.holds();
    let seen = story.accept(LATER + 10, new);
    story.broken(restore, seen);
}

#[test]
fn secret_from_before_the_backup_is_valid() {
    let mut story = Story::new();
    let rotation = story.add((10, 20), What::Rotate);
    story.restore();
    let seen = story.refuse(LATER, Credential::Secret { issued: rotation });
    story.lost(seen);
    story.0.pop();
    let seen = story.accept(310, FIRST);
    story.broken(rotation, seen);
}

#[test]
fn earlier_sessions_are_violations() {
    let mut story = Story::new();
    let restore = story.restore();
    let seen = story.check(310, Call::Session, FIRST, None, Outcome::Accepted);
    story.broken(restore, seen);
    story.0.pop();
    story.check(LATER, Call::Session, FIRST, None, Outcome::Refused);
    story.holds();
}

#[test]
fn policy_after_the_backup_is_lost() {
    let policy = |audiences: &[&str]| What::SetAudiences {
        organization: 0,
        audiences: audiences.iter().map(|audience| (*audience).into()).collect(),
    };
    let mut story = Story::new();
    story.add((10, 20), policy(&[AUDIENCE]));
    story.add((120, 130), policy(&[]));
    story.restore();
    story.check(310, Call::Exchange, FIRST, Some(AUDIENCE), Outcome::Accepted);
    story.holds();

    let mut story = Story::new();
    let removal = story.add((10, 20), policy(&[]));
    story.add((120, 130), policy(&[AUDIENCE]));
    story.restore();
    story.check(LATER, Call::Exchange, FIRST, Some(AUDIENCE), Outcome::Refused);
    story.holds();
    story.add((LATER + 10, LATER + 20), policy(&[]));
    let seen = story.check(LATER + 30, Call::Exchange, FIRST, Some(AUDIENCE), Outcome::Accepted);
    assert_eq!(check(&story.0).violations[0].seen, seen);
    assert_ne!(check(&story.0).violations[0].change, removal, "the latest one is named");
}

#[test]
fn suspension_before_the_backup_holds() {
    let mut story = Story::new();
    let suspension = story.add((10, 20), What::Suspend { organization: 0 });
    story.add((120, 130), What::Resume { organization: 0 });
    story.accept(140, FIRST);
    story.restore();
    let seen = story.accept(310, FIRST);
    story.broken(suspension, seen);
}
