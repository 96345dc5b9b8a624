//! Organizations in memory, with their signing keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::domain::audience::is_same;
use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::node::{Node, NodeSettings};
use crate::signing::KeyRing;

/// All organizations in memory.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    by_slug: HashMap<Slug, Arc<Tenant>>,
    by_kid: HashMap<String, Slug>,
    /// Organizations that have or may have changed since they were read, with the mark set at that time.
    stale: HashMap<Slug, u64>,
}

/// Taken before an organization is read from the store. A read that started before a change does not count as fresh.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadTicket(u64);

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
pub(super) enum HeldTenant {
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
    /// Lifetime of its tokens.
    pub ttl_seconds: u32,
}

impl Node {
    /// Returns an organization from memory, for display only. Decisions use a [`View`](crate::node::View).
    pub fn tenant(&self, slug: &Slug) -> Option<Arc<Tenant>> {
        self.tenants.load().by_slug.get(slug).cloned()
    }

    /// Returns the state of an organization in memory.
    pub(super) fn held_tenant(&self, slug: &Slug) -> HeldTenant {
        let tenants = self.tenants.load();
        match tenants.by_slug.get(slug) {
            _ if tenants.stale.contains_key(slug) => HeldTenant::Stale,
            Some(tenant) => HeldTenant::Fresh(tenant.clone()),
            None => HeldTenant::Absent,
        }
    }

    /// Marks an organization as stale, so that it is read from the store before the next decision.
    pub fn forget_tenant(&self, slug: &Slug) {
        let mark = self.stale_marks.fetch_add(1, Ordering::AcqRel) + 1;
        self.tenants.rcu(|tenants| {
            let mut next = Tenants::clone(tenants);
            next.stale.insert(slug.clone(), mark);
            next
        });
    }

    /// Must be called before an organization is read from the store.
    pub(super) fn begin_reading(&self) -> ReadTicket {
        ReadTicket(self.stale_marks.load(Ordering::Acquire))
    }

    /// Returns the organization of a signing key, from memory.
    pub fn organization_of_signing_key(&self, kid: &str) -> Option<Slug> {
        self.tenants.load().by_kid.get(kid).cloned()
    }

    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.tenants.load().by_slug.values().cloned().collect()
    }

    /// Replaces all organizations in memory.
    pub(super) fn replace_tenants(&self, tenants: Vec<Tenant>, ticket: ReadTicket) {
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
    pub(super) fn insert_tenant(&self, tenant: Tenant, ticket: ReadTicket) -> Arc<Tenant> {
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
        self.organization.suspended_at.is_some()
    }

    /// Returns the configured spelling of a requested audience (RFC 8707 §2) if it is allowed.
    pub fn find_audience<'a>(&'a self, requested: &str, settings: &'a NodeSettings) -> Option<&'a str> {
        let own = [&settings.audience, &settings.public_url, &self.issuer];
        let allowed = || own.into_iter().chain(&self.organization.policy.audiences).map(String::as_str);
        // Exact matches first, because two spellings of one URL can both be configured.
        allowed()
            .find(|allowed| *allowed == requested)
            .or_else(|| allowed().find(|allowed| is_same(allowed, requested)))
    }
}
