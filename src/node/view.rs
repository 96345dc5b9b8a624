//! The state for a decision: memory under a live lease, otherwise the store.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::node::tenants::HeldTenant;
use crate::node::{LoadError, Node, Tenant};
use crate::store::StoreError;

/// The state that one decision uses.
///
/// The lease is checked once, when the view is created, before any read of memory. So memory is at least as current as
/// that moment. Without a live lease everything is read from the store.
#[derive(Clone, Copy)]
pub struct View<'a> {
    node: &'a Node,
    is_current: bool,
}

impl Node {
    /// Creates a view of the current state.
    pub fn view(&self) -> View<'_> {
        View { node: self, is_current: self.is_current() }
    }

    /// Returns the current state of an organization, for requests without other decisions.
    pub async fn current_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        self.view().tenant(slug).await
    }
}

impl View<'_> {
    /// Returns the current record of a key.
    pub async fn record(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let list = &self.node.list;
        if self.is_current {
            if let Some(record) = list.record(id) {
                return Ok(Some(record));
            }
            if list.is_absent(id) {
                return Ok(None);
            }
        } else {
            self.node.check_store_reachable()?;
        }
        // Boxed, so that the path from memory stays small.
        Box::pin(self.stored_record(id)).await
    }

    async fn stored_record(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let list = &self.node.list;
        let ticket = list.begin_fill(id);
        let Some(key) = self.node.store.key(id).await? else {
            list.complete_absence(ticket);
            return Ok(None);
        };
        let record = Arc::new(key);
        list.complete_fill(ticket, record.clone());
        Ok(Some(record))
    }

    /// Returns an organization with its policy, state and signing keys.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        if self.is_current {
            match self.node.held_tenant(slug) {
                HeldTenant::Fresh(tenant) => return Ok(Some(tenant)),
                HeldTenant::Absent => return Ok(None),
                HeldTenant::Stale => {}
            }
        } else {
            self.node.check_store_reachable()?;
        }
        Box::pin(self.node.stored_tenant(slug)).await
    }

    /// Returns the organization of a signing key.
    pub async fn organization_of_signing_key(&self, kid: &str) -> Result<Option<Slug>, StoreError> {
        let held = self.node.organization_of_signing_key(kid);
        if held.is_some() || self.is_current {
            return Ok(held);
        }
        self.node.check_store_reachable()?;
        Box::pin(self.node.store.organization_of_signing_key(kid)).await
    }

    /// Whether a token was revoked individually.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        if self.node.list.is_token_revoked(jti) {
            return Ok(true);
        }
        if self.is_current {
            return Ok(false);
        }
        self.node.check_store_reachable()?;
        Box::pin(self.node.store.is_token_revoked(jti)).await
    }
}
