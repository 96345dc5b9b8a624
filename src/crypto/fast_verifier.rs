//! The fast verifier, `HMAC-SHA256(pepper, id || secret)`. It is safe because secrets are 256 random bits.

use aws_lc_rs::{constant_time, hmac};

use crate::crypto::master_key::{MasterKey, MasterKeys};
use crate::domain::api_key::FastVerifier;
use crate::domain::key_text::{KeyId, Secret};

/// Result of comparing a secret with a fast verifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FastMatch {
    Yes,
    No,
    /// The pepper's master key is no longer configured, so only Argon2 can decide.
    PepperRetired,
}

/// Creates the verifier of a key's secret with the current master key.
pub fn make(keys: &MasterKeys, id: &KeyId, secret: &Secret) -> FastVerifier {
    let master = keys.current();
    FastVerifier { pepper: master.id().to_owned(), digest: digest(master, id, secret) }
}

/// Compares a secret with a verifier in constant time.
pub fn check(keys: &MasterKeys, verifier: &FastVerifier, id: &KeyId, secret: &Secret) -> FastMatch {
    let Some(master) = keys.find(&verifier.pepper) else { return FastMatch::PepperRetired };
    match constant_time::verify_slices_are_equal(&digest(master, id, secret), &verifier.digest) {
        Ok(()) => FastMatch::Yes,
        Err(_) => FastMatch::No,
    }
}

/// Takes as long as [`check`], for a key that does not exist.
pub fn check_nothing(keys: &MasterKeys, id: &KeyId, secret: &Secret) {
    let nothing = [0; 32];
    std::hint::black_box(constant_time::verify_slices_are_equal(&digest(keys.current(), id, secret), &nothing).is_ok());
}

fn digest(master: &MasterKey, id: &KeyId, secret: &Secret) -> [u8; 32] {
    let mut context = hmac::Context::with_key(master.pepper());
    context.update(id.as_str().as_bytes());
    context.update(secret.expose().as_bytes());
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_text::{KeyPrefix, KeyText};
    use zeroize::Zeroizing;

    #[test]
    fn verifier_matches_its_key_secret_and_pepper_only() {
        let old = MasterKeys::derive(&[Zeroizing::new([1; 32])]).unwrap();
        let both = MasterKeys::derive(&[Zeroizing::new([2; 32]), Zeroizing::new([1; 32])]).unwrap();
        let new = MasterKeys::derive(&[Zeroizing::new([2; 32])]).unwrap();
        let text = |n| KeyText::new(KeyPrefix::default(), KeyId::from_random([n; 16]), [n; 32]);
        let (one, two) = (text(1), text(2));
        let verifier = make(&old, &one.id(), one.secret());
        assert_eq!(check(&old, &verifier, &one.id(), one.secret()), FastMatch::Yes);
        assert_eq!(check(&both, &verifier, &one.id(), one.secret()), FastMatch::Yes);
        assert_eq!(check(&old, &verifier, &one.id(), two.secret()), FastMatch::No);
        assert_eq!(check(&old, &verifier, &two.id(), one.secret()), FastMatch::No);
        assert_eq!(check(&new, &verifier, &one.id(), one.secret()), FastMatch::PepperRetired);
    }
}
