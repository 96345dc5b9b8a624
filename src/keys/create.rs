//! Creating a key.

use crate::crypto::mint::mint;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::key_text::KeyText;
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::policy::Wanted;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{By, KeyError, limits};
use crate::node::Node;
use crate::store::{Refused, action};

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Name; may be empty where the policy allows it.
    pub name: String,
    /// Description; may be empty.
    pub description: String,
    /// The member it belongs to; `None` is the organization.
    pub owner: Option<MemberId>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// From where.
    pub networks: Networks,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Creates a key and gives its text, the only time that it is known.
pub async fn create(node: &Node, organization: &Slug, by: &By, new: NewKey) -> Result<(ApiKey, KeyText), KeyError> {
    // 1. The organization, which must be able to sign.
    let tenant = node.tenant(organization).ok_or(KeyError::NotFound)?;
    tenant.ring.current(by.now).ok_or(KeyError::NotBootstrapped)?;

    // 2. What the policy allows, and no more than the caller holds.
    let policy = &tenant.organization.policy;
    let wanted = Wanted {
        name: Some(&new.name),
        scopes: Some(&new.scopes),
        expires_at: Some(new.expires_at),
        grace_seconds: None,
    };
    let violations = policy.violations(&wanted, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }
    by.authority.covers(&new.scopes, &new.networks, new.expires_at).map_err(KeyError::Beyond)?;

    // 3. The secret.
    let minted = mint(&node.gate, &node.master_keys, policy.key_prefix.clone(), None).await?;
    let key = ApiKey {
        id: minted.text.id(),
        organization: organization.clone(),
        prefix: minted.text.prefix().clone(),
        name: new.name,
        description: new.description,
        owner: new.owner,
        scopes: new.scopes,
        networks: new.networks,
        expires_at: new.expires_at,
        lifecycle: Lifecycle::Active,
        generation: 1,
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

    // 4. The write, under the policy's limits.
    match node.store.insert_key(&key, limits(policy), &by.entry(action::KEY_CREATE, None, &key)).await? {
        // Nothing is taken away: whoever remembers that there was no such key hears of it soon enough.
        Ok(_) => node.forget_key(&key.id),
        Err(Refused::LimitReached) => return Err(KeyError::LimitReached),
        Err(Refused::AlreadyExists | Refused::VersionConflict) => {
            return Err(KeyError::Conflict("the new key's id is taken; try again".into()));
        }
    }
    node.metrics.change(action::KEY_CREATE);
    tracing::info!(action = action::KEY_CREATE, key = %key.id, actor = by.actor, "key created");
    Ok((key, minted.text))
}
