//! Denied requests that are not written yet. Identical ones are folded, and the number of different ones is bounded, so a flood
//! of denials costs neither memory nor writes.

use std::borrow::Cow;
use std::collections::HashMap;

use parking_lot::Mutex;

use crate::crypto::digest::sha256;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::limits::levels;
use crate::node::Node;
use crate::store::{DeniedRequest, StoreError};

/// Different denials that a node holds between two writes, of all organizations.
const MAX_HELD: usize = 4_096;
/// Of one organization: with an authentic credential, and without.
const OF_ORGANIZATION: [usize; 2] = [256, 64];
/// Of one key, or of one network if no key was authenticated.
const OF_SOURCE: u32 = 8;
/// Request IDs that are held for a denial.
const REQUEST_IDS: usize = 8;
/// How long denials are kept.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// A denied request, as its response says.
#[derive(Clone, Debug)]
pub struct Denied<'a> {
    pub organization: Slug,
    /// The key, or a well-formed ID that no key has.
    pub client_id: Option<KeyId>,
    /// Whether the caller presented a secret or a token of the key.
    pub is_authenticated: bool,
    pub address: ClientAddress,
    pub endpoint: &'a str,
    pub status: u16,
    pub code: &'a str,
    pub reason: Option<&'a str>,
    pub missing_scope: Option<&'a str>,
    pub requested_scope: Option<&'a str>,
    pub audience: Option<&'a str>,
    pub request_id: &'a str,
}

/// Denials that are not written yet. A crash loses at most the last two seconds.
#[derive(Default)]
pub struct Denials(Mutex<Held>);

#[derive(Default)]
struct Held {
    count: usize,
    organizations: HashMap<Slug, OfOrganization>,
}

#[derive(Default)]
struct OfOrganization {
    /// By ID.
    denials: HashMap<String, DeniedRequest>,
    /// Numbers of different denials: with an authentic credential, and without.
    counts: [usize; 2],
    sources: HashMap<String, u32>,
}

impl Denials {
    /// Notes a denied request. Beyond the bounds, it is only counted in the usage of its key.
    pub fn note(&self, denied: &Denied<'_>, now: Timestamp) {
        self.add(DeniedRequest::new(denied, now));
    }

    fn add(&self, denied: DeniedRequest) {
        let mut held = self.0.lock();
        let is_full = held.count >= MAX_HELD;
        let kept = held.organizations.entry(denied.organization.clone()).or_default();
        if let Some(known) = kept.denials.get_mut(&denied.id) {
            known.merge(denied);
            return;
        }
        let place = usize::from(!denied.is_authenticated);
        let source = denied.source();
        let of_source = kept.sources.get(&source).copied().unwrap_or_default();
        let (Some(count), Some(most)) = (kept.counts.get_mut(place), OF_ORGANIZATION.get(place)) else { return };
        if is_full || *count >= *most || of_source >= OF_SOURCE {
            return;
        }
        *count += 1;
        kept.sources.insert(source, of_source + 1);
        kept.denials.insert(denied.id.clone(), denied);
        held.count += 1;
    }

    fn take(&self) -> Vec<DeniedRequest> {
        let held = std::mem::take(&mut *self.0.lock());
        held.organizations.into_values().flat_map(|kept| kept.denials.into_values()).collect()
    }
}

impl DeniedRequest {
    fn new(denied: &Denied<'_>, now: Timestamp) -> Self {
        let [_, network, ..] = levels(denied.address);
        let address = denied.address.known().map(|address| address.to_string());
        let length = if network.is_ipv4() { 24 } else { 48 };
        let network = address.as_ref().map_or_else(|| "unknown".to_owned(), |_| format!("{network}/{length}"));
        let reason = denied.reason.map_or_else(|| Cow::Owned(denied.code.to_ascii_lowercase()), Cow::Borrowed);
        let client_id = denied.client_id.as_ref().map_or("", |id| id.as_str());
        let situation = [
            client_id,
            address.as_deref().unwrap_or_default(),
            denied.endpoint,
            denied.code,
            &reason,
            denied.missing_scope.unwrap_or_default(),
            denied.requested_scope.unwrap_or_default(),
            denied.audience.unwrap_or_default(),
        ];
        let digest = sha256(situation.join("\n").as_bytes());
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            organization: denied.organization.clone(),
            id: digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
            client_id: denied.client_id,
            is_authenticated: denied.is_authenticated,
            network,
            address,
            endpoint: denied.endpoint.to_owned(),
            status: denied.status,
            code: denied.code.to_owned(),
            reason: reason.into_owned(),
            missing_scope: owned(denied.missing_scope),
            requested_scope: owned(denied.requested_scope),
            audience: owned(denied.audience),
            request_ids: vec![denied.request_id.to_owned()],
            count: 1,
            first_at: now,
            last_at: now,
        }
    }

    /// The key if it is authenticated, or else the network: strangers can invent keys, but not networks.
    fn source(&self) -> String {
        match self.client_id.filter(|_| self.is_authenticated) {
            Some(key) => key.to_string(),
            None => self.network.clone(),
        }
    }

    fn merge(&mut self, newer: Self) {
        self.count += newer.count;
        self.first_at = self.first_at.min(newer.first_at);
        self.last_at = self.last_at.max(newer.last_at);
        let older = std::mem::replace(&mut self.request_ids, newer.request_ids);
        self.request_ids.extend(older);
        self.request_ids.truncate(REQUEST_IDS);
    }
}

