//! What SQL has, what the deciding node holds, and what was promised.

/// Something that a decision needs and a change can take away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Right {
    /// The policy allows the audience.
    Audience,
    /// The organization is not suspended.
    Active,
    /// The signing key is in the ring.
    SigningKey,
    /// The member has the role.
    Role,
    /// The policy's limit allows one more key.
    Create,
}

/// A set of rights, a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rights(u8);

impl Rights {
    pub const ALL: Self = Self(0b1_1111);
    pub const NONE: Self = Self(0);

    pub fn has(self, right: Right) -> bool {
        self.0 & Self::bit(right) != 0
    }

    pub fn with(self, right: Right) -> Self {
        Self(self.0 | Self::bit(right))
    }

    pub fn without(self, right: Right) -> Self {
        Self(self.0 & !Self::bit(right))
    }

    fn bit(right: Right) -> u8 {
        1 << right as u8
    }
}

/// A change, and the request for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// Takes a right away. Repeated, it changes nothing and must be in force all the same when it is answered.
    Take(Right),
    /// Gives a right back.
    Give(Right),
    /// Ends the tokens of the key by a new generation.
    Rotate,
}

/// The number that a token carries, and its key's record has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Generation {
    pub epoch: u8,
    pub number: u8,
}

/// Everything that a decision reads, as SQL had it after change `seq`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reading {
    pub seq: u8,
    pub rights: Rights,
    pub generation: Generation,
}

impl Default for Reading {
    fn default() -> Self {
        Self { seq: 0, rights: Rights::ALL, generation: Generation::default() }
    }
}

/// The node that decides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Node {
    pub memory: Reading,
    /// Ticks until its lease ends; 0 is no lease.
    pub lease: u8,
    pub poll: Poll,
    /// A reading on its way into memory outside of a poll, as after a change of the node's own.
    pub reload: Option<Reading>,
    pub check: Check,
    /// Whether the signature of the token was verified here.
    pub has_verified: bool,
}

/// A poll; its age counts from before it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Poll {
    #[default]
    Idle,
    Sent {
        age: u8,
    },
    Read {
        age: u8,
        reading: Reading,
    },
}

/// A check; `owed` is what had been answered when it began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Check {
    #[default]
    None,
    /// Has seen a live lease.
    Leased { owed: Promise },
    /// Asks SQL.
    Asking { owed: Promise },
}

/// A change that is committed and not answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiting {
    pub change: Change,
    pub seq: u8,
    /// Ticks until no lease from before the commit can live.
    pub left: u8,
    /// Whether the token was minted before the commit.
    pub ends_token: bool,
}

/// What was answered, and so has to be in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Promise {
    pub taken: Rights,
    pub is_token_dead: bool,
}

impl Default for Promise {
    fn default() -> Self {
        Self { taken: Rights::NONE, is_token_dead: false }
    }
}
