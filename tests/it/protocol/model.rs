//! What there is to check: configurations of the protocol, states, steps, properties.
//!
//! Any step that can be taken may be the next one. So a node that is stopped, an answer that is slow and a
//! message that is lost need no steps of their own: they are steps not taken while time goes on.

use stateright::{Model, Property};

use super::mutant::Mutant;
use super::node::{Node, Standing};
use super::store::{ById, Id, Kind, Log, NODES, Promise, Row};

/// The safety property.
pub const S1: &str = "an answered change is in force";

/// One configuration of the protocol: which faults there are, and which mistake.
#[derive(Clone, Debug, Default)]
pub struct Protocol {
    pub mutant: Option<Mutant>,
    /// Asks what happens at all, instead of whether S1 holds: a model in which nothing happens is safe.
    pub watch: bool,
    /// How long a lease lasts, in ticks.
    pub lease: u8,
    /// The changes that each node may be asked for.
    pub changes: [&'static [Kind]; NODES],
    /// How many of them there are in all, repetitions not counted.
    pub limit: u8,
    /// Whether a revoke may be asked for again.
    pub repeats: bool,
    /// Which nodes decide, and therefore follow. The others have no memory, and nothing to follow for.
    pub serves: [bool; NODES],
    /// Whether reports arrive at all.
    pub redis: bool,
    /// Ticks by which one clock may fall behind the others.
    pub lag: u8,
    /// Whether nodes may be given up.
    pub strikes: bool,
    /// Which nodes may crash, stop, and start again.
    pub restarts: [bool; NODES],
}

/// The whole system at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub log: Log,
    pub rows: ById<Row>,
    /// In Redis: how far each node has said it is. Only ever grows; what is late or lost is a report not made yet.
    pub reported: ById<u8>,
    pub nodes: [Node; NODES],
    pub promised: Promise,
    pub lag: u8,
    pub event: Option<Event>,
}

/// What the last step did, where a property is about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    AnsweredByReports,
    AnsweredByTime,
    AcceptedFromMemory,
    AcceptedFromSql,
    FillDiscarded,
    JoinedAgain,
    /// A check accepted what an answered change had taken away before the check began.
    Broken,
}

/// A step. The number is the node that takes it. Whatever asks SQL is several steps: SQL reads at one moment, and
/// the answer arrives at any later one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Time passes for all, or for all but one.
    Tick {
        behind: Option<usize>,
    },
    SendPoll(usize),
    PollReads(usize),
    PollArrives(usize),
    FinishPoll(usize),
    /// Redis hears how far a node has followed.
    ReportArrives(usize),
    BeginCheck(usize),
    ReadMemory(usize),
    CheckReads(usize),
    FinishCheck(usize),
    PrepareChange(usize),
    Commit(usize, Kind),
    CommitArrives(usize),
    ReadMembers(usize),
    AnswerByReports(usize),
    AnswerByTime(usize),
    Strike {
        by: usize,
        id: Id,
    },
    Delete(Id),
    Crash(usize),
    Leave(usize),
    Join(usize),
    /// A late entry into the table of members; only a mutant makes it.
    Enter(usize),
}

/// What a node that decides may do.
const DECIDING: [fn(usize) -> Action; 8] = [
    Action::SendPoll,
    Action::PollReads,
    Action::PollArrives,
    Action::FinishPoll,
    Action::BeginCheck,
    Action::ReadMemory,
    Action::CheckReads,
    Action::FinishCheck,
];

/// What a node that makes changes may do, beside committing them.
const CHANGING: [fn(usize) -> Action; 4] =
    [Action::PrepareChange, Action::CommitArrives, Action::AnswerByReports, Action::AnswerByTime];

impl Protocol {
    /// Whether nobody comes or goes, so that it makes no difference when the members are read.
    pub fn members_stay(&self) -> bool {
        !self.strikes && self.restarts == [false; NODES]
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            log: Log::default(),
            rows: ById::default(),
            reported: ById::default(),
            nodes: [Node::default(); NODES],
            promised: Promise::default(),
            lag: self.lag,
            event: None,
        };
        for node in 0..NODES {
            state.nodes[node].standing = Standing::Member;
            state.rows.set(Id { node, life: 0 }, Row::Member);
        }
        vec![state]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick { behind: None });
        for node in 0..NODES {
            if self.serves[node] {
                actions.extend(DECIDING.map(|action| action(node)));
            }
            if self.lag > 0 && self.serves[node] {
                actions.push(Action::Tick { behind: Some(node) });
            }
            if !self.changes[node].is_empty() {
                actions.extend(self.changes[node].iter().map(|kind| Action::Commit(node, *kind)));
                actions.extend(CHANGING.map(|action| action(node)));
                let others = || Id::all().filter(|id| id.node != node);
                if self.redis {
                    actions.extend(others().filter(|id| id.life == 0).map(|id| Action::ReportArrives(id.node)));
                }
                if self.strikes {
                    actions.extend(others().map(|id| Action::Strike { by: node, id }));
                    actions.extend(others().map(Action::Delete));
                }
                if !self.members_stay() {
                    actions.push(Action::ReadMembers(node));
                }
            }
            if self.restarts[node] {
                actions.extend([Action::Crash(node), Action::Leave(node)]);
            }
            if self.restarts[node] || self.strikes {
                actions.extend([Action::Join(node), Action::Enter(node)]);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = *last;
        next.event = None;
        self.step(&mut next, action)?;
        // Remembered only where it is asked for: it doubles the states.
        next.event = next.event.filter(|event| self.watch || *event == Event::Broken);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        if !self.watch {
            return vec![Property::always(S1, |_, state: &State| state.event != Some(Event::Broken))];
        }
        vec![
            Property::sometimes("answered by reports", |_, state: &State| {
                state.event == Some(Event::AnsweredByReports)
            }),
            Property::sometimes("answered by time", |_, state: &State| state.event == Some(Event::AnsweredByTime)),
            Property::sometimes("accepted from memory", |_, state: &State| {
                state.event == Some(Event::AcceptedFromMemory)
            }),
            Property::sometimes("accepted from SQL", |_, state: &State| state.event == Some(Event::AcceptedFromSql)),
            Property::sometimes("a fill discarded", |_, state: &State| state.event == Some(Event::FillDiscarded)),
            Property::sometimes("joined again", |_, state: &State| state.event == Some(Event::JoinedAgain)),
        ]
    }
}
