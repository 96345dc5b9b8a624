//! Loads organizations and their signing keys into memory, and reads one from the store if memory may be outdated.

use std::sync::Arc;

use crate::crypto::sealing;
use crate::domain::apis::{Api, ServedApi};
use crate::domain::choices::{Algorithm, Choice};
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::node::{Node, NodeSettings};
use crate::signing::{KeyRing, SigningKey};
use crate::store::{Seq, StoredSigningKey, TenantRecord, Tenants};
use crate::verification::{HeldTenant, LoadError, Tenant};

impl Node {
    /// Loads all organizations into memory and drops those that no longer exist.
    pub async fn load_tenants(&self) -> Result<(), LoadError> {
        let ticket = self.memory.tenants.begin_reading();
        let records = self.steady_store.tenants(Tenants::All).await?;
        let tenants = records.into_iter().map(|record| self.build_tenant(record)).collect::<Result<_, _>>()?;
        self.memory.tenants.replace(tenants, ticket);
        Ok(())
    }

    /// Loads the organizations that changed after a change number.
    pub async fn load_tenants_changed_after(&self, seq: Seq) -> Result<(), LoadError> {
        let ticket = self.memory.tenants.begin_reading();
        for record in self.steady_store.tenants(Tenants::ChangedAfter(seq)).await? {
            self.memory.tenants.insert(self.build_tenant(record)?, ticket);
        }
        Ok(())
    }

    /// Loads one organization. Returns `None` if it does not exist.
    pub async fn load_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        let ticket = self.memory.tenants.begin_reading();
        let Some(record) = self.store.tenant(slug).await? else { return Ok(None) };
        Ok(Some(self.memory.tenants.insert(self.build_tenant(record)?, ticket)))
    }

    /// Returns the current stored state of an organization. Uses memory if it contains the last change.
    pub(super) async fn stored_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        let Some(seq) = self.store.organization_seq(slug).await? else { return Ok(None) };
        match self.memory.tenants.held(slug) {
            HeldTenant::Fresh(tenant) if tenant.organization.changed_seq == seq => Ok(Some(tenant)),
            _ => self.load_tenant(slug).await,
        }
    }

    fn build_tenant(&self, record: TenantRecord) -> Result<Tenant, LoadError> {
        let TenantRecord { organization, apis, profiles, networks, signing_keys } = record;
        let keys = signing_keys.iter().map(|stored| self.open_signing_key(stored)).collect::<Result<_, LoadError>>()?;
        let issuer = organization.slug.issuer(&self.settings.public_url);
        let ttl_seconds = ttl(&self.settings, organization.policy.token_ttl_seconds);
        let serve = |api: Api| {
            let aliases = match api.is_default() {
                true => {
                    // The issuer of the default organization is the public URL.
                    let own = [&self.settings.public_url, &issuer].into_iter().chain(&organization.policy.audiences);
                    own.fold(Vec::new(), |mut aliases: Vec<String>, own| {
                        if !aliases.contains(own) {
                            aliases.push(own.clone());
                        }
                        aliases
                    })
                }
                false => Vec::new(),
            };
            ServedApi {
                audience: api.audience.clone().unwrap_or_else(|| self.settings.audience.clone()),
                aliases,
                ttl_seconds: api.token_ttl_seconds.map_or(ttl_seconds, |seconds| ttl(&self.settings, Some(seconds))),
                typ: api.typ.unwrap_or(self.settings.typ),
                claims: organization
                    .policy
                    .token_claims
                    .iter()
                    .chain(&api.token_claims)
                    .map(|(name, source)| (name.clone(), source.clone()))
                    .collect(),
                api,
            }
        };
        Ok(Tenant {
            apis: apis.into_iter().map(serve).collect(),
            shared: SharedAccess::new(profiles, networks),
            issuer,
            ttl_seconds,
            ring: KeyRing::new(keys)?,
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
