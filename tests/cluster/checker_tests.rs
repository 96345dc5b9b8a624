//! Tests of the checker with handwritten histories.
#![allow(dead_code, unused_imports, reason = "without libtest the tests are left out, and their helpers stay")]

use super::super::history::{Call, Check, Credential, Event, GRACE, Outcome, What};
use super::{Verdict, check};

/// A history of one key, whose first secret was issued by event 0 at time 0.
struct Story(Vec<Event>);

impl Story {
    fn new() -> Self {
        let mut story = Self(Vec::new());
        story.add(0, Some(0), What::Create { name: "k".into(), organization: 0 }, Outcome::Accepted);
        story
    }

    fn add(&mut self, at: u64, end: Option<u64>, what: What, outcome: Outcome) -> u64 {
        let id = self.0.len() as u64;
        self.0.push(Event { id, at, end, node: Some(0), key: 0, what, outcome });
        id
    }

    fn change(&mut self, at: u64, end: u64, what: What) -> u64 {
        self.add(at, Some(end), what, Outcome::Accepted)
    }

    fn open(&mut self, at: u64, what: What) -> u64 {
        self.add(at, None, what, Outcome::Unknown)
    }

    fn ask(&mut self, at: u64, end: u64, credential: Credential, write: bool, outcome: Outcome) -> u64 {
        let check =
            Check { call: Call::Verify, credential, write, minted: None, audience: None, api: None, last: false };
        self.add(at, Some(end), What::Check(check), outcome)
    }

    fn accept(&mut self, at: u64, end: u64, credential: Credential) -> u64 {
        self.ask(at, end, credential, false, Outcome::Accepted)
    }

    fn refuse(&mut self, at: u64, end: u64, credential: Credential) -> u64 {
        self.ask(at, end, credential, false, Outcome::Refused)
    }

    fn mint(&mut self, at: u64, end: u64, secret: u64, wide: bool) -> Credential {
        let credential = Credential::Secret { issued: secret };
        let check = Check {
            call: Call::Exchange,
            credential,
            write: false,
            minted: Some(wide),
            audience: None,
            api: None,
            last: false,
        };
        Credential::Token { mint: self.add(at, Some(end), What::Check(check), Outcome::Accepted) }
    }

    fn verdict(&self) -> Verdict {
        check(&self.0)
    }

    fn holds(&self) {
        let verdict = self.verdict();
        assert!(verdict.violations.is_empty() && verdict.lost.is_empty(), "{verdict:?}");
        assert!(verdict.spurious.is_empty() && verdict.late.is_empty(), "{verdict:?}");
    }

    /// Exactly one violation: this change, detected by this check.
    fn broken(&self, change: u64, seen: u64) {
        let violations = self.verdict().violations;
        let found: Vec<_> = violations.iter().map(|violation| (violation.change, violation.seen)).collect();
        assert_eq!(found, [(change, seen)], "{violations:?}");
    }
}

const FIRST: Credential = Credential::Secret { issued: 0 };

#[test]
fn accept_after_a_confirmed_revoke_is_a_violation() {
    let mut story = Story::new();
    let revoke = story.change(10, 20, What::Revoke);
    let seen = story.accept(21, 25, FIRST);
    story.broken(revoke, seen);
}

#[test]
fn accept_may_end_after_the_confirmation() {
    let mut story = Story::new();
    story.change(10, 20, What::Revoke);
    story.accept(19, 400, FIRST);
    story.accept(20, 400, FIRST);
    story.holds();
}

#[test]
fn unconfirmed_revoke_is_not_binding() {
    let mut story = Story::new();
    story.open(10, What::Revoke);
    story.add(10, Some(15), What::Revoke, Outcome::Unavailable);
    story.add(10, Some(15), What::Revoke, Outcome::Refused);
    story.accept(100, 110, FIRST);
    story.refuse(100, 110, FIRST);
    story.holds();
}

