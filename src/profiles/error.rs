//! Errors of changes to profiles and networks.

use crate::domain::authority::GrantExceeded;
use crate::domain::violation::Violation;
use crate::node::Unavailable;
use crate::store::Refused;

/// Reason why a change of a profile or a network was not made.
#[derive(Debug)]
pub enum ProfileError {
    NotFound,
    Invalid(Vec<Violation>),
    /// The keys that refer to it would have more rights than the caller.
    GrantExceeded(GrantExceeded),
    /// It has changed since the version that the caller expects.
    PreconditionFailed,
    /// The organization has the maximum number of them.
    LimitReached,
    /// Keys refer to it.
    HasKeys,
    /// Profiles refer to the network.
    HasProfiles,
    /// The state, or the caller, does not allow the change.
    Conflict(String),
    /// Other changes came first.
    Raced,
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for ProfileError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl ProfileError {
    /// Maps the rule that rejected a write. `Raced` means that the write can be tried again.
    pub(super) fn from_refused(refused: Refused) -> Self {
        match refused {
            Refused::LimitReached => Self::LimitReached,
            Refused::AlreadyExists => Self::Invalid(vec![Violation::new("name", "the name is already in use")]),
            Refused::HasKeys => Self::HasKeys,
            Refused::HasProfiles => Self::HasProfiles,
            Refused::VersionConflict
            | Refused::PolicyChanged
            | Refused::Repeated
            | Refused::OwnerGone
            | Refused::CustomerGone
            | Refused::ReferencesChanged
            | Refused::LastOwner => Self::Raced,
        }
    }
}
