//! The state of SQL and of the deciding node, and the confirmed changes.

/// A right that a decision needs and that a change can remove.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Right {
    /// The policy allows the audience.
    Audience,
    /// The organization is active.
    Active,
    /// The signing key is in the ring.
    SigningKey,
    /// The member has the role.
    Role,
    /// The policy's limit allows one more key.
    Create,
    /// The API of the token exists with its audience, and has its scopes.
    Api,
    /// The customer of the key is not suspended.
    Customer,
    /// The profile of the key allows the client's network and the token's age. Its scopes are compared like those of an API.
    Profile,
}

/// A set of rights, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rights(u8);

impl Rights {
    pub const ALL: Self = Self(0b1111_1111);
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
    /// Removes a right. Repeated, it changes nothing, but must be effective when it is confirmed.
    Take(Right),
    /// Gives a right back.
    Give(Right),
    /// Invalidates the tokens of the key with a new generation.
    Rotate,
}

/// The number in a token and in its key's record. The generation of the key's customer, which a suspension increases, counts
/// as a part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Generation {
    pub epoch: u8,
    pub number: u8,
}

/// All inputs of a decision, as SQL had them after change `seq`.
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

/// The deciding node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Node {
    pub memory: Reading,
    /// Ticks until its lease expires; 0 is no lease.
    pub lease: u8,
    pub poll: Poll,
    /// A read on its way into memory outside of a poll, for example after a change of this node.
    pub reload: Option<Reading>,
    pub check: Check,
    /// Whether the token's signature was verified on this node.
    pub has_verified: bool,
    /// The state in which the token's scopes were last found within those of its APIs.
    pub within_at: Option<u8>,
}

/// A poll; its age counts from before the request.
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

/// A check; `owed` are the changes that had been confirmed when it began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Check {
    #[default]
    None,
    /// Has seen a valid lease.
    Leased { owed: Promise },
    /// Reads SQL.
    Asking { owed: Promise },
}

/// A change that is committed and not confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiting {
    pub change: Change,
    pub seq: u8,
    /// Ticks until no lease from before the commit can be valid.
    pub left: u8,
    /// Whether the token was issued before the commit.
    pub ends_token: bool,
}

/// The confirmed changes, which must be effective.
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
