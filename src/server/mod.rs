//! Composition: settings become adapters, adapters a node, the node an HTTP server; and how it stops.

mod opening;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::config::{LogFormat, RevocationUrl, Settings, StoreUrl};
use crate::courier::Courier;
use crate::crypto::argon2_gate::GateError;
use crate::crypto::master_key::MasterKeyError;
use crate::crypto::node_signature::NodeSigner;
use crate::crypto::random::{self, RandomError};
use crate::domain::destination::Reach;
use crate::http::client_address::TrustedProxies;
use crate::http::context::HttpContext;
use crate::http::{operations, request_log};
use crate::keys::{self, KeyError};
use crate::node::{Node, NodeSettings, Parts};
use crate::organizations::{self, LoadError, load_tenants};
use crate::revocation::{Cluster, Lease, RedisList, RedisUrlError, RevocationList};
use crate::signing::Algorithm;
use crate::store::{LockError, Membership, RevokedTokenStore, SqlStore, Store, StoreError};
use crate::telemetry::Metrics;
use crate::webhooks::Outgoing;
use crate::{api, clock, console, gateway, oauth, telemetry, webhooks};

pub use opening::{Opened, lock, look, master_key_file, open, open_to_read, refuse_running_nodes};

/// How often what is due is looked after.
const TEND_EVERY: Duration = Duration::from_secs(30);

/// Connections for keeping step with other nodes, beside the one on which changes are followed.
const STEP_CONNECTIONS: u32 = 2;

/// Connections for telling webhooks.
const OUTBOX_CONNECTIONS: u32 = 2;
/// How often it is looked whether the upkeep of keys is due, and how often it is.
const UPKEEP_LOOK: Duration = Duration::from_secs(60);
const UPKEEP_SECONDS: i64 = 3600;

/// Between telling that a key is stale and disabling it: a use that is still being counted comes in between.
const STALE_SETTLES: Duration = Duration::from_secs(6);

/// How often counts of use are written: a crash loses no more than this and the write itself.
const WRITE_USAGE_EVERY: Duration = Duration::from_secs(2);

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
    /// The lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Organizations.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Hashing.
    #[error("{0}")]
    Gate(GateError),
    /// Randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Nodes that must not be running.
    #[error("{running} nodes serve from this database, or did less than {seconds} s ago; stop them first")]
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

