//! Errors of changes to customers.

use crate::domain::violation::Violation;
use crate::node::{ChangeError, Unavailable};
use crate::store::Refused;

/// Reason why a change of a customer was not made.
#[derive(Debug)]
pub enum CustomerError {
    /// The customer does not exist, or was removed.
    NotFound,
    Invalid(Vec<Violation>),
    /// The customer has changed since the version that the caller expects.
    PreconditionFailed,
    /// The customer has keys that are neither revoked nor expired.
    HasKeys,
    /// Other changes came first.
    Raced,
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for CustomerError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl CustomerError {
    /// Maps the error of a write.
    pub(super) fn from_change(error: ChangeError) -> Self {
        match error {
            ChangeError::Unavailable(cause) => Self::Unavailable(cause),
            ChangeError::Refused(Refused::AlreadyExists) => {
                let message = "a customer with this external ID already exists";
                Self::Invalid(vec![Violation::new("external_id", message)])
            }
            ChangeError::Refused(Refused::HasKeys) => Self::HasKeys,
            ChangeError::Refused(Refused::VersionConflict) => Self::Raced,
            ChangeError::Refused(
                Refused::LimitReached
                | Refused::PolicyChanged
                | Refused::Repeated
                | Refused::OwnerGone
                | Refused::CustomerGone
                | Refused::ReferencesChanged
                | Refused::HasProfiles
                | Refused::LastOwner,
            ) => Self::Unavailable(Unavailable::Lost),
        }
    }
}
