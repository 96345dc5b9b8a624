//! Checks of gateways: observes verification requests of organizations that ask for it, for ten minutes.
//!
//! Nothing is observed otherwise, so the price of a request is one flag, which logging uses as well. Requests are folded by peer and
//! result and written every two seconds, so the page shows those of all nodes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::domain::decision::ClientAddress;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::Node;
use crate::store::{GatewayRequest, StoreError};

/// How long an organization is observed.
const WATCH_SECONDS: i64 = 600;
/// Different requests of one organization that a node holds between two writes. Each has less than 1 KB, so those of 64 organizations
/// have less than 2 MB.
const MAX_HELD: usize = 32;

/// A verification request and its result.
#[derive(Clone, Copy, Debug)]
pub struct ObservedRequest<'a> {
    pub organization: &'a Slug,
    pub peer: IpAddr,
    pub is_trusted: bool,
    pub client: ClientAddress,
    /// Code of the error; `None` if the request was allowed.
    pub code: Option<&'static str>,
}

/// The organizations that this node observes.
#[derive(Default)]
pub struct GatewayWatch {
    is_on: AtomicBool,
    /// Whether successful requests are logged, so that the flag is always set.
    is_always_on: AtomicBool,
    organizations: Mutex<HashMap<Slug, Watched>>,
}

struct Watched {
    until: Timestamp,
    requests: Vec<GatewayRequest>,
}

