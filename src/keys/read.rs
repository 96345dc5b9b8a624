//! Finds and lists API keys.

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::page::Page;
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::keys::change::{KeyError, load};
use crate::node::Node;
use crate::store::KeyFilter;

pub async fn find(node: &Node, organization: &Slug, id: &KeyId) -> Result<ApiKey, KeyError> {
    load(node, organization, id).await
}

/// Returns the keys that match a filter.
pub async fn list(node: &Node, mut filter: KeyFilter) -> Result<Page<ApiKey>, KeyError> {
    let limit = filter.limit;
    filter.limit = Page::<ApiKey>::read_limit(limit);
    Ok(Page::new(node.store.keys(&filter).await?, limit))
}

/// Checks that an owner is a member of the organization.
pub async fn owner(node: &Node, organization: &Slug, owner: Option<MemberId>) -> Result<Option<MemberId>, KeyError> {
    let Some(owner) = owner else { return Ok(None) };
    let members = node.store.members(organization).await?;
    if members.iter().any(|member| member.id == owner) {
        return Ok(Some(owner));
    }
    Err(KeyError::Invalid(vec![Violation::new("owner", "no such member")]))
}
