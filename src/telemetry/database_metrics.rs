//! Metrics of the connection pool for requests.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::label::Word;

/// Metrics of the pool; clones share their values.
#[derive(Clone, Debug, Default)]
pub struct DatabaseMetrics {
    connections: Family<StateLabels, Gauge>,
    most: Gauge,
    waits: Counter,
    wait_seconds: Counter<f64, AtomicU64>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct StateLabels {
    state: Word,
}

impl DatabaseMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "database_connections",
            "Open connections to PostgreSQL for requests, by state",
            self.connections.clone(),
        );
        registry.register("database_connections_max", "Connections that may be open for requests", self.most.clone());
        registry.register(
            "database_connection_waits",
            "Times that a connection for requests was taken from the pool",
            self.waits.clone(),
        );
        registry.register(
            "database_connection_wait_seconds",
            "Time that taking them took, waiting for a free one included",
            self.wait_seconds.clone(),
        );
    }

    /// Sets how many connections are idle, in use, and allowed.
    pub fn connections(&self, idle: u32, used: u32, most: u32) {
        for (state, connections) in [("idle", idle), ("used", used)] {
            self.connections.get_or_create(&StateLabels { state: Word(state) }).set(connections.into());
        }
        self.most.set(most.into());
    }

    /// Sets how often a connection was acquired since the start, and the total wait in nanoseconds.
    pub fn waits(&self, count: u64, nanos: u64) {
        self.waits.inner().store(count, Ordering::Relaxed);
        self.wait_seconds.inner().store((nanos as f64 / 1e9).to_bits(), Ordering::Relaxed);
    }
}
