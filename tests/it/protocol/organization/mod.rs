//! A model of the other inputs of a decision: the organization's policy, its state, its signing keys, its APIs, the customer
//! and the profile of a key, a member's role, and the numbers in tokens, under changes and a restore.
//!
//! Node 0 makes changes and node 1 decides; node 1 can change the policy too. Registered nodes, their removal and
//! restarts are in the model of the key's record, and work the same way for both.

mod model;
mod state;

use stateright::{Checker, HasDiscoveries, Model};

use model::{Organization, S1};
use state::{Change, Right};

/// A mistake. Each leaves out one thing, and the checker must detect it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A change is confirmed when it is committed.
    AnswerAtOnce,
    /// Without a lease, the node reads the key from SQL and everything else from memory.
    PolicyWithoutLease,
    /// A repeated `PUT` is confirmed immediately, while the first is not effective yet.
    RepeatAnsweredAtOnce,
    /// A `PUT` is compared with the policy in memory, which may be outdated: the change is lost.
    CompareWithMemory,
    /// The limit of keys is read from memory.
    LimitFromMemory,
    /// A token whose signature was verified once is not checked against the ring again.
    CachedVerification,
    /// A token's scopes that were found within those of its APIs once are not compared again.
    ScopesComparedOnce,
    /// The networks of a profile are compared only when a token is issued.
    ProfileOnlyAtExchange,
    /// A read of the organization replaces a newer one that arrived before it.
    OlderReadingWins,
    /// A suspension of a customer ends no tokens, so its reinstatement revives them.
    SuspensionKeepsGeneration,
    /// A restore starts no new epoch: numbers are used again.
    RestoreWithoutEpoch,
    /// A restore raises the generation to one that earlier tokens have.
    GenerationRepeats,
}

impl Mutant {
    const ALL: [Self; 12] = [
        Self::AnswerAtOnce,
        Self::PolicyWithoutLease,
        Self::RepeatAnsweredAtOnce,
        Self::CompareWithMemory,
        Self::LimitFromMemory,
        Self::CachedVerification,
        Self::ScopesComparedOnce,
        Self::ProfileOnlyAtExchange,
        Self::OlderReadingWins,
        Self::SuspensionKeepsGeneration,
        Self::RestoreWithoutEpoch,
        Self::GenerationRepeats,
    ];
}

#[test]
fn removed_audience_is_never_granted() {
    holds(taken(&[Change::Take(Right::Audience)]));
}

#[test]
fn suspended_organization_is_denied() {
    holds(taken(&[Change::Take(Right::Active)]));
}

#[test]
fn retired_signing_key_is_not_accepted() {
    holds(taken(&[Change::Take(Right::SigningKey)]));
}

#[test]
fn removed_api_or_scope_is_not_accepted() {
    holds(taken(&[Change::Take(Right::Api)]));
}

#[test]
fn scope_that_was_given_back_can_be_removed_again() {
    holds(Organization { limit: 3, lease: 1, ..taken(&[Change::Take(Right::Api), Change::Give(Right::Api)]) });
}

#[test]
fn suspended_customer_is_denied_and_its_reinstatement_revives_no_token() {
    holds(taken(&[Change::Take(Right::Customer)]));
    holds(reinstated());
}

#[test]
fn access_that_a_profile_loses_is_denied() {
    holds(taken(&[Change::Take(Right::Profile)]));
    holds(Organization { limit: 3, lease: 1, ..taken(&[Change::Take(Right::Profile), Change::Give(Right::Profile)]) });
}

#[test]
fn removed_role_is_not_effective() {
    holds(taken(&[Change::Take(Right::Role)]));
}

#[test]
fn limit_applies_once_confirmed() {
    holds(taken(&[Change::Take(Right::Create)]));
}

#[test]
fn different_changes_do_not_hide_each_other() {
    holds(Organization { limit: 2, ..taken(&[Change::Take(Right::Audience), Change::Take(Right::SigningKey)]) });
}

#[test]
fn policies_of_both_nodes_are_effective() {
    holds(put_on_both());
}

#[test]
fn repeated_put_is_effective_when_confirmed() {
    holds(repeated());
}

#[test]
fn restore_revives_no_token() {
    holds(restored());
}

#[test]
fn every_mutant_is_detected() {
    for mutant in Mutant::ALL {
        let model = Organization { mutant: Some(mutant), ..bites_in(mutant) };
        let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(checker.discovery(S1).is_some(), "{mutant:?} among {} states", checker.unique_state_count());
    }
}

/// A protocol that never confirms or never accepts would be safe too.
#[test]
fn every_event_happens() {
    let changes: &[_] = &[Change::Take(Right::Audience), Change::Rotate];
    Organization { watch: true, restores: 1, ..taken(changes) }.checker().spawn_bfs().join().assert_properties();
}

fn holds(model: Organization) {
    let checker = model.checker().spawn_bfs().join();
    if let Some(counterexample) = checker.discovery(S1) {
        panic!("{counterexample}");
    }
}

/// The configuration in which a mistake has an effect.
fn bites_in(mutant: Mutant) -> Organization {
    match mutant {
        Mutant::AnswerAtOnce | Mutant::PolicyWithoutLease => taken(&[Change::Take(Right::Audience)]),
        Mutant::OlderReadingWins => taken(&[Change::Take(Right::Active)]),
        Mutant::ScopesComparedOnce => taken(&[Change::Take(Right::Api)]),
        Mutant::ProfileOnlyAtExchange => taken(&[Change::Take(Right::Profile)]),
        Mutant::SuspensionKeepsGeneration => reinstated(),
        Mutant::CachedVerification => taken(&[Change::Take(Right::SigningKey)]),
        Mutant::LimitFromMemory => taken(&[Change::Take(Right::Create)]),
        Mutant::RepeatAnsweredAtOnce => repeated(),
        Mutant::CompareWithMemory => put_on_both(),
        Mutant::RestoreWithoutEpoch | Mutant::GenerationRepeats => restored(),
    }
}

/// Node 0 removes something.
fn taken(changes: &'static [Change]) -> Organization {
    Organization { lease: 2, changes: [changes, &[]], limit: 1, ..Organization::default() }
}

/// A customer is suspended and reinstated.
fn reinstated() -> Organization {
    Organization { limit: 2, lease: 1, ..taken(&[Change::Take(Right::Customer), Change::Give(Right::Customer)]) }
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

/// Both nodes are requested to set the same policy.
fn repeated() -> Organization {
    let put: &[_] = &[Change::Take(Right::Audience)];
    Organization { lease: 1, changes: [put, put], ..taken(&[]) }
}

/// A key is rotated, the database goes back to before, and the key is rotated again.
fn restored() -> Organization {
    Organization { lease: 1, limit: 2, restores: 1, ..taken(&[Change::Rotate]) }
}
