//! What all nodes share: the SQL database, which is the truth, and what has reached Redis.

/// Incarnations that a node may have in one run. Each joins under an id of its own.
pub const LIVES: usize = 2;
/// Nodes.
pub const NODES: usize = 2;
/// Changes in one run.
const CHANGES: usize = 2;

/// The key's record, as SQL has it and as nodes hold it in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    pub active: bool,
    pub generation: u8,
}

/// What a change does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Ends the key. Asked for again it changes nothing, and must be in force all the same when it is answered.
    Revoke,
    /// Raises the generation: tokens of the one before are dead.
    Rotate,
    /// Concerns another key. It takes a number like any other.
    Other,
}

/// The change log. The row of numbers is locked by each change, so a change's number is its place here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Log([Option<Kind>; CHANGES]);

impl Log {
    /// The number of the last change.
    pub fn last(&self) -> u8 {
        self.0.iter().flatten().map(|_| 1).sum()
    }

    /// Commits a change and says its number, or that of the last change where there is nothing left to change.
    pub fn commit(&mut self, kind: Kind, limit: u8) -> Option<Commit> {
        let last = self.last();
        match kind {
            Kind::Revoke if !self.record().active => return Some(Commit { seq: last, is_repeat: true }),
            Kind::Rotate if !self.record().active => return None,
            Kind::Revoke | Kind::Rotate | Kind::Other => {}
        }
        if last >= limit {
            return None;
        }
        *self.0.get_mut(usize::from(last))? = Some(kind);
        Some(Commit { seq: last + 1, is_repeat: false })
    }

    /// The record after all changes.
    pub fn record(&self) -> Record {
        self.record_at(self.last())
    }

    /// The record after the change of that number.
    pub fn record_at(&self, seq: u8) -> Record {
        let mut record = Record { active: true, generation: 0 };
        for kind in self.between(0, seq) {
            match kind {
                Kind::Revoke => record.active = false,
                Kind::Rotate => record.generation += 1,
                Kind::Other => {}
            }
        }
        record
    }

    /// Whether one of the changes after one number and up to another concerns the key.
    pub fn concerns_key(&self, after: u8, to: u8) -> bool {
        self.between(after, to).any(|kind| kind != Kind::Other)
    }

    fn between(&self, after: u8, to: u8) -> impl Iterator<Item = Kind> {
        self.0.iter().flatten().copied().take(usize::from(to)).skip(usize::from(after))
    }
}

/// What SQL answers to a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Commit {
    pub seq: u8,
    pub is_repeat: bool,
}

/// A row of `nodes`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Row {
    #[default]
    Absent,
    Member,
    /// Given up, for so many ticks.
    Struck(u8),
}

/// The name of an incarnation of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id {
    pub node: usize,
    pub life: u8,
}

impl Id {
    pub fn all() -> impl Iterator<Item = Self> {
        (0..NODES).flat_map(|node| (0..LIVES as u8).map(move |life| Self { node, life }))
    }
}

/// Something kept for each id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ById<T>([[T; LIVES]; NODES]);

impl<T: Copy> ById<T> {
    pub fn of(&self, id: Id) -> T {
        self.0[id.node][usize::from(id.life)]
    }

    pub fn set(&mut self, id: Id, value: T) {
        self.0[id.node][usize::from(id.life)] = value;
    }
}

/// What was answered to those who asked for changes, and so has to be in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Promise {
    pub revoked: bool,
    pub generation: u8,
}

impl Promise {
    /// Adds the change that has just been answered.
    pub fn add(&mut self, commit: Commit, log: &Log) {
        let before = commit.seq.saturating_sub(1);
        match log.between(before, commit.seq).next() {
            _ if commit.is_repeat => self.revoked = true,
            Some(Kind::Revoke) => self.revoked = true,
            Some(Kind::Rotate) => self.generation = self.generation.max(log.record_at(commit.seq).generation),
            Some(Kind::Other) | None => {}
        }
    }

    /// Whether it forbids to accept a token of that generation.
    pub fn forbids(self, generation: u8) -> bool {
        self.revoked || generation < self.generation
    }
}
