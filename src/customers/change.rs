//! Creates, edits, suspends and reinstates customers.

use serde_json::{Value, json};

use crate::crypto::random;
use crate::customers::error::CustomerError;
use crate::customers::read::find;
use crate::domain::authority::ChangeContext;
use crate::domain::customer::{Customer, CustomerEdit, CustomerId, ExternalId, Unchanged};
use crate::domain::metadata::Metadata;
use crate::domain::slug::Slug;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, action};

/// Maximum number of attempts if other changes come first. Each failed attempt means that another change succeeded.
pub(super) const TRIES: usize = 16;

/// Fields of a new customer.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    pub external_id: ExternalId,
    /// Can be empty.
    pub name: String,
    pub metadata: Metadata,
    /// `None` is the policy's limit.
    pub max_keys: Option<u32>,
}

/// Creates a customer, without keys.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewCustomer,
) -> Result<Customer, CustomerError> {
    let customer = Customer {
        id: CustomerId::from_random(random::bytes()?),
        organization: organization.clone(),
        external_id: new.external_id,
        name: new.name,
        metadata: new.metadata,
        max_keys: new.max_keys,
        suspended_at: None,
        removed_at: None,
        generation: 1,
        version: 1,
        created_at: by.now,
        created_by: by.actor.clone(),
    };
    let entry = AuditEntry::of(by, action::CUSTOMER_CREATE, customer.id, None, Some(audit_value(&customer)));
    let write = node.store.insert_customer(&customer, &entry);
    node.change(&entry, Affects::Nothing, write).await.map_err(CustomerError::from_change)?;
    Ok(customer)
}

/// Edits a customer. A lower limit affects no existing key.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &CustomerId,
    version: Option<u64>,
    edit: CustomerEdit,
) -> Result<Customer, CustomerError> {
    let next = |customer: Customer| customer.edit(edit.clone());
    change(node, organization, by, id, version, action::CUSTOMER_EDIT, next).await
}

/// Suspends a customer. Its keys and tokens are denied on every node when this returns, even if it was already suspended.
pub async fn suspend(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &CustomerId,
    version: Option<u64>,
) -> Result<Customer, CustomerError> {
    let next = |customer: Customer| customer.suspend(by.now);
    change(node, organization, by, id, version, action::CUSTOMER_SUSPEND, next).await
}

/// Ends the suspension of a customer. Tokens issued before stay invalid.
pub async fn reinstate(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &CustomerId,
    version: Option<u64>,
) -> Result<Customer, CustomerError> {
    change(node, organization, by, id, version, action::CUSTOMER_REINSTATE, Customer::reinstate).await
}

async fn change(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &CustomerId,
    version: Option<u64>,
    action: &'static str,
    next: impl Fn(Customer) -> Result<Customer, Unchanged> + Send,
) -> Result<Customer, CustomerError> {
    for _ in 0..TRIES {
        let old = find_version(node, organization, id, version).await?;
        let Ok(new) = next(old.clone()) else {
            // A concurrent change to the same state may be written but not effective yet; wait for it.
            node.settle_customer(id).await?;
            return Ok(old);
        };
        let entry = AuditEntry::of(by, action, id, Some(audit_value(&old)), Some(audit_value(&new)));
        let write = node.store.update_customer(&new, &entry);
        match node.change(&entry, Affects::Customer(&new), write).await.map_err(CustomerError::from_change) {
            Ok(_) => return Ok(new),
            Err(CustomerError::Raced) if version.is_none() => {}
            Err(CustomerError::Raced) => return Err(CustomerError::PreconditionFailed),
            Err(error) => return Err(error),
        }
    }
    Err(CustomerError::Raced)
}

/// Returns a customer if it has the expected version.
pub(super) async fn find_version(
    node: &Node,
    organization: &Slug,
    id: &CustomerId,
    version: Option<u64>,
) -> Result<Customer, CustomerError> {
    let customer = find(node, organization, id).await?;
    if version.is_some_and(|version| version != customer.version) {
        return Err(CustomerError::PreconditionFailed);
    }
    Ok(customer)
}

/// Returns a customer for the audit log.
pub(super) fn audit_value(customer: &Customer) -> Value {
    json!({
        "external_id": customer.external_id.as_str(),
        "name": customer.name,
        "metadata": customer.metadata,
        "max_keys": customer.max_keys,
        "state": if customer.suspended_at.is_some() { "suspended" } else { "active" },
        "generation": customer.generation,
        "version": customer.version,
    })
}
