//! Composition: settings become adapters, adapters a node, the node an HTTP server; and how it stops.

mod connections;
mod http;
mod opening;
mod settings;
mod supervisor;
mod tasks;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::config::{LogFormat, RevocationUrl, SecretFileError, Settings, StoreUrl};
use crate::crypto::argon2_gate::GateError;
use crate::crypto::master_key::MasterKeyError;
use crate::crypto::messages::MessageKeys;
use crate::crypto::random::{self, RandomError};
use crate::http::context::HttpContext;
use crate::http::cors::AllowedOrigins;
use crate::node::{Adapters, LoadError, Node, NodeSettings};
use crate::organizations::{self, ResealError};
use crate::outbound::Sender;
use crate::revocation::{Cluster, Lease, RedisList, RedisUrlError, RevocationList};
use crate::server::supervisor::Supervisor;
use crate::store::{LockError, Store, StoreError};
use crate::telemetry::{LogFlush, Metrics};
use crate::webhooks::DeliveryWorker;
use crate::{clock, telemetry, webhooks};

pub use http::Listeners;
pub use opening::{Opened, lock, look, master_key_file, migrate, open, open_to_read, refuse_running_nodes, schema};
pub use settings::algorithm;

const MIB: u64 = 1 << 20;

/// Connections for keeping step with other nodes, beside the one on which changes are followed.
const STEP_CONNECTIONS: u32 = 2;

/// Connections for telling webhooks.
const OUTBOX_CONNECTIONS: u32 = 2;

