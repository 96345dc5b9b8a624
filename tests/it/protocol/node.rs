//! What one node holds, and what it is doing.

use super::store::{Commit, Id, LIVES, Promise, Record};

/// A node. It does several things at once, each a step at a time: it follows, it decides, it changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Node {
    pub standing: Standing,
    /// Which incarnation this is.
    pub life: u8,
    /// The key's record, if it is in memory.
    pub memory: Option<Record>,
    /// The last change that it has followed.
    pub applied: u8,
    /// Ticks until its lease ends; 0 is no lease.
    pub lease: u8,
    pub poll: Poll,
    pub check: Check,
    pub change: Change,
}

/// Where a node stands with the others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Standing {
    /// No process.
    #[default]
    Down,
    /// Has found itself struck, and not joined again yet: decides by SQL alone.
    Out,
    /// Has entered itself.
    Member,
    /// Serves before it has entered itself; only a mutant does.
    Unlisted,
}

/// A poll; its age counts from before it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Poll {
    #[default]
    Idle,
    Sent {
        age: u8,
    },
    /// SQL has read, the answer is on its way.
    Read {
        age: u8,
        seq: u8,
        is_member: bool,
    },
    /// The answer is being applied: of memory and lease, one is done.
    Halfway {
        age: u8,
        seq: u8,
    },
}

/// A check. `owed` is what had been answered when it began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Check {
    #[default]
    None,
    /// Has seen a live lease.
    Leased { owed: Promise },
    /// Has read memory before it looked at the lease; only a mutant does.
    Recalled { owed: Promise, memory: Option<Record> },
    /// Asks SQL; `keep` says whether the answer may go into memory.
    Asking { owed: Promise, keep: bool },
    /// SQL has read, the answer is on its way.
    Read { owed: Promise, keep: bool, record: Record },
}

/// A change that was asked for here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Change {
    #[default]
    None,
    /// About to commit, and already waiting; only mutants are.
    Prepared(Wait),
    /// SQL has committed, the answer is on its way.
    Committed(Commit, Wait),
    Waiting(Commit, Wait),
}

/// What a change waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Wait {
    /// Ticks until no lease from before the commit can live.
    pub left: u8,
    /// The members, once they were read.
    pub members: Option<Ids>,
}

/// A set of ids, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Ids(u8);

impl Ids {
    pub fn contains(self, id: Id) -> bool {
        self.0 & Self::bit(id) != 0
    }

    fn bit(id: Id) -> u8 {
        1 << (id.node * LIVES + usize::from(id.life))
    }
}

impl FromIterator<Id> for Ids {
    fn from_iter<I: IntoIterator<Item = Id>>(ids: I) -> Self {
        Self(ids.into_iter().fold(0, |set, id| set | Self::bit(id)))
    }
}

impl Node {
    /// Drops what is held of the key or being read of it. Says whether a read was under way.
    pub fn forget(&mut self) -> bool {
        self.memory = None;
        self.discard_fill()
    }

    /// Sees to it that a read under way is not kept. Says whether there was one.
    pub fn discard_fill(&mut self) -> bool {
        match &mut self.check {
            Check::Asking { keep, .. } | Check::Read { keep, .. } => std::mem::replace(keep, false),
            Check::None | Check::Leased { .. } | Check::Recalled { .. } => false,
        }
    }

    /// A tick passes on its clock.
    pub fn tick(&mut self, lease: u8) {
        self.lease = self.lease.saturating_sub(1);
        match &mut self.poll {
            Poll::Idle => {}
            Poll::Sent { age } | Poll::Read { age, .. } | Poll::Halfway { age, .. } => *age = lease.min(*age + 1),
        }
        match &mut self.change {
            Change::None => {}
            Change::Prepared(wait) | Change::Committed(_, wait) | Change::Waiting(_, wait) => {
                wait.left = wait.left.saturating_sub(1);
            }
        }
    }
}
