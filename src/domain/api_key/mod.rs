//! API keys: records and states.

use serde::{Deserialize, Serialize};

use crate::domain::customer::CustomerId;
use crate::domain::grants::Grants;
use crate::domain::key_text::{KeyId, KeyPrefix};
use crate::domain::member::MemberId;
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

mod difference;
#[cfg(test)]
pub(crate) mod tests;
mod transitions;

pub use difference::{Access, Difference, Direction};
pub use transitions::{Edit, Rotation, TransitionRefused};

/// An API key as stored. The secret itself is never stored.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiKey {
    /// Also the OAuth `client_id`.
    pub id: KeyId,
    pub organization: Slug,
    /// Prefix of the key's secret.
    pub prefix: KeyPrefix,
    /// Can be empty if the policy allows it.
    pub name: String,
    pub description: String,
    /// Pairs that the operator stores with the key.
    pub metadata: Metadata,
    /// `None` if the key belongs to a customer or to the organization.
    pub owner: Option<MemberId>,
    /// Whom the key is given to. A key with a customer has no owner.
    pub customer: Option<CustomerId>,
    /// Name of the profile that limits the key. If `grants` is empty, the key has all that the profile grants.
    pub profile: Option<Slug>,
    pub grants: Grants,
    pub networks: Networks,
    /// Names of further networks that the key can be used from.
    pub named_networks: Vec<Slug>,
    /// No expiry if `None`.
    pub expires_at: Option<Timestamp>,
    /// Stored state; see [`ApiKey::status`] for the effective one.
    pub lifecycle: Lifecycle,
    /// Increases if tokens issued before must become invalid.
    pub generation: u64,
    /// Increases with every rotation. A token carries the version of the secret that it was issued for.
    pub secret_version: u64,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    /// Verifier of the current secret.
    pub secret: SecretVerifier,
    /// The secret before the last rotation, during its grace period.
    pub previous: Option<PreviousSecret>,
    /// Prefix and last four characters of the secret, to recognize it by.
    pub hint: String,
    pub created_at: Timestamp,
    /// An actor as in the audit log: `key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`.
    pub created_by: String,
    pub rotated_at: Option<Timestamp>,
    /// Time of the last request with an authentic secret or token, also if it was denied for a scope or an audience.
    pub last_used_at: Option<Timestamp>,
    /// Client address of that request.
    pub last_used_ip: Option<String>,
}

/// Stored state of a key. Expiry is not stored; it follows from the clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lifecycle {
    Active,
    Disabled { at: Timestamp },
    Revoked { at: Timestamp, reason: Option<String> },
}

/// Effective state of a key at a moment, as the API shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Active,
    Expired,
    Disabled,
    Revoked,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Active, Self::Expired, Self::Disabled, Self::Revoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// Two one-way digests to check a secret against.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretVerifier {
    /// Argon2id PHC string, or its placeholder until the hash is computed (`crypto/durable_verifier.rs`); independent of the
    /// master key.
    pub phc: String,
    /// Keyed digest, checked in a microsecond. Without it, Argon2id decides.
    pub fast: Option<FastVerifier>,
}

impl std::fmt::Debug for SecretVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretVerifier(..)")
    }
}

/// `HMAC-SHA256(pepper, id || secret)` and the ID of its pepper.
#[derive(Clone, PartialEq, Eq)]
pub struct FastVerifier {
    /// ID of the master key that the pepper is derived from.
    pub pepper: String,
    pub digest: [u8; 32],
}

impl std::fmt::Debug for FastVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FastVerifier({}, ..)", self.pepper)
    }
}

/// The secret before a rotation, which stays valid during its grace period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousSecret {
    pub secret: SecretVerifier,
    /// Prefix and last four characters of the secret.
    pub hint: String,
    /// Exclusive.
    pub until: Timestamp,
    /// Time of the last use after the rotation.
    pub last_used_at: Option<Timestamp>,
    pub last_used_ip: Option<String>,
}

impl PreviousSecret {
    /// Creates a previous secret that has not been used since the rotation.
    pub fn new(secret: SecretVerifier, hint: String, until: Timestamp) -> Self {
        Self { secret, hint, until, last_used_at: None, last_used_ip: None }
    }
}
