//! Rotates a key: a new secret under the same ID.

use crate::crypto::mint::mint;
use crate::domain::api_key::{ApiKey, Rotation};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::policy::{Expiry, ProposedKey};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, TRIES, check_grant, load_to_change, refused, tenant_of, write};
use crate::keys::idempotency::IdempotentRequest;
use crate::keys::verifier::complete_verifier;
use crate::node::Node;
use crate::store::action;

/// Fields that a rotation sets.
#[derive(Clone, Debug, Default)]
pub struct RotateKey {
    pub name: Option<String>,
    /// `Some(None)` removes the expiry.
    pub expires_at: Option<Option<Timestamp>>,
    /// How long the old secret stays valid.
    pub grace_seconds: u32,
}

/// Rotates a key. Returns its new secret, which is not available later. With `once` the request can be repeated. Of two
/// concurrent rotations only one succeeds.
pub async fn rotate(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    request: RotateKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    let Some(once) = once else { return rotate_checked(node, organization, by, id, version, &request, None).await };
    if let Some(response) = once.previous_response(node, organization, by).await? {
        return Ok(response);
    }
    match rotate_checked(node, organization, by, id, version, &request, Some(once)).await {
        // Both requests may have read the previous version.
        Err(raced @ (KeyError::Repeated | KeyError::Conflict(_) | KeyError::PreconditionFailed)) => {
            once.previous_response(node, organization, by).await?.ok_or(raced)
        }
        result => result,
    }
}

/// Rotates a key, and checks it again if what it refers to was changed before it was written.
async fn rotate_checked(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    request: &RotateKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    for _ in 0..TRIES {
        match replace_secret(node, organization, by, id, version, request.clone(), once).await {
            Err(KeyError::ReferencesChanged) => {}
            result => return result,
        }
    }
    Err(KeyError::ReferencesChanged)
}

async fn replace_secret(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    request: RotateKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    // 1. The key and the policy.
    let old = load_to_change(node, organization, by, id, version).await?;
    let tenant = tenant_of(node, organization).await?;
    let policy = &tenant.organization.policy;
    let expiry = match request.expires_at {
        Some(expires_at) => Expiry::Set { expires_at, since: by.now },
        None => Expiry::Kept(old.expires_at),
    };
    let proposed = ProposedKey {
        name: request.name.as_deref(),
        expiry,
        grace_seconds: Some(request.grace_seconds),
        ..ProposedKey::default()
    };
    let violations = policy.violations(&proposed, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }

    // 2. The caller's rights: the recipient of the new secret has all rights of the key.
    let mut result = old.clone();
    result.expires_at = request.expires_at.unwrap_or(old.expires_at);
    check_grant(by, &tenant.shared, &result)?;

    // 3. The new secret and the next state.
    let minted = mint(&node.master_keys, policy.key_prefix.clone(), Some(old.id))?;
    let rotation = Rotation {
        secret: minted.verifier,
        hint: minted.text.hint(),
        prefix: minted.text.prefix().clone(),
        name: request.name,
        expires_at: request.expires_at,
        grace_until: (request.grace_seconds > 0).then(|| by.now.plus_seconds(i64::from(request.grace_seconds))),
    };
    let new = old.clone().rotate(rotation, by.now).map_err(refused)?;

    // 4. The write.
    let response = once.map(|once| once.response(node, by, id, &minted.text)).transpose()?;
    let seen = Some(tenant.organization.changed_seq);
    let new = write(node, by, action::KEY_ROTATE, &old, new, seen, response.as_ref()).await?;
    complete_verifier(node, &new.id, new.secret.phc.clone(), minted.text.secret());
    Ok((new, minted.text))
}
