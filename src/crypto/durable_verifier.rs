//! The verifier that does not depend on the master key: an Argon2id PHC string, or until that is computed, a pending
//! verifier `$sha256$v=1$salt$digest`.
//!
//! A salted SHA-256 is sufficient for generated secrets, because they are 256 random bits. Never use it for a password.

use aws_lc_rs::{constant_time, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::crypto::random::{self, RandomError};
use crate::domain::key_text::Secret;

const PENDING: &str = "$sha256$v=1$";

/// Creates the pending verifier of a generated secret.
pub fn pending(secret: &Secret) -> Result<String, RandomError> {
    let salt: [u8; 16] = random::bytes()?;
    let digest = salted(&salt, secret);
    Ok(format!("{PENDING}{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(digest)))
}

/// Whether the Argon2id PHC string has not been computed yet.
pub fn is_pending(verifier: &str) -> bool {
    verifier.starts_with(PENDING)
}

/// Compares a secret with a pending verifier in constant time; `None` if the verifier is not a valid pending one.
pub fn check_pending(verifier: &str, secret: &Secret) -> Option<bool> {
    let (salt, digest) = verifier.strip_prefix(PENDING)?.split_once('$')?;
    let (salt, digest) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(digest).ok()?);
    Some(constant_time::verify_slices_are_equal(salted(&salt, secret).as_ref(), &digest).is_ok())
}

fn salted(salt: &[u8], secret: &Secret) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(secret.expose().as_bytes());
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_text::{KeyId, KeyPrefix, KeyText};

    #[test]
    fn pending_verifier_matches_its_secret_only() {
        let text = |n| KeyText::new(KeyPrefix::default(), KeyId::from_random([n; 16]), [n; 32]);
        let (one, two) = (text(1), text(2));
        let verifier = pending(one.secret()).unwrap();
        assert!(is_pending(&verifier));
        assert_eq!(check_pending(&verifier, one.secret()), Some(true));
        assert_eq!(check_pending(&verifier, two.secret()), Some(false));
        assert_ne!(verifier, pending(one.secret()).unwrap(), "salts differ");
    }

    #[test]
    fn invalid_verifier_has_no_result() {
        let text = KeyText::new(KeyPrefix::default(), KeyId::from_random([1; 16]), [1; 32]);
        for other in ["", "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA", "$sha256$v=1$", "$sha256$v=1$!$!"] {
            assert_eq!(check_pending(other, text.secret()), None, "{other}");
        }
        assert_eq!(check_pending("$sha256$v=1$$", text.secret()), Some(false), "an empty digest fits nothing");
    }
}
