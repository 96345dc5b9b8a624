//! State that all nodes share: the SQL database, which is authoritative, and the data in Redis.

/// Maximum number of incarnations of a node. Each has its own ID.
pub const LIVES: usize = 2;
/// Number of nodes.
pub const NODES: usize = 2;
/// Maximum number of changes.
const CHANGES: usize = 2;

/// The key's record, in SQL and in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    pub active: bool,
    pub generation: u8,
}

/// The effect of a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Revokes the key. Repeated, it changes nothing, but must be effective when it is confirmed.
    Revoke,
    /// Increases the generation, which invalidates earlier tokens.
    Rotate,
    /// Changes another key. It takes a number too.
    Other,
}

/// The change log. Each change locks the row of numbers, so its number is its index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Log([Option<Kind>; CHANGES]);

impl Log {
    /// Returns the number of the last change.
    pub fn last(&self) -> u8 {
        self.0.iter().flatten().map(|_| 1).sum()
    }

    /// Commits a change and returns its number, or that of the last change if there is nothing to change.
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

    /// Returns the record after all changes.
    pub fn record(&self) -> Record {
        self.record_at(self.last())
    }

    /// Returns the record after a change.
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

    /// Whether a change after one number and up to another affects the key.
    pub fn concerns_key(&self, after: u8, to: u8) -> bool {
        self.between(after, to).any(|kind| kind != Kind::Other)
    }

    fn between(&self, after: u8, to: u8) -> impl Iterator<Item = Kind> {
        self.0.iter().flatten().copied().take(usize::from(to)).skip(usize::from(after))
    }
}

/// SQL's response to a change.
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
    /// Removed, for this many ticks.
    Struck(u8),
}

/// Identifies an incarnation of a node.
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

/// A value for each ID.
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

/// The confirmed changes, which must be effective.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Promise {
    pub revoked: bool,
    pub generation: u8,
}

impl Promise {
    /// Adds a change that has just been confirmed.
    pub fn add(&mut self, commit: Commit, log: &Log) {
        let before = commit.seq.saturating_sub(1);
        match log.between(before, commit.seq).next() {
            _ if commit.is_repeat => self.revoked = true,
            Some(Kind::Revoke) => self.revoked = true,
            Some(Kind::Rotate) => self.generation = self.generation.max(log.record_at(commit.seq).generation),
            Some(Kind::Other) | None => {}
        }
    }

    /// Whether it forbids accepting a token of this generation.
    pub fn forbids(self, generation: u8) -> bool {
        self.revoked || generation < self.generation
    }
}
