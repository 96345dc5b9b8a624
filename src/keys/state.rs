//! Revoking, disabling and enabling a key. Asked twice, the answer is the same.

use crate::domain::api_key::{ApiKey, TransitionRefused};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, entry, load_to_change, may_hand_out, not_changed, refused, write};
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, Notice, action};

/// How often a change that raced another is tried again. None of these can starve: each try means that
/// another change was made.
const TRIES: usize = 16;

/// Revokes a key for good.
pub async fn revoke(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    reason: Option<String>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey| Ok(key.revoke(by.now, reason.clone()));
    transition(node, organization, by, id, version, action::KEY_REVOKE, next).await
}

/// Suspends a key.
pub async fn disable(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey| Ok(key.disable(by.now));
    transition(node, organization, by, id, version, action::KEY_DISABLE, next).await
}

/// Disables a stale key for a reason, and gives the notice of it once. Returns false, and changes nothing, if the key was
/// used since `idle_before` or changed since it was read, or if the notice was given before.
pub(super) async fn disable_stale(
    node: &Node,
    by: &ChangeContext,
    key: &ApiKey,
    idle_before: Timestamp,
    notice: &Notice,
    reason: &str,
) -> Result<bool, KeyError> {
    let Ok(disabled) = key.clone().disable(by.now) else { return Ok(false) };
    let mut entry = entry(by, action::KEY_DISABLE, Some(key), &disabled);
    if let Some(value) = entry.new.as_mut().and_then(|value| value.as_object_mut()) {
        value.insert("reason".into(), reason.into());
    }
    let write = node.store.disable_stale_key(&disabled, idle_before, notice, &entry);
    let written = node.change(&entry, Affects::Key(&disabled), write).await;
    Ok(written.map_err(|error| not_changed(node, &disabled.organization, error))?.is_some())
}

/// Lets a suspended key be used again.
pub async fn enable(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    transition(node, organization, by, id, version, action::KEY_ENABLE, |key| {
        may_hand_out(by, &key)?;
        Ok(key.enable(by.now))
    })
    .await
}

/// The end of a key with its owner's membership, and its audit row; `None` where it is revoked already.
pub fn end_with_member(by: &ChangeContext, key: ApiKey) -> Option<(ApiKey, AuditEntry)> {
    let ended = key.clone().revoke(by.now, Some("its owner was removed".into())).ok()?;
    let entry = entry(by, action::KEY_REVOKE, Some(&key), &ended);
    Some((ended, entry))
}

async fn transition(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    action: &'static str,
    next: impl Fn(ApiKey) -> Result<Result<ApiKey, TransitionRefused>, KeyError> + Send,
) -> Result<ApiKey, KeyError> {
    for _ in 0..TRIES {
        let old = load_to_change(node, organization, by, id, version).await?;
        let new = match next(old.clone())? {
            Ok(new) => new,
            Err(TransitionRefused::Unchanged) => {
                // Somebody else's change may be written and not yet effective: it must be before this answer.
                node.settle_what_is_written(id).await?;
                return Ok(old);
            }
            Err(other) => return Err(refused(other)),
        };
        match write(node, by, action, &old, new, None).await {
            Err(KeyError::Conflict(_)) if version.is_none() => {}
            Err(KeyError::Conflict(_)) => return Err(KeyError::PreconditionFailed),
            done => return done,
        }
    }
    Err(KeyError::Conflict("the key is being changed by others; try again".into()))
}
