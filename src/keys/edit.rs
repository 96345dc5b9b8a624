//! Edits API keys.

use crate::domain::api_key::{ApiKey, Difference, Edit, TransitionRefused};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::Role;
use crate::domain::policy::{Expiry, ProposedKey};
use crate::domain::slug::Slug;
use crate::keys::change::{
    KeyError, TRIES, check_given, check_grant, check_holder, check_rights_of, load_to_change, refused,
    unknown_references, write,
};
use crate::keys::grants::{RequestedGrants, violations_of};
use crate::node::Node;
use crate::store::action;

/// Edits a key. `requested` replaces `edit.grants`. Returns whether it was narrowed, which takes effect immediately, also for its tokens.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    edit: Edit,
    requested: RequestedGrants,
) -> Result<(ApiKey, bool), KeyError> {
    for _ in 0..TRIES {
        match edit_checked(node, organization, by, id, version, edit.clone(), &requested).await {
            // The profile or networks of the key were changed after the check.
            Err(KeyError::ReferencesChanged) => {}
            result => return result,
        }
    }
    Err(KeyError::ReferencesChanged)
}

async fn edit_checked(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    mut edit: Edit,
    requested: &RequestedGrants,
) -> Result<(ApiKey, bool), KeyError> {
    // 1. The key, its new owner or customer, and the policy's rules for the edited fields.
    let old = load_to_change(node, organization, by, id, version).await?;
    if let Some(owner) = &edit.owner
        && *owner != old.owner
        && !by.may_manage_key_of(owner.as_ref())
    {
        return Err(KeyError::RoleRequired(Role::Admin));
    }
    if let Some(customer) = edit.customer
        && customer != old.customer
        && !by.may_manage_key_of(None)
    {
        return Err(KeyError::RoleRequired(Role::Admin));
    }
    let (owner, customer) =
        (edit.owner.as_ref().unwrap_or(&old.owner), edit.customer.as_ref().unwrap_or(&old.customer));
    check_holder(owner.as_ref(), customer.as_ref())?;
    let expiry = match edit.expires_at.filter(|expires_at| *expires_at != old.expires_at) {
        // The secret stays the same, and its lifetime began with it.
        Some(expires_at) => Expiry::Set { expires_at, since: old.secret_since() },
        None => Expiry::Untouched,
    };
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    if !requested.is_absent() {
        edit.grants = Some(requested.resolve(&tenant.apis, &old.grants).map_err(KeyError::Invalid)?);
    }
    let shared = &tenant.shared;
    let violations = unknown_references(
        edit.profile.as_ref().and_then(Option::as_ref),
        edit.named_networks.as_deref().unwrap_or_default(),
        shared,
    );
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }
    // The scopes that the key has with its profile, if that or its grants change.
    let held = shared.grants_of(&old);
    let is_granted = edit.grants.is_some() || edit.profile.is_some();
    let proposed_key = ApiKey {
        profile: edit.profile.clone().unwrap_or_else(|| old.profile.clone()),
        grants: edit.grants.clone().unwrap_or_else(|| old.grants.clone()),
        ..old.clone()
    };
    let granted = is_granted.then(|| shared.grants_of(&proposed_key));
    let proposed = ProposedKey {
        name: edit.name.as_deref(),
        grants: granted.as_deref(),
        held: Some(&held),
        expiry,
        ..ProposedKey::default()
    };
    let policy = &tenant.organization.policy;
    let mut violations = policy.violations(&proposed, by.now);
    if let Some(grants) = &granted {
        violations.extend(violations_of(requested, (&proposed_key.grants, grants), &held, &tenant));
    }
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }

    // 2. The next state. Only widening is a grant. But the caller must have the key's current rights: otherwise it
    //    could narrow the key to its own rights, rotate it, and act under its name.
    check_rights_of(by, shared, &old)?;
    let new = match old.clone().edit(edit, by.now) {
        Ok(new) => new,
        Err(TransitionRefused::Unchanged) => {
            // A concurrent identical edit may be written but not effective yet; wait for it.
            node.settle_key(id).await?;
            return Ok((old, false));
        }
        Err(other) => return Err(refused(other)),
    };
    if Difference::between(&*shared.effective(&old), &*shared.effective(&new)).widens() {
        check_grant(by, shared, &new)?;
    }
    check_given(by, shared, Some(&old), &new)?;

    // 3. The write.
    let seen = Some(tenant.organization.changed_seq);
    let new = write(node, by, action::KEY_EDIT, &old, new, seen, None).await?;
    let is_narrower = new.generation != old.generation;
    Ok((new, is_narrower))
}
