//! Finds and lists customers.

use std::collections::HashMap;

use crate::customers::error::CustomerError;
use crate::domain::customer::{Customer, CustomerId, ExternalId};
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::Node;
use crate::store::CustomerFilter;

/// Returns a customer that is not removed.
pub async fn find(node: &Node, organization: &Slug, id: &CustomerId) -> Result<Customer, CustomerError> {
    let customer = find_past(node, organization, id).await?;
    if customer.removed_at.is_some() { Err(CustomerError::NotFound) } else { Ok(customer) }
}

/// Returns a customer, also a removed one.
pub async fn find_past(node: &Node, organization: &Slug, id: &CustomerId) -> Result<Customer, CustomerError> {
    let customer = node.store.customer(id).await?.filter(|customer| customer.organization == *organization);
    customer.ok_or(CustomerError::NotFound)
}

/// Returns the customer with an external ID, otherwise with this ID.
pub async fn find_named(node: &Node, organization: &Slug, text: &str) -> Result<Option<Customer>, CustomerError> {
    let external_id = ExternalId::parse(text);
    if external_id.is_some() {
        let filter = CustomerFilter { external_id, ..CustomerFilter::new(organization.clone(), 1) };
        if let Some(found) = node.store.customers(&filter).await?.pop() {
            return Ok(Some(found));
        }
    }
    let Some(id) = CustomerId::parse(text) else { return Ok(None) };
    match find(node, organization, &id).await {
        Err(CustomerError::NotFound) => Ok(None),
        found => found.map(Some),
    }
}

/// Returns the customers that match a filter, newest first.
pub async fn list(node: &Node, mut filter: CustomerFilter) -> Result<Page<Customer>, CustomerError> {
    let limit = filter.limit;
    filter.limit = Page::<Customer>::read_limit(limit);
    Ok(Page::new(node.store.customers(&filter).await?, limit))
}

/// Returns the number of keys of each of these customers that are neither revoked nor expired.
pub async fn key_counts(
    node: &Node,
    ids: &[CustomerId],
    now: Timestamp,
) -> Result<HashMap<CustomerId, u64>, CustomerError> {
    Ok(node.store.keys_of_customers(ids, now).await?)
}
