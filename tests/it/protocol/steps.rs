//! The steps: when each is possible (`None` if not), and its effect.

use super::model::{Action, Event, Protocol, State};
use super::mutant::Mutant;
use super::node::{Change, Check, Ids, Node, Poll, Standing, Wait};
use super::store::{Commit, Id, Kind, LIVES, Promise, Record, Row};

/// The margin of a wait beyond a lease.
const MARGIN: u8 = 1;

impl Protocol {
    /// Takes a step, if possible.
    pub fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Tick { behind } => self.tick(state, behind),
            Action::SendPoll(node) => self.send_poll(&mut state.nodes[node]),
            Action::PollReads(node) => self.poll_reads(state, node),
            Action::PollArrives(node) => self.poll_arrives(state, node),
            Action::FinishPoll(node) => self.finish_poll(state, node),
            Action::ReportArrives(node) => self.report_arrives(state, node),
            Action::BeginCheck(node) => self.begin_check(state, node),
            Action::ReadMemory(node) => self.read_memory(state, node),
            Action::CheckReads(node) => self.check_reads(state, node),
            Action::FinishCheck(node) => self.finish_check(state, node),
            Action::PrepareChange(node) => self.prepare_change(state, node),
            Action::Commit(node, kind) => self.commit(state, node, kind),
            Action::CommitArrives(node) => self.commit_arrives(state, node),
            Action::ReadMembers(node) => self.read_members(state, node),
            Action::AnswerByReports(node) => self.answer_by_reports(state, node),
            Action::AnswerByTime(node) => self.answer_by_time(state, node),
            Action::Strike { by, id } => self.strike(state, by, id),
            Action::Delete(id) => self.delete(state, id),
            Action::Crash(node) => self.crash(state, node),
            Action::Leave(node) => self.leave(state, node),
            Action::Join(node) => self.join(state, node),
            Action::Enter(node) => self.enter(state, node),
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn wait(&self) -> u8 {
        if self.is(Mutant::NoMargin) { self.lease } else { self.lease + MARGIN }
    }

    /// Time passes, except perhaps for one node with a slower clock.
    fn tick(&self, state: &mut State, behind: Option<usize>) -> Option<()> {
        if behind.is_some() {
            state.lag = state.lag.checked_sub(1)?;
        }
        for (index, node) in state.nodes.iter_mut().enumerate() {
            if behind != Some(index) {
                node.tick(self.lease);
            }
        }
        for id in Id::all() {
            if let Row::Struck(age) = state.rows.of(id) {
                state.rows.set(id, Row::Struck(self.wait().min(age + 1)));
            }
        }
        Some(())
    }
}

/// A node follows: it reads changes, applies them, and gets a lease from before its request.
impl Protocol {
    fn send_poll(&self, node: &mut Node) -> Option<()> {
        let idle = node.poll == Poll::Idle && matches!(node.standing, Standing::Member | Standing::Unlisted);
        node.poll = Poll::Sent { age: 0 };
        idle.then_some(())
    }

    /// A snapshot of SQL: the log, and the node's own row.
    fn poll_reads(&self, state: &mut State, node: usize) -> Option<()> {
        let id = state.id(node);
        let asking = &mut state.nodes[node];
        let Poll::Sent { age } = asking.poll else { return None };
        let is_member = asking.standing == Standing::Unlisted || state.rows.of(id) == Row::Member;
        asking.poll = Poll::Read { age, seq: state.log.last(), is_member };
        Some(())
    }

    /// Applies changes before it takes the lease; in between memory is new and unused. A node that notices its removal
    /// has no lease from here on.
    fn poll_arrives(&self, state: &mut State, node: usize) -> Option<()> {
        let Poll::Read { age, seq, is_member } = state.nodes[node].poll else { return None };
        if !is_member {
            let expelled = &mut state.nodes[node];
            expelled.standing = Standing::Out;
            expelled.poll = Poll::Idle;
            expelled.lease = 0;
            if !self.is(Mutant::MemoryOutlivesRejoin) {
                expelled.forget();
            }
            return Some(());
        }
        state.nodes[node].poll = Poll::Halfway { age, seq };
        if self.is(Mutant::LeaseBeforeApplying) {
            self.take_lease(state, node, age)
        } else {
            self.apply(state, node, seq)
        }
        Some(())
    }

