//! Creates API keys.

use crate::crypto::mint::mint;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::apis::ServedApi;
use crate::domain::authority::ChangeContext;
use crate::domain::customer::CustomerId;
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyText;
use crate::domain::member::{MemberId, Role};
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::policy::{Expiry, Policy, ProposedKey};
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::keys::change::{
    KeyError, TRIES, check_given, check_grant, check_holder, entry, key_error, limits, unknown_references,
};
use crate::keys::grants::{RequestedGrants, missing_scopes, violations_of};
use crate::keys::idempotency::IdempotentRequest;
use crate::keys::verifier::complete_verifier;
use crate::node::{Affects, Node};
use crate::store::action;

/// Fields of a new key.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Can be empty if the policy allows it.
    pub name: String,
    /// Can be empty.
    pub description: String,
    pub metadata: Metadata,
    /// `Some(None)` is the organization. Absent: the caller, if it is a member and the key has no customer.
    pub owner: Option<Option<MemberId>>,
    /// Whom the key is given to.
    pub customer: Option<CustomerId>,
    /// Name of the profile that limits the key. Without grants of its own, the key has all that the profile grants.
    pub profile: Option<Slug>,
    pub grants: RequestedGrants,
    pub networks: Networks,
    /// Names of further networks that the key can be used from.
    pub named_networks: Vec<Slug>,
    /// No expiry if `None`.
    pub expires_at: Option<Timestamp>,
}

/// Creates a key. Returns its secret, which is not available later. With `once` the request can be repeated.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    let Some(once) = once else { return create_checked(node, organization, by, &new, None).await };
    if let Some(response) = once.previous_response(node, organization, by).await? {
        return Ok(response);
    }
    match create_checked(node, organization, by, &new, Some(once)).await {
        Err(KeyError::Repeated) => once.previous_response(node, organization, by).await?.ok_or(KeyError::Repeated),
        result => result,
    }
}

/// Creates a key, and checks it again if what it refers to was changed before it was written.
async fn create_checked(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: &NewKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    for _ in 0..TRIES {
        match create_new(node, organization, by, new.clone(), once).await {
            Err(KeyError::ReferencesChanged) => {}
            result => return result,
        }
    }
    Err(KeyError::ReferencesChanged)
}

async fn create_new(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    // 1. The organization must be able to sign.
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    if tenant.ring.is_empty() {
        return Err(KeyError::NotBootstrapped);
    }

    // 2. The owner, and the caller's role.
    let policy = &tenant.organization.policy;
    let owner = match (new.owner, &by.member) {
        (None, Some((member, _))) if new.customer.is_none() => Some(member.clone()),
        (owner, _) => owner.flatten(),
    };
    check_holder(owner.as_ref(), new.customer.as_ref())?;
    if !by.sees_keys_of(new.customer.as_ref()) {
        return Err(KeyError::NotFound);
    }
    if by.member.as_ref().is_some_and(|(_, role)| *role < policy.create_role) {
        return Err(KeyError::RoleRequired(policy.create_role));
    }
    if !by.may_manage_key_of(owner.as_ref()) {
        return Err(KeyError::RoleRequired(Role::Admin));
    }

    // 3. The policy, the APIs, and the caller's rights.
    let own = match new.profile {
        None => resolve(&new.grants, &tenant.apis),
        Some(_) => new.grants.resolve(&tenant.apis, &Grants::default()),
    };
    let own = own.map_err(KeyError::Invalid)?;
    let mut violations = unknown_references(new.profile.as_ref(), &new.named_networks, &tenant.shared);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }
    let grants = tenant.shared.grants_with(new.profile.as_ref(), &own).into_owned();
    let proposed = ProposedKey {
        name: Some(&new.name),
        grants: Some(&grants),
        expiry: Expiry::Set { expires_at: new.expires_at, since: by.now },
        ..ProposedKey::default()
    };
    violations.extend(policy.violations(&proposed, by.now));
    violations.extend(violations_of(&new.grants, (&own, &grants), &Grants::default(), &tenant));
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }

    // 4. The secret.
    let minted = mint(&node.master_keys, policy.key_prefix.clone(), None)?;
    let key = ApiKey {
        id: minted.text.id(),
        organization: organization.clone(),
        prefix: minted.text.prefix().clone(),
        name: new.name,
        description: new.description,
        metadata: new.metadata,
        owner,
        customer: new.customer,
        profile: new.profile,
        grants: own,
        networks: new.networks,
        named_networks: new.named_networks,
        expires_at: new.expires_at,
        lifecycle: Lifecycle::Active,
        generation: 1,
        secret_version: 1,
        version: 1,
        secret: minted.verifier,
        previous: None,
        hint: minted.text.hint(),
        created_at: by.now,
        created_by: by.actor.clone(),
        rotated_at: None,
        last_used_at: None,
        last_used_ip: None,
    };

    check_grant(by, &tenant.shared, &key)?;
    check_given(by, &tenant.shared, None, &key)?;

    // 5. The write, which checks the policy's limits.
    let response = once.map(|once| once.response(node, by, &key.id, &minted.text)).transpose()?;
    let entry = entry(by, action::KEY_CREATE, None, &key);
    let seen = Some(tenant.organization.changed_seq);
    let write = node.store.insert_key(&key, limits(&tenant.organization), &entry, response.as_ref(), seen);
    let written = node.change(&entry, Affects::NewKey(&key.id), write).await;
    written.map_err(|error| key_error(node, organization, error))?;
    complete_verifier(node, &key.id, key.secret.phc.clone(), minted.text.secret());
    Ok((key, minted.text))
}

/// Returns the grants that a new key would have, or the violations.
pub fn check_new_grants(
    requested: &RequestedGrants,
    apis: &[ServedApi],
    policy: &Policy,
    now: Timestamp,
) -> Result<Grants, Vec<Violation>> {
    let grants = resolve(requested, apis)?;
    let mut violations = policy.violations(&ProposedKey { grants: Some(&grants), ..ProposedKey::default() }, now);
    violations.extend(missing_scopes(requested, &grants, &Grants::default(), apis, policy));
    if violations.is_empty() { Ok(grants) } else { Err(violations) }
}

fn resolve(requested: &RequestedGrants, apis: &[ServedApi]) -> Result<Grants, Vec<Violation>> {
    match requested.apis {
        None => requested.resolve(apis, &Grants::of_default(ScopeSet::default())),
        Some(_) => requested.resolve(apis, &Grants::default()),
    }
}
