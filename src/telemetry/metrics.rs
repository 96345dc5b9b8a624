//! Metrics for Prometheus.

use std::borrow::Cow;
use std::sync::OnceLock;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::domain::outcome::Code;
use crate::telemetry::cluster_metrics::ClusterMetrics;
use crate::telemetry::database_metrics::DatabaseMetrics;
use crate::telemetry::label::Word;
use crate::telemetry::log_writer::lost_lines;
use crate::telemetry::process_metrics::ProcessMetrics;
use crate::telemetry::task_metrics::TaskMetrics;
use crate::telemetry::webhook_metrics::WebhookMetrics;

/// The routes with the most requests: the metrics of those that succeed are looked up once.
const BUSY_ROUTES: [&str; 3] = ["/oauth/token", "/verify", "/oauth/introspect"];

/// Upper bounds of the time that a request takes, in seconds.
const REQUEST_SECONDS: [f64; 16] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    /// Metrics whose names do not begin with `keyturn`.
    process: Registry,
    exchanges: Decisions,
    verifications: Decisions,
    introspections: Decisions,
    sign_ins: Decisions,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    busy: [OnceLock<(Counter, Histogram)>; BUSY_ROUTES.len()],
    changes: Family<ChangeLabels, Counter>,
    slow_checks: Counter,
    records: Gauge,
    expiring: Family<WithinLabels, Gauge>,
    database: DatabaseMetrics,
    cluster: ClusterMetrics,
    webhooks: WebhookMetrics,
    tasks: TaskMetrics,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: Word,
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

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct WithinLabels {
    within: Word,
}

/// Decisions of one kind by outcome. The usual outcome is counted without a look-up.
#[derive(Debug)]
struct Decisions {
    family: Family<OutcomeLabels, Counter>,
    ordinary: Counter,
}

impl Decisions {
    /// Decisions whose usual outcome has this name.
    fn new(ordinary: &'static str) -> Self {
        let family = Family::<OutcomeLabels, Counter>::default();
        let ordinary = family.get_or_create(&OutcomeLabels { outcome: Word(ordinary) }).clone();
        Self { family, ordinary }
    }

    fn count(&self, refusal: Option<&'static str>) {
        match refusal {
            None => self.ordinary.inc(),
            Some(code) => self.family.get_or_create(&OutcomeLabels { outcome: Word(code) }).inc(),
        };
    }
}

fn count((requests, request_seconds): &(Counter, Histogram), seconds: f64) {
    requests.inc();
    request_seconds.observe(seconds);
}

