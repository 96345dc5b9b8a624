//! Finds and lists API keys.

use crate::domain::api_key::ApiKey;
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::key_view::BrokenRules;
use crate::domain::member::MemberId;
use crate::domain::page::Page;
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, load, policy_of};
use crate::node::Node;
use crate::store::{Attention, KeyFilter};

pub async fn find(node: &Node, organization: &Slug, id: &KeyId) -> Result<ApiKey, KeyError> {
    load(node, organization, id).await
}

/// Returns the keys of the organization with these IDs, in this order. Omits those that do not exist.
pub async fn find_many(node: &Node, organization: &Slug, ids: &[KeyId]) -> Result<Vec<ApiKey>, KeyError> {
    Ok(node.store.keys_by_id(organization, ids).await?)
}

/// Returns the keys that match a filter.
pub async fn list(node: &Node, mut filter: KeyFilter) -> Result<Page<ApiKey>, KeyError> {
    let limit = filter.limit;
    filter.limit = Page::<ApiKey>::read_limit(limit);
    Ok(Page::new(node.store.keys(&filter).await?, limit))
}

/// Returns the number of keys that match a filter, on all of its pages.
pub async fn count(node: &Node, filter: &KeyFilter) -> Result<u64, KeyError> {
    Ok(node.store.count_keys(filter).await?)
}

/// Counts the active keys that need attention, of the organization or of one owner.
pub async fn attention(
    node: &Node,
    organization: &Slug,
    owner: Option<&MemberId>,
    now: Timestamp,
) -> Result<Attention, KeyError> {
    Ok(node.store.attention(organization, owner, now).await?)
}

/// Returns rules of the organization's policy, to find the keys that break them: `any`, or the name of a setting.
pub async fn broken_rules(node: &Node, organization: &Slug, name: &str) -> Result<Option<BrokenRules>, KeyError> {
    Ok(BrokenRules::parse(name, &policy_of(node, organization).await?))
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

/// Message for a customer that does not exist.
pub const NO_SUCH_CUSTOMER: &str = "no such customer";

/// Checks that a customer belongs to the organization and is not removed.
pub async fn customer(
    node: &Node,
    organization: &Slug,
    customer: Option<CustomerId>,
) -> Result<Option<CustomerId>, KeyError> {
    let Some(id) = customer else { return Ok(None) };
    let found = node.store.customer(&id).await?;
    if found.is_some_and(|found| found.organization == *organization && found.removed_at.is_none()) {
        return Ok(Some(id));
    }
    Err(KeyError::Invalid(vec![Violation::new("customer", NO_SUCH_CUSTOMER)]))
}
