//! Common parts of all changes of keys: errors, rights of the caller, writing.

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, Direction, TransitionRefused};
use crate::domain::authority::{ChangeContext, GrantExceeded};
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::member::{MemberId, Role};
use crate::domain::networks::Networks;
use crate::domain::organization::Organization;
use crate::domain::policy::{Policy, Violation};
use crate::domain::profile::{SharedAccess, validate_references};
use crate::domain::slug::Slug;
use crate::keys::audit::audit_value;
use crate::keys::read::NO_SUCH_CUSTOMER;
use crate::node::{Affects, ChangeError, Node, Tenant, Unavailable};
use crate::store::{AuditEntry, Limits, Refused, Seq, StoredResponse, action};

/// Maximum number of attempts if other changes come first. Each failed attempt means that another change succeeded.
pub(super) const TRIES: usize = 16;

/// Reason why a change was not made.
#[derive(Debug)]
pub enum KeyError {
    /// The key does not exist, or is not visible to the caller.
    NotFound,
    Invalid(Vec<Violation>),
    /// The key would have more rights than the caller.
    GrantExceeded(GrantExceeded),
    /// The caller does not have this role.
    RoleRequired(Role),
    /// The key has changed since the version that the caller expects.
    PreconditionFailed,
    /// The key's state does not allow the change, or it changed at the same time.
    Conflict(String),
    /// The organization was changed after what the key refers to was checked. The change can be tried again.
    ReferencesChanged,
    /// The policy's limit on keys is reached.
    LimitReached,
    /// The organization has no signing key.
    NotBootstrapped,
    /// A concurrent request with the same `Idempotency-Key` was processed.
    Repeated,
    /// The `Idempotency-Key` was used for another request.
    OtherRequest,
    /// The form was submitted before, for this key. Its secret is not shown again.
    AlreadyDone(KeyId),
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for KeyError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Returns the audit entry of a change from `old` to `new`.
pub(super) fn entry(by: &ChangeContext, action: &'static str, old: Option<&ApiKey>, new: &ApiKey) -> AuditEntry {
    AuditEntry::of(by, action, new.id, old.map(audit_value), Some(audit_value(new)))
}

/// Checks that a key has no scope or network in effect that the caller does not have.
pub(super) fn check_rights_of(by: &ChangeContext, shared: &SharedAccess, key: &ApiKey) -> Result<(), KeyError> {
    let key = shared.effective(key);
    by.authority.holds(&key.grants, &key.networks).map_err(KeyError::GrantExceeded)
}

/// Checks that a key would have no more rights in effect than the caller.
pub(super) fn check_grant(by: &ChangeContext, shared: &SharedAccess, key: &ApiKey) -> Result<(), KeyError> {
    let key = shared.effective(key);
    by.authority.covers(&key.grants, &key.networks, key.expires_at).map_err(KeyError::GrantExceeded)
}

/// Checks that what a key with a profile is given is within the rights of the caller by itself: the profile, and the key's own
/// grants and networks. One of them hides what the other has, until either is removed. `old` is the key before, if it exists.
pub(super) fn check_given(
    by: &ChangeContext,
    shared: &SharedAccess,
    old: Option<&ApiKey>,
    new: &ApiKey,
) -> Result<(), KeyError> {
    let Some(name) = &new.profile else { return Ok(()) };
    let has_other_profile = old.is_none_or(|old| old.profile != new.profile);
    if let Some(profile) = shared.profile(name).filter(|_| has_other_profile) {
        by.authority.holds(&profile.grants, &shared.addresses_of_profile(name)).map_err(KeyError::GrantExceeded)?;
    }
    let networks = shared.own_networks_of(new);
    let direction = |old: &ApiKey| {
        let networks = Direction::of_networks(&shared.own_networks_of(old), &networks);
        Direction::of_grants(&old.grants, &new.grants).and(networks)
    };
    if old.is_some_and(|old| !direction(old).widens()) {
        return Ok(());
    }
    // Without grants of its own, a key has nothing by itself that it could be used for from every address.
    let has_none = new.grants.is_empty() && networks.iter().len() == 0;
    let networks = if has_none { Networks::none() } else { networks.into_owned() };
    by.authority.holds(&new.grants, &networks).map_err(KeyError::GrantExceeded)
}

/// Returns the references of a key to a profile or to networks that do not exist.
pub(super) fn unknown_references(
    profile: Option<&Slug>,
    named_networks: &[Slug],
    shared: &SharedAccess,
) -> Vec<Violation> {
    let mut violations = validate_references(named_networks, shared.networks().map(|network| &network.name));
    if profile.is_some_and(|profile| shared.profile(profile).is_none()) {
        violations.push(Violation::new("profile", "no such profile"));
    }
    violations
}

/// Checks that a key has at most one holder.
pub(super) fn check_holder(owner: Option<&MemberId>, customer: Option<&CustomerId>) -> Result<(), KeyError> {
    match (owner, customer) {
        (Some(_), Some(_)) => Err(KeyError::Invalid(vec![Violation::new(
            "customer",
            "a key belongs to a member or to a customer; set owner or customer to null",
        )])),
        _ => Ok(()),
    }
}

/// Returns the stored key if it belongs to the organization.
pub(crate) async fn load(node: &Node, organization: &Slug, id: &KeyId) -> Result<ApiKey, KeyError> {
    node.store.key(id).await?.filter(|key| key.organization == *organization).ok_or(KeyError::NotFound)
}

/// Returns the stored key if the caller may change it and it has the expected version.
pub(super) async fn load_to_change(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    let key = load(node, organization, id).await?;
    if !by.sees_keys_of(key.customer.as_ref()) {
        return Err(KeyError::NotFound);
    }
    if !by.may_manage_key_of(key.owner.as_ref()) {
        return Err(KeyError::RoleRequired(Role::Admin));
    }
    if version.is_some_and(|version| version != key.version) {
        return Err(KeyError::PreconditionFailed);
    }
    Ok(key)
}

/// Whether an action only removes access. The rights of the actor, and those that the key has by a profile, do not matter to it.
pub(super) fn removes_access(action: &str) -> bool {
    [action::KEY_REVOKE, action::KEY_DISABLE, action::KEY_END_GRACE].contains(&action)
}

/// Writes the next state of a key and makes it effective. A concurrent change is a conflict. `seen` is the organization's last
/// change with which the rights of the key were checked.
pub(super) async fn write(
    node: &Node,
    by: &ChangeContext,
    action: &'static str,
    old: &ApiKey,
    new: ApiKey,
    seen: Option<Seq>,
    response: Option<&StoredResponse>,
) -> Result<ApiKey, KeyError> {
    let mut entry = entry(by, action, Some(old), &new);
    if removes_access(action) {
        // These skip the check of the actor: they only remove access, and a key that revoked itself must be able
        // to repeat that.
        entry.expected_version = None;
    }
    let starts_to_count = new.counts(by.now) && !old.counts(by.now);
    let has_new_holder = new.owner != old.owner || new.customer != old.customer;
    let limits = match starts_to_count || has_new_holder {
        true => Some(limits(&organization_of(node, &new.organization).await?)),
        false => None,
    };
    // A key that counted before counts again only for its new owner or customer, and a revoked or expired one for nobody.
    let limits = limits.map(|limits| match (starts_to_count, new.counts(by.now)) {
        (true, _) => limits,
        (false, true) => Limits { organization: None, ..limits },
        (false, false) => Limits::default(),
    });
    match node.change(&entry, Affects::Key(&new), node.store.update_key(&new, limits, &entry, response, seen)).await {
        Ok(_) => Ok(new),
        Err(error) => Err(key_error(node, &new.organization, error)),
    }
}

/// Maps the error of a write.
pub(super) fn key_error(node: &Node, organization: &Slug, error: ChangeError) -> KeyError {
    match error {
        ChangeError::Unavailable(cause) => KeyError::Unavailable(cause),
        ChangeError::Refused(Refused::LimitReached) => KeyError::LimitReached,
        ChangeError::Refused(Refused::Repeated) => KeyError::Repeated,
        ChangeError::Refused(Refused::PolicyChanged) => {
            // The policy in memory is outdated.
            node.memory.tenants.forget(organization);
            KeyError::Conflict("the policy was changed at the same time; nothing was changed. Retry".into())
        }
        ChangeError::Refused(Refused::OwnerGone) => KeyError::Invalid(vec![Violation::new("owner", "no such member")]),
        ChangeError::Refused(Refused::CustomerGone) => {
            KeyError::Invalid(vec![Violation::new("customer", NO_SUCH_CUSTOMER)])
        }
        ChangeError::Refused(Refused::ReferencesChanged) => {
            // The profiles and networks in memory are outdated.
            node.memory.tenants.forget(organization);
            KeyError::ReferencesChanged
        }
        ChangeError::Refused(
            Refused::AlreadyExists
            | Refused::VersionConflict
            | Refused::LastOwner
            | Refused::HasKeys
            | Refused::HasProfiles,
        ) => KeyError::Conflict("someone else changed this key at the same time; reload it and try again".into()),
    }
}

/// Returns the current policy of an organization.
pub(super) async fn policy_of(node: &Node, organization: &Slug) -> Result<Policy, KeyError> {
    Ok(organization_of(node, organization).await?.policy)
}

async fn organization_of(node: &Node, organization: &Slug) -> Result<Organization, KeyError> {
    Ok(tenant_of(node, organization).await?.organization.clone())
}

/// Returns the current state of an organization.
pub(super) async fn tenant_of(node: &Node, organization: &Slug) -> Result<Arc<Tenant>, KeyError> {
    node.current_tenant(organization).await?.ok_or(KeyError::NotFound)
}

/// Returns the limits on keys in an organization's policy.
pub(super) fn limits(organization: &Organization) -> Limits {
    let policy = &organization.policy;
    Limits {
        organization: policy.max_keys,
        owner: policy.max_keys_per_user,
        policy_version: Some(organization.policy_version),
    }
}

/// Maps a rejected transition to an error.
pub(super) fn refused(refused: TransitionRefused) -> KeyError {
    match refused {
        TransitionRefused::Revoked => KeyError::Conflict("a revoked key cannot be changed".into()),
        TransitionRefused::Expired => {
            KeyError::Conflict("the key has expired; rotate it with a new expiry to use it again".into())
        }
        TransitionRefused::GraceRunning { until } => KeyError::Conflict(format!(
            "a rotation is in progress: the previous secret works until {}; end its grace period first, or rotate with grace_seconds 0 to end both secrets now",
            crate::clock::rfc3339(until)
        )),
        TransitionRefused::NoGrace => {
            KeyError::Conflict("no rotation is in progress: the previous secret no longer works".into())
        }
        TransitionRefused::GraceShortened { until } => KeyError::Conflict(format!(
            "the grace period ends at {}; it can be extended, or ended now",
            crate::clock::rfc3339(until)
        )),
        TransitionRefused::Unchanged => KeyError::Conflict("nothing to change".into()),
    }
}
