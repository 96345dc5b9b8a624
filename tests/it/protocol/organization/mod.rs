//! A model of what a decision reads besides the key's record: the organization's policy, its state, its signing keys,
//! a member's role, and the numbers that tokens carry, through changes and a restore.
//!
//! Node 0 makes changes and node 1 decides; node 1 may change the policy as well. The table of nodes, strikes and
//! restarts are in the model of the key's record, beside this one, and work in the same way for both.

mod model;
mod state;

use stateright::{Checker, HasDiscoveries, Model};

use model::{Organization, S1};
use state::{Change, Right};

/// A mistake. Each leaves out one thing, and the checker has to notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A change is answered when it is committed.
    AnswerAtOnce,
    /// Without a lease, the node reads the key from SQL and everything else from memory.
    PolicyWithoutLease,
    /// A repeated `PUT` is answered at once, while the first is not in force yet.
    RepeatAnsweredAtOnce,
    /// A `PUT` is compared with the policy in memory, which may be old: the change is lost.
    CompareWithMemory,
    /// The limit of keys is the one in memory.
    LimitFromMemory,
    /// A token whose signature was verified once is not checked against the ring again.
    CachedVerification,
    /// A reading of the organization replaces a newer one that arrived before it.
    OlderReadingWins,
    /// A restore starts no new epoch: numbers come back as they were.
    RestoreWithoutEpoch,
    /// A restore raises the generation, to one that was given to tokens before.
    GenerationRepeats,
}

impl Mutant {
    const ALL: [Self; 9] = [
        Self::AnswerAtOnce,
        Self::PolicyWithoutLease,
        Self::RepeatAnsweredAtOnce,
        Self::CompareWithMemory,
        Self::LimitFromMemory,
        Self::CachedVerification,
        Self::OlderReadingWins,
        Self::RestoreWithoutEpoch,
        Self::GenerationRepeats,
    ];
}

#[test]
fn an_audience_that_was_removed_is_never_granted() {
    holds(taken(&[Change::Take(Right::Audience)]));
}

#[test]
fn a_suspended_organization_is_denied() {
    holds(taken(&[Change::Take(Right::Active)]));
}

#[test]
fn a_retired_signing_key_proves_nothing() {
    holds(taken(&[Change::Take(Right::SigningKey)]));
}

#[test]
fn a_role_that_was_taken_away_is_not_held() {
    holds(taken(&[Change::Take(Right::Role)]));
}

#[test]
fn a_limit_holds_once_it_was_answered() {
    holds(taken(&[Change::Take(Right::Create)]));
}

#[test]
fn two_kinds_of_changes_do_not_hide_each_other() {
    holds(Organization { limit: 2, ..taken(&[Change::Take(Right::Audience), Change::Take(Right::SigningKey)]) });
}

#[test]
fn a_policy_that_was_put_is_in_force_whoever_put_it() {
    holds(put_on_both());
}

#[test]
fn a_repeated_put_is_in_force_when_it_is_answered() {
    holds(repeated());
}

#[test]
fn a_restore_brings_no_token_back() {
    holds(restored());
}

#[test]
fn every_mutant_is_caught() {
    for mutant in Mutant::ALL {
        let model = Organization { mutant: Some(mutant), ..bites_in(mutant) };
        let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(checker.discovery(S1).is_some(), "{mutant:?} among {} states", checker.unique_state_count());
    }
}

/// A protocol that never answers, or never accepts, would be safe too.
#[test]
fn everything_in_the_model_happens() {
    let changes: &[_] = &[Change::Take(Right::Audience), Change::Rotate];
    Organization { watch: true, restores: 1, ..taken(changes) }.checker().spawn_bfs().join().assert_properties();
}

fn holds(model: Organization) {
    let checker = model.checker().spawn_bfs().join();
    if let Some(counterexample) = checker.discovery(S1) {
        panic!("{counterexample}");
    }
}

/// Where a mistake has consequences.
fn bites_in(mutant: Mutant) -> Organization {
    match mutant {
        Mutant::AnswerAtOnce | Mutant::PolicyWithoutLease => taken(&[Change::Take(Right::Audience)]),
        Mutant::OlderReadingWins => taken(&[Change::Take(Right::Active)]),
        Mutant::CachedVerification => taken(&[Change::Take(Right::SigningKey)]),
        Mutant::LimitFromMemory => taken(&[Change::Take(Right::Create)]),
        Mutant::RepeatAnsweredAtOnce => repeated(),
        Mutant::CompareWithMemory => put_on_both(),
        Mutant::RestoreWithoutEpoch | Mutant::GenerationRepeats => restored(),
    }
}

/// Node 0 takes something away.
fn taken(changes: &'static [Change]) -> Organization {
    Organization { lease: 2, changes: [changes, &[]], limit: 1, ..Organization::default() }
}

/// Node 0 removes an audience, and node 1 puts the policy that allows it.
fn put_on_both() -> Organization {
    Organization {
        lease: 1,
        limit: 2,
        changes: [&[Change::Take(Right::Audience)], &[Change::Give(Right::Audience)]],
        ..taken(&[])
    }
}

/// Both nodes are asked for the same policy.
fn repeated() -> Organization {
    let put: &[_] = &[Change::Take(Right::Audience)];
    Organization { lease: 1, changes: [put, put], ..taken(&[]) }
}

/// A key is rotated, the database goes back to before, and the key is rotated again.
fn restored() -> Organization {
    Organization { lease: 1, limit: 2, restores: 1, ..taken(&[Change::Rotate]) }
}
