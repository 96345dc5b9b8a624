//! The background tasks of a node.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::http::context::HttpContext;
use crate::keys::{self, KeyError};
use crate::node::Node;
use crate::organizations;
use crate::revocation::Cluster;
use crate::server::connections::Connections;
use crate::server::supervisor::Supervisor;
use crate::usage;
use crate::webhooks::{self, DeliveryWorker};

/// How often expired data is deleted and signing keys are rotated.
const MAINTAIN_EVERY: Duration = Duration::from_secs(30);

/// How often a node checks whether the maintenance of keys is due.
const CHECK_KEY_MAINTENANCE_EVERY: Duration = Duration::from_secs(60);

/// How often the maintenance of keys is due.
const KEY_MAINTENANCE_SECONDS: i64 = 3600;

/// How often the keys that expire soon are counted for `/metrics`.
const COUNT_EXPIRING_EVERY: Duration = Duration::from_secs(300);

/// How often usage counts are written. A crash loses at most the counts of this time and of the write itself.
const WRITE_USAGE_EVERY: Duration = Duration::from_secs(2);

/// The background tasks, in the groups in which they stop.
pub(super) struct Tasks {
    /// Stop before the changes in progress are finished.
    maintenance: Supervisor,
    /// Write what those changes leave.
    writers: Supervisor,
    /// Keep the lease until everything else has stopped.
    cluster: Supervisor,
}

impl Tasks {
    pub fn new(node: &Node) -> Self {
        let supervisor = || Supervisor::new(node.metrics.tasks().clone());
        Self { maintenance: supervisor(), writers: supervisor(), cluster: supervisor() }
    }

    /// Follows the changes of other nodes, reports this node to them, and keeps the list in Redis. If following fails,
    /// the lease ends, and the node reads from the database until it follows again.
    pub fn follow_cluster(&self, node: &Arc<Node>) {
        if let Some(cluster) = &node.cluster {
            self.supervise_following(cluster, with(node, follow));
            let shared = Arc::new(node.settings.shared());
            self.cluster.run(
                "compare-settings",
                with(&(cluster.clone(), shared), |(cluster, shared)| async move {
                    cluster.compare_settings(&shared).await;
                }),
            );
            self.cluster.run("report", with(cluster, |cluster| async move { cluster.report().await }));
        }
        if let Some(redis) = &node.redis {
            self.cluster.run("redis-listen", with(redis, |redis| async move { redis.listen().await }));
            self.cluster.run("redis-watch", with(redis, |redis| async move { redis.watch().await }));
        }
    }

    /// Runs the task that follows changes. The lease ends with it.
    pub fn supervise_following<T>(&self, cluster: &Arc<Cluster>, task: impl Fn() -> T + Send + 'static)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let cluster = cluster.clone();
        self.cluster.run_with("follow", task, move || cluster.halt());
    }

    /// Closes connections that exceed their time limits.
    pub fn sweep_connections(&self, connections: &Arc<Connections>) {
        self.maintenance.run("connections", with(connections, Connections::sweep_every_second));
    }

    /// Does what is due by the clock.
    pub fn maintain(&self, context: &web::Data<HttpContext>) {
        self.maintenance.run("tend", with(&context.node, maintain));
        self.maintenance.run("upkeep", with(&context.node, maintain_keys_hourly));
        self.maintenance.run("count-expiring", with(&context.node, count_expiring_keys));
    }

    /// Writes usage counts every few seconds, and once more at shutdown.
    pub fn write_usage(&self, node: &Arc<Node>) {
        let node = node.clone();
        self.writers.run_to_completion("usage", move |stop| write_usage(node.clone(), stop));
    }

    /// Delivers webhooks.
    pub fn deliver_webhooks(&self, outgoing: &Arc<DeliveryWorker>) {
        let outgoing = outgoing.clone();
        self.writers.run_to_completion("webhooks", move |stop| webhooks::deliver(outgoing.clone(), stop));
    }

