//! Counts security events that strangers can repeat. They are held in memory and aggregated when they are written.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::domain::decision::ClientAddress;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::hour_of;
use crate::limits::levels;
use crate::node::Node;
use crate::store::{CountedEvent, StoreError};

/// Maximum number of counters in memory. Beyond it, networks are counted together.
const MAX_HELD: usize = 4_096;

/// A repeatable event: action, subject and network.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RepeatedEvent {
    organization: Slug,
    action: &'static str,
    subject: String,
    address: Option<IpAddr>,
    network: String,
}

impl RepeatedEvent {
    /// Creates an event of a subject from the /24 or /48 of an address.
    pub fn new(organization: Slug, action: &'static str, subject: &str, address: ClientAddress) -> Self {
        let [_, network, ..] = levels(address);
        let length = if network.is_ipv4() { 24 } else { 48 };
        let known = address.known();
        let network = known.map_or_else(|| "unknown".to_owned(), |_| format!("{network}/{length}"));
        Self { organization, action, subject: subject.to_owned(), address: known, network }
    }
}

/// Organization, action, subject, hour and network.
type EventKey = (Slug, &'static str, String, i64, String);

/// Counters that are not written yet. A crash loses at most the last two seconds.
#[derive(Default)]
pub struct EventCounts(Mutex<HashMap<EventKey, CountedEvent>>);

impl EventCounts {
    pub fn count(&self, event: &RepeatedEvent, now: Timestamp) {
        let RepeatedEvent { organization, action, subject, address, network } = event.clone();
        self.add(CountedEvent {
            organization,
            action,
            subject,
            network,
            address: address.map(|address| address.to_string()),
            hour: hour_of(now),
            count: 1,
            first_at: now,
            last_at: now,
        });
    }

    fn add(&self, event: CountedEvent) {
        let mut held = self.0.lock();
        let key = |network: &str| {
            (event.organization.clone(), event.action, event.subject.clone(), event.hour, network.to_owned())
        };
        let mut key_of_network = key(&event.network);
        if held.len() >= MAX_HELD && !held.contains_key(&key_of_network) {
            key_of_network = key(CountedEvent::OTHER_NETWORKS);
        }
        let network = key_of_network.4.clone();
        held.entry(key_of_network)
            .and_modify(|held| {
                held.count += event.count;
                held.first_at = held.first_at.min(event.first_at);
                held.last_at = held.last_at.max(event.last_at);
            })
            .or_insert(CountedEvent { network, ..event });
    }

    fn take(&self) -> Vec<CountedEvent> {
        let held = std::mem::take(&mut *self.0.lock());
        held.into_values().collect()
    }
}

impl Node {
    /// Writes the counted events. Keeps those that cannot be written for the next time.
    pub async fn write_events(&self) -> Result<(), StoreError> {
        let mut events = self.events.take().into_iter();
        while let Some(event) = events.next() {
            if let Err(error) = self.store.count_event(&event).await {
                self.events.add(event);
                events.for_each(|event| self.events.add(event));
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_aggregated_and_memory_is_bounded() {
        let counts = EventCounts::default();
        let now = Timestamp::from_seconds(7_200);
        let organization = Slug::parse("default").unwrap();
        for n in 0..100_000_u32 {
            let address = ClientAddress::Known(IpAddr::V4(n.wrapping_mul(256).into()));
            counts.count(&RepeatedEvent::new(organization.clone(), "session.refuse", "m", address), now);
        }
        let events = counts.take();
        assert_eq!(events.iter().map(|event| event.count).sum::<u64>(), 100_000);
        assert!(events.len() <= MAX_HELD + 1);
        assert!(counts.take().is_empty());
    }
}
