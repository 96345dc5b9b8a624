//! Removes a member, ends their sessions and revokes their keys, in one change.

use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::member::MemberId;
use crate::domain::slug::Slug;
use crate::keys;
use crate::members::audit::audit_value;
use crate::members::error::MemberError;
use crate::members::manage::find;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, action};

/// Removes a member. Returns the keys that were revoked.
pub async fn remove(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &MemberId,
    version: Option<u64>,
) -> Result<Vec<ApiKey>, MemberError> {
    let member = match find(node, organization, id).await {
        Err(MemberError::NotFound) => {
            // A concurrent removal may not be effective on every node yet; wait for it.
            node.settle_written().await?;
            return Err(MemberError::NotFound);
        }
        result => result?,
    };
    by.may_change_role(member.role).map_err(MemberError::GrantExceeded)?;
    if version.is_some_and(|version| version != member.version) {
        return Err(MemberError::PreconditionFailed);
    }
    let entry = AuditEntry::of(by, action::MEMBER_REMOVE, &id.0, Some(audit_value(&member)), None);
    let end = |key: ApiKey| keys::revoke_with_member(by, key);
    let written = node.change(&entry, Affects::WrittenKeys, node.store.remove_member(&member, &end, &entry)).await;
    let (_, ended) = written.map_err(|error| MemberError::from_change(error, version))?;
    Ok(ended)
}