impl Node {
    /// Writes the denials since the last time. Keeps those that cannot be written.
    pub async fn write_denials(&self) -> Result<(), StoreError> {
        let denials = self.denials.take();
        if denials.is_empty() {
            return Ok(());
        }
        let written = self.store.add_denials(&denials).await;
        if written.is_err() {
            denials.into_iter().for_each(|denied| self.denials.add(denied));
        }
        written
    }

    /// Deletes denials that are old or beyond the bounds.
    pub(super) async fn prune_denials(&self, now: Timestamp) -> Result<(), StoreError> {
        self.store.prune_denials(now.plus_seconds(-KEPT_SECONDS)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied<'a>(key: Option<u8>, address: &str, is_authenticated: bool, request_id: &'a str) -> Denied<'a> {
        Denied {
            organization: Slug::parse("default").unwrap(),
            client_id: key.map(|byte| KeyId::from_random([byte; 16])),
            is_authenticated,
            address: ClientAddress::Known(address.parse().unwrap()),
            endpoint: "/oauth/token",
            status: 403,
            code: "API_KEY_IP_NOT_ALLOWED",
            reason: None,
            missing_scope: None,
            requested_scope: None,
            audience: None,
            request_id,
        }
    }

    const NOW: Timestamp = Timestamp::from_seconds(100);

    #[test]
    fn repetitions_are_folded_with_the_latest_request_ids() {
        let denials = Denials::default();
        for n in 0..20 {
            denials.note(&denied(Some(1), "192.0.2.1", true, &format!("r{n}")), NOW.plus_seconds(n));
        }
        let all = denials.take();
        assert_eq!((all.len(), all[0].count), (1, 20));
        assert_eq!(all[0].request_ids, ["r19", "r18", "r17", "r16", "r15", "r14", "r13", "r12"]);
        assert_eq!((all[0].first_at, all[0].last_at), (NOW, NOW.plus_seconds(19)));
        assert_eq!(all[0].reason, "api_key_ip_not_allowed");
        assert!(denials.take().is_empty());
    }

    #[test]
    fn strangers_displace_only_each_other() {
        let denials = Denials::default();
        for n in 0..100_000_u32 {
            let address = std::net::Ipv4Addr::from(n.wrapping_mul(257)).to_string();
            denials.note(&denied(Some(n as u8), &address, false, "r"), NOW);
        }
        denials.note(&denied(Some(1), "192.0.2.1", true, "mine"), NOW);
        let all = denials.take();
        assert_eq!(all.len(), OF_ORGANIZATION[1] + 1);
        assert!(all.iter().any(|one| one.request_ids == ["mine"]));

        // One network, and one key, have a share each.
        for n in 0..200 {
            denials.note(&denied(None, &format!("192.0.2.{n}"), false, "r"), NOW);
            denials.note(&denied(Some(7), &format!("10.0.0.{n}"), true, "r"), NOW);
        }
        assert_eq!(denials.take().len(), 2 * OF_SOURCE as usize);
    }

    #[test]
    fn memory_is_bounded_for_many_organizations() {
        let denials = Denials::default();
        for organization in 0..100 {
            for n in 0..300_u32 {
                let mut one = denied(Some(n as u8), "192.0.2.1", true, "r");
                one.organization = Slug::parse(&format!("org-{organization}")).unwrap();
                denials.note(&one, NOW);
            }
        }
        assert_eq!(denials.take().len(), MAX_HELD);
    }
}