/// Why a node cannot start or go on. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting whose value cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A file that holds a secret.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An organization cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The master key does not fit the store.
    #[error(transparent)]
    Reseal(#[from] ResealError),
    /// Hashing.
    #[error("{0}")]
    Gate(GateError),
    /// Randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Nodes that must not be running.
    #[error("{} running on this database in the last {seconds} s; stop every node first", nodes_were(*running))]
    Running {
        /// How many.
        running: usize,
        /// How long after its end a node still counts.
        seconds: i64,
    },
    /// The server itself.
    #[error("the server failed: {0}")]
    Io(#[from] io::Error),
}

fn nodes_were(number: usize) -> String {
    if number == 1 { "1 node was".to_owned() } else { format!("{number} nodes were") }
}

/// Starts logging as configured, until the end of the process.
pub fn start_logs(settings: &Settings) -> Result<LogFlush, ServerError> {
    let format = match settings.log.format {
        LogFormat::Human => telemetry::LogFormat::Human,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    telemetry::check_level(&settings.log.level).map_err(|_| bad_level(settings))?;
    let flush = telemetry::start_logs(&settings.log.level, format)?;
    for (setting, warning) in settings.secret_file_warnings() {
        tracing::warn!(setting, "{warning}");
    }
    Ok(flush)
}

/// What can be checked of settings without starting anything.
pub fn check(settings: &Settings) -> Result<(), ServerError> {
    if let StoreUrl::Postgres(url) = &settings.store.url {
        Store::check_postgres_url(url.expose()).map_err(|error| ServerError::Setting(error.to_string()))?;
    }
    if let RevocationUrl::Redis(url) = &settings.revocation.url {
        RedisList::check_url(url.expose()).map_err(bad_redis_url)?;
    }
    telemetry::check_level(&settings.log.level).map_err(|_| bad_level(settings))
}

fn bad_redis_url(error: RedisUrlError) -> ServerError {
    ServerError::Setting(error.to_string())
}

fn bad_level(settings: &Settings) -> ServerError {
    let rows = settings.describe();
    let origin = rows.iter().find(|(key, ..)| key == "log.level").map_or("", |(.., origin)| origin);
    let level = &settings.log.level;
    ServerError::Setting(format!(
        "{origin}: log.level is {level:?}; allowed is error, warn, info, debug, trace or off, or a list like keyturn=debug,info"
    ))
}

/// Binds the addresses, before anything else is touched. Port 0 is replaced with the port that the system chose.
pub fn listen(settings: &mut Settings) -> Result<Listeners, ServerError> {
    let public = bind(&mut settings.server.listen)?;
    let operations = settings.server.operations_listen.as_mut().map(bind).transpose()?;
    Ok(Listeners { public, operations })
}

fn bind(address: &mut SocketAddr) -> Result<TcpListener, ServerError> {
    let wanted = *address;
    let failed = |source| ServerError::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).map_err(failed)?;
    rustix::net::listen(&listener, 1024).map_err(|errno| failed(errno.into()))?;
    *address = listener.local_addr().map_err(failed)?;
    Ok(listener)
}

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
pub async fn serve(settings: Settings, listeners: Listeners, opened: Opened) -> Result<(), ServerError> {
    let Opened { store, master_keys, gate, lock } = opened;
    let count = organizations::seal_webhook_urls(store.as_ref(), &master_keys).await?;
    if count > 0 {
        tracing::info!(count, "sealed the URLs of webhooks from an earlier version");
    }
    if !organizations::is_current(store.as_ref(), &master_keys).await? {
        let count = organizations::reseal(store.as_ref(), &master_keys, clock::now()).await?;
        tracing::info!(count, "sealed signing keys and webhooks under the current master key");
    }
    let retired = master_keys.all().count().saturating_sub(1);
    tracing::info!(
        master_key = master_keys.current().id(),
        retired,
        "everything is sealed under the current master key"
    );
    let mut metrics = Metrics::default();
    let list = Arc::new(RevocationList::new(settings.cache.keys_mib * MIB));
    let nudged = Arc::new(Notify::new());
    let redis = match &settings.revocation.url {
        RevocationUrl::Embedded => None,
        RevocationUrl::Redis(url) => {
            metrics.export_redis();
            let deployment = store.deployment(&random::identifier()?).await?;
            let source = settings.revocation.url_file.clone().map(opening::url_source);
            let at = (url.expose(), source, settings.revocation.prefix.as_str());
            let authenticated = (deployment, MessageKeys::new(&master_keys));
            let list = RedisList::new(at, authenticated, store.clone(), nudged.clone(), metrics.cluster().clone());
            Some(Arc::new(list.map_err(bad_redis_url)?))
        }
    };
    // Whoever shares its store acts on memory only while it follows the others.
    let is_alone = matches!(settings.store.url, StoreUrl::Sqlite(_));
    if !is_alone {
        metrics.export_lease();
        metrics.export_database_pool();
    }
    let lease = Arc::new(if is_alone { Lease::unending() } else { Lease::none() });
    let steady_store: Arc<Store> = Arc::new(store.with_own_pool(STEP_CONNECTIONS));
    let cluster = (!is_alone).then(|| {
        let held = (list.clone(), lease.clone());
        Arc::new(Cluster::new(steady_store.clone(), held, redis.clone(), nudged, metrics.cluster().clone()))
    });
    let webhook_reach = settings::webhook_reach(&settings);
    let node = Arc::new(Node::new(Adapters {
        store: store.clone(),
        steady_store,
        list,
        lease,
        cluster: cluster.clone(),
        redis: redis.clone(),
        metrics,
        token_bytes: settings.cache.tokens_mib * MIB,
        gate,
        master_keys,
        settings: NodeSettings {
            public_url: settings.server.public_url(),
            audience: settings.audience(),
            ttl_seconds: settings.token.ttl_seconds,
            algorithm: algorithm(&settings),
            typ: settings.token.typ.as_str().to_owned(),
            rotate_every_days: settings.signing.rotate_every_days,
            publish_ahead_seconds: settings.signing.publish_ahead_seconds,
            session_seconds: i64::from(settings.session.hours) * 3600,
            session_idle_seconds: i64::from(settings.session.idle_minutes) * 60,
            revocations_per_minute: settings.limits.changes_per_minute.div_ceil(2),
            webhook_reach,
            webhook_retry_seconds: settings.webhooks.retry_seconds.clone(),
        },
        runtime: Handle::current(),
    }));
    node.load_tenants().await?;
    organizations::maintain_signing_keys(&node, clock::now()).await;
    // The first unknown login must take as long as any.
    if let Err(error) = node.dummy_password().await {
        tracing::error!(%error, "failed to hash the password that unknown logins are checked against");
    }
    if is_alone {
        for token in store.revoked_tokens().await? {
            node.list.apply_token_revocation(&token.jti, token.expires_at);
        }
    }
    let keeping_step = Supervisor::new(node.metrics.tasks().clone());
    tasks::keep_step(&keeping_step, &node);
    let context = web::Data::new(HttpContext::new(
        node.clone(),
        (settings::trusted_proxies(&settings), AllowedOrigins::new(&settings.cors.allowed_origins)),
        (settings.limits.failures_per_minute, settings.limits.changes_per_minute),
        settings.gateway.verdict_max_age_seconds,
        settings::logged_requests(&settings),
    ));

    let server = http::start(&settings, listeners, context.clone())?;
    let handle = server.handle();
    let (chores, writers) =
        (Supervisor::new(node.metrics.tasks().clone()), Supervisor::new(node.metrics.tasks().clone()));
    tasks::do_chores(&chores, &context);
    tasks::write_usage(&writers, &node);
    let outgoing = Arc::new(DeliveryWorker {
        node: node.clone(),
        outbox: Arc::new(store.with_own_pool(OUTBOX_CONNECTIONS)),
        sender: Sender::new(webhook_reach),
        claimant: random::identifier()?,
    });
    writers.run_to_end("webhooks", move |stop| webhooks::deliver(outgoing.clone(), stop));
    let drain = Duration::from_secs(settings.server.drain_seconds);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // A closed terminal or a reload must not end the server in the middle of requests.
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP ignored; restart to apply new settings");
        }
    });
    let stopping = context.clone();
    tokio::spawn(async move {
        let is_interrupted = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => true,
        };
        stopping.stop();
        if !is_interrupted && !drain.is_zero() {
            tracing::info!(seconds = drain.as_secs(), "stopping: serving on until the proxies have noticed");
            tokio::select! {
                () = tokio::time::sleep(drain) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        tracing::info!("stopping: no new requests, those under way are finished");
        tokio::select! {
            () = handle.stop(true) => {}
            _ = terminate.recv() => handle.stop(false).await,
            _ = interrupt.recv() => handle.stop(false).await,
        }
    });
    tracing::info!(listen = %settings.server.listen, public_url = settings.server.public_url(), "serving");
    let served = server.await;
    chores.stop().await;
    node.drain().await;
    writers.stop().await;
    keeping_step.stop().await;
    if let Some(cluster) = cluster {
        cluster.leave().await;
    }
    store.close().await;
    drop(lock);
    tracing::info!("stopped");
    Ok(served?)
}
