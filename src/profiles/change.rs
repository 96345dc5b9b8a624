//! Creates and edits profiles.

use serde_json::{Value, json};

use crate::domain::api_key::Direction;
use crate::domain::apis::ApiId;
use crate::domain::authority::ChangeContext;
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::policy::ProposedKey;
use crate::domain::profile::{NamedNetwork, Profile, SharedAccess};
use crate::domain::slug::Slug;
use crate::keys::{RequestedGrants, missing_scopes};
use crate::node::{Affects, ChangeError, Node, Tenant};
use crate::profiles::{ProfileError, TRIES, find, read};
use crate::store::{AuditEntry, action};

/// Fields of a new profile.
#[derive(Clone, Debug)]
pub struct NewProfile {
    pub name: Slug,
    pub description: String,
    pub grants: RequestedGrants,
    pub networks: Networks,
    pub named_networks: Vec<Slug>,
    pub token_ttl_seconds: Option<u32>,
}

/// Fields that an edit sets; `None` keeps a field.
#[derive(Clone, Debug, Default)]
pub struct ProfileEdit {
    pub description: Option<String>,
    pub grants: RequestedGrants,
    pub networks: Option<Networks>,
    pub named_networks: Option<Vec<Slug>>,
    /// `Some(None)` is the lifetime of the APIs.
    pub token_ttl_seconds: Option<Option<u32>>,
}

/// Returns the number of keys with each profile, without revoked ones.
pub async fn key_counts(node: &Node, organization: &Slug) -> Result<Vec<(Slug, u64)>, ProfileError> {
    Ok(node.store.keys_of_profiles(organization).await?)
}

/// Returns the number of keys with a profile, without revoked ones. Does not count those of other profiles.
pub async fn key_count(node: &Node, organization: &Slug, name: &Slug) -> Result<u64, ProfileError> {
    Ok(node.store.keys_of_profile(organization, name).await?)
}

