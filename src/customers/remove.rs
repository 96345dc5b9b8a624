//! Removes a customer and revokes its keys, in one change.

use crate::customers::change::{TRIES, audit_value, find_version};
use crate::customers::error::CustomerError;
use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::customer::CustomerId;
use crate::domain::slug::Slug;
use crate::keys;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, action};

/// Removes a customer. Its keys and tokens are denied on every node when this returns. Without `revokes_keys` it must have no
/// key that is neither revoked nor expired. Returns the keys that were revoked, expired ones among them.
pub async fn remove(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &CustomerId,
    version: Option<u64>,
    revokes_keys: bool,
) -> Result<Vec<ApiKey>, CustomerError> {
    for _ in 0..TRIES {
        let old = match find_version(node, organization, id, version).await {
            Err(CustomerError::NotFound) => {
                // A concurrent removal may not be effective on every node yet; wait for it.
                node.settle_customer(id).await?;
                return Err(CustomerError::NotFound);
            }
            result => result?,
        };
        let entry = AuditEntry::of(by, action::CUSTOMER_REMOVE, id, Some(audit_value(&old)), None);
        let removed = old.remove(by.now);
        let end = |key: ApiKey| keys::revoke_because(by, key, "its customer was removed");
        let write = node.store.remove_customer(&removed, revokes_keys, &end, &entry);
        let written = node.change(&entry, Affects::CustomerWithKeys(&removed), write).await;
        match written.map_err(CustomerError::from_change) {
            Ok((_, revoked)) => return Ok(revoked),
            Err(CustomerError::Raced) if version.is_none() => {}
            Err(CustomerError::Raced) => return Err(CustomerError::PreconditionFailed),
            Err(error) => return Err(error),
        }
    }
    Err(CustomerError::Raced)
}
