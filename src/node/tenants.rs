//! The organizations in memory, with their signing keys.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::node::{Node, NodeSettings};
use crate::signing::KeyRing;

/// The organizations, as of the last change of any of them.
#[derive(Debug, Default)]
pub struct Tenants {
    by_slug: HashMap<Slug, Arc<Tenant>>,
    by_kid: HashMap<String, Slug>,
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
    /// The organization of that slug.
    pub fn tenant(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        self.tenants.load().by_slug.get(slug).cloned()
    }

    /// The organization that a signing key belongs to.
    pub fn tenant_of_signing_key(&self, kid: &str) -> Option<Arc<Tenant>> {
        let tenants = self.tenants.load();
        tenants.by_slug.get(tenants.by_kid.get(kid)?).cloned()
    }

    /// Every organization.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.tenants.load().by_slug.values().cloned().collect()
    }

    /// Replaces the organizations in memory.
    pub fn set_tenants(&self, tenants: Vec<Tenant>) {
        let mut next = Tenants::default();
        for tenant in tenants {
            let slug = tenant.organization.slug.clone();
            for key in tenant.ring.all() {
                next.by_kid.insert(key.kid().to_owned(), slug.clone());
            }
            next.by_slug.insert(slug, Arc::new(tenant));
        }
        self.tenants.store(Arc::new(next));
    }
}

impl Tenant {
    /// Whether a token may be asked for under that audience (RFC 8707 §2).
    pub fn allows_audience(&self, audience: &str, settings: &NodeSettings) -> bool {
        audience == settings.audience
            || audience == settings.public_url
            || audience == self.issuer
            || self.organization.policy.audiences.iter().any(|allowed| allowed == audience)
    }
}
