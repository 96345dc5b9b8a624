//! Tests of the rules for APIs with handwritten histories.
#![allow(dead_code, unused_imports, reason = "without libtest the tests are left out, and their helpers stay")]

use super::super::super::history::{Call, Check, Credential, Event, Outcome, What};
use super::super::check;

const API: &str = "orders";
const AUDIENCE: &str = "https://orders.example";
const YES: Outcome = Outcome::Accepted;
const NO: Outcome = Outcome::Refused;

/// A history of key 0, created by event 0 at time 0, with an API that it is granted.
struct Story(Vec<Event>);

impl Story {
    fn new() -> Self {
        let mut story = Self(Vec::new());
        story.change(0, 0, What::Create { name: "k".into(), organization: 0 });
        story.change(1, 2, What::CreateApi { organization: 0, api: API.into(), audience: AUDIENCE.into() });
        story.change(3, 4, What::Grant { api: API.into() });
        story
    }

    fn add(&mut self, at: u64, end: Option<u64>, what: What, outcome: Outcome) -> u64 {
        let id = self.0.len() as u64;
        self.0.push(Event { id, at, end, node: Some(0), key: 0, what, outcome });
        id
    }

    fn change(&mut self, at: u64, end: u64, what: What) -> u64 {
        self.add(at, Some(end), what, YES)
    }

    /// An exchange with the first secret for the API; `wide` is whether the token has the write scope.
    fn exchange(&mut self, at: u64, wide: bool, outcome: Outcome) -> u64 {
        self.exchange_for(at, Some(API), wide, outcome)
    }

    fn exchange_for(&mut self, at: u64, api: Option<&str>, wide: bool, outcome: Outcome) -> u64 {
        let credential = Credential::Secret { issued: 0 };
        let audience = api.map(|_| AUDIENCE.to_owned());
        let (call, api, minted) = (Call::Exchange, api.map(str::to_owned), (outcome == YES).then_some(wide));
        let check = Check { call, credential, write: false, minted, audience, api, last: false };
        self.add(at, Some(at + 1), What::Check(check), outcome)
    }

    fn verify(&mut self, at: u64, mint: u64, outcome: Outcome) -> u64 {
        let (call, credential) = (Call::Verify, Credential::Token { mint });
        let check = Check { call, credential, write: false, minted: None, audience: None, api: None, last: false };
        self.add(at, Some(at + 1), What::Check(check), outcome)
    }

    fn holds(&self) {
        let verdict = check(&self.0);
        assert!(verdict.violations.is_empty() && verdict.spurious.is_empty(), "{verdict:?}");
    }

    fn broken(&self, change: u64, seen: u64) {
        let violations = check(&self.0).violations;
        let found: Vec<_> = violations.iter().map(|violation| (violation.change, violation.seen)).collect();
        assert_eq!(found, [(change, seen)], "{violations:?}");
    }
}

fn edit(audience: &str, write: bool) -> What {
    What::EditApi { organization: 0, api: API.into(), audience: Some(audience.into()), write }
}

fn delete() -> What {
    What::DeleteApi { organization: 0, api: API.into() }
}

#[test]
fn deleted_api_accepts_no_token_and_no_exchange() {
    for by_token in [true, false] {
        let mut story = Story::new();
        let mint = story.exchange(10, true, YES);
        let of_default = story.exchange_for(12, None, true, YES);
        story.verify(14, mint, YES);
        let deletion = story.change(20, 30, delete());
        story.verify(31, of_default, YES);
        story.verify(31, mint, NO);
        story.exchange(31, true, NO);
        story.holds();
        let seen = if by_token { story.verify(33, mint, YES) } else { story.exchange(33, false, YES) };
        story.broken(deletion, seen);
    }
}

#[test]
fn token_during_a_deletion_may_be_accepted() {
    let mut story = Story::new();
    let mint = story.exchange(10, true, YES);
    story.change(20, 30, delete());
    story.verify(25, mint, YES);
    story.add(40, None, edit(AUDIENCE, true), Outcome::Unknown);
    story.holds();
}

#[test]
fn removed_scope_concerns_tokens_that_have_it() {
    let mut story = Story::new();
    let (wide, narrow) = (story.exchange(10, true, YES), story.exchange(12, false, YES));
    let removal = story.change(20, 30, edit(AUDIENCE, false));
    story.verify(31, narrow, YES);
    story.verify(31, wide, NO);
    story.holds();
    let mut again = Story(story.0.clone());
    let seen = story.verify(33, wide, YES);
    story.broken(removal, seen);
    // The scope comes back, and with it the token.
    again.change(40, 50, edit(AUDIENCE, true));
    again.verify(51, wide, YES);
    again.holds();
    let minted = again.change(60, 70, edit(AUDIENCE, false));
    let seen = again.exchange(71, true, YES);
    again.broken(minted, seen);
}

#[test]
fn moved_audience_denies_earlier_tokens() {
    let mut story = Story::new();
    let mint = story.exchange(10, false, YES);
    let moved = story.change(20, 30, edit("https://elsewhere.example", true));
    story.verify(31, mint, NO);
    story.exchange(31, true, NO);
    story.holds();
    let seen = story.verify(33, mint, YES);
    story.broken(moved, seen);
}

#[test]
fn removed_grant_ends_every_earlier_token() {
    let mut story = Story::new();
    let mint = story.exchange(10, true, YES);
    let of_default = story.exchange_for(12, None, true, YES);
    let removal = story.change(20, 30, What::Ungrant { api: API.into() });
    story.verify(31, mint, NO);
    story.verify(31, of_default, NO);
    story.exchange(31, true, NO);
    story.exchange_for(31, None, true, YES);
    story.holds();
    for earlier in [mint, of_default] {
        let mut story = Story(story.0.clone());
        let seen = story.verify(33, earlier, YES);
        story.broken(removal, seen);
    }
    let mut by_secret = Story(story.0.clone());
    let seen = by_secret.exchange(33, true, YES);
    by_secret.broken(removal, seen);
    // A new grant allows new tokens only.
    story.change(40, 50, What::Grant { api: API.into() });
    let later = story.exchange(51, true, YES);
    story.verify(53, later, YES);
    story.holds();
    let seen = story.verify(55, mint, YES);
    story.broken(removal, seen);
}

#[test]
fn denial_without_a_change_is_spurious() {
    let mut story = Story::new();
    let mint = story.exchange(3_000_000, true, YES);
    let refused = [story.verify(3_000_010, mint, NO), story.exchange(3_000_010, true, NO)];
    assert_eq!(check(&story.0).spurious, refused);
}

#[test]
fn api_changes_round_trip() {
    let mut story = Story::new();
    story.change(5, 6, edit(AUDIENCE, false));
    story.change(5, 6, What::Ungrant { api: API.into() });
    story.change(5, 6, delete());
    story.exchange(7, true, NO);
    for event in story.0 {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
    }
}
