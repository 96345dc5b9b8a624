//! Compares a presented secret with a key's verifiers.

use std::sync::Arc;

use crate::crypto::argon2_gate::{Lane, Verified};
use crate::crypto::durable_verifier;
use crate::crypto::fast_verifier::{self, FastMatch};
use crate::domain::api_key::{ApiKey, SecretVerifier};
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::key_text::{KeyId, Secret};
use crate::domain::timestamp::Timestamp;
use crate::keys;
use crate::node::Node;
use crate::verification::{Secrets, Unavailable};

impl Secrets for Node {
    /// Takes a microsecond, unless a verifier's pepper is retired: then Argon2 decides once, in a fair queue, and a new
    /// fast verifier is written.
    async fn check_secret(
        &self,
        key: &Arc<ApiKey>,
        secret: &Secret,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<SecretMatch, Unavailable> {
        match fast_check(self, key, secret, now) {
            FastCheck::Match(matched) => {
                complete_pending(self, key, secret, matched);
                Ok(matched)
            }
            // Boxed, as everything that is rare on the way to a token: a request's future is copied several times.
            FastCheck::Undecided => Box::pin(slow_check(self, key, secret, address, now)).await,
        }
    }

    fn check_unknown(&self, id: &KeyId, secret: &Secret) {
        fast_verifier::check_nothing(&self.master_keys, id, secret);
    }

    async fn keep_use(&self, key: &ApiKey, address: ClientAddress, now: Timestamp) {
        if self.is_rare_use(key, now) {
            Box::pin(self.write_rare_use(key, address, now)).await;
        }
    }
}

/// Starts computing the Argon2id PHC string if an earlier run or another node did not.
fn complete_pending(node: &Node, key: &ApiKey, secret: &Secret, matched: SecretMatch) {
    let verifier = match matched {
        SecretMatch::Current => Some(&key.secret),
        SecretMatch::Previous => key.previous.as_ref().map(|previous| &previous.secret),
        SecretMatch::None => None,
    };
    if let Some(verifier) = verifier.filter(|verifier| durable_verifier::is_pending(&verifier.phc)) {
        keys::complete_verifier(node, &key.id, verifier.phc.clone(), secret);
    }
}

/// Returns which of the key's secrets this is by the fast verifiers alone, without any effect. `None` if only Argon2 could
/// decide.
pub(super) fn compare_only(node: &Node, key: &ApiKey, secret: &Secret, now: Timestamp) -> Option<SecretMatch> {
    match fast_check(node, key, secret, now) {
        FastCheck::Match(matched) => Some(matched),
        FastCheck::Undecided => None,
    }
}

enum FastCheck {
    Match(SecretMatch),
    Undecided,
}

fn fast_check(node: &Node, key: &ApiKey, secret: &Secret, now: Timestamp) -> FastCheck {
    let current = compare(node, key, &key.secret, secret);
    if current == FastMatch::Yes {
        return FastCheck::Match(SecretMatch::Current);
    }
    let previous = match &key.previous {
        Some(previous) if now < previous.until => compare(node, key, &previous.secret, secret),
        _ => FastMatch::No,
    };
    match (current, previous) {
        (_, FastMatch::Yes) => FastCheck::Match(SecretMatch::Previous),
        (FastMatch::No, FastMatch::No) => FastCheck::Match(SecretMatch::None),
        _ => FastCheck::Undecided,
    }
}

fn compare(node: &Node, key: &ApiKey, verifier: &SecretVerifier, secret: &Secret) -> FastMatch {
    verifier
        .fast
        .as_ref()
        .map_or(FastMatch::PepperRetired, |fast| fast_verifier::check(&node.master_keys, fast, &key.id, secret))
}

/// Returns whether the fast verifier beside this PHC string was written after the record was read, and matches.
async fn fits_by_now(node: &Node, key: &ApiKey, phc: &str, secret: &Secret) -> Result<bool, Unavailable> {
    let Some(key) = node.record(&key.id).await? else { return Ok(false) };
    let verifiers = [Some(&key.secret), key.previous.as_ref().map(|previous| &previous.secret)];
    let verifier = verifiers.into_iter().flatten().find(|verifier| verifier.phc == phc);
    Ok(verifier.is_some_and(|verifier| compare(node, &key, verifier, secret) == FastMatch::Yes))
}

async fn slow_check(
    node: &Node,
    key: &ApiKey,
    secret: &Secret,
    address: ClientAddress,
    now: Timestamp,
) -> Result<SecretMatch, Unavailable> {
    let previous = key.previous.as_ref().filter(|previous| now < previous.until);
    let candidates =
        [(SecretMatch::Current, Some(&key.secret)), (SecretMatch::Previous, previous.map(|previous| &previous.secret))];
    for (matched, verifier) in candidates {
        let Some(verifier) = verifier else { continue };
        if compare(node, key, verifier, secret) == FastMatch::No {
            continue;
        }
        let question = node.gate.shared_check(secret.expose().as_bytes(), &verifier.phc);
        let Verified { is_match, is_shared } = match durable_verifier::check_pending(&verifier.phc, secret) {
            Some(is_match) => Verified { is_match, is_shared: false },
            None => {
                // The shared check is held until the fast verifier is written, so later requests find one of the two.
                if fits_by_now(node, key, &verifier.phc, secret).await? {
                    return Ok(matched);
                }
                let turn = node.unauthenticated_queue(Lane::KeyCheck, address, key.id.as_str());
                let verified = node.gate.verify_shared(turn, &question).await?;
                if !verified.is_shared {
                    node.metrics.slow_check();
                }
                verified
            }
        };
        if !is_match {
            continue;
        }
        if !is_shared {
            // From now on it is fast again. If that cannot be written, the secret is right all the same.
            let fast = fast_verifier::make(&node.master_keys, &key.id, secret);
            let (store, id, phc) = (node.store.clone(), key.id, verifier.phc.clone());
            let refresh = async move { Ok(store.refresh_fast_verifier(&id, &phc, &fast).await?) };
            if let Err(error) = node.run_to_end::<(), Unavailable>(refresh).await {
                tracing::error!(%error, key = %key.id, "failed to write a fast verifier");
            }
            node.forget_key(&key.id);
        }
        drop(question);
        return Ok(matched);
    }
    Ok(SecretMatch::None)
}