    fn finish_poll(&self, state: &mut State, node: usize) -> Option<()> {
        let Poll::Halfway { age, seq } = state.nodes[node].poll else { return None };
        state.nodes[node].poll = Poll::Idle;
        if self.is(Mutant::LeaseBeforeApplying) {
            self.apply(state, node, seq)
        } else {
            self.take_lease(state, node, age)
        }
        Some(())
    }

    fn apply(&self, state: &mut State, node: usize, seq: u8) {
        let applied = state.nodes[node].applied;
        if state.log.concerns_key(applied, seq) {
            self.drop_key(state, node);
        }
        state.nodes[node].applied = applied.max(seq);
    }

    fn drop_key(&self, state: &mut State, node: usize) {
        state.nodes[node].memory = None;
        if !self.is(Mutant::NoFillGuard) && state.nodes[node].discard_fill() {
            state.event = Some(Event::FillDiscarded);
        }
    }

    /// From before the request: later changes may be missing from the response.
    fn take_lease(&self, state: &mut State, node: usize, age: u8) {
        state.nodes[node].lease = if self.is(Mutant::LeaseFromArrival) { self.lease } else { self.lease - age };
    }

    /// A late report is the same as one that is made later, because reports only increase.
    fn report_arrives(&self, state: &mut State, node: usize) -> Option<()> {
        let standing = state.nodes[node].standing;
        let applied = if self.serves[node] { state.nodes[node].applied } else { state.log.last() };
        state.reported.set(state.id(node), applied);
        (standing == Standing::Member).then_some(())
    }
}

/// A node decides: from memory under a lease, otherwise from SQL.
impl Protocol {
    /// A check begins and reads its lease immediately. A check that began earlier and reads it now is not stricter,
    /// because changes that were confirmed in between do not bind it.
    fn begin_check(&self, state: &mut State, node: usize) -> Option<()> {
        let owed = state.promised;
        if state.nodes[node].check != Check::None || state.nodes[node].standing == Standing::Down {
            return None;
        }
        if self.is(Mutant::LeaseAfterMemory) {
            let memory = state.nodes[node].memory;
            state.nodes[node].check = Check::Recalled { owed, memory };
        } else {
            state.nodes[node].check = self.by_lease(state, node, owed);
        }
        Some(())
    }

    fn by_lease(&self, state: &State, node: usize, owed: Promise) -> Check {
        if state.nodes[node].lease > 0 || self.is(Mutant::NoLeaseCheck) {
            Check::Leased { owed }
        } else {
            Check::Asking { owed, keep: false }
        }
    }

    fn read_memory(&self, state: &mut State, node: usize) -> Option<()> {
        let (owed, memory, lease) = match state.nodes[node].check {
            Check::Leased { owed } => (owed, state.nodes[node].memory, Check::Leased { owed }),
            Check::Recalled { owed, memory } => (owed, memory, self.by_lease(state, node, owed)),
            Check::None | Check::Asking { .. } | Check::Read { .. } => return None,
        };
        state.nodes[node].check = match (lease, memory) {
            (Check::Leased { .. }, Some(record)) => {
                self.decide(state, owed, record, Event::AcceptedFromMemory);
                Check::None
            }
            (Check::Leased { .. }, None) => Check::Asking { owed, keep: true },
            (direct, _) => direct,
        };
        Some(())
    }

    fn check_reads(&self, state: &mut State, node: usize) -> Option<()> {
        let Check::Asking { owed, keep } = state.nodes[node].check else { return None };
        state.nodes[node].check = Check::Read { owed, keep, record: state.log.record() };
        Some(())
    }

    fn finish_check(&self, state: &mut State, node: usize) -> Option<()> {
        let Check::Read { owed, keep, record } = state.nodes[node].check else { return None };
        if keep {
            state.nodes[node].memory = Some(record);
        }
        state.nodes[node].check = Check::None;
        self.decide(state, owed, record, Event::AcceptedFromSql);
        Some(())
    }

