//! A model of the revocation protocol, checked in every order of its steps. Imports nothing of the program.
//!
//! Two nodes, one key, SQL, Redis and time. A check on one node is observed while changes are made on either. The
//! second node also does everything that a third node could do to it: report late, remove another node, or be removed.
//! Time passes in ticks without a limit; only relative times matter.
//!
//! The protocol must hold under each fault, and each mistake in `mutant.rs` must be detected; otherwise the model would
//! be too small. Not modeled: SQL that loses or reorders committed changes, clocks that differ by more than the margin,
//! steps within memory (dropping a record and invalidating its reads happens under one lock).

mod model;
mod mutant;
mod node;
mod organization;
mod steps;
mod store;

use stateright::{Checker, HasDiscoveries, Model};

use model::{Protocol, S1};
use mutant::Mutant;
use store::Kind;

#[test]
fn confirmed_revoke_is_never_accepted_again() {
    holds(changed_elsewhere());
}

#[test]
fn confirmed_revoke_holds_with_a_slow_clock() {
    holds(slow_clock());
}

#[test]
fn node_applies_its_own_changes() {
    holds(changed_here());
}

#[test]
fn changes_of_two_nodes_do_not_hide_each_other() {
    holds(changed_on_both());
}

#[test]
fn repeated_revoke_is_effective_when_confirmed() {
    holds(repeated());
}

#[test]
fn revoke_is_completed_after_a_crash() {
    holds(crashes_while_changing());
}

#[test]
fn nodes_can_crash_stop_and_start() {
    holds(restarts());
}

#[test]
fn removed_node_accepts_nothing_old() {
    holds(strikes());
}

#[test]
fn every_mutant_is_detected() {
    for mutant in Mutant::ALL {
        let protocol = Protocol { mutant: Some(mutant), lease: 1, ..bites_in(mutant) };
        let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let counterexample = checker.discovery(S1);
        assert!(counterexample.is_some(), "{mutant:?} among {} states", checker.unique_state_count());
    }
}

/// A protocol that never confirms or never accepts would be safe too.
#[test]
fn every_event_happens() {
    Protocol { watch: true, redis: true, ..strikes() }.checker().spawn_bfs().join().assert_properties();
}

fn holds(protocol: Protocol) {
    let checker = protocol.checker().spawn_bfs().join();
    if let Some(counterexample) = checker.discovery(S1) {
        panic!("{counterexample}");
    }
}

/// The configuration in which a mistake has an effect.
fn bites_in(mutant: Mutant) -> Protocol {
    match mutant {
        Mutant::AnswerAtOnce
        | Mutant::WaitFromBeforeCommit
        | Mutant::NoLeaseCheck
        | Mutant::LeaseFromArrival
        | Mutant::LeaseBeforeApplying
        | Mutant::LeaseAfterMemory
        | Mutant::NoFillGuard
        | Mutant::GenerationAtMost => changed_elsewhere(),
        Mutant::NoMargin => slow_clock(),
        Mutant::NotAppliedHere => changed_here(),
        Mutant::OwnChangeSkipsAhead => changed_on_both(),
        Mutant::RepeatAnsweredAtOnce | Mutant::RepeatNotAppliedHere => repeated(),
        Mutant::MembersBeforeCommit | Mutant::JoinAfterFirstPoll | Mutant::LeaveBeforeStopping => restarts(),
        Mutant::StruckRowDeletedAtOnce
        | Mutant::StruckRowNotWaitedFor
        | Mutant::MemoryOutlivesRejoin
        | Mutant::FillOutlivesRejoin => strikes(),
    }
}

/// The first node makes changes, the second decides.
fn changed_elsewhere() -> Protocol {
    Protocol {
        lease: 2,
        changes: [&[Kind::Rotate, Kind::Revoke], &[]],
        limit: 2,
        serves: [false, true],
        redis: true,
        ..Protocol::default()
    }
}

fn slow_clock() -> Protocol {
    Protocol { changes: [&[Kind::Revoke], &[]], limit: 1, lag: 1, ..changed_elsewhere() }
}

fn changed_here() -> Protocol {
    Protocol { changes: [&[], &[Kind::Rotate, Kind::Revoke]], ..changed_elsewhere() }
}

/// The deciding node changes another key at the same time.
fn changed_on_both() -> Protocol {
    Protocol { lease: 1, changes: [&[Kind::Revoke], &[Kind::Other]], ..changed_elsewhere() }
}

fn repeated() -> Protocol {
    Protocol { lease: 1, changes: [&[Kind::Revoke], &[Kind::Revoke]], limit: 1, repeats: true, ..changed_elsewhere() }
}

/// The node that makes the change may crash and, after a restart, receive the request again.
fn crashes_while_changing() -> Protocol {
    Protocol { lease: 1, changes: [&[Kind::Revoke], &[]], repeats: true, restarts: [true, false], ..restarts() }
}

/// The deciding node stops and starts.
fn restarts() -> Protocol {
    Protocol { changes: [&[Kind::Revoke], &[]], limit: 1, restarts: [false, true], ..changed_elsewhere() }
}

/// The deciding node is removed during the first change, and must not miss the second.
fn strikes() -> Protocol {
    Protocol {
        lease: 1,
        changes: [&[Kind::Other, Kind::Revoke], &[]],
        strikes: true,
        redis: false,
        ..changed_elsewhere()
    }
}
