//! What is counted, for Prometheus.

use std::borrow::Cow;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::telemetry::cluster_metrics::ClusterMetrics;
use crate::telemetry::log_writer::lost_lines;
use crate::telemetry::task_metrics::TaskMetrics;
use crate::telemetry::webhook_metrics::WebhookMetrics;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    exchanges: Family<ExchangeLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    changes: Family<ChangeLabels, Counter>,
    slow_checks: Counter,
    records: Gauge,
    cluster: ClusterMetrics,
    webhooks: WebhookMetrics,
    tasks: TaskMetrics,
}

/// How an exchange ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, EncodeLabelValue)]
pub enum Outcome {
    /// A token was minted.
    Minted,
    /// Not a request as it should be.
    InvalidRequest,
    /// Not a key and its secret, or revoked.
    Invalid,
    /// Past its expiry.
    Expired,
    /// Suspended.
    Disabled,
    /// From a network that is not allowed.
    Network,
    /// A scope that is not held.
    Scope,
    /// An audience that is not allowed.
    Audience,
    /// Too many failures from one address.
    Limited,
    /// Could not be decided.
    Unavailable,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ExchangeLabels {
    outcome: Outcome,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    route: Cow<'static, str>,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RouteLabels {
    route: Cow<'static, str>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ChangeLabels {
    action: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let request_seconds = Family::<RouteLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_05, 4.0, 9))
        });
        let mut metrics = Self {
            registry: Registry::with_prefix("keyturn"),
            exchanges: Family::default(),
            requests: Family::default(),
            request_seconds,
            changes: Family::default(),
            slow_checks: Counter::default(),
            records: Gauge::default(),
            cluster: ClusterMetrics::default(),
            webhooks: WebhookMetrics::default(),
            tasks: TaskMetrics::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("exchanges", "Exchanges at the token endpoint, by outcome", metrics.exchanges.clone());
        registry.register("http_requests", "HTTP requests, by route and status", metrics.requests.clone());
        registry.register(
            "http_request_seconds",
            "Time from a request's head to its answer's",
            metrics.request_seconds.clone(),
        );
        registry.register("changes", "Changes written, by action", metrics.changes.clone());
        registry.register("argon2_checks", "Secrets that only Argon2 could check", metrics.slow_checks.clone());
        registry.register("records_in_memory", "API key records held in memory", metrics.records.clone());
        registry.register("log_lines_lost", "Log lines that could not be written", lost_lines());
        metrics.cluster.register(registry);
        metrics.webhooks.register(registry);
        metrics.tasks.register(registry);
        metrics
    }
}

impl Metrics {
    /// Exports whether the lease is live, for a node that needs one.
    pub fn export_lease(&mut self) {
        self.cluster.register_lease(&mut self.registry);
    }

    /// Exports whether Redis is in use, for a node that is meant to use it.
    pub fn export_redis(&mut self) {
        self.cluster.register_redis(&mut self.registry);
    }

    /// Counts an exchange.
    pub fn exchange(&self, outcome: Outcome) {
        self.exchanges.get_or_create(&ExchangeLabels { outcome }).inc();
    }

    /// Counts an answered request. `route` is the route's pattern, never a path as it was sent.
    pub fn request(&self, route: Cow<'static, str>, status: u16, seconds: f64) {
        self.requests.get_or_create(&RequestLabels { route: route.clone(), status }).inc();
        self.request_seconds.get_or_create(&RouteLabels { route }).observe(seconds);
    }

    /// Counts a change that was written.
    pub fn change(&self, action: &'static str) {
        self.changes.get_or_create(&ChangeLabels { action }).inc();
    }

    /// Counts a secret that only Argon2 could check.
    pub fn slow_check(&self) {
        self.slow_checks.inc();
    }

    /// Sets how many records are in memory.
    pub fn records(&self, records: usize) {
        self.records.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// What a node counts that is one of several.
    pub fn cluster(&self) -> &ClusterMetrics {
        &self.cluster
    }

    /// What is counted of background tasks.
    pub fn tasks(&self) -> &TaskMetrics {
        &self.tasks
    }

    /// What is counted of webhooks.
    pub fn webhooks(&self) -> &WebhookMetrics {
        &self.webhooks
    }

    /// Everything in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
