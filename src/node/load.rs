//! Loads organizations and their signing keys into memory, and reads one from the store if memory may be outdated.

use std::collections::HashMap;
use std::sync::Arc;

use crate::crypto::sealing::{self, SealError};
use crate::domain::choices::{Algorithm, Choice};
use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::node::tenants::HeldTenant;
use crate::node::{Node, NodeSettings, Tenant};
use crate::signing::{KeyRing, SigningError, SigningKey};
use crate::store::{Seq, StoreError, StoredSigningKey};

/// Reason why an organization could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("signing key {0}: {1}")]
    Seal(String, #[source] SealError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// This version does not support the signing key's algorithm.
    #[error("signing key {0} has an unknown algorithm")]
    Algorithm(String),
}

impl Node {
    /// Loads all organizations into memory and drops those that no longer exist.
    pub async fn load_tenants(&self) -> Result<(), LoadError> {
        let (ticket, store) = (self.begin_reading(), &self.steady_store);
        // Organizations are read first: a signing key that is added meanwhile makes an organization newer than its
        // `changed_seq`, never older.
        let organizations = store.organizations(None).await?;
        let mut rings: HashMap<Slug, Vec<StoredSigningKey>> = HashMap::new();
        for stored in store.signing_keys(None).await? {
            rings.entry(stored.organization.clone()).or_default().push(stored);
        }
        let build = |organization: Organization| {
            let keys = rings.remove(&organization.slug).unwrap_or_default();
            self.build_tenant(organization, keys)
        };
        let tenants = organizations.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        self.replace_tenants(tenants, ticket);
        Ok(())
    }

    /// Loads the organizations that changed after a change number.
    pub async fn load_tenants_changed_after(&self, seq: Seq) -> Result<(), LoadError> {
        let (ticket, store) = (self.begin_reading(), &self.steady_store);
        for organization in store.organizations(Some(seq)).await? {
            let keys = store.signing_keys(Some(&organization.slug)).await?;
            self.insert_tenant(self.build_tenant(organization, keys)?, ticket);
        }
        Ok(())
    }

    /// Loads one organization. Returns `None` if it does not exist.
    pub async fn load_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        let ticket = self.begin_reading();
        let Some(organization) = self.store.organization(slug).await? else { return Ok(None) };
        let keys = self.store.signing_keys(Some(slug)).await?;
        Ok(Some(self.insert_tenant(self.build_tenant(organization, keys)?, ticket)))
    }

    /// Returns the current stored state of an organization. Uses memory if it contains the last change.
    pub(super) async fn stored_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        let Some(seq) = self.store.organization_seq(slug).await? else { return Ok(None) };
        match self.held_tenant(slug) {
            HeldTenant::Fresh(tenant) if tenant.organization.changed_seq == seq => Ok(Some(tenant)),
            _ => self.load_tenant(slug).await,
        }
    }

    fn build_tenant(&self, organization: Organization, keys: Vec<StoredSigningKey>) -> Result<Tenant, LoadError> {
        let keys = keys.iter().map(|stored| self.open_signing_key(stored)).collect::<Result<_, LoadError>>()?;
        Ok(Tenant {
            issuer: organization.slug.issuer(&self.settings.public_url),
            ttl_seconds: ttl(&self.settings, organization.policy.token_ttl_seconds),
            ring: KeyRing::new(keys, &self.settings.typ)?,
            organization,
        })
    }

    fn open_signing_key(&self, stored: &StoredSigningKey) -> Result<SigningKey, LoadError> {
        let algorithm = Algorithm::parse(&stored.algorithm).ok_or_else(|| LoadError::Algorithm(stored.kid.clone()))?;
        let pkcs8 = sealing::open(&self.master_keys, &stored.kid, &stored.sealed)
            .map_err(|error| LoadError::Seal(stored.kid.clone(), error))?;
        Ok(SigningKey::read(stored.kid.clone(), algorithm, &pkcs8, stored.created_at, stored.active_from)?)
    }
}

fn ttl(settings: &NodeSettings, policy: Option<u32>) -> u32 {
    policy.unwrap_or(settings.ttl_seconds).clamp(60, 3600)
}
