//! Editing a key.

use crate::domain::api_key::{ApiKey, Edit, TransitionRefused};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::policy::{Expiry, ProposedKey};
use crate::domain::slug::Slug;
use crate::keys::change::{KeyError, load_to_change, may_act_for, may_hand_out, policy_of, refused, write};
use crate::node::Node;
use crate::store::action;

/// Edits a key, and says whether it is narrower now. Narrowing takes effect at once, for its tokens too.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    edit: Edit,
) -> Result<(ApiKey, bool), KeyError> {
    // 1. The key, and what the policy says of what is being changed.
    let old = load_to_change(node, organization, by, id, version).await?;
    let expiry = match edit.expires_at.filter(|expires_at| *expires_at != old.expires_at) {
        // The same secret goes on: its lifetime began with it.
        Some(expires_at) => Expiry::Set { expires_at, since: old.secret_since() },
        None => Expiry::Untouched,
    };
    let wanted = ProposedKey {
        name: edit.name.as_deref(),
        scopes: edit.scopes.as_ref(),
        held: Some(&old.scopes),
        expiry,
        ..ProposedKey::default()
    };
    let violations = policy_of(node, organization).await?.violations(&wanted, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }

    // 2. The next state. Only what widens is handing out. But whoever edits a key must hold what it may do:
    //    narrowed to what they hold, it could be rotated, and they would act under its name.
    may_act_for(by, &old)?;
    let new = match old.clone().edit(edit, by.now) {
        Ok(new) => new,
        Err(TransitionRefused::Unchanged) => {
            // The same edit by somebody else may be written and not yet effective: it must be before this answer.
            node.settle_what_is_written(id).await?;
            return Ok((old, false));
        }
        Err(other) => return Err(refused(other)),
    };
    if widens(&old, &new) {
        may_hand_out(by, &new)?;
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
