//! Computes the Argon2id PHC string of a new secret after the response.

use zeroize::Zeroizing;

use crate::crypto::argon2_gate::{Lane, QueueKey};
use crate::domain::key_text::{KeyId, Secret};
use crate::node::Node;

/// Replaces a pending verifier with its Argon2id PHC string in the background. If the process ends first, the pending
/// verifier remains valid and is replaced at the next use of the secret on any node.
pub fn complete_verifier(node: &Node, key: &KeyId, pending: String, secret: &Secret) {
    let Some(pending_verifier) = node.pending_verifiers.start(&pending) else { return };
    let secret = Zeroizing::new(secret.expose().to_owned());
    let (gate, store, list, key) = (node.gate.clone(), node.store.clone(), node.memory.list.clone(), *key);
    node.spawn_deferrable(async move {
        let _pending_verifier = pending_verifier;
        // Another node, or another use of the same secret, may have completed it.
        match store.key(&key).await {
            Ok(Some(stored)) => {
                let previous = stored.previous.as_ref().map(|previous| &previous.secret.phc);
                if stored.secret.phc != pending && previous != Some(&pending) {
                    return list.apply_key_change(&key);
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::warn!(%error, %key, "failed to complete a verifier"),
        }
        let queue = QueueKey { lane: Lane::Background, share: vec![] };
        let completed = match gate.hash(queue, secret.as_bytes()).await {
            Ok(phc) => store.complete_verifier(&key, &pending, &phc).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match completed {
            Ok(()) => list.apply_key_change(&key),
            Err(error) => tracing::warn!(error, %key, "failed to complete a verifier"),
        }
    });
}
