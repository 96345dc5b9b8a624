//! Building a node from settings and an opened database.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::clock;
use crate::config::{RevocationUrl, Settings};
use crate::crypto::argon2_gate::Argon2Gate;
use crate::crypto::master_key::MasterKeys;
use crate::crypto::messages::MessageKeys;
use crate::crypto::random;
use crate::node::{Adapters, Node, NodeSettings};
use crate::organizations;
use crate::revocation::{Cluster, Lease, RedisList, RevocationList};
use crate::server::settings::{bad_redis_url, webhook_destinations};
use crate::server::{ServerError, opening};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::verification::Memory;

const MIB: u64 = 1 << 20;

/// Connections for the cluster protocol, in addition to the one on which changes are followed.
const CLUSTER_CONNECTIONS: u32 = 2;

/// Encrypts everything that is stored encrypted under the current master key.
pub(super) async fn seal_under_current_key(store: &Store, master_keys: &MasterKeys) -> Result<(), ServerError> {
    let count = organizations::seal_webhook_urls(store, master_keys).await?;
    if count > 0 {
        tracing::info!(count, "encrypted webhook URLs of an earlier version");
    }
    if !organizations::is_current(store, master_keys).await? {
        let count = organizations::reseal(store, master_keys, clock::now()).await?;
        tracing::info!(count, "encrypted signing keys and webhooks under the current master key");
    }
    let retired = master_keys.all().count().saturating_sub(1);
    tracing::info!(
        master_key = master_keys.current().id(),
        retired,
        "all secrets are encrypted under the current master key"
    );
    Ok(())
}

/// Builds the node, without organizations in memory. Unless it is alone with its database, it becomes a member of a
/// cluster, and may decide from memory only while it follows the changes of the other members.
pub(super) async fn build(
    settings: &Settings,
    store: &Arc<Store>,
    master_keys: MasterKeys,
    gate: Argon2Gate,
    is_alone: bool,
) -> Result<Arc<Node>, ServerError> {
    let mut metrics = Metrics::default();
    let list = Arc::new(RevocationList::new(settings.cache.keys_mib * MIB));
    let change_notice = Arc::new(Notify::new());
    let redis = match &settings.revocation.url {
        RevocationUrl::Embedded => None,
        RevocationUrl::Redis(url) => {
            metrics.export_redis();
            let deployment = store.deployment(&random::identifier()?).await?;
            let source = settings.revocation.url_file.clone().map(opening::url_source);
            let at = (url.expose(), source, settings.revocation.prefix.as_str());
            let authenticated = (deployment, MessageKeys::new(&master_keys));
            let list =
                RedisList::new(at, authenticated, store.clone(), change_notice.clone(), metrics.cluster().clone());
            Some(Arc::new(list.map_err(bad_redis_url)?))
        }
    };
    if !is_alone {
        metrics.export_lease();
        metrics.export_database_pool();
    }
    let lease = Arc::new(if is_alone { Lease::unending() } else { Lease::none() });
    let steady_store = Arc::new(store.with_own_pool(CLUSTER_CONNECTIONS));
    let cluster = (!is_alone).then(|| {
        let state = (list.clone(), lease.clone());
        Arc::new(Cluster::new(steady_store.clone(), state, redis.clone(), change_notice, metrics.cluster().clone()))
    });
    Ok(Arc::new(Node::new(Adapters {
        store: store.clone(),
        steady_store,
        memory: Memory::new(list, lease, settings.cache.tokens_mib * MIB),
        cluster,
        redis,
        metrics,
        gate,
        master_keys,
        settings: NodeSettings {
            public_url: settings.public_url(),
            audience: settings.audience(),
            ttl_seconds: settings.token.ttl_seconds,
            algorithm: settings.token.algorithm,
            typ: settings.token.typ,
            rotate_every_days: settings.signing.rotate_every_days,
            publish_ahead_seconds: settings.signing.publish_ahead_seconds,
            session_seconds: i64::from(settings.session.hours) * 3600,
            session_idle_seconds: i64::from(settings.session.idle_minutes) * 60,
            revocations_per_minute: settings.limits.changes_per_minute.div_ceil(2),
            webhook_reach: webhook_destinations(settings),
            webhook_responses: settings.webhooks.stored_responses,
            webhook_retry_seconds: settings.webhooks.retry_seconds.clone(),
        },
        runtime: Handle::current(),
    })))
}

/// Loads what the node needs in memory before it serves.
pub(super) async fn load(node: &Node) -> Result<(), ServerError> {
    node.load_tenants().await?;
    organizations::maintain_signing_keys(node, clock::now()).await;
    // Without it, the first sign-in with an unknown login would take longer than the next ones.
    if let Err(error) = node.dummy_password().await {
        tracing::error!(%error, "failed to hash the password that unknown logins are checked against");
    }
    if node.cluster.is_none() {
        for token in node.store.revoked_tokens().await? {
            node.memory.list.apply_token_revocation(&token.jti, token.expires_at);
        }
    }
    Ok(())
}
