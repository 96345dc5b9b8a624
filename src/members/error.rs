//! Why something was not done to a member.

use crate::domain::authority::GrantExceeded;
use crate::domain::violation::{Violation, ViolationKind};
use crate::node::{ChangeError, Unavailable};
use crate::store::Refused;

/// Why something was not done to a member.
#[derive(Debug)]
pub enum MemberError {
    /// No such member, or none that this caller may see.
    NotFound,
    /// Fields that are not as they should be.
    Invalid(Vec<Violation>),
    /// Giving or taking a role that is more than the caller holds.
    GrantExceeded(GrantExceeded),
    /// The member was changed since the version that the caller saw.
    PreconditionFailed,
    /// The present state does not allow it.
    Conflict(String),
    /// It could not be done now.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for MemberError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl MemberError {
    /// Why a member was not written; `version` is the one that the caller expected.
    pub(super) fn not_changed(error: ChangeError, version: Option<u64>) -> Self {
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
            Refused::LimitReached | Refused::PolicyChanged | Refused::Repeated | Refused::OwnerGone => {
                Self::Unavailable(Unavailable::Lost)
            }
        }
    }

    /// One field that is not as it should be.
    pub(super) fn field(field: &str, message: impl Into<ViolationKind>) -> Self {
        Self::Invalid(vec![Violation::new(field, message)])
    }
}
