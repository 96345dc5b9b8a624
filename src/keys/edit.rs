//! Edits API keys.

use crate::domain::api_key::{ApiKey, Edit, TransitionRefused};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::policy::{Expiry, ProposedKey};
use crate::domain::slug::Slug;
use crate::keys::change::{KeyError, check_grant, check_rights_of, load_to_change, policy_of, refused, write};
use crate::node::Node;
use crate::store::action;

/// Edits a key. Returns whether it was narrowed, which takes effect immediately, also for its tokens.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    edit: Edit,
) -> Result<(ApiKey, bool), KeyError> {
    // 1. The key, and the policy's rules for the edited fields.
    let old = load_to_change(node, organization, by, id, version).await?;
    let expiry = match edit.expires_at.filter(|expires_at| *expires_at != old.expires_at) {
        // The secret stays the same, and its lifetime began with it.
        Some(expires_at) => Expiry::Set { expires_at, since: old.secret_since() },
        None => Expiry::Untouched,
    };
    let proposed = ProposedKey {
        name: edit.name.as_deref(),
        scopes: edit.scopes.as_ref(),
        held: Some(&old.scopes),
        expiry,
        ..ProposedKey::default()
    };
    let violations = policy_of(node, organization).await?.violations(&proposed, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }

    // 2. The next state. Only widening is a grant. But the caller must have the key's current rights: otherwise it
    //    could narrow the key to its own rights, rotate it, and act under its name.
    check_rights_of(by, &old)?;
    let new = match old.clone().edit(edit, by.now) {
        Ok(new) => new,
        Err(TransitionRefused::Unchanged) => {
            // A concurrent identical edit may be written but not effective yet; wait for it.
            node.settle_key(id).await?;
            return Ok((old, false));
        }
        Err(other) => return Err(refused(other)),
    };
    if widens(&old, &new) {
        check_grant(by, &new)?;
    }

    // 3. The write.
    let new = write(node, by, action::KEY_EDIT, &old, new, None).await?;
    let is_narrower = new.generation != old.generation;
    Ok((new, is_narrower))
}

fn widens(old: &ApiKey, new: &ApiKey) -> bool {
    !old.scopes.contains_all(&new.scopes)
        || !old.networks.contains(&new.networks)
        || match (old.expires_at, new.expires_at) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(old), Some(new)) => new > old,
        }
}
