//! A new secret: its text, shown once, and the verifiers that stay.

use zeroize::Zeroizing;

use crate::crypto::argon2_gate::{Argon2Gate, GateError};
use crate::crypto::fast_verifier;
use crate::crypto::master_key::MasterKeys;
use crate::crypto::random::{self, RandomError};
use crate::domain::api_key::SecretVerifier;
use crate::domain::key_text::{KeyId, KeyPrefix, KeyText};

/// A new secret.
pub struct MintedKey {
    /// To be shown once.
    pub text: KeyText,
    /// To be stored.
    pub verifier: SecretVerifier,
}

/// Why no secret was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No hash.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Mints a secret, for a new id or one that there is.
pub async fn mint(
    gate: &Argon2Gate,
    keys: &MasterKeys,
    prefix: KeyPrefix,
    id: Option<KeyId>,
) -> Result<MintedKey, MintError> {
    let id = match id {
        Some(id) => id,
        None => KeyId::from_random(random::bytes()?),
    };
    let entropy: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes()?);
    let text = KeyText::new(prefix, id, *entropy);
    let phc = gate.hash(text.secret().expose().as_bytes()).await?;
    let fast = Some(fast_verifier::make(keys, &id, text.secret()));
    Ok(MintedKey { text, verifier: SecretVerifier { phc, fast } })
}
