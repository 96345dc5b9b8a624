//! Errors of the portal.

use crate::customers::CustomerError;
use crate::domain::authority::GrantExceeded;
use crate::domain::member::Role;
use crate::domain::portal::Capability;
use crate::domain::violation::Violation;
use crate::keys::KeyError;
use crate::node::{ChangeError, Unavailable};

/// Reason why something in the portal, or a change of its settings, was not done.
#[derive(Debug)]
pub enum PortalError {
    /// The customer, the session or the organization does not exist.
    NotFound,
    Invalid(Vec<Violation>),
    /// The session could grant more than its creator can.
    GrantExceeded(GrantExceeded),
    /// The creator does not have this role.
    RoleRequired(Role),
    /// The customer is suspended.
    Suspended,
    /// The settings have changed since the version that the caller expects.
    PreconditionFailed,
    /// The customer, the creator or the settings were changed at the same time.
    Raced,
    /// The session does not have this capability.
    NotAllowed(Capability),
    /// A change of a key failed.
    Key(KeyError),
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for PortalError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<KeyError> for PortalError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unavailable(cause) => Self::Unavailable(cause),
            other => Self::Key(other),
        }
    }
}

impl From<CustomerError> for PortalError {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::Unavailable(cause) => Self::Unavailable(cause),
            CustomerError::Invalid(violations) => Self::Invalid(violations),
            CustomerError::NotFound => Self::NotFound,
            CustomerError::PreconditionFailed | CustomerError::HasKeys | CustomerError::Raced => Self::Raced,
        }
    }
}

impl PortalError {
    /// Maps the error of a write.
    pub(super) fn from_change(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(_) => Self::Raced,
            ChangeError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}