    /// The node's state depends on no token; only its response does. So all tokens are presented at once.
    fn decide(&self, state: &mut State, owed: Promise, record: Record, accepted: Event) {
        let accepts = |token: u8| match self.mutant {
            Some(Mutant::GenerationAtMost) => record.active && token <= record.generation,
            _ => record.active && token == record.generation,
        };
        let tokens = 0..=state.log.record().generation;
        if tokens.clone().any(|token| accepts(token) && owed.forbids(token)) {
            state.event = Some(Event::Broken);
        } else if tokens.into_iter().any(accepts) {
            state.event = Some(accepted);
        }
    }
}

/// A node makes a change: commits, applies it, waits until no node can act on the previous state, confirms.
impl Protocol {
    fn prepare_change(&self, state: &mut State, node: usize) -> Option<()> {
        let wait = match self.mutant {
            Some(Mutant::MembersBeforeCommit) => Wait { left: 0, members: Some(self.members(state)) },
            Some(Mutant::WaitFromBeforeCommit) => Wait { left: self.wait(), members: None },
            _ => return None,
        };
        let can = state.nodes[node].change == Change::None && state.nodes[node].standing == Standing::Member;
        state.nodes[node].change = Change::Prepared(wait);
        can.then_some(())
    }

    fn commit(&self, state: &mut State, node: usize, kind: Kind) -> Option<()> {
        let prepares = matches!(self.mutant, Some(Mutant::MembersBeforeCommit | Mutant::WaitFromBeforeCommit));
        let wait = match state.nodes[node].change {
            Change::None if !prepares && state.nodes[node].standing != Standing::Down => Wait::default(),
            Change::Prepared(wait) => wait,
            Change::None | Change::Committed(..) | Change::Waiting(..) => return None,
        };
        let commit = state.log.commit(kind, self.limit).filter(|commit| self.repeats || !commit.is_repeat)?;
        state.nodes[node].change = Change::Committed(commit, wait);
        Some(())
    }

    /// Applies the change on this node, repeated or not, and starts to wait on the node's own clock.
    fn commit_arrives(&self, state: &mut State, node: usize) -> Option<()> {
        let Change::Committed(commit, mut wait) = state.nodes[node].change else { return None };
        let forgotten = match self.mutant {
            Some(Mutant::NotAppliedHere) => true,
            Some(Mutant::RepeatNotAppliedHere) => commit.is_repeat,
            _ => false,
        };
        if !forgotten && (commit.is_repeat || state.log.concerns_key(commit.seq - 1, commit.seq)) {
            self.drop_key(state, node);
        }
        if self.is(Mutant::OwnChangeSkipsAhead) {
            state.nodes[node].applied = commit.seq;
        }
        if !self.is(Mutant::WaitFromBeforeCommit) {
            wait.left = self.wait();
        }
        if self.members_stay() && wait.members.is_none() {
            wait.members = Some(self.members(state));
        }
        state.nodes[node].change = Change::Waiting(commit, wait);
        if self.is(Mutant::AnswerAtOnce) || (commit.is_repeat && self.is(Mutant::RepeatAnsweredAtOnce)) {
            self.answer(state, node, commit, Event::AnsweredByTime);
        }
        Some(())
    }

    fn read_members(&self, state: &mut State, node: usize) -> Option<()> {
        let members = self.members(state);
        let Change::Waiting(_, wait) = &mut state.nodes[node].change else { return None };
        wait.members = Some(members);
        (!self.is(Mutant::MembersBeforeCommit)).then_some(())
    }

    fn members(&self, state: &State) -> Ids {
        let waited_for = |id: &Id| match state.rows.of(*id) {
            Row::Member => true,
            Row::Struck(_) => !self.is(Mutant::StruckRowNotWaitedFor),
            Row::Absent => false,
        };
        Id::all().filter(waited_for).collect()
    }

    fn answer_by_reports(&self, state: &mut State, node: usize) -> Option<()> {
        let Change::Waiting(commit, Wait { members: Some(members), .. }) = state.nodes[node].change else {
            return None;
        };
        let is_in_force = |id: Id| id == state.id(node) || state.reported.of(id) >= commit.seq;
        if !Id::all().all(|id| !members.contains(id) || is_in_force(id)) {
            return None;
        }
        self.answer(state, node, commit, Event::AnsweredByReports);
        Some(())
    }

