//! Tests of the rules for profiles with handwritten histories.
#![allow(dead_code, unused_imports, reason = "without libtest the tests are left out, and their helpers stay")]

use super::super::super::history::{Call, Check, Credential, Event, Outcome, What};
use super::super::check;

const YES: Outcome = Outcome::Accepted;
const NO: Outcome = Outcome::Refused;
const FIRST: Credential = Credential::Secret { issued: 0 };

/// A history of key 0, created by event 0 at time 0 and given a profile by event 1 from 5 to 6.
struct Story(Vec<Event>);

impl Story {
    fn new() -> Self {
        let mut story = Self(Vec::new());
        story.add((0, 0), What::Create { name: "k".into(), organization: 0 }, YES);
        story.add((5, 6), What::GiveProfile { profile: "p".into() }, YES);
        story
    }

    fn add(&mut self, (at, end): (u64, u64), what: What, outcome: Outcome) -> u64 {
        let id = self.0.len() as u64;
        self.0.push(Event { id, at, end: Some(end), node: Some(0), key: 0, what, outcome });
        id
    }

    fn edit(&mut self, times: (u64, u64), open: bool, write: bool) -> u64 {
        self.add(times, What::EditProfile { profile: "p".into(), open, write }, YES)
    }

    fn check(&mut self, at: u64, call: Call, credential: Credential, wide: bool, outcome: Outcome) -> u64 {
        let minted = (call == Call::Exchange && outcome == YES).then_some(wide);
        let check = Check { call, credential, write: false, minted, audience: None, api: None, last: false };
        self.add((at, at + 1), What::Check(check), outcome)
    }

    fn mint(&mut self, at: u64, wide: bool) -> Credential {
        Credential::Token { mint: self.check(at, Call::Exchange, FIRST, wide, YES) }
    }

    fn holds(&self) {
        let verdict = check(&self.0);
        assert!(verdict.violations.is_empty() && verdict.spurious.is_empty(), "{verdict:?}");
    }

    fn broken(&self, change: u64, seen: u64) {
        let violations = check(&self.0).violations;
        let found: Vec<_> = violations.iter().map(|violation| (violation.change, violation.seen)).collect();
        assert_eq!(found, [(change, seen)]);
    }
}

#[test]
fn lost_scope_is_denied_until_it_begins_to_come_back() {
    let mut story = Story::new();
    let (wide, narrow) = (story.mint(10, true), story.mint(12, false));
    let edit = story.edit((20, 30), true, false);
    story.check(25, Call::Verify, wide, false, YES);
    story.check(31, Call::Introspect, wide, false, NO);
    story.check(33, Call::Verify, narrow, false, YES);
    story.check(35, Call::Exchange, FIRST, false, YES);
    story.edit((50, 60), true, true);
    story.check(55, Call::Verify, wide, false, YES);
    story.holds();
    let seen = story.check(40, Call::Verify, wide, false, YES);
    story.broken(edit, seen);
}

#[test]
fn lost_networks_deny_clients_with_an_address() {
    for call in [Call::Verify, Call::Exchange] {
        let mut story = Story::new();
        let token = story.mint(10, false);
        let edit = story.edit((20, 30), false, true);
        story.check(31, Call::Introspect, token, false, YES);
        story.check(33, Call::Verify, token, false, NO);
        story.check(35, Call::Exchange, FIRST, false, NO);
        story.holds();
        let credential = if call == Call::Verify { token } else { FIRST };
        let seen = story.check(40, call, credential, false, YES);
        story.broken(edit, seen);
    }
}

#[test]
fn token_from_before_the_profile_is_not_valid() {
    let mut story = Story(Vec::new());
    story.add((0, 0), What::Create { name: "k".into(), organization: 0 }, YES);
    let token = story.mint(1, false);
    let given = story.add((5, 6), What::GiveProfile { profile: "p".into() }, YES);
    story.check(7, Call::Verify, token, false, NO);
    story.check(9, Call::Exchange, FIRST, false, YES);
    story.holds();
    let seen = story.check(20, Call::Verify, token, false, YES);
    story.broken(given, seen);
}

#[test]
fn edit_of_another_profile_means_nothing() {
    let mut story = Story::new();
    story.add((20, 30), What::EditProfile { profile: "other".into(), open: false, write: false }, YES);
    story.check(40, Call::Verify, FIRST, true, YES);
    story.holds();
}
