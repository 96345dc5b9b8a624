//! New secrets whose Argon2id PHC string is being computed.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// Maximum number of computations. Further secrets are completed at a later use.
const MAX_PENDING: usize = 1024;

/// The pending verifiers that are being completed, each only once.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingVerifiers(Arc<Mutex<HashSet<String>>>);

/// A computation in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingVerifier {
    all: PendingVerifiers,
    pending: String,
}

impl PendingVerifiers {
    /// Starts a computation. Returns `None` if it is in progress or there are too many.
    pub(crate) fn start(&self, pending: &str) -> Option<PendingVerifier> {
        let mut all = self.0.lock();
        let is_started = all.len() < MAX_PENDING && !all.contains(pending) && all.insert(pending.to_owned());
        is_started.then(|| PendingVerifier { all: self.clone(), pending: pending.to_owned() })
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
    fn verifier_is_started_once() {
        let verifiers = PendingVerifiers::default();
        let first = verifiers.start("one").unwrap();
        assert!(verifiers.start("one").is_none());
        let _other = verifiers.start("another").unwrap();
        drop(first);
        assert!(verifiers.start("one").is_some());
    }

    #[test]
    fn number_is_bounded() {
        let verifiers = PendingVerifiers::default();
        let started: Vec<_> = (0..1024).map(|n| verifiers.start(&n.to_string()).unwrap()).collect();
        assert!(verifiers.start("1024").is_none());
        drop(started);
        assert!(verifiers.start("1024").is_some());
    }
}
