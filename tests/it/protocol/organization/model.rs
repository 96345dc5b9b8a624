//! The steps and the property.

use stateright::{Model, Property};

use super::Mutant;
use super::state::{Change, Check, Generation, Node, Poll, Promise, Reading, Right, Rights, Waiting};

/// The safety property.
pub const S1: &str = "an answered change is in force";

/// The margin of a wait beyond a lease.
const MARGIN: u8 = 1;

/// One configuration.
#[derive(Clone, Debug, Default)]
pub struct Organization {
    pub mutant: Option<Mutant>,
    /// Checks which events happen at all, instead of property S1.
    pub watch: bool,
    /// Duration of a lease in ticks.
    pub lease: u8,
    /// The changes that each node can be requested to make.
    pub changes: [&'static [Change]; 2],
    /// Maximum number of changes, without repetitions.
    pub limit: u8,
    /// How many times the database can go back to its first state.
    pub restores: u8,
}

/// The state of the system at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    sql: Reading,
    node: Node,
    waiting: [Option<Waiting>; 2],
    promised: Promise,
    /// One token, issued at any moment and presented from then on.
    token: Option<Generation>,
    made: u8,
    restores: u8,
    event: Option<Event>,
}

/// The event of the last step, if a property refers to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    AnsweredByReport,
    AnsweredByTime,
    GrantedFromMemory,
    GrantedFromSql,
    TokenAccepted,
    ReadingDropped,
    /// A decision relied on a state that a confirmed change had ended, or a confirmed change was lost.
    Broken,
}

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Tick,
    SendPoll,
    PollReads,
    PollArrives,
    BeginReload,
    FinishReload,
    Mint,
    BeginCheck,
    FinishCheck,
    CreateKey,
    Commit(usize, Change),
    AnswerByReport(usize),
    AnswerByTime(usize),
    Restore,
}

const STEPS: [Action; 11] = [
    Action::Tick,
    Action::SendPoll,
    Action::PollReads,
    Action::PollArrives,
    Action::BeginReload,
    Action::FinishReload,
    Action::Mint,
    Action::BeginCheck,
    Action::FinishCheck,
    Action::CreateKey,
    Action::Restore,
];

impl Model for Organization {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            sql: Reading::default(),
            node: Node::default(),
            waiting: [None; 2],
            promised: Promise::default(),
            token: None,
            made: 0,
            restores: 0,
            event: None,
        }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend(STEPS);
        for (node, changes) in self.changes.iter().enumerate() {
            actions.extend(changes.iter().map(|change| Action::Commit(node, *change)));
            actions.extend([Action::AnswerByReport(node), Action::AnswerByTime(node)]);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = *last;
        next.event = None;
        self.step(&mut next, action)?;
        next.event = next.event.filter(|event| self.watch || *event == Event::Broken);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        if !self.watch {
            return vec![Property::always(S1, |_, state: &State| state.event != Some(Event::Broken))];
        }
        macro_rules! happens {
            ($($event:ident),+) => {
                vec![$(Property::sometimes(stringify!($event), |_, state: &State| {
                    state.event == Some(Event::$event)
                })),+]
            };
        }
        happens!(AnsweredByReport, AnsweredByTime, GrantedFromMemory, GrantedFromSql, TokenAccepted, ReadingDropped)
    }
}