/// Starts logging as configured.
pub fn start_logs(settings: &Settings) -> Result<(), ServerError> {
    let format = match settings.log.format {
        LogFormat::Human => telemetry::LogFormat::Human,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    telemetry::start_logs(&settings.log.level, format).map_err(|_| bad_level(settings))
}

/// What can be checked of settings without starting anything.
pub fn check(settings: &Settings) -> Result<(), ServerError> {
    if let StoreUrl::Postgres(url) = &settings.store.url {
        SqlStore::check_postgres_url(url.expose()).map_err(|error| ServerError::Setting(error.to_string()))?;
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

/// Takes the address, before anything else is touched. A port of 0 becomes the one that was given.
pub fn listen(settings: &mut Settings) -> Result<TcpListener, ServerError> {
    let address = settings.server.listen;
    let failed = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    rustix::net::listen(&listener, 1024).map_err(|errno| failed(errno.into()))?;
    settings.server.listen = listener.local_addr().map_err(failed)?;
    Ok(listener)
}

/// The algorithm that new signing keys are made for.
pub fn algorithm(settings: &Settings) -> Algorithm {
    use crate::config::Algorithm as Configured;
    match settings.token.algorithm {
        Configured::Es256 => Algorithm::Es256,
        Configured::EdDsa => Algorithm::EdDsa,
        Configured::Rs256 => Algorithm::Rs256,
    }
}

fn workers(settings: &Settings) -> usize {
    match settings.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
pub async fn serve(settings: Settings, listener: TcpListener, opened: Opened) -> Result<(), ServerError> {
    let Opened { store, master_keys, gate, lock } = opened;
    if !organizations::is_current(store.as_ref(), &master_keys).await? {
        let count = organizations::reseal(store.as_ref(), &master_keys, clock::now()).await?;
        tracing::info!(count, "signing keys and secrets of webhooks sealed anew under the current master key");
    }
    let metrics = Metrics::default();
    let list = Arc::new(RevocationList::new(settings.cache.keys));
    let nudged = Arc::new(Notify::new());
    let redis = match &settings.revocation.url {
        RevocationUrl::Embedded => None,
        RevocationUrl::Redis(url) => {
            let deployment = store.deployment(&random::identifier()?).await?;
            let at = (url.expose(), settings.revocation.prefix.as_str());
            let list = RedisList::new(
                at,
                (deployment, NodeSigner::new(&master_keys)),
                store.clone(),
                nudged.clone(),
                metrics.cluster().clone(),
            );
            Some(Arc::new(list.map_err(bad_redis_url)?))
        }
    };
    // Whoever shares its store acts on memory only while it follows the others.
    let is_alone = matches!(settings.store.url, StoreUrl::Sqlite(_));
    let lease = Arc::new(if is_alone { Lease::unending() } else { Lease::none() });
    let cluster = (!is_alone).then(|| {
        let held = (list.clone(), lease.clone());
        Arc::new(Cluster::new(
            Arc::new(store.apart(STEP_CONNECTIONS)),
            held,
            redis.clone(),
            nudged,
            metrics.cluster().clone(),
        ))
    });
    let webhook_reach = if settings.webhooks.private_addresses { Reach::Anywhere } else { Reach::Public };
    let node = Arc::new(Node::new(Parts {
        store: store.clone(),
        list,
        lease,
        cluster: cluster.clone(),
        redis: redis.clone(),
        metrics,
        tokens: settings.cache.tokens,
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
            webhook_reach,
            webhook_retry_seconds: settings.webhooks.retry_seconds.clone(),
        },
        runtime: Handle::current(),
    }));
    load_tenants(&node).await?;
    if is_alone {
        for token in store.revoked_tokens(clock::now()).await? {
            node.list.apply_token_revocation(&token.jti, token.expires_at);
        }
    }
    let mut keeping_step = keep_step(&node);
    let context = web::Data::new(HttpContext::new(
        node.clone(),
        TrustedProxies::new(settings.server.trusted_proxies.clone()),
        settings.limits.failures_per_minute,
        settings.gateway.verdict_max_age_seconds,
    ));

    let app_context = context.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(app_context.clone())
            .wrap(from_fn(request_log::log_request))
            // Routes are tried in this order: the busiest first.
            .configure(oauth::routes)
            .configure(gateway::routes)
            .configure(oauth::document_routes)
            .configure(api::routes)
            .configure(console::routes)
            .configure(operations::routes)
            .default_service(web::to(|| async { api::Problem::not_found() }))
    })
    .workers(workers(&settings))
    .client_request_timeout(Duration::from_secs(settings.server.request_timeout_seconds))
    .shutdown_timeout(settings.server.shutdown_seconds)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    let tending = tokio::spawn(tend(context.clone()));
    let upkeeping = tokio::spawn(upkeep(node.clone()));
    let stop_writing = Arc::new(Notify::new());
    let writing = tokio::spawn(write_usage(node.clone(), stop_writing.clone()));
    let stop_delivering = Arc::new(Notify::new());
    let outgoing = Outgoing {
        node: node.clone(),
        outbox: Arc::new(store.apart(OUTBOX_CONNECTIONS)),
        courier: Courier::new(webhook_reach),
        claimant: random::identifier()?,
    };
    let delivering = tokio::spawn(webhooks::deliver(outgoing, stop_delivering.clone()));
    let drain = Duration::from_secs(settings.server.drain_seconds);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
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
    tending.abort();
    upkeeping.abort();
    node.drain().await;
    stop_writing.notify_one();
    stop_delivering.notify_one();
    if writing.await.is_err() {
        tracing::error!("the last counts of use could not be written");
    }
    if delivering.await.is_err() {
        tracing::error!("delivering to webhooks ended before its time");
    }
    keeping_step.abort_all();
    if let Some(cluster) = cluster {
        cluster.leave().await;
    }
    store.close().await;
    drop(lock);
    tracing::info!("stopped");
    Ok(served?)
}

/// Starts what keeps a node in step with others: following, reporting, and Redis.
fn keep_step(node: &Arc<Node>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(cluster) = node.cluster.clone() {
        let (following, node) = (cluster.clone(), node.clone());
        let reload = move || {
            let node = node.clone();
            async move { load_tenants(&node).await }
        };
        tasks.spawn(async move { following.follow(reload).await });
        tasks.spawn(async move { cluster.report().await });
    }
    if let Some(redis) = node.redis.clone() {
        let listening = redis.clone();
        tasks.spawn(async move { listening.listen().await });
        tasks.spawn(async move { redis.watch().await });
    }
    tasks
}

/// Writes counts of use every few seconds, and once more when told to stop.
async fn write_usage(node: Arc<Node>, stop: Arc<Notify>) {
    loop {
        let stopping = tokio::time::timeout(WRITE_USAGE_EVERY, stop.notified()).await.is_ok();
        if let Err(error) = node.write_usage().await {
            tracing::error!(%error, "counts of use could not be written; they are kept");
        }
        if stopping {
            return;
        }
    }
}

/// Looks after keys: soon after the start, and then every hour on whichever node gets to it first.
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

async fn look_after_keys(node: &Node) {
    let failed = |error: &dyn std::fmt::Display| tracing::error!(%error, "keys could not be looked after");
    match keys::tell_expiring(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "keys that end soon were told of"),
        Err(error) => failed(&error),
    }
    match keys::tell_stale(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "stale keys were told of"),
        Err(error) => failed(&error),
    }
    tokio::time::sleep(STALE_SETTLES).await;
    match keys::disable_stale(node, clock::now()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "stale keys were disabled"),
        Err(KeyError::Unavailable(error)) => failed(&error),
        Err(error) => failed(&format_args!("{error:?}")),
    }
    if let Err(error) = keys::forget_old(node, clock::now()).await {
        failed(&error);
    }
}

/// Looks after what is due by the clock.
async fn tend(context: web::Data<HttpContext>) {
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        context.failures.tidy();
        context.tidy_sign_ins();
        if let Err(error) = context.node.tidy().await {
            tracing::error!(%error, "what has ended could not be forgotten");
        }
        if let Err(error) = context.node.store.ping().await
            && error.is_used_up()
            && let Err(error) = context.node.store.recover().await
        {
            tracing::error!(%error, "the connections to the database could not be replaced");
        }
        organizations::tend_signing_keys(&context.node, clock::now()).await;
    }
}