#[test]
fn confirmation_of_a_repeated_revoke_counts() {
    let mut story = Story::new();
    story.open(10, What::Revoke);
    let second = story.change(12, 14, What::Revoke);
    let seen = story.accept(15, 16, FIRST);
    story.broken(second, seen);
}

#[test]
fn tokens_end_with_their_key() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    let revoke = story.change(10, 20, What::Revoke);
    let seen = story.accept(30, 31, token);
    story.broken(revoke, seen);
}

#[test]
fn violation_has_rule_and_delay() {
    let mut story = Story::new();
    story.change(10, 20, What::Revoke);
    story.accept(27, 30, FIRST);
    let found = &story.verdict().violations[0];
    assert_eq!((found.rule, found.after), ("a revoked key was accepted", 7));
}

#[test]
fn suspended_customer_is_denied_until_a_reinstatement_begins_and_tokens_for_good() {
    let customer = || "c".to_owned();
    let (suspend, reinstate) =
        (What::SuspendCustomer { customer: customer() }, What::ReinstateCustomer { customer: customer() });
    for by_token in [false, true] {
        let mut story = Story::new();
        story.change(1, 2, What::GiveToCustomer { customer: customer() });
        let token = story.mint(3, 4, 0, true);
        let suspension = story.change(10, 20, suspend.clone());
        story.refuse(21, 22, token);
        story.refuse(21, 22, FIRST);
        story.change(30, 40, reinstate.clone());
        story.accept(31, 32, FIRST);
        story.refuse(50, 51, token);
        story.holds();
        let seen = match by_token {
            true => story.accept(60, 61, token),
            false => story.accept(23, 24, FIRST),
        };
        story.broken(suspension, seen);
    }
}

#[test]
fn key_given_to_a_customer_ends_its_tokens_and_not_its_secret() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    let given = story.change(10, 20, What::GiveToCustomer { customer: "c".into() });
    story.accept(30, 31, FIRST);
    story.refuse(30, 31, token);
    story.holds();
    let seen = story.accept(40, 41, token);
    story.broken(given, seen);
}

#[test]
fn disabled_key_is_denied_until_an_enable_begins() {
    let mut story = Story::new();
    let disable = story.change(10, 20, What::Disable);
    let seen = story.accept(21, 29, FIRST);
    story.change(30, 40, What::Enable);
    story.accept(31, 32, FIRST);
    story.accept(50, 51, FIRST);
    story.broken(disable, seen);
}

#[test]
fn accept_during_an_enable_is_allowed() {
    let mut story = Story::new();
    story.change(10, 20, What::Disable);
    story.change(30, 40, What::Enable);
    story.accept(25, 31, FIRST);
    story.holds();
}

#[test]
fn unconfirmed_enable_may_come_after_the_disable() {
    let mut story = Story::new();
    story.open(5, What::Enable);
    story.change(10, 20, What::Disable);
    story.accept(100, 110, FIRST);
    story.holds();
}

#[test]
fn confirmed_enable_cannot_come_after_the_disable() {
    let mut story = Story::new();
    story.change(5, 9, What::Enable);
    let disable = story.change(10, 20, What::Disable);
    let seen = story.accept(100, 110, FIRST);
    story.broken(disable, seen);
}

#[test]
fn enabling_does_not_revive_tokens() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    let disable = story.change(10, 20, What::Disable);
    story.change(30, 40, What::Enable);
    let seen = story.accept(50, 51, token);
    story.broken(disable, seen);
}

#[test]
fn token_minted_during_a_disable_ends() {
    let mut story = Story::new();
    let token = story.mint(12, 18, 0, true);
    let disable = story.change(10, 20, What::Disable);
    story.change(30, 40, What::Enable);
    let seen = story.accept(50, 51, token);
    story.broken(disable, seen);
}

#[test]
fn token_minted_during_an_enable_is_valid() {
    let mut story = Story::new();
    story.change(10, 20, What::Disable);
    story.change(30, 40, What::Enable);
    let token = story.mint(31, 35, 0, true);
    story.accept(36, 51, token);
    story.holds();
}