impl Organization {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn step(&self, state: &mut State, action: Action) -> Option<()> {
        let node = &mut state.node;
        match action {
            Action::Tick => self.tick(state),
            Action::SendPoll => {
                let idle = node.poll == Poll::Idle;
                node.poll = Poll::Sent { age: 0 };
                return idle.then_some(());
            }
            Action::PollReads => {
                let Poll::Sent { age } = node.poll else { return None };
                node.poll = Poll::Read { age, reading: state.sql };
            }
            // Changes are applied before the lease is taken, and the lease starts before the poll's request.
            Action::PollArrives => {
                let Poll::Read { age, reading } = node.poll else { return None };
                node.poll = Poll::Idle;
                self.install(state, reading);
                state.node.lease = self.lease - age;
            }
            Action::BeginReload => {
                let idle = node.reload.is_none();
                node.reload = Some(state.sql);
                return idle.then_some(());
            }
            Action::FinishReload => {
                let reading = node.reload.take()?;
                self.install(state, reading);
            }
            Action::Mint => {
                let free = state.token.is_none();
                state.token = Some(state.sql.generation);
                return free.then_some(());
            }
            Action::BeginCheck => {
                let owed = state.promised;
                let idle = node.check == Check::None;
                let leased = node.lease > 0 || self.is(Mutant::PolicyWithoutLease);
                node.check = if leased { Check::Leased { owed } } else { Check::Asking { owed } };
                return idle.then_some(());
            }
            Action::FinishCheck => {
                let (owed, reading, granted) = match node.check {
                    Check::None => return None,
                    Check::Leased { owed } => (owed, node.memory, Event::GrantedFromMemory),
                    Check::Asking { owed } => (owed, state.sql, Event::GrantedFromSql),
                };
                node.check = Check::None;
                self.decide(state, owed, reading, granted);
            }
            // In the transaction of the write, with the limit in SQL.
            Action::CreateKey => {
                let reading = if self.is(Mutant::LimitFromMemory) { node.memory } else { state.sql };
                if reading.rights.has(Right::Create) && state.promised.taken.has(Right::Create) {
                    state.event = Some(Event::Broken);
                }
            }
            Action::Commit(by, change) => return self.commit(state, by, change),
            Action::AnswerByReport(by) => {
                let waiting = state.waiting[by].filter(|waiting| state.node.memory.seq >= waiting.seq)?;
                self.answer(state, by, waiting, Event::AnsweredByReport);
            }
            Action::AnswerByTime(by) => {
                let waiting = state.waiting[by].filter(|waiting| waiting.left == 0)?;
                self.answer(state, by, waiting, Event::AnsweredByTime);
            }
            Action::Restore => return self.restore(state),
        }
        Some(())
    }

    fn tick(&self, state: &mut State) {
        state.node.lease = state.node.lease.saturating_sub(1);
        if let Poll::Sent { age } | Poll::Read { age, .. } = &mut state.node.poll {
            *age = self.lease.min(*age + 1);
        }
        for waiting in state.waiting.iter_mut().flatten() {
            waiting.left = waiting.left.saturating_sub(1);
        }
    }

    fn install(&self, state: &mut State, reading: Reading) {
        if reading.seq >= state.node.memory.seq || self.is(Mutant::OlderReadingWins) {
            state.node.memory = reading;
        } else {
            state.event = Some(Event::ReadingDropped);
        }
    }

    /// Exchanges for the audience and for the API, a check of the token, and a request that needs the role, all at once: the node's
    /// state depends on none of them.
    fn decide(&self, state: &mut State, owed: Promise, reading: Reading, granted: Event) {
        let has = |right| reading.rights.has(right);
        let taken = |right| owed.taken.has(right);
        let is_active = has(Right::Active) && has(Right::Customer);
        let is_allowed = has(Right::Profile);
        let exchanged = has(Right::Audience) && is_active && is_allowed;
        let is_proven = has(Right::SigningKey) || (state.node.has_verified && self.is(Mutant::CachedVerification));
        // Scopes are compared again once anything of the organization has changed.
        let is_known_within = match state.node.within_at {
            Some(seq) => seq == reading.seq || self.is(Mutant::ScopesComparedOnce),
            None => false,
        };
        let is_within = has(Right::Api) || is_known_within;
        let is_current = state.token == Some(reading.generation);
        let is_allowed_token = is_allowed || self.is(Mutant::ProfileOnlyAtExchange);
        let accepted = is_active && is_proven && is_within && is_allowed_token && is_current;
        state.node.has_verified |= accepted;
        if accepted {
            state.node.within_at = Some(reading.seq);
        }
        let exchanged_for_api = has(Right::Api) && is_active && is_allowed;
        let is_denied = taken(Right::Active) || taken(Right::Customer) || taken(Right::Profile);
        let is_broken = exchanged && (taken(Right::Audience) || is_denied)
            || exchanged_for_api && (taken(Right::Api) || taken(Right::Profile))
            || accepted && (is_denied || taken(Right::SigningKey) || taken(Right::Api) || owed.is_token_dead)
            || has(Right::Role) && taken(Right::Role);
        state.event = match (is_broken, accepted, exchanged) {
            (true, _, _) => Some(Event::Broken),
            (false, true, _) => Some(Event::TokenAccepted),
            (false, false, true) => Some(granted),
            (false, false, false) => None,
        };
    }

