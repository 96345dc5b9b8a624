//! The minted secrets whose Argon2id PHC string is being computed.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// Most secrets at once. One beyond it is completed at a later use.
const AT_ONCE: usize = 1024;

/// The pending verifiers that are being completed, each once however often its secret is used meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingVerifiers(Arc<Mutex<HashSet<String>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingVerifier {
    all: PendingVerifiers,
    pending: String,
}

impl PendingVerifiers {
    /// Begins with one; `None` if it has begun, or if there are enough.
    pub(crate) fn begin(&self, pending: &str) -> Option<PendingVerifier> {
        let mut all = self.0.lock();
        let has_begun = all.len() < AT_ONCE && !all.contains(pending) && all.insert(pending.to_owned());
        has_begun.then(|| PendingVerifier { all: self.clone(), pending: pending.to_owned() })
    }
}

impl Drop for PendingVerifier {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.pending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_begun_once_until_it_is_done() {
        let verifiers = PendingVerifiers::default();
        let first = verifiers.begin("one").unwrap();
        assert!(verifiers.begin("one").is_none());
        let _other = verifiers.begin("another").unwrap();
        drop(first);
        assert!(verifiers.begin("one").is_some());
    }

    #[test]
    fn there_is_a_most() {
        let verifiers = PendingVerifiers::default();
        let begun: Vec<_> = (0..1024).map(|n| verifiers.begin(&n.to_string()).unwrap()).collect();
        assert!(verifiers.begin("1024").is_none());
        drop(begun);
        assert!(verifiers.begin("1024").is_some());
    }
}
