//! Removes a member, ends their sessions, and transfers or revokes their keys, in one change.

use std::collections::BTreeMap;

use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::slug::Slug;
use crate::keys::{self, KeyOfRemovedMember};
use crate::members::audit::audit_value;
use crate::members::error::MemberError;
use crate::members::manage::find;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, action};

/// The treatment of the keys of a removed member.
#[derive(Clone, Debug)]
pub struct MemberKeys {
    pub all: KeyOfRemovedMember,
    /// Keys that are treated differently.
    pub except: BTreeMap<KeyId, KeyOfRemovedMember>,
}

impl MemberKeys {
    /// Treats all keys the same.
    pub fn all(to: KeyOfRemovedMember) -> Self {
        Self { all: to, except: BTreeMap::new() }
    }
}

/// Removes a member. Returns the keys that were transferred to the organization or revoked, in their new state.
pub async fn remove(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &MemberId,
    version: Option<u64>,
    member_keys: &MemberKeys,
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
    let end = |key: ApiKey| {
        let to = member_keys.except.get(&key.id).copied().unwrap_or(member_keys.all);
        keys::release_from_member(by, key, to)
    };
    let written = node.change(&entry, Affects::WrittenKeys, node.store.remove_member(&member, &end, &entry)).await;
    let (_, ended) = written.map_err(|error| MemberError::from_change(error, version))?;
    Ok(ended)
}
