//! Metrics of a node in a cluster.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::telemetry::label::Word;

/// Metrics of following changes, of the lease, and of settling; clones share their values.
#[derive(Clone, Debug)]
pub struct ClusterMetrics {
    settle_seconds: Family<SettledLabels, Histogram>,
    follow_seconds: Histogram,
    follow_failures: Counter,
    lease_live: Gauge,
    without_lease: Counter,
    applied: Gauge,
    clock_offset_seconds: Gauge<f64, AtomicU64>,
    redis_up: Gauge,
    redis_failures: Counter,
    redis_messages_rejected: Counter,
}

/// How a change settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Every other node acknowledged it.
    Followed,
    /// Every lease from before it has expired.
    LeasesOver,
}

impl Settled {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::LeasesOver => "leases_over",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct SettledLabels {
    by: Word,
}

impl Default for ClusterMetrics {
    fn default() -> Self {
        let waits = || Histogram::new(exponential_buckets(0.001, 2.0, 12));
        Self {
            settle_seconds: Family::new_with_constructor(waits),
            follow_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 12)),
            follow_failures: Counter::default(),
            lease_live: Gauge::default(),
            without_lease: Counter::default(),
            applied: Gauge::default(),
            clock_offset_seconds: Gauge::default(),
            redis_up: Gauge::default(),
            redis_failures: Counter::default(),
            redis_messages_rejected: Counter::default(),
        }
    }
}

impl ClusterMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "change_wait_seconds",
            "Time from a change's commit until it held on every node, by why it did",
            self.settle_seconds.clone(),
        );
        registry.register("follow_seconds", "Time that asking for changes took", self.follow_seconds.clone());
        registry.register("follow_failures", "Times that asking for changes failed", self.follow_failures.clone());
        registry.register(
            "records_without_lease",
            "Records that were read from the database because there was no lease",
            self.without_lease.clone(),
        );
        registry.register("applied_change", "The last change that was followed", self.applied.clone());
        registry.register(
            "clock_offset_seconds",
            "How far the database's clock is ahead of this node's",
            self.clock_offset_seconds.clone(),
        );
        registry.register("redis_failures", "Calls of Redis that failed", self.redis_failures.clone());
        registry.register(
            "redis_messages_rejected",
            "Reports and nudges in Redis that no node of this deployment wrote",
            self.redis_messages_rejected.clone(),
        );
    }

    pub(super) fn register_lease(&self, registry: &mut Registry) {
        registry.register("lease_live", "1 while decisions may be made from memory", self.lease_live.clone());
    }

    pub(super) fn register_redis(&self, registry: &mut Registry) {
        registry.register("redis_up", "1 while Redis is in use", self.redis_up.clone());
    }

    /// Counts a report or notification that was not authentic.
    pub fn redis_message_rejected(&self) {
        self.redis_messages_rejected.inc();
    }

    /// Counts a settled change.
    pub fn settled(&self, by: Settled, waited: Duration) {
        self.settle_seconds.get_or_create(&SettledLabels { by: Word(by.as_str()) }).observe(waited.as_secs_f64());
    }

    /// Observes a successful request for changes.
    pub fn followed(&self, took: Duration) {
        self.follow_seconds.observe(took.as_secs_f64());
    }

    /// Counts a failed request for changes.
    pub fn follow_failed(&self) {
        self.follow_failures.inc();
    }

    /// Sets whether the lease is live.
    pub fn lease(&self, is_live: bool) {
        self.lease_live.set(i64::from(is_live));
    }

    /// Counts a read from the store without a live lease.
    pub fn without_lease(&self) {
        self.without_lease.inc();
    }

    /// Sets the number of the last applied change.
    pub fn applied(&self, seq: u64) {
        self.applied.set(i64::try_from(seq).unwrap_or(i64::MAX));
    }

    /// Sets by how many milliseconds the database's clock is ahead.
    pub fn clock_offset(&self, millis: i64) {
        self.clock_offset_seconds.set(millis as f64 / 1000.0);
    }

    /// Sets whether Redis is in use.
    pub fn redis(&self, is_up: bool) {
        self.redis_up.set(i64::from(is_up));
    }

    /// Counts a failed call to Redis.
    pub fn redis_failed(&self) {
        self.redis_failures.inc();
    }
}