    /// Stops all tasks, after the changes in progress are finished and written.
    pub async fn stop(&self, node: &Node) {
        self.maintenance.stop().await;
        node.drain().await;
        self.writers.stop().await;
        self.cluster.stop().await;
    }
}

/// A task that starts with its own clone of the state, each time.
fn with<S: Clone + Send + 'static, F>(
    state: &S,
    task: impl Fn(S) -> F + Send + 'static,
) -> impl Fn() -> F + Send + 'static {
    let state = state.clone();
    move || task(state.clone())
}

pub(super) async fn follow(node: Arc<Node>) {
    let Some(cluster) = &node.cluster else { return };
    let reload = |changed_after| {
        let node = node.clone();
        async move {
            match changed_after {
                Some(seq) => node.load_tenants_changed_after(seq).await,
                None => node.load_tenants().await,
            }
        }
    };
    cluster.follow(reload).await;
}

async fn write_usage(node: Arc<Node>, stop: CancellationToken) {
    loop {
        let is_stopping = tokio::time::timeout(WRITE_USAGE_EVERY, stop.cancelled()).await.is_ok();
        if let Err(error) = usage::flush(&node).await {
            tracing::error!(%error, "failed to write usage counts; they are kept");
        }
        if let Err(error) = node.write_events().await {
            tracing::error!(%error, "failed to write repeated security events; they are kept");
        }
        if let Err(error) = node.write_denials().await {
            tracing::error!(%error, "failed to write recent denials; they are kept");
        }
        if let Err(error) = node.follow_gateway_checks(clock::now()).await {
            tracing::debug!(%error, "failed to write or read checks of gateways");
        }
        if is_stopping {
            return;
        }
    }
}

/// Maintains keys soon after startup, and then every hour on the node that claims it first.
async fn maintain_keys_hourly(node: Arc<Node>) {
    let mut is_due = true;
    loop {
        if is_due {
            maintain_keys(&node).await;
        }
        tokio::time::sleep(CHECK_KEY_MAINTENANCE_EVERY).await;
        let now = clock::now();
        let claimed = node.store.claim_chore("upkeep", now.plus_seconds(-KEY_MAINTENANCE_SECONDS), now).await;
        is_due = claimed.unwrap_or_else(|error| {
            tracing::error!(%error, "failed to check whether key maintenance is due");
            false
        });
    }
}

/// Sends notices about keys that expire soon or are stale, disables stale keys, and deletes old notices.
async fn maintain_keys(node: &Node) {
    let failed = |error: &dyn Display| tracing::error!(%error, "failed to maintain keys");
    match keys::notify_expiring(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "sent key expiry notices"),
        Err(error) => failed(&error),
    }
    match keys::notify_stale(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "sent stale key notices"),
        Err(error) => failed(&error),
    }
    match keys::disable_stale(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "disabled stale keys"),
        Err(KeyError::Unavailable(error)) => failed(&error),
        Err(error) => failed(&format_args!("{error:?}")),
    }
    if let Err(error) = keys::delete_old_data(node, clock::now()).await {
        failed(&error);
    }
    match organizations::purge_deleted(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "completed the deletion of organizations"),
        Err(error) => failed(&error),
    }
}

/// Counts the keys that expire soon, on every node, so that a scrape costs no query.
async fn count_expiring_keys(node: Arc<Node>) {
    loop {
        if let Err(error) = keys::count_expiring(&node, clock::now()).await {
            tracing::warn!(%error, "failed to count keys that expire soon");
        }
        tokio::time::sleep(COUNT_EXPIRING_EVERY).await;
    }
}

/// Deletes expired data, replaces dead database connections, and rotates signing keys.
async fn maintain(node: Arc<Node>) {
    loop {
        tokio::time::sleep(MAINTAIN_EVERY).await;
        if let Err(error) = node.delete_expired().await {
            tracing::error!(%error, "failed to delete expired data");
        }
        if let Err(error) = node.store.ping().await
            && error.is_pool_exhausted()
            && let Err(error) = node.store.recover().await
        {
            tracing::error!(%error, "failed to replace the database connections");
        }
        organizations::maintain_signing_keys(&node, node.database_time()).await;
    }
}
