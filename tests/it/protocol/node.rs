//! The memory of one node and its operations in progress.

use super::store::{Commit, Id, LIVES, Promise, Record};

/// A node. It follows, decides and changes concurrently, one step at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Node {
    pub standing: Standing,
    /// Its incarnation.
    pub life: u8,
    /// The key's record, if cached.
    pub memory: Option<Record>,
    /// The last change that it has applied.
    pub applied: u8,
    /// Ticks until its lease expires; 0 is no lease.
    pub lease: u8,
    pub poll: Poll,
    pub check: Check,
    pub change: Change,
}

/// Membership of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Standing {
    /// The process does not run.
    #[default]
    Down,
    /// Has noticed that it was removed and has not registered again: decides by SQL only.
    Out,
    /// Has registered.
    Member,
    /// Serves before it has registered; only in a mutant.
    Unlisted,
}

/// A poll; its age counts from before the request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Poll {
    #[default]
    Idle,
    Sent {
        age: u8,
    },
    /// SQL has read; the response is pending.
    Read {
        age: u8,
        seq: u8,
        is_member: bool,
    },
    /// The response is being applied: either memory or the lease is done.
    Halfway {
        age: u8,
        seq: u8,
    },
}

/// A check. `owed` are the changes that had been confirmed when it began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Check {
    #[default]
    None,
    /// Has seen a valid lease.
    Leased { owed: Promise },
    /// Has read memory before it checked the lease; only in a mutant.
    Recalled { owed: Promise, memory: Option<Record> },
    /// Reads SQL; `keep` is whether the response may be cached.
    Asking { owed: Promise, keep: bool },
    /// SQL has read; the response is pending.
    Read { owed: Promise, keep: bool, record: Record },
}

/// A change that was requested from this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Change {
    #[default]
    None,
    /// About to commit and already waiting; only in mutants.
    Prepared(Wait),
    /// SQL has committed; the response is pending.
    Committed(Commit, Wait),
    Waiting(Commit, Wait),
}

/// The conditions that a change waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Wait {
    /// Ticks until no lease from before the commit can be valid.
    pub left: u8,
    /// The registered nodes, after they were read.
    pub members: Option<Ids>,
}

/// A set of IDs, one bit each.
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
    /// Drops the key's record and invalidates its read. Returns whether a read was in progress.
    pub fn forget(&mut self) -> bool {
        self.memory = None;
        self.discard_fill()
    }

    /// Invalidates a read in progress. Returns whether there was one.
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
