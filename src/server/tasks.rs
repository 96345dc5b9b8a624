//! The background tasks of a node.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::http::context::HttpContext;
use crate::keys::{self, KeyError};
use crate::node::Node;
use crate::organizations;
use crate::server::supervisor::Supervisor;
use crate::usage;

/// How often what is due is looked after.
const TEND_EVERY: Duration = Duration::from_secs(30);

/// How often it is looked whether the upkeep of keys is due, and how often it is.
const UPKEEP_LOOK: Duration = Duration::from_secs(60);
const UPKEEP_SECONDS: i64 = 3600;

/// How often the keys that expire soon are counted for `/metrics`.
const COUNT_EXPIRING_EVERY: Duration = Duration::from_secs(300);

/// How often counts of use are written: a crash loses no more than this and the write itself.
const WRITE_USAGE_EVERY: Duration = Duration::from_secs(2);

/// Keeps a node in step with the others: following, reporting, and Redis. If following ends, memory is not decided from
/// until it has begun anew.
pub(super) fn keep_step(supervisor: &Supervisor, node: &Arc<Node>) {
    if let Some(cluster) = node.cluster.clone() {
        let shared = node.settings.shared();
        let (following, halted, node) = (cluster.clone(), cluster.clone(), node.clone());
        let follow = move || {
            let (following, node) = (following.clone(), node.clone());
            async move {
                let reload = |changed_after| {
                    let node = node.clone();
                    async move {
                        match changed_after {
                            Some(seq) => node.load_tenants_changed_after(seq).await,
                            None => node.load_tenants().await,
                        }
                    }
                };
                following.follow(reload).await;
            }
        };
        supervisor.run_then("follow", follow, move || halted.halt());
        let (comparing, shared) = (cluster.clone(), Arc::new(shared));
        supervisor.run("compare-settings", move || {
            let (cluster, shared) = (comparing.clone(), shared.clone());
            async move { cluster.compare_settings(&shared).await }
        });
        supervisor.run("report", move || {
            let cluster = cluster.clone();
            async move { cluster.report().await }
        });
    }
    if let Some(redis) = node.redis.clone() {
        let listening = redis.clone();
        supervisor.run("redis-listen", move || {
            let redis = listening.clone();
            async move { redis.listen().await }
        });
        supervisor.run("redis-watch", move || {
            let redis = redis.clone();
            async move { redis.watch().await }
        });
    }
}

/// Does what is due by the clock.
pub(super) fn do_chores(supervisor: &Supervisor, context: &web::Data<HttpContext>) {
    let (tended, node) = (context.clone(), context.node.clone());
    supervisor.run("tend", move || tend(tended.clone()));
    let counted = node.clone();
    supervisor.run("upkeep", move || upkeep(node.clone()));
    supervisor.run("count-expiring", move || count_expiring(counted.clone()));
}

/// Writes counts of use every few seconds, and once more when the server stops.
pub(super) fn write_usage(supervisor: &Supervisor, node: &Arc<Node>) {
    let node = node.clone();
    supervisor.run_to_end("usage", move |stop| write_usage_until(node.clone(), stop));
}

async fn write_usage_until(node: Arc<Node>, stop: CancellationToken) {
    loop {
        let stopping = tokio::time::timeout(WRITE_USAGE_EVERY, stop.cancelled()).await.is_ok();
        if let Err(error) = usage::flush(&node).await {
            tracing::error!(%error, "counts of use could not be written; they are kept");
        }
        if let Err(error) = node.write_events().await {
            tracing::error!(%error, "failed to write repeated security events; they are kept");
        }
        if stopping {
            return;
        }
    }
}

/// Does the upkeep of keys: soon after the start, and then every hour on whichever node gets to it first.
async fn upkeep(node: Arc<Node>) {
    let mut is_due = true;
    loop {
        if is_due {
            look_after_keys(&node).await;
        }
        tokio::time::sleep(UPKEEP_LOOK).await;
        let now = clock::now();
        let claimed = node.store.claim_chore("upkeep", now.plus_seconds(-UPKEEP_SECONDS), now).await;
        is_due = claimed.unwrap_or_else(|error| {
            tracing::error!(%error, "whether the upkeep of keys is due could not be told");
            false
        });
    }
}

/// Counts the keys that expire soon, on every node: a scrape must not cost a query.
async fn count_expiring(node: Arc<Node>) {
    loop {
        if let Err(error) = keys::count_expiring(&node, clock::now()).await {
            tracing::warn!(%error, "failed to count keys that expire soon");
        }
        tokio::time::sleep(COUNT_EXPIRING_EVERY).await;
    }
}

async fn look_after_keys(node: &Node) {
    let failed = |error: &dyn std::fmt::Display| tracing::error!(%error, "keys could not be looked after");
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
        Ok(count) => tracing::info!(count, "stale keys were disabled"),
        Err(KeyError::Unavailable(error)) => failed(&error),
        Err(error) => failed(&format_args!("{error:?}")),
    }
    if let Err(error) = keys::delete_old_data(node, clock::now()).await {
        failed(&error);
    }
}

/// Does what is due by the clock.
async fn tend(context: web::Data<HttpContext>) {
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        if let Err(error) = context.node.delete_expired().await {
            tracing::error!(%error, "what has ended could not be forgotten");
        }
        if let Err(error) = context.node.store.ping().await
            && error.is_pool_exhausted()
            && let Err(error) = context.node.store.recover().await
        {
            tracing::error!(%error, "the connections to the database could not be replaced");
        }
        organizations::maintain_signing_keys(&context.node, context.node.database_time()).await;
    }
}
