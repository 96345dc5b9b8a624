//! Errors of changes to members.

use crate::domain::authority::GrantExceeded;
use crate::domain::violation::{Violation, ViolationKind};
use crate::node::{ChangeError, Unavailable};
use crate::store::Refused;

/// Reason why a change of a member was not made.
#[derive(Debug)]
pub enum MemberError {
    /// The member does not exist, or is not visible to the caller.
    NotFound,
    Invalid(Vec<Violation>),
    /// The caller cannot grant or remove this role.
    GrantExceeded(GrantExceeded),
    /// The member has changed since the version that the caller expects.
    PreconditionFailed,
    /// The current state does not allow the change.
    Conflict(String),
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for MemberError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl MemberError {
    /// Maps the error of a write; `version` is the version that the caller expects.
    pub(super) fn from_change(error: ChangeError, version: Option<u64>) -> Self {
        let refused = match error {
            ChangeError::Refused(refused) => refused,
            ChangeError::Unavailable(cause) => return Self::Unavailable(cause),
        };
        match refused {
            Refused::VersionConflict if version.is_some() => Self::PreconditionFailed,
            Refused::VersionConflict => {
                Self::Conflict("someone else changed this member at the same time; reload and try again".into())
            }
            Refused::AlreadyExists => {
                Self::Invalid(vec![Violation::new("email", "a member with this email already exists")])
            }
            Refused::LastOwner => {
                Self::Conflict("an organization needs at least one owner; make someone else an owner first".into())
            }
            Refused::LimitReached
            | Refused::PolicyChanged
            | Refused::Repeated
            | Refused::OwnerGone
            | Refused::CustomerGone
            | Refused::ReferencesChanged
            | Refused::HasProfiles
            | Refused::HasKeys => Self::Unavailable(Unavailable::Lost),
        }
    }

    /// Creates an error of one field.
    pub(super) fn field(field: &str, message: impl Into<ViolationKind>) -> Self {
        Self::Invalid(vec![Violation::new(field, message)])
    }
}
