//! Organizations in memory, with their signing keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::domain::api_key::ApiKey;
use crate::domain::apis::{NextAlgorithm, ServedApi, Target, TargetError, select};
use crate::domain::choices::Algorithm;
use crate::domain::organization::Organization;
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::signing::{KeyRing, KeyState, SigningKey};

/// The organizations in memory.
#[derive(Debug, Default)]
pub struct TenantCache {
    tenants: ArcSwap<Tenants>,
    /// Number of times that an organization was marked as stale.
    stale_marks: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Tenants {
    by_slug: HashMap<Slug, Arc<Tenant>>,
    by_kid: HashMap<String, Slug>,
    /// Organizations that have or may have changed since they were read, with the mark set at that time.
    stale: HashMap<Slug, u64>,
}

/// Taken before an organization is read from the store. A read that started before a change does not count as fresh.
#[derive(Clone, Copy, Debug)]
pub struct ReadTicket(u64);

impl Tenants {
    /// Replaces an organization unless memory has a later change of it.
    fn insert(&mut self, tenant: Arc<Tenant>, ticket: ReadTicket) {
        let slug = tenant.organization.slug.clone();
        let seq = |tenant: &Arc<Tenant>| tenant.organization.changed_seq;
        if self.by_slug.get(&slug).is_some_and(|held| seq(held) > seq(&tenant)) {
            return;
        }
        if self.stale.get(&slug).is_some_and(|mark| *mark <= ticket.0) {
            self.stale.remove(&slug);
        }
        if let Some(earlier) = self.by_slug.insert(slug.clone(), tenant.clone()) {
            for key in earlier.ring.all() {
                self.by_kid.remove(key.kid());
            }
        }
        for key in tenant.ring.all() {
            self.by_kid.insert(key.kid().to_owned(), slug.clone());
        }
    }
}

/// The state of an organization in memory.
#[derive(Debug)]
pub enum HeldTenant {
    /// Can be used under a live lease.
    Fresh(Arc<Tenant>),
    /// It has or may have changed since it was read.
    Stale,
    /// It does not exist.
    Absent,
}

/// An organization in memory.
#[derive(Debug)]
pub struct Tenant {
    pub organization: Organization,
    /// `iss` of its tokens.
    pub issuer: String,
    pub ring: KeyRing,
    /// What its tokens can be for; the default API is the first.
    pub apis: Vec<ServedApi>,
    /// Profiles and named networks.
    pub shared: SharedAccess,
    /// Lifetime of tokens for APIs without one of their own.
    pub ttl_seconds: u32,
}

impl TenantCache {
    /// Returns an organization that is not deleted, for display only. Decisions use a [`View`](crate::verification::View).
    pub fn get(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        self.tenants.load().by_slug.get(slug).filter(|tenant| !tenant.is_deleted()).cloned()
    }

    /// Returns the state of an organization in memory.
    pub fn held(&self, slug: &Slug) -> HeldTenant {
        let tenants = self.tenants.load();
        match tenants.by_slug.get(slug) {
            _ if tenants.stale.contains_key(slug) => HeldTenant::Stale,
            Some(tenant) => HeldTenant::Fresh(tenant.clone()),
            None => HeldTenant::Absent,
        }
    }

    /// Marks an organization as stale, so that it is read from the store before the next decision.
    pub fn forget(&self, slug: &Slug) {
        let mark = self.stale_marks.fetch_add(1, Ordering::AcqRel) + 1;
        self.tenants.rcu(|tenants| {
            let mut next = Tenants::clone(tenants);
            next.stale.insert(slug.clone(), mark);
            next
        });
    }

    /// Must be called before an organization is read from the store.
    pub fn begin_reading(&self) -> ReadTicket {
        ReadTicket(self.stale_marks.load(Ordering::Acquire))
    }

    /// Returns the organization of a signing key, from memory.
    pub fn organization_of_signing_key(&self, kid: &str) -> Option<Slug> {
        self.tenants.load().by_kid.get(kid).cloned()
    }