/// Creates a profile. No key has it yet.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewProfile,
) -> Result<Profile, ProfileError> {
    for _ in 0..TRIES {
        let tenant = read(node, organization).await?;
        let grants = new.grants.resolve(&tenant.apis, &Grants::default()).map_err(ProfileError::Invalid)?;
        let profile = Profile {
            organization: organization.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            grants,
            networks: new.networks.clone(),
            named_networks: new.named_networks.clone(),
            token_ttl_seconds: new.token_ttl_seconds,
            version: 1,
            created_at: by.now,
        };
        check(&tenant, &profile, &new.grants, None)?;
        check_rights(by, &tenant.shared, &profile)?;
        let entry = AuditEntry::of(by, action::PROFILE_CREATE, &profile.name, None, Some(audit_value(&profile)));
        let write = node.store.insert_profile(&profile, tenant.organization.changed_seq, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(profile),
            Err(ChangeError::Refused(refused)) => match ProfileError::from_refused(refused) {
                ProfileError::Raced => node.memory.tenants.forget(organization),
                error => return Err(error),
            },
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ProfileError::Raced)
}

/// Edits a profile. All keys with it, and their tokens, have the new access on every node when this returns, even if the profile
/// was the same before: an earlier identical edit may not have reached every node yet.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &Slug,
    version: Option<u64>,
    edit: ProfileEdit,
) -> Result<Profile, ProfileError> {
    for _ in 0..TRIES {
        // 1. The profile, and its next state.
        let tenant = read(node, organization).await?;
        let old = find(&tenant, name)?;
        // An invalid edit is invalid whatever the version (RFC 9110 §13.2.1).
        let mut new = preview_edit(&tenant, old, edit.clone())?;
        if version.is_some_and(|version| version != old.version) {
            return Err(ProfileError::PreconditionFailed);
        }
        // The caller must have the current rights of the keys: otherwise it could narrow the profile to its own rights, rotate
        // a key, and have the rest once the profile is widened again.
        check_rights(by, &tenant.shared, old)?;
        if new == *old && new.grants.is_same_text(&old.grants) {
            node.settle_organization(organization).await?;
            return Ok(new);
        }
        if direction(&tenant.shared, old, &new).widens() {
            check_widening(by, &tenant.shared, &new)?;
        }
        new.version += 1;

        // 2. The write, if nothing of the organization has changed since.
        let values = (audit_value(old), audit_value(&new));
        let entry = AuditEntry::of(by, action::PROFILE_EDIT, name, Some(values.0), Some(values.1));
        let write = node.store.update_profile(&new, tenant.organization.changed_seq, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(new),
            Err(ChangeError::Refused(_)) => node.memory.tenants.forget(organization),
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ProfileError::Raced)
}

/// Returns the profile as an edit would leave it, without writing it.
pub fn preview_edit(tenant: &Tenant, old: &Profile, edit: ProfileEdit) -> Result<Profile, ProfileError> {
    let grants = match edit.grants.is_absent() {
        true => old.grants.clone(),
        false => edit.grants.resolve(&tenant.apis, &old.grants).map_err(ProfileError::Invalid)?,
    };
    let new = Profile {
        description: edit.description.unwrap_or_else(|| old.description.clone()),
        grants: grants.spelled_like(&old.grants),
        networks: edit.networks.unwrap_or_else(|| old.networks.clone()),
        named_networks: edit.named_networks.unwrap_or_else(|| old.named_networks.clone()),
        token_ttl_seconds: edit.token_ttl_seconds.unwrap_or(old.token_ttl_seconds),
        ..old.clone()
    };
    check(tenant, &new, &edit.grants, Some(&old.grants))?;
    Ok(new)
}

/// Compares the access of two states of a profile, or of two profiles.
pub(super) fn direction(shared: &SharedAccess, old: &Profile, new: &Profile) -> Direction {
    let addresses = Direction::of_networks(&addresses(shared, old), &addresses(shared, new));
    Direction::of_grants(&old.grants, &new.grants).and(addresses)
}

/// Returns the addresses that a state of a profile allows.
fn addresses(shared: &SharedAccess, profile: &Profile) -> Networks {
    shared.with_profile(profile.clone()).addresses_of_profile(&profile.name)
}

/// Checks a profile, which granted `held` before. What it grants is checked only if that changes, so that a profile with a scope
/// that can no longer be granted can be restricted in every other way.
fn check(
    tenant: &Tenant,
    profile: &Profile,
    requested: &RequestedGrants,
    held: Option<&Grants>,
) -> Result<(), ProfileError> {
    let networks: Vec<NamedNetwork> = tenant.shared.networks().cloned().collect();
    let mut violations = profile.validate(&networks);
    if held != Some(&profile.grants) {
        let (policy, nothing) = (&tenant.organization.policy, Grants::default());
        let held = held.unwrap_or(&nothing);
        // A profile without scopes is possible whatever the policy requires of keys.
        let grants = (!profile.grants.has_no_scope()).then_some(&profile.grants);
        let proposed = ProposedKey { grants, held: Some(held), ..ProposedKey::default() };
        violations.extend(policy.violations(&proposed, profile.created_at));
        violations.extend(missing_scopes(requested, &profile.grants, held, &tenant.apis, policy));
    }
    if violations.is_empty() { Ok(()) } else { Err(ProfileError::Invalid(violations)) }
}

/// Checks that a key with a profile would have no more rights than the caller. The expiry does not count.
pub(super) fn check_rights(by: &ChangeContext, shared: &SharedAccess, profile: &Profile) -> Result<(), ProfileError> {
    by.authority.holds(&profile.grants, &addresses(shared, profile)).map_err(ProfileError::GrantExceeded)
}

/// Checks that the caller may give existing keys the rights of a profile. They can be keys without an expiry.
pub(super) fn check_widening(by: &ChangeContext, shared: &SharedAccess, profile: &Profile) -> Result<(), ProfileError> {
    by.authority.covers(&profile.grants, &addresses(shared, profile), None).map_err(ProfileError::GrantExceeded)
}

/// Returns a profile for the audit log.
pub(super) fn audit_value(profile: &Profile) -> Value {
    let others = profile.grants.iter().filter(|grant| grant.api != ApiId::DEFAULT);
    let apis: serde_json::Map<_, _> =
        others.map(|grant| (grant.api.to_string(), json!(grant.scopes.as_str()))).collect();
    json!({
        "name": profile.name,
        "description": profile.description,
        "scopes": profile.grants.default_scopes(),
        "apis": apis,
        "allowed_cidrs": profile.networks,
        "networks": profile.named_networks,
        "token_ttl_seconds": profile.token_ttl_seconds,
        "version": profile.version,
    })
}
