//! Tests of the rules for organizations with handwritten histories.
#![allow(dead_code, unused_imports, reason = "without libtest the tests are left out, and their helpers stay")]

use super::super::super::history::{Call, Check, Credential, Event, Outcome, What};
use super::super::{Verdict, check};

const AUDIENCE: &str = "https://a.example";

/// A history of key 0 in organization 0 and key 1 in organization 1, created by events 0 and 1 at time 0.
struct Story(Vec<Event>);

impl Story {
    fn new() -> Self {
        let mut story = Self(Vec::new());
        for organization in [0, 1] {
            let what = What::Create { name: "k".into(), organization };
            story.add(0, Some(0), organization, what, Outcome::Accepted);
        }
        story
    }

    fn add(&mut self, at: u64, end: Option<u64>, key: usize, what: What, outcome: Outcome) -> u64 {
        let (id, key) = (self.0.len() as u64, u32::try_from(key).unwrap());
        self.0.push(Event { id, at, end, node: Some(0), key, what, outcome });
        id
    }

    fn change(&mut self, at: u64, end: u64, what: What) -> u64 {
        self.add(at, Some(end), 0, what, Outcome::Accepted)
    }

    fn open(&mut self, at: u64, what: What) -> u64 {
        self.add(at, None, 0, what, Outcome::Unknown)
    }

    fn exchange(&mut self, (at, end): (u64, u64), key: usize, audience: Option<&str>, outcome: Outcome) -> u64 {
        let credential = Credential::Secret { issued: key as u64 };
        let audience = audience.map(str::to_owned);
        let minted = (outcome == Outcome::Accepted).then_some(false);
        let check = Check { call: Call::Exchange, credential, write: false, minted, audience, api: None, last: false };
        self.add(at, Some(end), key, What::Check(check), outcome)
    }

