//! The organizations in memory, with their signing keys.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::node::{Node, NodeSettings};
use crate::signing::KeyRing;

/// The organizations that memory holds.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    by_slug: HashMap<Slug, Arc<Tenant>>,
    by_kid: HashMap<String, Slug>,
    /// Organizations that changed, or may have, after they were read.
    stale: HashSet<Slug>,
}

impl Tenants {
    /// Puts an organization in the place of an earlier reading of it.
    fn insert(&mut self, tenant: Arc<Tenant>) {
        let slug = tenant.organization.slug.clone();
        self.stale.remove(&slug);
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

/// An organization in memory.
#[derive(Debug)]
pub struct Tenant {
    /// As stored.
    pub organization: Organization,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Its signing keys.
    pub ring: KeyRing,
    /// Life of its tokens in seconds.
    pub ttl_seconds: u32,
}

impl Node {
    /// The organization of that slug, as memory has it: for what shows it. What decides takes a
    /// [`View`](crate::node::View).
    pub fn tenant(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        self.tenants.load().by_slug.get(slug).cloned()
    }

    /// The organization of that slug, if memory may be decided from under a live lease.
    pub(super) fn fresh_tenant(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        let tenants = self.tenants.load();
        if tenants.stale.contains(slug) { None } else { tenants.by_slug.get(slug).cloned() }
    }

    /// Whether memory holds an organization that must be read again before anything is decided from it.
    pub(super) fn is_stale(&self, slug: &Slug) -> bool {
        self.tenants.load().stale.contains(slug)
    }

    /// Marks an organization that may have been changed: it is read from the store before the next decision.
    pub fn forget_tenant(&self, slug: &Slug) {
        self.tenants.rcu(|tenants| {
            let mut next = Tenants::clone(tenants);
            next.stale.insert(slug.clone());
            next
        });
    }

    /// The organization that a signing key belongs to, as memory has it.
    pub fn organization_of_signing_key(&self, kid: &str) -> Option<Slug> {
        self.tenants.load().by_kid.get(kid).cloned()
    }

    /// Every organization.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.tenants.load().by_slug.values().cloned().collect()
    }

    /// Replaces every organization in memory.
    pub(super) fn replace_tenants(&self, tenants: Vec<Tenant>) {
        let mut next = Tenants::default();
        for tenant in tenants {
            next.insert(Arc::new(tenant));
        }
        self.tenants.store(Arc::new(next));
    }

    /// Replaces one organization in memory and returns it. Called while `reloading` is held.
    pub(super) fn insert_tenant(&self, tenant: Tenant) -> Arc<Tenant> {
        let tenant = Arc::new(tenant);
        self.tenants.rcu(|tenants| {
            let mut next = Tenants::clone(tenants);
            next.insert(tenant.clone());
            next
        });
        tenant
    }
}

impl Tenant {
    /// Whether every key and token of the organization is denied.
    pub fn is_suspended(&self) -> bool {
        self.organization.suspended_at.is_some()
    }

    /// Whether a token may be asked for under that audience (RFC 8707 §2).
    pub fn allows_audience(&self, audience: &str, settings: &NodeSettings) -> bool {
        audience == settings.audience
            || audience == settings.public_url
            || audience == self.issuer
            || self.organization.policy.audiences.iter().any(|allowed| allowed == audience)
    }
}
