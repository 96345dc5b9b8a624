//! Why a node cannot decide now.

use crate::crypto::argon2_gate::GateError;
use crate::crypto::random::RandomError;
use crate::domain::slug::Slug;
use crate::node::changes::ChangeError;
use crate::node::load::LoadError;
use crate::signing::SigningError;
use crate::store::StoreError;

/// Something that keeps a node from deciding. The caller is told to come back, never yes.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Too much is being hashed.
    #[error("too many secrets are being hashed")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Hashing.
    #[error("{0}")]
    Hashing(GateError),
    /// An organization that has no key to sign with.
    #[error("organization {0} has no signing key in use")]
    NoSigningKey(Slug),
    /// An organization's signing keys cannot be read.
    #[error("an organization could not be loaded: {0}")]
    Organization(LoadError),
    /// Sealing.
    #[error("a value could not be sealed")]
    Sealing,
    /// Other changes of the same key came first each time.
    #[error("the key was changed at the same time by others each time; nothing was done")]
    Contended,
    /// The task that ran a change ended without a result.
    #[error("a change ended without a result; whether it was made must be looked up")]
    Lost,
}

impl From<ChangeError> for Unavailable {
    /// For changes that no rule refuses.
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unavailable(cause) => cause,
            ChangeError::Refused(_) => Self::Lost,
        }
    }
}

impl From<LoadError> for Unavailable {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => Self::Store(error),
            unreadable @ (LoadError::Seal(..) | LoadError::Signing(_) | LoadError::Algorithm(_)) => {
                Self::Organization(unreadable)
            }
        }
    }
}

impl From<GateError> for Unavailable {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Busy => Self::Busy,
            broken @ GateError::Broken(_) => Self::Hashing(broken),
        }
    }
}
