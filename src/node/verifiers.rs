//! The minted secrets whose Argon2id PHC string is being computed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::key_text::KeyId;

/// Most keys at once. A key beyond it is completed at a later use.
const AT_ONCE: usize = 1024;

/// The keys whose verifiers are being completed, each once however often its secret is used meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingVerifiers(Arc<Mutex<HashSet<KeyId>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingVerifier {
    all: PendingVerifiers,
    key: KeyId,
}

impl PendingVerifiers {
    /// Begins with a key; `None` if it has begun, or if there are enough.
    pub(crate) fn begin(&self, key: &KeyId) -> Option<PendingVerifier> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_begun = keys.len() < AT_ONCE && keys.insert(*key);
        has_begun.then(|| PendingVerifier { all: self.clone(), key: *key })
    }
}

impl Drop for PendingVerifier {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u16) -> KeyId {
        let mut bytes = [0; 16];
        for (byte, digit) in bytes.iter_mut().zip([n % 62, n / 62 % 62, n / 3844]) {
            *byte = u8::try_from(digit).unwrap();
        }
        KeyId::from_random(bytes)
    }

    #[test]
    fn a_key_is_begun_once_until_it_is_done() {
        let verifiers = PendingVerifiers::default();
        let first = verifiers.begin(&key(1)).unwrap();
        assert!(verifiers.begin(&key(1)).is_none());
        let _other = verifiers.begin(&key(2)).unwrap();
        drop(first);
        assert!(verifiers.begin(&key(1)).is_some());
    }

    #[test]
    fn there_is_a_most() {
        let verifiers = PendingVerifiers::default();
        let begun: Vec<_> = (0..1024).map(|n| verifiers.begin(&key(n)).unwrap()).collect();
        assert!(verifiers.begin(&key(1024)).is_none());
        drop(begun);
        assert!(verifiers.begin(&key(1024)).is_some());
    }
}
