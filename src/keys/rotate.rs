//! Rotating a key: a new secret under the same id.

use crate::crypto::mint::mint;
use crate::domain::api_key::{ApiKey, Rotation};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::policy::{Expiry, ProposedKey};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, load_to_change, may_hand_out, policy_of, refused, write};
use crate::keys::idempotency::IdempotentRequest;
use crate::keys::verifier::complete_verifier;
use crate::node::Node;
use crate::store::action;

/// What a rotation sets beside the secret.
#[derive(Clone, Debug, Default)]
pub struct RotateKey {
    /// A new name.
    pub name: Option<String>,
    /// A new expiry; `Some(None)` is none.
    pub expires_at: Option<Option<Timestamp>>,
    /// How long the old secret still works, in seconds.
    pub grace_seconds: u32,
}

/// Rotates a key and gives its new text, the only time that it is known; `once` lets the same request be sent again.
/// Of two rotations at the same time one succeeds.
pub async fn rotate(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    wish: RotateKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    let Some(once) = once else { return give_new_secret(node, organization, by, id, version, wish, None).await };
    if let Some(answer) = once.recall(node, organization, by).await? {
        return Ok(answer);
    }
    match give_new_secret(node, organization, by, id, version, wish, Some(once)).await {
        // Both may have read the version that was current before.
        Err(raced @ (KeyError::Repeated | KeyError::Conflict(_) | KeyError::PreconditionFailed)) => {
            once.recall(node, organization, by).await?.ok_or(raced)
        }
        done => done,
    }
}

async fn give_new_secret(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    wish: RotateKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    // 1. The key, and what the policy allows.
    let old = load_to_change(node, organization, by, id, version).await?;
    let policy = policy_of(node, organization).await?;
    let expiry = match wish.expires_at {
        Some(expires_at) => Expiry::Set { expires_at, since: by.now },
        None => Expiry::Kept(old.expires_at),
    };
    let wanted = ProposedKey {
        name: wish.name.as_deref(),
        expiry,
        grace_seconds: Some(wish.grace_seconds),
        ..ProposedKey::default()
    };
    let violations = policy.violations(&wanted, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }

    // 2. Whoever gets the new secret gets all that the key may do.
    let mut result = old.clone();
    result.expires_at = wish.expires_at.unwrap_or(old.expires_at);
    may_hand_out(by, &result)?;

    // 3. The new secret and the next state.
    let minted = mint(&node.master_keys, policy.key_prefix, Some(old.id))?;
    let rotation = Rotation {
        secret: minted.verifier,
        hint: minted.text.hint(),
        prefix: minted.text.prefix().clone(),
        name: wish.name,
        expires_at: wish.expires_at,
        grace_until: (wish.grace_seconds > 0).then(|| by.now.plus_seconds(i64::from(wish.grace_seconds))),
    };
    let new = old.clone().rotate(rotation, by.now).map_err(refused)?;

    // 4. The write.
    let remembered = once.map(|once| once.remember(node, by, id, &minted.text)).transpose()?;
    let new = write(node, by, action::KEY_ROTATE, &old, new, remembered.as_ref()).await?;
    complete_verifier(node, &new.id, new.secret.phc.clone(), minted.text.secret());
    Ok((new, minted.text))
}
