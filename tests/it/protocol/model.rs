//! The model: configurations, states, steps, properties.
//!
//! Any possible step can be the next one. So a suspended node, a slow response and a lost message need no steps of
//! their own: they are steps that are not taken while time passes.

use stateright::{Model, Property};

use super::mutant::Mutant;
use super::node::{Node, Standing};
use super::store::{ById, Id, Kind, Log, NODES, Promise, Row};

/// The safety property.
pub const S1: &str = "an answered change is in force";

/// One configuration of the protocol: its faults, and one mistake.
#[derive(Clone, Debug, Default)]
pub struct Protocol {
    pub mutant: Option<Mutant>,
    /// Checks which events happen at all, instead of property S1: a model in which nothing happens is safe.
    pub watch: bool,
    /// Duration of a lease in ticks.
    pub lease: u8,
    /// The changes that each node can be requested to make.
    pub changes: [&'static [Kind]; NODES],
    /// Maximum number of changes, without repetitions.
    pub limit: u8,
    /// Whether a revoke can be requested again.
    pub repeats: bool,
    /// The nodes that decide, and therefore follow changes. The others have no memory.
    pub serves: [bool; NODES],
    /// Whether reports arrive at all.
    pub redis: bool,
    /// Ticks by which one clock can fall behind the others.
    pub lag: u8,
    /// Whether nodes can be removed.
    pub strikes: bool,
    /// The nodes that can crash, stop and start again.
    pub restarts: [bool; NODES],
}

/// The state of the system at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub log: Log,
    pub rows: ById<Row>,
    /// In Redis: the last change that each node has reported. Only increases; a late or lost report is one that has not
    /// been made.
    pub reported: ById<u8>,
    pub nodes: [Node; NODES],
    pub promised: Promise,
    pub lag: u8,
    pub event: Option<Event>,
}

/// The event of the last step, if a property refers to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    AnsweredByReports,
    AnsweredByTime,
    AcceptedFromMemory,
    AcceptedFromSql,
    FillDiscarded,
    JoinedAgain,
    /// A check accepted a state that a confirmed change had ended before the check began.
    Broken,
}

/// A step. The number is the node that takes it. Reading SQL takes several steps: SQL reads at one moment, and the
/// response arrives at any later one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Time passes for all nodes, or for all but one.
    Tick {
        behind: Option<usize>,
    },
    SendPoll(usize),
    PollReads(usize),
    PollArrives(usize),
    FinishPoll(usize),
    /// Redis receives a node's report.
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
    /// A late registration; only a mutant makes it.
    Enter(usize),
}

/// Steps of a node that decides.
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

/// Steps of a node that makes changes, besides committing them.
const CHANGING: [fn(usize) -> Action; 4] =
    [Action::PrepareChange, Action::CommitArrives, Action::AnswerByReports, Action::AnswerByTime];

impl Protocol {
    /// Whether no node starts or stops, so that the time of reading the registered nodes does not matter.
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
        // Stored only if requested, because it doubles the number of states.
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
