//! The store as the source of the records that memory does not hold.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::node::Node;
use crate::store::StoreError;
use crate::verification::{Records, Tenant, Unavailable, View};

impl Records for Node {
    fn check_reachable(&self) -> Result<(), Unavailable> {
        self.metrics.cluster().without_lease();
        match &self.cluster {
            Some(cluster) if cluster.is_cut_off() => Err(StoreError::Silent.into()),
            _ => Ok(()),
        }
    }

    async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, Unavailable> {
        Ok(self.store.read_current(self.store.key(id)).await?)
    }

    async fn customer(&self, id: &CustomerId) -> Result<Customer, Unavailable> {
        let missing = || StoreError::Unreadable { what: "customer", detail: format!("no row {id}") };
        Ok(self.store.read_current(self.store.customer(id)).await?.ok_or_else(missing)?)
    }

    async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Unavailable> {
        Ok(self.store.read_current(self.stored_tenant(slug)).await?)
    }

    async fn organization_of_signing_key(&self, kid: &str) -> Result<Option<Slug>, Unavailable> {
        Ok(self.store.read_current(self.store.organization_of_signing_key(kid)).await?)
    }

    async fn is_token_revoked(&self, jti: &str) -> Result<bool, Unavailable> {
        Ok(self.store.read_current(self.store.is_token_revoked(jti)).await?)
    }
}

impl Node {
    fn view(&self) -> View<'_, Self> {
        View::new(&self.memory, self)
    }

    /// Returns the current record of a key, from memory under a live lease, otherwise from the store.
    pub async fn record(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, Unavailable> {
        self.view().record(id).await
    }

    /// Returns the current state of a key's customer, if it has one.
    pub async fn customer_of(&self, key: &ApiKey) -> Result<Option<Arc<Customer>>, Unavailable> {
        self.view().customer_of(key).await
    }

    /// Returns the current state of an organization, for requests without other decisions.
    pub async fn current_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Unavailable> {
        self.view().tenant(slug).await
    }

    /// Returns an organization from memory, for display only.
    pub fn tenant(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        self.memory.tenants.get(slug)
    }

    /// Returns the number of organizations in memory.
    pub fn tenant_count(&self) -> usize {
        self.memory.tenants.count()
    }

    /// Returns all organizations from memory, for display only.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.memory.tenants.all()
    }
}
