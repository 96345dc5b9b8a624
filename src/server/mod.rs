//! Composition: turns settings into adapters, adapters into a node, and the node into an HTTP server; and stops it.

mod connections;
mod error;
mod guarded_stream;
mod http;
mod node;
mod opening;
mod settings;
mod shutdown;
mod supervisor;
mod tasks;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Settings, StoreUrl};
use crate::crypto::random;
use crate::outbound::Sender;
use crate::webhooks::DeliveryWorker;

pub use error::ServerError;
pub use http::{Listeners, listen};
pub use opening::{
    Opened, database_state, lock, master_key_file, migrate, open, open_to_read, refuse_running_nodes, schema,
};
pub use settings::{check, start_logs};

use tasks::Tasks;

/// Connections of the webhook delivery to the database.
const OUTBOX_CONNECTIONS: u32 = 2;

/// Serves until SIGTERM or SIGINT, then finishes the requests in progress.
pub async fn serve(settings: Settings, listeners: Listeners, opened: Opened) -> Result<(), ServerError> {
    let Opened { store, master_keys, gate, lock } = opened;
    node::seal_under_current_key(&store, &master_keys).await?;
    let is_alone = matches!(settings.store.url, StoreUrl::Sqlite(_));
    let node = node::build(&settings, &store, master_keys, gate, is_alone).await?;
    node::load(&node).await?;

    let tasks = Tasks::new(&node);
    tasks.follow_cluster(&node);
    let context = settings::http_context(&settings, &node);
    let server = http::start(&settings, listeners, &context, &tasks)?;
    tasks.maintain(&context);
    tasks.write_usage(&node);
    tasks.deliver_webhooks(&Arc::new(DeliveryWorker {
        node: node.clone(),
        outbox: Arc::new(store.with_own_pool(OUTBOX_CONNECTIONS)),
        sender: Sender::new(node.settings.webhook_reach),
        claimant: random::identifier()?,
    }));
    tracing::info!(listen = %settings.server.listen, public_url = settings.public_url(), "serving");
    let drain = Duration::from_secs(settings.server.drain_seconds);
    let served = shutdown::serve_until_signal(server, &context, drain).await;
    tasks.stop(&node).await;
    if let Some(cluster) = &node.cluster {
        cluster.leave().await;
    }
    store.close().await;
    drop(lock);
    tracing::info!("stopped");
    Ok(served?)
}
