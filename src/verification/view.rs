//! The state for a decision: memory under a live lease, otherwise the source of the records.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::verification::{HeldTenant, Memory, Records, Tenant, Unavailable};

/// The state that one decision uses.
///
/// The lease is checked once, when the view is created, before any read of memory. So memory is at least as current as
/// that moment. Without a live lease everything is read from the records' source.
#[derive(Debug)]
pub struct View<'a, S> {
    memory: &'a Memory,
    source: &'a S,
    is_current: bool,
}

impl<S> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for View<'_, S> {}

impl<'a, S: Records> View<'a, S> {
    /// Creates a view of the current state.
    pub fn new(memory: &'a Memory, source: &'a S) -> Self {
        Self { memory, source, is_current: memory.is_current() }
    }

    /// Returns the current record of a key.
    pub async fn record(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, Unavailable> {
        let list = &self.memory.list;
        if self.is_current {
            if let Some(record) = list.record(id) {
                return Ok(Some(record));
            }
            if list.is_absent(id) {
                return Ok(None);
            }
        } else {
            self.source.check_reachable()?;
        }
        // Boxed, so that the path from memory stays small.
        Box::pin(self.stored_record(id)).await
    }

    async fn stored_record(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, Unavailable> {
        let list = &self.memory.list;
        let ticket = list.begin_fill(id);
        let Some(key) = self.source.key(id).await? else {
            list.complete_absence(ticket);
            return Ok(None);
        };
        let record = Arc::new(key);
        list.complete_fill(ticket, record.clone());
        Ok(Some(record))
    }

    /// Returns the current state of a key's customer, if it has one.
    pub async fn customer_of(&self, key: &ApiKey) -> Result<Option<Arc<Customer>>, Unavailable> {
        let Some(id) = &key.customer else { return Ok(None) };
        if self.is_current {
            if let Some(customer) = self.memory.list.customer(id) {
                return Ok(Some(customer));
            }
        } else {
            self.source.check_reachable()?;
        }
        Box::pin(self.stored_customer(id)).await.map(Some)
    }

    async fn stored_customer(&self, id: &CustomerId) -> Result<Arc<Customer>, Unavailable> {
        let ticket = self.memory.list.begin_fill(id);
        let customer = Arc::new(self.source.customer(id).await?);
        self.memory.list.complete_customer(ticket, customer.clone());
        Ok(customer)
    }

    /// Returns an organization with its policy, state and signing keys.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Unavailable> {
        if self.is_current {
            match self.memory.tenants.held(slug) {
                HeldTenant::Fresh(tenant) => return Ok(Some(tenant)),
                HeldTenant::Absent => return Ok(None),
                HeldTenant::Stale => {}
            }
        } else {
            self.source.check_reachable()?;
        }
        Box::pin(self.source.tenant(slug)).await
    }

    /// Returns the organization of a signing key.
    pub async fn organization_of_signing_key(&self, kid: &str) -> Result<Option<Slug>, Unavailable> {
        let held = self.memory.tenants.organization_of_signing_key(kid);
        if held.is_some() || self.is_current {
            return Ok(held);
        }
        self.source.check_reachable()?;
        Box::pin(self.source.organization_of_signing_key(kid)).await
    }

    /// Whether a token was revoked individually.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, Unavailable> {
        if self.memory.list.is_token_revoked(jti) {
            return Ok(true);
        }
        if self.is_current {
            return Ok(false);
        }
        self.source.check_reachable()?;
        Box::pin(self.source.is_token_revoked(jti)).await
    }
}
