//! Ways to get the protocol wrong. Each leaves out or turns round one thing, and the checker has to notice.

/// One mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A change is answered when it is committed.
    AnswerAtOnce,
    /// The members are read before the commit: who joins in between is not waited for, and may know the old state.
    MembersBeforeCommit,
    /// The wait counts from before the commit, so that a lease taken meanwhile outlives it.
    WaitFromBeforeCommit,
    /// The wait is as long as a lease, and no longer, though clocks go at different rates.
    NoMargin,
    /// A repeated revoke is answered at once, while the first is not in force yet.
    RepeatAnsweredAtOnce,
    /// A repeated revoke waits for the others, but does not drop what this node holds itself.
    RepeatNotAppliedHere,
    /// A change is not applied by the node that makes it.
    NotAppliedHere,
    /// The node that makes a change says that it has followed that far, and skips what others changed before.
    OwnChangeSkipsAhead,
    /// Memory is used without a lease.
    NoLeaseCheck,
    /// The lease counts from the arrival of the poll's answer instead of from before it was sent.
    LeaseFromArrival,
    /// The lease is taken before the changes are applied.
    LeaseBeforeApplying,
    /// Memory is read first and the lease looked at afterwards: it may be a new one, that of another memory.
    LeaseAfterMemory,
    /// Whatever was read from SQL goes into memory.
    NoFillGuard,
    /// A token of an older generation than the record's is accepted.
    GenerationAtMost,
    /// A node's row is deleted when it is given up, though its lease may be new.
    StruckRowDeletedAtOnce,
    /// A node that was given up is not waited for, though its lease may be new.
    StruckRowNotWaitedFor,
    /// A node enters itself after its first poll, and serves before that.
    JoinAfterFirstPoll,
    /// A node takes its row out and goes on serving for a while.
    LeaveBeforeStopping,
    /// A node that joins again goes on with what it held before.
    MemoryOutlivesRejoin,
    /// A node that joins again keeps what it began to read before it joined.
    FillOutlivesRejoin,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::AnswerAtOnce,
        Self::MembersBeforeCommit,
        Self::WaitFromBeforeCommit,
        Self::NoMargin,
        Self::RepeatAnsweredAtOnce,
        Self::RepeatNotAppliedHere,
        Self::NotAppliedHere,
        Self::OwnChangeSkipsAhead,
        Self::NoLeaseCheck,
        Self::LeaseFromArrival,
        Self::LeaseBeforeApplying,
        Self::LeaseAfterMemory,
        Self::NoFillGuard,
        Self::GenerationAtMost,
        Self::StruckRowDeletedAtOnce,
        Self::StruckRowNotWaitedFor,
        Self::JoinAfterFirstPoll,
        Self::LeaveBeforeStopping,
        Self::MemoryOutlivesRejoin,
        Self::FillOutlivesRejoin,
    ];
}