#[test]
fn rotation_ends_only_the_old_secret_and_tokens() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    let rotation = story.change(10, 20, What::Rotate);
    let new = Credential::Secret { issued: rotation };
    story.accept(30, 31, new);
    let new_token = story.mint(30, 31, rotation, true);
    story.accept(32, 33, new_token);
    story.holds();

    let old_seen = story.accept(40, 41, FIRST);
    story.broken(rotation, old_seen);
    story.0.pop();
    let token_seen = story.accept(40, 41, token);
    story.broken(rotation, token_seen);
}

#[test]
fn unconfirmed_rotation_allows_both_outcomes() {
    let mut story = Story::new();
    story.open(10, What::Rotate);
    story.accept(20, 21, FIRST);
    story.refuse(30, 31, FIRST);
    story.holds();
}

#[test]
fn narrowed_key_loses_only_the_removed_scope() {
    let mut story = Story::new();
    let narrowing = story.change(10, 20, What::Narrow);
    story.ask(30, 31, FIRST, false, Outcome::Accepted);
    let token = story.mint(30, 31, 0, false);
    story.accept(32, 33, token);
    story.ask(32, 33, token, true, Outcome::Refused);
    story.holds();

    let seen = story.ask(40, 41, FIRST, true, Outcome::Accepted);
    story.broken(narrowing, seen);
}

#[test]
fn narrowing_ends_wide_tokens_for_good() {
    let mut story = Story::new();
    let token = story.mint(12, 15, 0, true);
    let narrowing = story.change(10, 20, What::Narrow);
    story.change(30, 40, What::Widen);
    story.ask(50, 51, FIRST, true, Outcome::Accepted);
    story.holds();
    let seen = story.accept(50, 51, token);
    story.broken(narrowing, seen);
}

#[test]
fn wide_token_after_a_narrowing_is_a_violation() {
    let mut story = Story::new();
    let narrowing = story.change(10, 20, What::Narrow);
    let Credential::Token { mint } = story.mint(21, 22, 0, true) else { unreachable!() };
    story.broken(narrowing, mint);
}

#[test]
fn narrow_token_is_valid_for_reading_only() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, false);
    story.accept(3, 4, token);
    story.holds();
    let seen = story.ask(5, 6, token, true, Outcome::Accepted);
    assert_eq!(story.verdict().violations.len(), 1);
    assert_eq!(story.verdict().violations[0].seen, seen);
}

#[test]
fn token_revocation_affects_one_token() {
    let mut story = Story::new();
    let (one, other) = (story.mint(1, 2, 0, true), story.mint(1, 2, 0, true));
    let Credential::Token { mint } = one else { unreachable!() };
    let end = story.change(10, 20, What::RevokeToken { mint });
    story.accept(30, 31, other);
    story.accept(30, 31, FIRST);
    story.refuse(30, 31, one);
    story.holds();
    let seen = story.accept(40, 41, one);
    story.broken(end, seen);
}

#[test]
fn accepts_without_database_end_with_the_lease() {
    let mut story = Story::new();
    story.add(0, Some(5_000_000), What::Outage, Outcome::Accepted);
    story.accept(900_000, 1_400_000, FIRST);
    story.accept(4_900_000, 5_000_001, FIRST);
    story.accept(6_000_000, 6_000_001, FIRST);
    story.holds();
    let seen = story.accept(1_050_001, 1_051_000, FIRST);
    story.broken(1, seen);
}

#[test]
fn outage_of_one_node_does_not_affect_others() {
    let mut story = Story::new();
    story.add(0, Some(5_000_000), What::Outage, Outcome::Accepted);
    story.0[1].node = Some(2);
    story.accept(2_000_000, 2_001_000, FIRST);
    story.holds();
}

#[test]
fn denial_without_a_reason_is_spurious() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    let at = 3_000_000;
    let refused = [story.refuse(at, at + 1, FIRST), story.refuse(at, at + 1, token)];
    assert_eq!(story.verdict().spurious, refused);
}