impl Default for Metrics {
    fn default() -> Self {
        let request_seconds =
            Family::<RouteLabels, Histogram>::new_with_constructor(|| Histogram::new(REQUEST_SECONDS));
        let mut metrics = Self {
            registry: Registry::with_prefix("keyturn"),
            process: Registry::default(),
            exchanges: Decisions::new("issued"),
            verifications: Decisions::new("allowed"),
            introspections: Decisions::new("active"),
            sign_ins: Decisions::new("signed_in"),
            requests: Family::default(),
            request_seconds,
            busy: Default::default(),
            changes: Family::default(),
            slow_checks: Counter::default(),
            records: Gauge::default(),
            expiring: Family::default(),
            database: DatabaseMetrics::default(),
            cluster: ClusterMetrics::default(),
            webhooks: WebhookMetrics::default(),
            tasks: TaskMetrics::default(),
        };
        metrics.process.register_collector(Box::new(ProcessMetrics));
        let registry = &mut metrics.registry;
        registry.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        for (name, help, decisions) in [
            ("exchanges", "Token requests, by outcome: issued, or the code of the refusal", &metrics.exchanges),
            ("verifications", "Verifications, by outcome: allowed, or the code of the refusal", &metrics.verifications),
            (
                "introspections",
                "Introspections, by outcome: active, inactive, or the code of the caller's refusal",
                &metrics.introspections,
            ),
            (
                "sign_ins",
                "Attempts to sign in with a password, by outcome: signed_in, refused, limited, invalid, conflict or \
                 unavailable",
                &metrics.sign_ins,
            ),
        ] {
            registry.register(name, help, decisions.family.clone());
        }
        registry.register("http_requests", "HTTP requests, by route and status", metrics.requests.clone());
        registry.register(
            "http_request_seconds",
            "Time from a request's head to its answer's",
            metrics.request_seconds.clone(),
        );
        registry.register("changes", "Changes written, by action", metrics.changes.clone());
        registry.register("argon2_checks", "Secrets that only Argon2 could check", metrics.slow_checks.clone());
        registry.register("records_in_memory", "API key records held in memory", metrics.records.clone());
        registry.register(
            "keys_expiring",
            "Active API keys that expire within a period, counted every five minutes",
            metrics.expiring.clone(),
        );
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

    /// Exports the pool of connections, for a node on PostgreSQL.
    pub fn export_database_pool(&mut self) {
        self.database.register(&mut self.registry);
    }

    /// Exports whether Redis is in use, for a node that is meant to use it.
    pub fn export_redis(&mut self) {
        self.cluster.register_redis(&mut self.registry);
    }

    /// Counts a token request, and its code if it is denied.
    pub fn exchange(&self, denied: Option<Code>) {
        self.exchanges.count(denied.map(Code::as_str));
    }

    /// Counts a verification, and its code if it is denied.
    pub fn verification(&self, denied: Option<Code>) {
        self.verifications.count(denied.map(Code::as_str));
    }

    /// Counts an introspection: `None` for active, else `inactive` or the code if the caller is denied.
    pub fn introspection(&self, otherwise: Option<&'static str>) {
        self.introspections.count(otherwise);
    }

    /// Counts an attempt to sign in, and its failure if there was one.
    pub fn sign_in(&self, failure: Option<&'static str>) {
        self.sign_ins.count(failure);
    }

    /// Sets how many active keys expire within a period such as `7d`.
    pub fn keys_expiring(&self, within: &'static str, keys: u64) {
        let gauge = self.expiring.get_or_create(&WithinLabels { within: Word(within) });
        gauge.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// The pool of connections to the database.
    pub fn database(&self) -> &DatabaseMetrics {
        &self.database
    }

    /// The route of a path, if it is one of the busiest.
    pub fn busy_route(&self, path: &str) -> Option<&'static str> {
        BUSY_ROUTES.into_iter().find(|busy| *busy == path)
    }

    /// Counts a request. `route` is the route's pattern, never a path as it was sent.
    pub fn request(&self, route: Cow<'static, str>, status: u16, seconds: f64) {
        let place = BUSY_ROUTES.iter().position(|busy| status == 200 && *busy == route);
        match place.and_then(|place| self.busy.get(place)) {
            Some(busy) => count(busy.get_or_init(|| self.of_request(route, status)), seconds),
            None => count(&self.of_request(route, status), seconds),
        }
    }

    fn of_request(&self, route: Cow<'static, str>, status: u16) -> (Counter, Histogram) {
        let requests = self.requests.get_or_create(&RequestLabels { route: route.clone(), status }).clone();
        (requests, self.request_seconds.get_or_create(&RouteLabels { route }).clone())
    }

    /// Counts a change that was written.
    pub fn change(&self, action: &'static str) {
        self.changes.get_or_create(&ChangeLabels { action }).inc();
    }

    /// Counts a secret that Argon2 checked.
    pub fn slow_check(&self) {
        self.slow_checks.inc();
    }

    /// Sets how many records are in memory.
    pub fn records(&self, records: usize) {
        self.records.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// The metrics of a node in a cluster.
    pub fn cluster(&self) -> &ClusterMetrics {
        &self.cluster
    }

    /// The metrics of background tasks.
    pub fn tasks(&self) -> &TaskMetrics {
        &self.tasks
    }

    /// The metrics of webhooks.
    pub fn webhooks(&self) -> &WebhookMetrics {
        &self.webhooks
    }

    /// All metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut rendered = String::new();
        // Writing to a string does not fail.
        let _ = text::encode_registry(&mut rendered, &self.registry);
        let _ = text::encode_registry(&mut rendered, &self.process);
        let _ = text::encode_eof(&mut rendered);
        rendered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_on_a_busy_route_is_counted_like_any_other() {
        let metrics = Metrics::default();
        for (route, status) in [("/verify", 200), ("/verify", 401), ("/verify", 200), ("/docs", 200)] {
            metrics.request(Cow::Borrowed(route), status, 0.001);
        }
        let rendered = metrics.render();
        for line in [
            r#"keyturn_http_requests_total{route="/verify",status="200"} 2"#,
            r#"keyturn_http_requests_total{route="/verify",status="401"} 1"#,
            r#"keyturn_http_requests_total{route="/docs",status="200"} 1"#,
            r#"keyturn_http_request_seconds_count{route="/verify"} 3"#,
        ] {
            assert!(rendered.lines().any(|rendered| rendered == line), "{line}: {rendered}");
        }
        assert!(!rendered.contains("/oauth/token"), "a route without requests has no series");
    }
}
