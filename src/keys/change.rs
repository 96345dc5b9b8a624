//! What every change of a key has in common: who makes it, why it may fail, how it is written.

use crate::domain::api_key::{ApiKey, TransitionRefused};
use crate::domain::authority::{Authority, ChangeContext, GrantExceeded};
use crate::domain::key_text::KeyId;
use crate::domain::member::Role;
use crate::domain::organization::Organization;
use crate::domain::policy::{Policy, Violation};
use crate::domain::slug::Slug;
use crate::keys::audit::audit_value;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::store::{AuditEntry, Limits, Refused, StoredResponse, action};

/// Why a change was not made.
#[derive(Debug)]
pub enum KeyError {
    /// No such key, or none that this caller may see.
    NotFound,
    /// Fields that are not as they should be.
    Invalid(Vec<Violation>),
    /// More than the caller holds.
    GrantExceeded(GrantExceeded),
    /// A role that the caller does not have.
    RoleRequired(Role),
    /// The key was changed since the version that the caller saw.
    PreconditionFailed,
    /// The key's state does not allow it, or somebody changed it meanwhile.
    Conflict(String),
    /// The policy's limit of keys.
    LimitReached,
    /// The organization has no signing key yet.
    NotBootstrapped,
    /// The same request, by its `Idempotency-Key`, has just been carried out by somebody else.
    Repeated,
    /// The `Idempotency-Key` belongs to a request that was not the same.
    OtherRequest,
    /// The same form was carried out before, for this key; its secret is not shown again.
    AlreadyDone(KeyId),
    /// It could not be done now.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for KeyError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// The audit row of a change from `old` to `new`.
pub(super) fn entry(by: &ChangeContext, action: &'static str, old: Option<&ApiKey>, new: &ApiKey) -> AuditEntry {
    AuditEntry::of(by, action, new.id, old.map(audit_value), Some(audit_value(new)))
}

/// Checks that a key may do nothing, from nowhere, that the caller may not.
pub(super) fn may_act_for(by: &ChangeContext, key: &ApiKey) -> Result<(), KeyError> {
    let unending = Authority { not_after: None, ..by.authority.clone() };
    unending.covers(&key.scopes, &key.networks, None).map_err(KeyError::GrantExceeded)
}

/// Checks that a key would be no more than the caller holds.
pub(super) fn may_hand_out(by: &ChangeContext, key: &ApiKey) -> Result<(), KeyError> {
    by.authority.covers(&key.scopes, &key.networks, key.expires_at).map_err(KeyError::GrantExceeded)
}

/// The key as the store has it, if it belongs to the organization.
pub(crate) async fn load(node: &Node, organization: &Slug, id: &KeyId) -> Result<ApiKey, KeyError> {
    node.store.key(id).await?.filter(|key| key.organization == *organization).ok_or(KeyError::NotFound)
}

/// The key as the store has it, if the caller may change it and it is of the expected version.
pub(super) async fn load_to_change(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    let key = load(node, organization, id).await?;
    if !by.may_manage_key_of(key.owner.as_ref()) {
        return Err(KeyError::RoleRequired(Role::Admin));
    }
    if version.is_some_and(|version| version != key.version) {
        return Err(KeyError::PreconditionFailed);
    }
    Ok(key)
}

/// Writes the next state of a key and makes it effective. A change in between is a conflict.
pub(super) async fn write(
    node: &Node,
    by: &ChangeContext,
    action: &'static str,
    old: &ApiKey,
    new: ApiKey,
    once: Option<&StoredResponse>,
) -> Result<ApiKey, KeyError> {
    let mut entry = entry(by, action, Some(old), &new);
    if matches!(action, action::KEY_REVOKE | action::KEY_DISABLE) {
        // What only takes away is done whatever became of whoever asked for it: a key may end itself twice.
        entry.standing = None;
    }
    let begins_to_count = new.counts(by.now) && !old.counts(by.now);
    let limits = match begins_to_count {
        true => Some(limits(&organization_of(node, &new.organization).await?)),
        false => None,
    };
    match node.change(&entry, Affects::Key(&new), node.store.update_key(&new, limits, &entry, once)).await {
        Ok(_) => Ok(new),
        Err(error) => Err(not_changed(node, &new.organization, error)),
    }
}

/// Why a key was not written.
pub(super) fn not_changed(node: &Node, organization: &Slug, error: ChangeError) -> KeyError {
    match error {
        ChangeError::Unavailable(cause) => KeyError::Unavailable(cause),
        ChangeError::Refused(Refused::LimitReached) => KeyError::LimitReached,
        ChangeError::Refused(Refused::Repeated) => KeyError::Repeated,
        ChangeError::Refused(Refused::PolicyChanged) => {
            // Memory is read again.
            node.forget_tenant(organization);
            KeyError::Conflict("the policy was changed at the same time; nothing was changed. Retry".into())
        }
        ChangeError::Refused(Refused::OwnerGone) => KeyError::Invalid(vec![Violation::new("owner", "no such member")]),
        ChangeError::Refused(Refused::AlreadyExists | Refused::VersionConflict | Refused::LastOwner) => {
            KeyError::Conflict("someone else changed this key at the same time; reload it and try again".into())
        }
    }
}

/// The policy of an organization, as it is in force now.
pub(super) async fn policy_of(node: &Node, organization: &Slug) -> Result<Policy, KeyError> {
    Ok(organization_of(node, organization).await?.policy)
}

async fn organization_of(node: &Node, organization: &Slug) -> Result<Organization, KeyError> {
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    Ok(tenant.organization.clone())
}

/// The limits that an organization's policy sets.
pub(super) fn limits(organization: &Organization) -> Limits {
    let policy = &organization.policy;
    Limits {
        organization: policy.max_keys,
        owner: policy.max_keys_per_user,
        policy_version: Some(organization.policy_version),
    }
}

/// What a refused transition means to the caller.
pub(super) fn refused(refused: TransitionRefused) -> KeyError {
    match refused {
        TransitionRefused::Revoked => KeyError::Conflict("a revoked key cannot be changed".into()),
        TransitionRefused::Expired => {
            KeyError::Conflict("the key has expired; rotate it with a new expiry to use it again".into())
        }
        TransitionRefused::GraceRunning { until } => KeyError::Conflict(format!(
            "a rotation is in progress: the previous secret works until {}; rotate with grace_seconds 0 to end both secrets now",
            crate::clock::rfc3339(until)
        )),
        TransitionRefused::Unchanged => KeyError::Conflict("nothing to change".into()),
    }
}