#[test]
fn denial_after_an_enable_is_late_then_spurious() {
    let mut story = Story::new();
    story.change(10, 20, What::Disable);
    story.change(30, 40, What::Enable);
    let late = story.refuse(50, 51, FIRST);
    let spurious = story.refuse(3_000_000, 3_000_001, FIRST);
    let verdict = story.verdict();
    assert_eq!((verdict.late, verdict.spurious), (vec![late], vec![spurious]));
}

#[test]
fn denials_during_a_change_are_explained() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    story.change(10, 20, What::Disable);
    story.refuse(11, 12, FIRST);
    story.refuse(30, 31, FIRST);
    story.change(40, 50, What::Enable);
    story.refuse(41, 42, FIRST);
    story.refuse(3_000_000, 3_000_001, token);
    story.change(4_000_000, 4_000_010, What::Revoke);
    story.refuse(3_999_999, 4_000_001, FIRST);
    story.holds();
}

#[test]
fn previous_secret_ends_with_the_grace_period() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    story.change(10, 20, What::RotateWithGrace);
    let late = 20 + GRACE + 100_000;
    for credential in [FIRST, token] {
        story.accept(late - 200_000, late - 199_000, credential);
        story.refuse(30, 31, credential);
    }
    story.holds();
    story.accept(late, late + 1, FIRST);
    story.accept(late, late + 1, token);
    assert_eq!(story.verdict().violations.len(), 2);
}

#[test]
fn denied_wide_token_is_explained_until_the_widening() {
    let mut story = Story::new();
    story.change(10, 20, What::Narrow);
    let widening = story.open(30, What::Widen);
    let token = story.mint(40, 50, 0, true);
    story.refuse(60, 61, token);
    story.holds();
    story.0[usize::try_from(widening).unwrap()].outcome = Outcome::Accepted;
    story.0[usize::try_from(widening).unwrap()].end = Some(70);
    let spurious = story.refuse(3_000_000, 3_000_001, token);
    assert_eq!(story.verdict().spurious, [spurious]);
}

#[test]
fn view_must_show_confirmed_changes() {
    let view = |status: &str, wide| What::View { status: status.into(), wide };
    let mut story = Story::new();
    story.change(10, 20, What::Disable);
    story.change(10, 20, What::Narrow);
    story.change(30, 31, view("disabled", false));
    story.holds();
    story.change(32, 33, view("active", false));
    story.change(32, 33, view("disabled", true));
    assert_eq!(story.verdict().lost.len(), 2);
    story.0.truncate(4);
    story.change(40, 50, What::Enable);
    story.change(45, 51, view("disabled", false));
    story.change(60, 61, view("active", false));
    story.holds();
    story.change(62, 63, view("disabled", false));
    assert_eq!(story.verdict().lost.len(), 1);
    story.0.pop();
    story.change(70, 80, What::Revoke);
    story.change(90, 91, view("revoked", false));
    story.holds();
    story.change(92, 93, view("active", false));
    assert_eq!(story.verdict().lost.len(), 1);
}

#[test]
fn denied_secret_after_recovery_is_a_lost_rotation() {
    let mut story = Story::new();
    let rotation = story.change(10, 20, What::Rotate);
    let credential = Credential::Secret { issued: rotation };
    let check =
        Check { call: Call::Exchange, credential, write: false, minted: None, audience: None, api: None, last: true };
    story.add(9_000_000, Some(9_000_001), What::Check(check), Outcome::Refused);
    let verdict = story.verdict();
    assert_eq!((verdict.lost.len(), verdict.lost[0].change), (1, rotation));
}

#[test]
fn events_round_trip() {
    let mut story = Story::new();
    let token = story.mint(1, 2, 0, true);
    story.accept(3, 4, token);
    story.open(5, What::Rotate);
    for event in story.0 {
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
    }
}