    /// Returns all organizations that are not deleted, in no particular order.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.tenants.load().by_slug.values().filter(|tenant| !tenant.is_deleted()).cloned().collect()
    }

    /// Returns the number of organizations that are not deleted.
    pub fn count(&self) -> usize {
        self.tenants.load().by_slug.values().filter(|tenant| !tenant.is_deleted()).count()
    }

    /// Replaces all organizations in memory.
    pub fn replace(&self, tenants: Vec<Tenant>, ticket: ReadTicket) {
        let tenants: Vec<_> = tenants.into_iter().map(Arc::new).collect();
        self.tenants.rcu(|held| {
            let mut next = Tenants { stale: held.stale.clone(), ..Tenants::default() };
            for tenant in &tenants {
                let slug = &tenant.organization.slug;
                // A concurrent read may be newer.
                if let Some(held) = held.by_slug.get(slug) {
                    next.insert(held.clone(), ReadTicket(0));
                }
                next.insert(tenant.clone(), ticket);
            }
            next
        });
    }

    /// Puts an organization into memory, unless memory has a later change, and returns it.
    pub fn insert(&self, tenant: Tenant, ticket: ReadTicket) -> Arc<Tenant> {
        let tenant = Arc::new(tenant);
        self.tenants.rcu(|tenants| {
            let mut next = Tenants::clone(tenants);
            next.insert(tenant.clone(), ticket);
            next
        });
        tenant
    }
}

impl Tenant {
    /// Whether all keys and tokens of the organization are denied.
    pub fn is_suspended(&self) -> bool {
        self.organization.suspended_at.is_some() || self.is_deleted()
    }

    /// Whether the organization was deleted. It stays in memory, suspended, until the node restarts.
    pub fn is_deleted(&self) -> bool {
        self.organization.deleted_at.is_some()
    }

    /// Selects the APIs of a request among those granted to a key; see [`select`].
    pub fn select(
        &self,
        key: &ApiKey,
        audiences: &[String],
        requested: Option<&str>,
    ) -> Result<Target<'_>, TargetError> {
        select(&self.apis, &self.shared.grants_of(key), audiences, requested)
    }

    /// The algorithm of tokens for the default API.
    pub fn default_algorithm(&self, now: Timestamp) -> Option<Algorithm> {
        self.apis.first().map(|served| served.api.algorithm.at(now))
    }

    /// Returns the algorithms whose keys are needed at `now`, each once, that of the default API first.
    pub fn algorithms(&self, now: Timestamp) -> Vec<Algorithm> {
        let mut needed: Vec<Algorithm> = self.default_algorithm(now).into_iter().collect();
        for algorithm in self.apis.iter().flat_map(|served| served.api.algorithm.needed(now)) {
            if !needed.contains(&algorithm) {
                needed.push(algorithm);
            }
        }
        needed
    }

    /// Whether keys of an algorithm are needed at `now`: an API's tokens are or will be signed by them, or were and may be
    /// valid.
    pub fn needs(&self, algorithm: Algorithm, now: Timestamp) -> bool {
        self.apis.iter().any(|served| served.api.algorithm.needs(algorithm, now))
    }

    /// Returns the state of a signing key at `now`.
    pub fn key_state(&self, key: &SigningKey, now: Timestamp) -> KeyState {
        let algorithms = || self.apis.iter().map(|served| served.api.algorithm);
        let is_of = |next: NextAlgorithm| next.algorithm == key.algorithm();
        match self.ring.state(key, now) {
            KeyState::Current if algorithms().any(|api| api.at(now) == key.algorithm()) => KeyState::Current,
            KeyState::Current if algorithms().filter_map(|api| api.pending(now)).any(is_of) => KeyState::Next,
            KeyState::Current => KeyState::Retired,
            state => state,
        }
    }

    /// The longest lifetime of its tokens.
    pub fn longest_ttl_seconds(&self) -> u32 {
        self.apis.iter().map(|api| api.ttl_seconds).max().unwrap_or(self.ttl_seconds).max(self.ttl_seconds)
    }
}