    fn verify(&mut self, (at, end): (u64, u64), key: usize, mint: u64, outcome: Outcome) -> u64 {
        let credential = Credential::Token { mint };
        let check = Check {
            call: Call::Verify,
            credential,
            write: false,
            minted: None,
            audience: None,
            api: None,
            last: false,
        };
        self.add(at, Some(end), key, What::Check(check), outcome)
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

    fn spurious(&self) -> Vec<u64> {
        check(&self.0).spurious
    }
}

fn audiences(list: &[&str]) -> What {
    What::SetAudiences { organization: 0, audiences: list.iter().map(|audience| (*audience).into()).collect() }
}

const YES: Outcome = Outcome::Accepted;
const NO: Outcome = Outcome::Refused;
const SUSPEND: What = What::Suspend { organization: 1 };
const RESUME: What = What::Resume { organization: 1 };
const ROTATE: What = What::RotateSigningKey { organization: 1 };

#[test]
fn removed_audience_is_a_violation_until_allowed() {
    let mut story = Story::new();
    story.change(10, 20, audiences(&[AUDIENCE]));
    story.exchange((15, 16), 0, Some(AUDIENCE), YES);
    let removal = story.change(30, 40, audiences(&["https://b.example"]));
    story.exchange((40, 41), 0, Some(AUDIENCE), YES);
    story.exchange((41, 42), 0, None, YES);
    let seen = story.exchange((41, 45), 0, Some(AUDIENCE), YES);
    story.change(50, 60, audiences(&["https://b.example", AUDIENCE]));
    story.exchange((51, 52), 0, Some(AUDIENCE), YES);
    story.broken(removal, seen);
}

#[test]
fn confirmation_of_a_repeated_removal_is_binding() {
    let mut story = Story::new();
    story.change(10, 20, audiences(&[AUDIENCE]));
    story.open(30, audiences(&[]));
    let second = story.change(32, 34, audiences(&[]));
    let seen = story.exchange((35, 36), 0, Some(AUDIENCE), YES);
    story.broken(second, seen);
}

#[test]
fn unconfirmed_policy_may_apply_at_any_later_time() {
    let mut story = Story::new();
    story.open(10, audiences(&[AUDIENCE]));
    story.change(30, 40, audiences(&[]));
    story.exchange((1_000, 1_001), 0, Some(AUDIENCE), YES);
    story.exchange((9_000_000, 9_000_001), 0, Some(AUDIENCE), NO);
    story.holds();
}

#[test]
fn unconfirmed_removal_is_not_binding() {
    let mut story = Story::new();
    story.change(10, 20, audiences(&[AUDIENCE]));
    story.open(30, audiences(&[]));
    story.add(30, Some(31), 0, audiences(&[]), Outcome::Unavailable);
    story.add(30, Some(31), 0, audiences(&[]), NO);
    story.exchange((100, 101), 0, Some(AUDIENCE), YES);
    story.holds();
}

#[test]
fn denied_allowed_audience_is_spurious() {
    let mut story = Story::new();
    story.exchange((1, 2), 0, Some(AUDIENCE), NO);
    story.change(10, 20, audiences(&[AUDIENCE]));
    let refused = story.exchange((9_000_000, 9_000_001), 0, Some(AUDIENCE), NO);
    assert_eq!(story.spurious(), [refused]);
    story.change(9_000_000, 9_000_010, audiences(&[]));
    story.holds();
}

#[test]
fn suspension_affects_only_its_organization() {
    for by_token in [false, true] {
        let mut story = Story::new();
        let mint = story.exchange((1, 2), 1, None, YES);
        let other = story.exchange((1, 2), 0, None, YES);
        let suspension = story.change(10, 20, SUSPEND);
        story.exchange((21, 22), 0, None, YES);
        story.verify((21, 22), 0, other, YES);
        let seen = match by_token {
            true => story.verify((21, 22), 1, mint, YES),
            false => story.exchange((21, 22), 1, None, YES),
        };
        story.broken(suspension, seen);
    }
}

#[test]
fn resuming_revives_earlier_tokens() {
    let mut story = Story::new();
    let mint = story.exchange((1, 2), 1, None, YES);
    story.change(10, 20, SUSPEND);
    story.verify((21, 22), 1, mint, NO);
    story.change(30, 40, RESUME);
    story.verify((31, 32), 1, mint, YES);
    story.verify((31, 32), 1, mint, NO);
    story.verify((50, 51), 1, mint, YES);
    let open = Story(story.0.clone());
    story.change(60, 70, SUSPEND);
    story.open(61, RESUME);
    story.verify((80, 81), 1, mint, YES);
    assert!(check(&story.0).violations.is_empty() && check(&open.0).violations.is_empty());
    let refused = story.verify((90, 91), 1, mint, NO);
    assert!(!story.spurious().contains(&refused));
}

#[test]
fn signing_key_rotation_ends_earlier_tokens() {
    let mut story = Story::new();
    let mint = story.exchange((1, 2), 1, None, YES);
    let rotation = story.change(10, 20, ROTATE);
    let during = story.exchange((9, 12), 1, None, YES);
    story.verify((15, 16), 1, mint, YES);
    story.verify((21, 22), 1, mint, NO);
    story.verify((21, 22), 1, during, YES);
    story.holds();
    let seen = story.verify((21, 22), 1, mint, YES);
    story.broken(rotation, seen);
}

#[test]
fn unconfirmed_rotation_allows_earlier_tokens() {
    let mut story = Story::new();
    let mint = story.exchange((1, 2), 1, None, YES);
    story.open(10, ROTATE);
    story.change(30, 40, ROTATE);
    story.verify((41, 42), 1, mint, YES);
    let later = story.exchange((43, 44), 1, None, YES);
    let rotation = story.change(50, 60, ROTATE);
    story.verify((61, 62), 1, mint, YES);
    story.holds();
    let seen = story.verify((61, 62), 1, later, YES);
    story.broken(rotation, seen);
}

#[test]
fn organization_changes_round_trip() {
    let mut story = Story::new();
    story.change(1, 2, audiences(&[AUDIENCE]));
    story.change(1, 2, SUSPEND);
    story.open(1, ROTATE);
    story.exchange((3, 4), 0, Some(AUDIENCE), NO);
    for event in story.0 {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
    }
}
