//! Creating a key.

use crate::crypto::mint::mint;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyText;
use crate::domain::member::{MemberId, Role};
use crate::domain::networks::Networks;
use crate::domain::policy::{Expiry, ProposedKey};
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, entry, limits, not_changed};
use crate::keys::idempotency::IdempotentRequest;
use crate::keys::verifier::complete_verifier;
use crate::node::{Affects, Node};
use crate::store::action;

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Name; may be empty where the policy allows it.
    pub name: String,
    /// Description; may be empty.
    pub description: String,
    /// The member it belongs to; `Some(None)` is the organization. Absent: whoever makes it, if that is a person.
    pub owner: Option<Option<MemberId>>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// From where.
    pub networks: Networks,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Creates a key and gives its text, the only time that it is known; `once` lets the same request be sent again.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    let Some(once) = once else { return make(node, organization, by, new, None).await };
    if let Some(answer) = once.recall(node, organization, by).await? {
        return Ok(answer);
    }
    match make(node, organization, by, new, Some(once)).await {
        Err(KeyError::Repeated) => once.recall(node, organization, by).await?.ok_or(KeyError::Repeated),
        done => done,
    }
}

async fn make(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewKey,
    once: Option<&IdempotentRequest>,
) -> Result<(ApiKey, KeyText), KeyError> {
    // 1. The organization, which must be able to sign.
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    tenant.ring.current(by.now).ok_or(KeyError::NotBootstrapped)?;

    // 2. Whose it is, and whether the caller may make it.
    let policy = &tenant.organization.policy;
    let owner = match (new.owner, &by.member) {
        (None, Some((member, _))) => Some(member.clone()),
        (owner, _) => owner.flatten(),
    };
    if by.member.as_ref().is_some_and(|(_, role)| *role < policy.create_role) {
        return Err(KeyError::RoleRequired(policy.create_role));
    }
    if !by.may_manage_key_of(owner.as_ref()) {
        return Err(KeyError::RoleRequired(Role::Admin));
    }

    // 3. What the policy allows, and no more than the caller holds.
    let wanted = ProposedKey {
        name: Some(&new.name),
        scopes: Some(&new.scopes),
        expiry: Expiry::Set { expires_at: new.expires_at, since: by.now },
        ..ProposedKey::default()
    };
    let violations = policy.violations(&wanted, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }
    by.authority.covers(&new.scopes, &new.networks, new.expires_at).map_err(KeyError::GrantExceeded)?;

    // 4. The secret.
    let minted = mint(&node.master_keys, policy.key_prefix.clone(), None)?;
    let key = ApiKey {
        id: minted.text.id(),
        organization: organization.clone(),
        prefix: minted.text.prefix().clone(),
        name: new.name,
        description: new.description,
        owner,
        scopes: new.scopes,
        networks: new.networks,
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

    // 5. The write, under the policy's limits.
    let remembered = once.map(|once| once.remember(node, by, &key.id, &minted.text)).transpose()?;
    let entry = entry(by, action::KEY_CREATE, None, &key);
    let write = node.store.insert_key(&key, limits(&tenant.organization), &entry, remembered.as_ref());
    let written = node.change(&entry, Affects::NewKey(&key.id), write).await;
    written.map_err(|error| not_changed(node, organization, error))?;
    complete_verifier(node, &key.id, key.secret.phc.clone(), minted.text.secret());
    Ok((key, minted.text))
}
