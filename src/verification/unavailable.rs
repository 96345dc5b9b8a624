//! Reasons why nothing can be decided.

use crate::crypto::argon2_gate::GateError;
use crate::crypto::random::RandomError;
use crate::crypto::sealing::SealError;
use crate::domain::slug::Slug;
use crate::signing::SigningError;
use crate::store::StoreError;

/// A failure that prevents a decision. Fails closed: the caller gets 503.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Too many secrets are being hashed.
    #[error("too many secrets are being hashed")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("{0}")]
    Hashing(GateError),
    /// The organization has no active signing key.
    #[error("organization {0} has no signing key in use")]
    NoSigningKey(Slug),
    /// The organization's signing keys cannot be decrypted.
    #[error("an organization could not be loaded: {0}")]
    Organization(LoadError),
    #[error("a value could not be sealed")]
    Sealing,
    /// Concurrent changes of the same key came first at every attempt.
    #[error("concurrent changes of the key came first at every attempt; nothing was changed")]
    Contended,
    /// The task of a change ended without a result.
    #[error("a change ended without a result; check whether it was made")]
    Lost,
}

/// Reason why an organization could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("signing key {0}: {1}")]
    Seal(String, #[source] SealError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// This version does not support the signing key's algorithm.
    #[error("signing key {0} has an unknown algorithm")]
    Algorithm(String),
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
