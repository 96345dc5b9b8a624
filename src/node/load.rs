//! Loads organizations and their signing keys into memory, and reads one from the store if memory may be outdated.

use std::collections::HashMap;
use std::sync::Arc;

use crate::crypto::sealing;
use crate::domain::apis::{Api, ServedApi};
use crate::domain::choices::{Algorithm, Choice};
use crate::domain::organization::Organization;
use crate::domain::profile::{NamedNetwork, Profile, SharedAccess};
use crate::domain::slug::Slug;
use crate::node::{Node, NodeSettings};
use crate::signing::{KeyRing, SigningKey};
use crate::store::{Seq, Store, StoredSigningKey};
use crate::verification::{HeldTenant, LoadError, Tenant};

impl Node {
    /// Loads all organizations into memory and drops those that no longer exist.
    pub async fn load_tenants(&self) -> Result<(), LoadError> {
        let (ticket, store) = (self.memory.tenants.begin_reading(), &self.steady_store);
        // Organizations are read first: a signing key or an API that is added meanwhile makes an organization newer than its
        let organizations = store.organizations(None).await?;
        // `changed_seq`, never older. APIs come before signing keys, so that every API has keys of its algorithm.
        let mut apis: HashMap<Slug, Vec<Api>> = HashMap::new();
        for api in store.apis(None).await? {
            apis.entry(api.organization.clone()).or_default().push(api);
        }
        let mut profiles: HashMap<Slug, Vec<Profile>> = HashMap::new();
        // Networks come after the profiles that refer to them.
        for profile in store.profiles(None).await? {
            profiles.entry(profile.organization.clone()).or_default().push(profile);
        }
        let mut networks: HashMap<Slug, Vec<NamedNetwork>> = HashMap::new();
        for network in store.named_networks(None).await? {
            networks.entry(network.organization.clone()).or_default().push(network);
        }
        let mut rings: HashMap<Slug, Vec<StoredSigningKey>> = HashMap::new();
        for stored in store.signing_keys(None).await? {
            rings.entry(stored.organization.clone()).or_default().push(stored);
        }
        let build = |organization: Organization| {
            let keys = rings.remove(&organization.slug).unwrap_or_default();
            let apis = apis.remove(&organization.slug).unwrap_or_default();
            let profiles = profiles.remove(&organization.slug).unwrap_or_default();
            let networks = networks.remove(&organization.slug).unwrap_or_default();
            self.build_tenant(organization, keys, apis, SharedAccess::new(profiles, networks))
        };
        let tenants = organizations.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        self.memory.tenants.replace(tenants, ticket);
        Ok(())
    }

    /// Loads the organizations that changed after a change number.
    pub async fn load_tenants_changed_after(&self, seq: Seq) -> Result<(), LoadError> {
        let (ticket, store) = (self.memory.tenants.begin_reading(), &self.steady_store);
        for organization in store.organizations(Some(seq)).await? {
            let tenant = self.read_parts(store, organization).await?;
            self.memory.tenants.insert(tenant, ticket);
        }
        Ok(())
    }

    /// Loads one organization. Returns `None` if it does not exist.
    pub async fn load_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        let ticket = self.memory.tenants.begin_reading();
        let Some(organization) = self.store.organization(slug).await? else { return Ok(None) };
        let tenant = self.read_parts(&self.store, organization).await?;
        Ok(Some(self.memory.tenants.insert(tenant, ticket)))
    }

    /// Reads what belongs to an organization, in the same order as [`Node::load_tenants`].
    async fn read_parts(&self, store: &Store, organization: Organization) -> Result<Tenant, LoadError> {
        let slug = &organization.slug;
        let apis = store.apis(Some(slug)).await?;
        let profiles = store.profiles(Some(slug)).await?;
        let networks = store.named_networks(Some(slug)).await?;
        let keys = store.signing_keys(Some(slug)).await?;
        self.build_tenant(organization, keys, apis, SharedAccess::new(profiles, networks))
    }

    /// Returns the current stored state of an organization. Uses memory if it contains the last change.
    pub(super) async fn stored_tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, LoadError> {
        let Some(seq) = self.store.organization_seq(slug).await? else { return Ok(None) };
        match self.memory.tenants.held(slug) {
            HeldTenant::Fresh(tenant) if tenant.organization.changed_seq == seq => Ok(Some(tenant)),
            _ => self.load_tenant(slug).await,
        }
    }

    fn build_tenant(
        &self,
        organization: Organization,
        keys: Vec<StoredSigningKey>,
        apis: Vec<Api>,
        shared: SharedAccess,
    ) -> Result<Tenant, LoadError> {
        let keys = keys.iter().map(|stored| self.open_signing_key(stored)).collect::<Result<_, LoadError>>()?;
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
                api,
            }
        };
        Ok(Tenant {
            apis: apis.into_iter().map(serve).collect(),
            shared,
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
