//! The organizations in memory, with their signing keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::domain::audience::is_same;
use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::node::{Node, NodeSettings};
use crate::signing::KeyRing;

/// The organizations that memory holds.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    by_slug: HashMap<Slug, Arc<Tenant>>,
    by_kid: HashMap<String, Slug>,
    /// Organizations that changed, or may have, after they were read, and the mark that was set then.
    stale: HashMap<Slug, u64>,
}

/// Taken before an organization is read from the store: a reading that a change overtook does not count as fresh.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadTicket(u64);

impl Tenants {
    /// Puts an organization in the place of an earlier reading of it. A reading of an earlier change is dropped.
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

/// What memory says of an organization.
pub(super) enum HeldTenant {
    /// Decisions under a live lease may rely on it.
    Fresh(Arc<Tenant>),
    /// It changed, or may have, since it was read.
    Stale,
    /// There is none of that slug.
    Absent,
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

    /// What memory says of an organization, as of one moment.
    pub(super) fn held_tenant(&self, slug: &Slug) -> HeldTenant {
        let tenants = self.tenants.load();
        match tenants.by_slug.get(slug) {
            _ if tenants.stale.contains_key(slug) => HeldTenant::Stale,
            Some(tenant) => HeldTenant::Fresh(tenant.clone()),
            None => HeldTenant::Absent,
        }
    }

    /// Marks an organization that may have been changed: it is read from the store before the next decision.
    pub fn forget_tenant(&self, slug: &Slug) {
        let mark = self.stale_marks.fetch_add(1, Ordering::AcqRel) + 1;
        self.tenants.rcu(|tenants| {
            let mut next = Tenants::clone(tenants);
            next.stale.insert(slug.clone(), mark);
            next
        });
    }

    /// Call before reading an organization from the store.
    pub(super) fn begin_reading(&self) -> ReadTicket {
        ReadTicket(self.stale_marks.load(Ordering::Acquire))
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
    pub(super) fn replace_tenants(&self, tenants: Vec<Tenant>, ticket: ReadTicket) {
        let tenants: Vec<_> = tenants.into_iter().map(Arc::new).collect();
        self.tenants.rcu(|held| {
            let mut next = Tenants { stale: held.stale.clone(), ..Tenants::default() };
            for tenant in &tenants {
                let slug = &tenant.organization.slug;
                // Another reading may have been faster and newer.
                if let Some(held) = held.by_slug.get(slug) {
                    next.insert(held.clone(), ReadTicket(0));
                }
                next.insert(tenant.clone(), ticket);
            }
            next
        });
    }

    /// Puts one organization into memory, unless that holds a newer reading, and returns it.
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
    /// Whether every key and token of the organization is denied.
    pub fn is_suspended(&self) -> bool {
        self.organization.suspended_at.is_some()
    }

    /// Returns the allowed audience (RFC 8707 §2) that a request means, as it is configured; `None` if there is none.
    pub fn find_audience<'a>(&'a self, requested: &str, settings: &'a NodeSettings) -> Option<&'a str> {
        let own = [&settings.audience, &settings.public_url, &self.issuer];
        let allowed = || own.into_iter().chain(&self.organization.policy.audiences).map(String::as_str);
        // The very text first: two spellings of one URL can both be listed.
        allowed()
            .find(|allowed| *allowed == requested)
            .or_else(|| allowed().find(|allowed| is_same(allowed, requested)))
    }
}
