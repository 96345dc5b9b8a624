//! A model of the revocation protocol, checked in every order of its steps. Imports nothing of the program.
//!
//! Two nodes, one key, SQL, Redis and time. A check on one node is watched while changes are made on either; what
//! a third node could do to it, report late, strike or be struck, the second does as well. Time goes in ticks and
//! without end: what counts is only how long ago something was.
//!
//! The protocol has to hold under each fault, and each mistake in `mutant.rs` has to be noticed, or the model would
//! be too small to say anything. Not in it: SQL that loses or reorders what it has committed, clocks that differ by
//! more than the margin, steps within memory (a record is dropped and its fills are cut off under one lock).

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
fn an_answered_revoke_is_never_accepted_again() {
    holds(changed_elsewhere());
}

#[test]
fn it_is_not_though_one_clock_is_slower() {
    holds(slow_clock());
}

#[test]
fn a_node_obeys_its_own_changes() {
    holds(changed_here());
}

#[test]
fn changes_of_two_nodes_do_not_hide_each_other() {
    holds(changed_on_both());
}

#[test]
fn a_repeated_revoke_is_in_force_when_it_is_answered() {
    holds(repeated());
}

#[test]
fn a_revoke_is_finished_after_the_crash_of_the_node_that_began_it() {
    holds(crashes_while_changing());
}

#[test]
fn nodes_may_crash_and_stop_and_start() {
    holds(restarts());
}

#[test]
fn a_node_that_was_given_up_accepts_nothing_old() {
    holds(strikes());
}

#[test]
fn every_mutant_is_caught() {
    for mutant in Mutant::ALL {
        let protocol = Protocol { mutant: Some(mutant), lease: 1, ..bites_in(mutant) };
        let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let counterexample = checker.discovery(S1);
        assert!(counterexample.is_some(), "{mutant:?} among {} states", checker.unique_state_count());
    }
}

/// A protocol that never answers, or never accepts, would be safe too.
#[test]
fn all_that_the_protocol_provides_for_does_happen() {
    Protocol { watch: true, redis: true, ..strikes() }.checker().spawn_bfs().join().assert_properties();
}

fn holds(protocol: Protocol) {
    let checker = protocol.checker().spawn_bfs().join();
    if let Some(counterexample) = checker.discovery(S1) {
        panic!("{counterexample}");
    }
}

/// Where a mistake has consequences.
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

/// The node that decides changes another key meanwhile.
fn changed_on_both() -> Protocol {
    Protocol { lease: 1, changes: [&[Kind::Revoke], &[Kind::Other]], ..changed_elsewhere() }
}

fn repeated() -> Protocol {
    Protocol { lease: 1, changes: [&[Kind::Revoke], &[Kind::Revoke]], limit: 1, repeats: true, ..changed_elsewhere() }
}

/// The node that makes the change may crash and, started again, be asked once more.
fn crashes_while_changing() -> Protocol {
    Protocol { lease: 1, changes: [&[Kind::Revoke], &[]], repeats: true, restarts: [true, false], ..restarts() }
}

/// The node that decides comes and goes.
fn restarts() -> Protocol {
    Protocol { changes: [&[Kind::Revoke], &[]], limit: 1, restarts: [false, true], ..changed_elsewhere() }
}

/// The node that decides is given up for the first change, and ought not to miss the second.
fn strikes() -> Protocol {
    Protocol {
        lease: 1,
        changes: [&[Kind::Other, Kind::Revoke], &[]],
        strikes: true,
        redis: false,
        ..changed_elsewhere()
    }
}