    /// One transaction, which compares with SQL. Only mutants do not wait, or compare with memory.
    fn commit(&self, state: &mut State, by: usize, change: Change) -> Option<()> {
        if state.waiting[by].is_some() {
            return None;
        }
        let apply = |rights: Rights| match change {
            Change::Take(right) => rights.without(right),
            Change::Give(right) => rights.with(right),
            Change::Rotate => rights,
        };
        let seen = if by == 1 && self.is(Mutant::CompareWithMemory) { state.node.memory } else { state.sql };
        let is_repeat = change != Change::Rotate && apply(seen.rights) == seen.rights;
        if !is_repeat {
            if state.made >= self.limit {
                return None;
            }
            state.made += 1;
            state.sql.seq += 1;
            state.sql.rights = apply(state.sql.rights);
            let is_new_generation = match change {
                Change::Rotate => true,
                Change::Take(Right::Customer) => !self.is(Mutant::SuspensionKeepsGeneration),
                Change::Take(_) | Change::Give(_) => false,
            };
            state.sql.generation.number += u8::from(is_new_generation);
            // From here on the right may be granted again, also by a check in progress.
            if let Change::Give(right) = change {
                state.promised.taken = state.promised.taken.without(right);
                if let Check::Leased { owed } | Check::Asking { owed } = &mut state.node.check {
                    owed.taken = owed.taken.without(right);
                }
            }
        } else if apply(state.sql.rights) != state.sql.rights {
            state.event = Some(Event::Broken);
        }
        let ends_tokens = matches!(change, Change::Rotate | Change::Take(Right::Customer));
        let ends_token = ends_tokens && !is_repeat && state.token.is_some();
        let waiting = Waiting { change, seq: state.sql.seq, left: self.lease + MARGIN, ends_token };
        state.waiting[by] = Some(waiting);
        if self.is(Mutant::AnswerAtOnce) || (is_repeat && self.is(Mutant::RepeatAnsweredAtOnce)) {
            self.answer(state, by, waiting, Event::AnsweredByTime);
        }
        Some(())
    }

    fn answer(&self, state: &mut State, by: usize, waiting: Waiting, event: Event) {
        state.waiting[by] = None;
        // Nothing is promised about a right that was given back meanwhile.
        if let Change::Take(right) = waiting.change
            && !state.sql.rights.has(right)
        {
            state.promised.taken = state.promised.taken.with(right);
        }
        state.promised.is_token_dead |= waiting.ends_token;
        state.event = state.event.or(Some(event));
    }

    /// The database goes back to its first state with the nodes stopped, and a new epoch starts. Later changes are
    /// undone, and all earlier tokens are invalidated.
    fn restore(&self, state: &mut State) -> Option<()> {
        if state.restores >= self.restores || state.waiting != [None; 2] {
            return None;
        }
        state.restores += 1;
        let last = state.sql;
        state.sql = Reading::default();
        match self.mutant {
            Some(Mutant::RestoreWithoutEpoch) => {}
            Some(Mutant::GenerationRepeats) => state.sql.generation.number += 1,
            _ => {
                state.sql.generation.epoch = last.generation.epoch + 1;
                state.sql.seq = last.seq + 1;
            }
        }
        state.promised = Promise { taken: Rights::NONE, is_token_dead: state.token.is_some() };
        state.node = Node { memory: state.sql, ..Node::default() };
        Some(())
    }
}
