//! Metrics of webhooks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::label::Word;

/// Metrics of deliveries; clones share their values.
#[derive(Clone, Debug, Default)]
pub struct WebhookMetrics {
    attempts: Family<AttemptLabels, Counter>,
    pending: Gauge,
    oldest_seconds: Gauge,
}

/// The result of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Delivered.
    Delivered,
    /// Failed; it will be retried.
    Failed,
    /// Failed for the last time.
    Dead,
}

impl Sent {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct AttemptLabels {
    outcome: Word,
}

impl WebhookMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "webhook_attempts",
            "Attempts to deliver an event to a webhook, by what became of it",
            self.attempts.clone(),
        );
        registry.register("webhook_pending", "Events that wait to be delivered to webhooks", self.pending.clone());
        registry.register(
            "webhook_oldest_pending_seconds",
            "For how long the oldest of them has waited",
            self.oldest_seconds.clone(),
        );
    }

    /// Counts an attempt.
    pub fn attempted(&self, outcome: Sent) {
        self.attempts.get_or_create(&AttemptLabels { outcome: Word(outcome.as_str()) }).inc();
    }

    /// Sets how many deliveries wait, and for how many seconds.
    pub fn backlog(&self, pending: u64, oldest_seconds: i64) {
        self.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.oldest_seconds.set(oldest_seconds);
    }
}
