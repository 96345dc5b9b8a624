//! The Argon2id PHC string of a minted secret, computed after the response.

use zeroize::Zeroizing;

use crate::crypto::argon2_gate::{Lane, Turn};
use crate::domain::key_text::{KeyId, Secret};
use crate::node::Node;

/// Replaces a pending verifier by its Argon2id PHC string, beside the requests. If the process ends first, the pending
/// verifier stays and is as good; the next use of the secret, on any node, has it replaced.
pub fn complete_verifier(node: &Node, key: &KeyId, pending: String, secret: &Secret) {
    let Some(pending_verifier) = node.pending_verifiers.begin(&pending) else { return };
    let secret = Zeroizing::new(secret.expose().to_owned());
    let (gate, store, list, key) = (node.gate.clone(), node.store.clone(), node.list.clone(), *key);
    node.run_deferrable(async move {
        let _pending_verifier = pending_verifier;
        // Another node, or another use of the same secret, may have been faster.
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
        let turn = Turn { lane: Lane::Background, share: vec![] };
        let completed = match gate.hash(turn, secret.as_bytes()).await {
            Ok(phc) => store.complete_verifier(&key, &pending, &phc).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match completed {
            Ok(()) => list.apply_key_change(&key),
            Err(error) => tracing::warn!(error, %key, "failed to complete a verifier"),
        }
    });
}
