//! Removes a customer and revokes its keys.

use crate::customers::change::{TRIES, audit_value, find_version};
use crate::customers::error::CustomerError;
use crate::customers::read::find_past;
use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::customer::CustomerId;
use crate::domain::slug::Slug;
use crate::keys;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, KEYS_AT_ONCE, action};

/// Removes a customer. Its keys and tokens are denied on every node when this returns, and its keys are revoked. Without
/// `revokes_keys` it must have no key that is neither revoked nor expired. Returns the number of keys that were revoked, expired
/// ones among them.
///
/// The keys are revoked in several changes after the removal, which denies them already. A removal that is repeated revokes the
/// keys that an interrupted one has left.
pub async fn remove(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &CustomerId,
    version: Option<u64>,
    revokes_keys: bool,
) -> Result<u64, CustomerError> {
    for _ in 0..TRIES {
        let old = match find_version(node, organization, id, version).await {
            Err(CustomerError::NotFound) => {
                find_past(node, organization, id).await?;
                // A concurrent removal may not be effective on every node yet; wait for it.
                node.settle_customer(id).await?;
                return match revoke_keys(node, by, id).await? {
                    0 => Err(CustomerError::NotFound),
                    revoked => Ok(revoked),
                };
            }
            result => result?,
        };
        let entry = AuditEntry::of(by, action::CUSTOMER_REMOVE, id, Some(audit_value(&old)), None);
        let removed = old.remove(by.now);
        let write = node.store.remove_customer(&removed, revokes_keys, &entry);
        match node.change(&entry, Affects::Customer(&removed), write).await.map_err(CustomerError::from_change) {
            Ok(_) => return revoke_keys(node, by, id).await,
            Err(CustomerError::Raced) if version.is_none() => {}
            Err(CustomerError::Raced) => return Err(CustomerError::PreconditionFailed),
            Err(error) => return Err(error),
        }
    }
    Err(CustomerError::Raced)
}

/// Revokes the keys of a removed customer. Returns their number.
async fn revoke_keys(node: &Node, by: &ChangeContext, id: &CustomerId) -> Result<u64, CustomerError> {
    let end = |key: ApiKey| keys::revoke_because(by, key, "its customer was removed");
    // For the log; each key has an entry of its own.
    let entry = AuditEntry::of(by, action::KEY_REVOKE, id, None, None);
    let mut revoked = 0;
    loop {
        let write = node.store.end_keys_of_removed_customer(id, &end);
        let (_, ended) = node.change(&entry, Affects::WrittenKeys, write).await.map_err(CustomerError::from_change)?;
        revoked += ended.len() as u64;
        if ended.len() < KEYS_AT_ONCE {
            return Ok(revoked);
        }
    }
}