impl GatewayWatch {
    /// Whether anybody is interested in a successful request.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Keeps the flag set, because successful requests are logged.
    pub fn keep_on(&self) {
        self.is_always_on.store(true, Ordering::Relaxed);
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Notes a request if its organization is observed.
    pub fn note(&self, observed: &ObservedRequest<'_>, now: Timestamp) {
        let mut organizations = self.organizations.lock();
        let Some(watched) = organizations.get_mut(observed.organization).filter(|watched| now < watched.until) else {
            return;
        };
        let newer = GatewayRequest::new(observed, now);
        let is_same = |known: &&mut GatewayRequest| {
            (&known.peer, known.is_trusted, &known.code, &known.address_error)
                == (&newer.peer, newer.is_trusted, &newer.code, &newer.address_error)
        };
        let has_room = watched.requests.len() < MAX_HELD;
        match watched.requests.iter_mut().find(is_same) {
            Some(known) => {
                known.count += 1;
                known.client = newer.client;
                known.last_at = now;
            }
            None if has_room => watched.requests.push(newer),
            None => {}
        }
    }

    /// Observes these organizations, and no others.
    fn set(&self, watches: Vec<(Slug, Timestamp)>) {
        let mut organizations = self.organizations.lock();
        organizations.retain(|slug, _| watches.iter().any(|(watched, _)| watched == slug));
        for (slug, until) in watches {
            organizations.entry(slug).or_insert(Watched { until, requests: Vec::new() }).until = until;
        }
        let is_on = !organizations.is_empty() || self.is_always_on.load(Ordering::Relaxed);
        self.is_on.store(is_on, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<(Slug, Vec<GatewayRequest>)> {
        let mut organizations = self.organizations.lock();
        let taken = organizations.iter_mut().map(|(slug, held)| (slug.clone(), std::mem::take(&mut held.requests)));
        taken.filter(|(_, requests)| !requests.is_empty()).collect()
    }

    fn watches_any(&self) -> bool {
        !self.organizations.lock().is_empty()
    }
}

impl GatewayRequest {
    fn new(observed: &ObservedRequest<'_>, now: Timestamp) -> Self {
        let address_error = match observed.client {
            ClientAddress::Known(_) | ClientAddress::NotTheCaller => None,
            ClientAddress::Unreadable(error) => Some(error.to_string()),
        };
        Self {
            organization: observed.organization.clone(),
            peer: observed.peer.to_string(),
            is_trusted: observed.is_trusted,
            code: observed.code.map(str::to_owned),
            address_error,
            client: observed.client.known().map(|address| address.to_string()),
            count: 1,
            first_at: now,
            last_at: now,
        }
    }
}

impl Node {
    /// Observes an organization for ten minutes, on every node. Returns whether there was room.
    pub async fn watch_gateway(&self, organization: &Slug, now: Timestamp) -> Result<bool, StoreError> {
        let has_room = self.store.watch_gateway(organization, now, now.plus_seconds(WATCH_SECONDS)).await?;
        self.gateways.set(self.store.gateway_watches(now).await?);
        Ok(has_room)
    }

    /// Returns until when an organization is observed, and what was observed since the beginning.
    pub async fn observed_requests(
        &self,
        organization: &Slug,
        now: Timestamp,
    ) -> Result<(Option<Timestamp>, Vec<GatewayRequest>), StoreError> {
        self.write_gateway_requests().await?;
        let watches = self.store.gateway_watches(now).await?;
        let until = watches.iter().find(|(slug, _)| slug == organization).map(|(_, until)| *until);
        let since = now.plus_seconds(-WATCH_SECONDS);
        Ok((until, self.store.gateway_requests(organization, since).await?))
    }

    /// Writes what this node has observed.
    async fn write_gateway_requests(&self) -> Result<(), StoreError> {
        for (slug, requests) in self.gateways.take() {
            self.store.add_gateway_requests(&slug, &requests).await?;
        }
        Ok(())
    }

    /// Writes what this node has observed, and learns which organizations are observed. Without other nodes, it knows.
    pub async fn follow_gateway_checks(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write_gateway_requests().await?;
        if self.cluster.is_some() || self.gateways.watches_any() {
            self.gateways.set(self.store.gateway_watches(now).await?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::UnreadableAddress;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn observed<'a>(organization: &'a Slug, peer: u8, code: Option<&'static str>) -> ObservedRequest<'a> {
        ObservedRequest {
            organization,
            peer: IpAddr::from([192, 0, 2, peer]),
            is_trusted: peer == 1,
            client: ClientAddress::Known(IpAddr::from([198, 51, 100, peer])),
            code,
        }
    }

    #[test]
    fn only_watched_organizations_are_observed_and_only_for_a_while() {
        let (watch, [acme, other]) = (GatewayWatch::default(), ["acme", "other"].map(|s| Slug::parse(s).unwrap()));
        watch.note(&observed(&acme, 1, None), NOW);
        assert!(!watch.is_on() && watch.take().is_empty());
        watch.set(vec![(acme.clone(), NOW.plus_seconds(10))]);
        assert!(watch.is_on());
        watch.note(&observed(&acme, 1, None), NOW);
        watch.note(&observed(&acme, 1, None), NOW.plus_seconds(9));
        watch.note(&observed(&acme, 1, None), NOW.plus_seconds(10));
        watch.note(&observed(&other, 1, None), NOW);
        let [(slug, requests)] = &*watch.take() else { panic!("one organization") };
        assert_eq!((slug, requests.len(), requests[0].count), (&acme, 1, 2));
        assert_eq!((requests[0].first_at, requests[0].last_at), (NOW, NOW.plus_seconds(9)));
        watch.set(Vec::new());
        assert!(!watch.is_on());
        watch.keep_on();
        watch.set(Vec::new());
        assert!(watch.is_on(), "requests are logged");
    }

    #[test]
    fn strangers_cannot_grow_what_is_held() {
        let (watch, acme) = (GatewayWatch::default(), Slug::parse("acme").unwrap());
        watch.set(vec![(acme.clone(), NOW.plus_seconds(600))]);
        for peer in 0..=255 {
            watch.note(&observed(&acme, peer, Some("API_KEY_REQUIRED")), NOW);
        }
        assert_eq!(watch.take()[0].1.len(), MAX_HELD);
    }

    #[test]
    fn result_and_cause_are_told_apart() {
        let (watch, acme) = (GatewayWatch::default(), Slug::parse("acme").unwrap());
        watch.set(vec![(acme.clone(), NOW.plus_seconds(600))]);
        watch.note(&observed(&acme, 1, None), NOW);
        watch.note(&observed(&acme, 1, Some("API_KEY_IP_NOT_ALLOWED")), NOW);
        let unknown = ClientAddress::Unreadable(UnreadableAddress::Missing);
        watch.note(&ObservedRequest { client: unknown, ..observed(&acme, 1, None) }, NOW);
        let held = &watch.take()[0].1;
        assert_eq!(held.len(), 3);
        assert_eq!(held[2].address_error.as_deref(), Some("the trusted proxy sent no forwarding header"));
        assert_eq!((&held[2].client, held[0].client.as_deref()), (&None, Some("198.51.100.1")));
    }
}
