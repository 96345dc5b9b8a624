//! Generates a secret: its text, which is shown once, and its stored verifiers.

use zeroize::Zeroizing;

use crate::crypto::durable_verifier;
use crate::crypto::fast_verifier;
use crate::crypto::master_key::MasterKeys;
use crate::crypto::random::{self, RandomError};
use crate::domain::api_key::SecretVerifier;
use crate::domain::key_text::{KeyId, KeyPrefix, KeyText};

pub struct MintedKey {
    pub text: KeyText,
    pub verifier: SecretVerifier,
}

/// Generates a secret for a new or existing key ID. Nothing slow is computed: the Argon2id PHC string replaces the
/// pending verifier after the response (`docs/decisions/0012-verifiers-of-minted-secrets.md`).
pub fn mint(keys: &MasterKeys, prefix: KeyPrefix, id: Option<KeyId>) -> Result<MintedKey, RandomError> {
    let id = match id {
        Some(id) => id,
        None => KeyId::from_random(random::bytes()?),
    };
    let entropy: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes()?);
    let text = KeyText::new(prefix, id, *entropy);
    let phc = durable_verifier::pending(text.secret())?;
    let fast = Some(fast_verifier::make(keys, &id, text.secret()));
    Ok(MintedKey { text, verifier: SecretVerifier { phc, fast } })
}
