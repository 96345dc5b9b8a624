//! Mistakes in the protocol. Each leaves out or reverses one thing, and the checker must detect it.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A change is confirmed when it is committed.
    AnswerAtOnce,
    /// The registered nodes are read before the commit: a node that joins in between is not waited for, and may have
    /// the old state.
    MembersBeforeCommit,
    /// The wait starts before the commit, so a lease that is taken meanwhile outlives it.
    WaitFromBeforeCommit,
    /// The wait has no margin beyond the lease, although clocks run at different rates.
    NoMargin,
    /// A repeated revoke is confirmed immediately, while the first is not effective yet.
    RepeatAnsweredAtOnce,
    /// A repeated revoke waits for other nodes, but does not drop this node's own record.
    RepeatNotAppliedHere,
    /// A change is not applied by the node that makes it.
    NotAppliedHere,
    /// The node that makes a change reports it as applied, and skips earlier changes of other nodes.
    OwnChangeSkipsAhead,
    /// Memory is used without a lease.
    NoLeaseCheck,
    /// The lease starts at the poll's response instead of before its request.
    LeaseFromArrival,
    /// The lease is taken before the changes are applied.
    LeaseBeforeApplying,
    /// Memory is read before the lease is checked: the lease may be a new one, for another memory.
    LeaseAfterMemory,
    /// Every read from SQL is cached.
    NoFillGuard,
    /// A token of an older generation than the record's is accepted.
    GenerationAtMost,
    /// A removed node's row is deleted although its lease may be valid.
    StruckRowDeletedAtOnce,
    /// A removed node is not waited for although its lease may be valid.
    StruckRowNotWaitedFor,
    /// A node registers after its first poll, and serves before that.
    JoinAfterFirstPoll,
    /// A node unregisters and continues to serve for a while.
    LeaveBeforeStopping,
    /// A node that registers again keeps its memory.
    MemoryOutlivesRejoin,
    /// A node that registers again caches a read from before its registration.
    FillOutlivesRejoin,
}

impl Mutant {
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
