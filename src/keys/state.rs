//! Revokes, disables and enables keys. Repeating a request has the same result.

use crate::domain::api_key::{ApiKey, Edit, TransitionRefused};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{
    KeyError, TRIES, check_grant, entry, key_error, load_to_change, refused, removes_access, tenant_of, write,
};
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, Notice, action};

/// The profiles and networks for an action that only removes access, and does not depend on them.
static NOTHING: SharedAccess = SharedAccess::empty();

/// Revokes a key permanently.
pub async fn revoke(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    reason: Option<String>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey, _: &SharedAccess| Ok(key.revoke(by.now, reason.clone()));
    transition(node, organization, by, id, version, action::KEY_REVOKE, next).await
}

/// Disables a key.
pub async fn disable(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey, _: &SharedAccess| Ok(key.disable(by.now));
    transition(node, organization, by, id, version, action::KEY_DISABLE, next).await
}

/// Disables a stale key with a reason and records the notice. Returns false, without a change, if the key was used
/// since `idle_before` or changed since it was read, or if the notice was recorded before.
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
    Ok(written.map_err(|error| key_error(node, &disabled.organization, error))?.is_some())
}

/// Enables a disabled key.
pub async fn enable(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    transition(node, organization, by, id, version, action::KEY_ENABLE, |key, shared| {
        check_grant(by, shared, &key)?;
        Ok(key.enable(by.now))
    })
    .await
}

/// The treatment of a key whose owner is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOfRemovedMember {
    /// The organization becomes its owner. Secret and tokens stay valid.
    Transfer,
    Revoke,
}

/// Returns the next state of a key whose owner is removed, with its audit entry; `None` if it is already revoked.
pub fn release_from_member(by: &ChangeContext, key: ApiKey, to: KeyOfRemovedMember) -> Option<(ApiKey, AuditEntry)> {
    match to {
        KeyOfRemovedMember::Transfer => {
            let next = key.clone().edit(Edit { owner: Some(None), ..Edit::default() }, by.now).ok()?;
            let entry = entry(by, action::KEY_EDIT, Some(&key), &next);
            Some((next, entry))
        }
        KeyOfRemovedMember::Revoke => revoke_because(by, key, "its owner was removed"),
    }
}

/// Returns a key with another profile, with its audit entry; `None` if it has that already.
pub fn move_to_profile(by: &ChangeContext, key: ApiKey, profile: &Slug) -> Option<(ApiKey, AuditEntry)> {
    let edit = Edit { profile: Some(Some(profile.clone())), ..Edit::default() };
    let next = key.clone().edit(edit, by.now).ok()?;
    let entry = entry(by, action::KEY_EDIT, Some(&key), &next);
    Some((next, entry))
}

/// Returns a key in its revoked state, with its audit entry; `None` if it is already revoked.
pub fn revoke_because(by: &ChangeContext, key: ApiKey, reason: &str) -> Option<(ApiKey, AuditEntry)> {
    let next = key.clone().revoke(by.now, Some(reason.to_owned())).ok()?;
    let entry = entry(by, action::KEY_REVOKE, Some(&key), &next);
    Some((next, entry))
}

/// Writes the next state of a key. `next` returns it; its second argument is what keys of the organization share, if the action
/// can give access.
pub(super) async fn transition(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    action: &'static str,
    next: impl Fn(ApiKey, &SharedAccess) -> Result<Result<ApiKey, TransitionRefused>, KeyError> + Send,
) -> Result<ApiKey, KeyError> {
    for _ in 0..TRIES {
        let old = load_to_change(node, organization, by, id, version).await?;
        let tenant = match removes_access(action) {
            true => None,
            false => Some(tenant_of(node, organization).await?),
        };
        let shared = tenant.as_ref().map_or(&NOTHING, |tenant| &tenant.shared);
        let new = match next(old.clone(), shared)? {
            Ok(new) => new,
            Err(TransitionRefused::Unchanged) => {
                // A concurrent change to the same state may be written but not effective yet; wait for it.
                node.settle_key(id).await?;
                return Ok(old);
            }
            Err(other) => return Err(refused(other)),
        };
        let seen = tenant.as_ref().map(|tenant| tenant.organization.changed_seq);
        match write(node, by, action, &old, new, seen, None).await {
            Err(KeyError::ReferencesChanged) => {}
            Err(KeyError::Conflict(_)) if version.is_none() => {}
            Err(KeyError::Conflict(_)) => return Err(KeyError::PreconditionFailed),
            result => return result,
        }
    }
    Err(KeyError::Conflict("the key is being changed by other requests; retry".into()))
}