    fn answer_by_time(&self, state: &mut State, node: usize) -> Option<()> {
        let Change::Waiting(commit, Wait { left: 0, .. }) = state.nodes[node].change else { return None };
        self.answer(state, node, commit, Event::AnsweredByTime);
        Some(())
    }

    fn answer(&self, state: &mut State, node: usize, commit: Commit, event: Event) {
        let log = state.log;
        state.promised.add(commit, &log);
        state.nodes[node].change = Change::None;
        state.event = Some(event);
    }
}

/// Nodes start and stop.
impl Protocol {
    /// A waiting node removes a node that has not reported. The time of its last report is not a condition in the
    /// model: a node may continue at the moment after it was checked.
    fn strike(&self, state: &mut State, by: usize, id: Id) -> Option<()> {
        let Change::Waiting(commit, Wait { left: 0, members: Some(members) }) = state.nodes[by].change else {
            return None;
        };
        // The last incarnation is spared, because it could not register again.
        let can_return = usize::from(id.life) + 1 < LIVES;
        let silent = members.contains(id) && id != state.id(by) && state.reported.of(id) < commit.seq;
        let row = if self.is(Mutant::StruckRowDeletedAtOnce) { Row::Absent } else { Row::Struck(0) };
        let was = state.rows.of(id);
        state.rows.set(id, row);
        (silent && can_return && was == Row::Member).then_some(())
    }

    /// Deletes the row of a node without a valid lease, regardless of its lease at the removal.
    fn delete(&self, state: &mut State, id: Id) -> Option<()> {
        let old = state.rows.of(id) == Row::Struck(self.wait());
        state.rows.set(id, Row::Absent);
        old.then_some(())
    }

    fn crash(&self, state: &mut State, node: usize) -> Option<()> {
        let was = state.nodes[node];
        state.nodes[node] = Node { life: was.life, ..Node::default() };
        (was.standing != Standing::Down).then_some(())
    }

    fn leave(&self, state: &mut State, node: usize) -> Option<()> {
        let id = state.id(node);
        let leaving = &mut state.nodes[node];
        if leaving.standing != Standing::Member || leaving.change != Change::None {
            return None;
        }
        if !self.is(Mutant::LeaveBeforeStopping) {
            if leaving.check != Check::None {
                return None;
            }
            *leaving = Node { life: id.life, ..Node::default() };
        }
        state.rows.set(id, Row::Absent);
        Some(())
    }

    /// Under a new ID, with empty memory, following from here. A read in progress is invalidated once more: it may have
    /// been requested after the removal, and be older than the position from which the node follows.
    fn join(&self, state: &mut State, node: usize) -> Option<()> {
        let late = self.is(Mutant::JoinAfterFirstPoll);
        let joining = &mut state.nodes[node];
        let was = joining.standing;
        if !matches!(was, Standing::Down | Standing::Out) || usize::from(joining.life) + 1 >= LIVES {
            return None;
        }
        joining.standing = if late { Standing::Unlisted } else { Standing::Member };
        joining.life += 1;
        joining.applied = state.log.last();
        if !self.is(Mutant::MemoryOutlivesRejoin) {
            joining.memory = None;
        }
        if !self.is(Mutant::FillOutlivesRejoin) {
            joining.discard_fill();
        }
        if !late {
            state.rows.set(state.id(node), Row::Member);
        }
        if was == Standing::Out {
            state.event = Some(Event::JoinedAgain);
        }
        Some(())
    }

    fn enter(&self, state: &mut State, node: usize) -> Option<()> {
        let entering = &mut state.nodes[node];
        let can = entering.standing == Standing::Unlisted && entering.lease > 0;
        entering.standing = Standing::Member;
        state.rows.set(state.id(node), Row::Member);
        can.then_some(())
    }
}

impl State {
    /// The ID of a node's current incarnation.
    fn id(&self, node: usize) -> Id {
        Id { node, life: self.nodes[node].life }
    }
}
