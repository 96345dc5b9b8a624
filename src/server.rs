//! Composition: settings become adapters, adapters a node, the node an HTTP server; and how it stops.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::config::{LogFormat, MasterKeySource, RevocationUrl, Settings, StoreUrl, parse_master_keys};
use crate::crypto::argon2_gate::{Argon2Gate, GateError, GateSettings};
use crate::crypto::master_key::{self, MasterKeyError, MasterKeys, RawMasterKey};
use crate::http::client_address::TrustedProxies;
use crate::http::context::HttpContext;
use crate::http::{operations, request_log};
use crate::limits::AddressLimit;
use crate::node::{Node, NodeSettings, Parts};
use crate::organizations::{self, LoadError, check_master_key, check_master_key_id, load_tenants};
use crate::signing::Algorithm;
use crate::store::{LockError, SqlStore, Store, StoreError, StoreLock};
use crate::{api, clock, gateway, oauth, telemetry};

/// How often what is due is looked after.
const TEND_EVERY: Duration = Duration::from_secs(30);

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
    /// The server itself.
    #[error("the server failed: {0}")]
    Io(#[from] io::Error),
}

/// The adapters that every command on a store needs.
pub struct Opened {
    /// The store.
    pub store: Arc<SqlStore>,
    /// The master keys.
    pub master_keys: MasterKeys,
    /// Argon2.
    pub gate: Argon2Gate,
    lock: StoreLock,
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
    database(settings)?;
    telemetry::check_level(&settings.log.level).map_err(|_| bad_level(settings))
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

/// The path of the database.
pub fn database(settings: &Settings) -> Result<&Path, ServerError> {
    match (&settings.store.url, &settings.revocation.url) {
        (StoreUrl::Sqlite(path), RevocationUrl::Embedded) => Ok(path),
        (StoreUrl::Postgres(_), _) => {
            Err(ServerError::Setting("store.url: PostgreSQL is not supported by this version; use sqlite://".into()))
        }
        (StoreUrl::Sqlite(_), RevocationUrl::Redis(_)) => {
            Err(ServerError::Setting("revocation.url: Redis is not supported by this version; use embedded".into()))
        }
    }
}

/// Opens everything that a command on the store needs, and keeps others out.
pub async fn open(settings: &Settings) -> Result<Opened, ServerError> {
    let path = database(settings)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_new = !path.exists();
    std::fs::create_dir_all(folder).map_err(|error| ServerError::Setting(format!("{}: {error}", folder.display())))?;
    let lock = StoreLock::take(path)?;
    let raw = master_keys(settings, is_new)?;
    let master_keys = MasterKeys::derive(&raw)?;
    // Before the schema is touched: with a wrong master key nothing may change.
    if let Some(id) = SqlStore::look(path).await?.and_then(|look| look.master_key) {
        check_master_key_id(&id, &master_keys)?;
    }
    let store = Arc::new(SqlStore::open(path, reader_count(settings)).await?);
    check_master_key(store.as_ref(), &master_keys).await?;
    let gate = Argon2Gate::start(GateSettings {
        memory_kib: settings.argon2.memory_kib,
        iterations: settings.argon2.iterations,
        parallelism: settings.argon2.parallelism,
        threads: settings.argon2.threads,
        queue: settings.argon2.queue,
    })
    .map_err(ServerError::Gate)?;
    Ok(Opened { store, master_keys, gate, lock })
}

/// The master keys as configured. A missing file is made for a new store, and for no other: its keys
/// would not open what the store holds.
fn master_keys(settings: &Settings, is_new: bool) -> Result<Vec<RawMasterKey>, ServerError> {
    match &settings.secrets.master_key {
        MasterKeySource::Inline(keys) => Ok(keys.clone()),
        MasterKeySource::File(path) => match master_key::read_file(path)? {
            Some(text) => read_master_keys(path, &text),
            None if is_new => {
                let key = master_key::generate()?;
                master_key::write_file(path, std::slice::from_ref(&key))?;
                Ok(vec![key])
            }
            None => Err(ServerError::Setting(format!(
                "{}: the master key file of this database is missing; put it back (secrets.master_key_file says where it is looked for)",
                path.display()
            ))),
        },
    }
}

fn read_master_keys(path: &Path, text: &Zeroizing<String>) -> Result<Vec<RawMasterKey>, ServerError> {
    parse_master_keys(text).map_err(|error| ServerError::Setting(format!("{}: {error}", path.display())))
}

/// The path of the master key file and the keys in it, for changing them.
pub fn master_key_file(settings: &Settings) -> Result<(PathBuf, Vec<RawMasterKey>), ServerError> {
    let MasterKeySource::File(path) = &settings.secrets.master_key else {
        return Err(ServerError::Setting(
            "secrets.master_key holds the keys themselves; put a new one in front of them, restart, and this is done"
                .into(),
        ));
    };
    let text = master_key::read_file(path)?
        .ok_or_else(|| ServerError::Setting(format!("{}: there is no master key file", path.display())))?;
    Ok((path.clone(), read_master_keys(path, &text)?))
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

fn reader_count(settings: &Settings) -> u32 {
    u32::try_from(workers(settings)).unwrap_or(u32::MAX).saturating_add(2)
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
        let count = organizations::reseal(store.as_ref(), &master_keys).await?;
        tracing::info!(count, "signing keys sealed anew under the current master key");
    }
    let node = Arc::new(Node::new(Parts {
        store: store.clone(),
        records: settings.cache.keys,
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
        },
        runtime: Handle::current(),
    }));
    load_tenants(&node).await?;
    for token in store_revoked_tokens(&node).await? {
        node.settle_token_revocation(&token.0, token.1);
    }
    let context = web::Data::new(HttpContext::new(
        node.clone(),
        TrustedProxies::new(settings.server.trusted_proxies.clone()),
        AddressLimit::per_minute(settings.limits.failures_per_minute),
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
    let stop_writing = Arc::new(Notify::new());
    let writing = tokio::spawn(write_usage(node.clone(), stop_writing.clone()));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = context.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new requests, those under way are finished");
        stopping.stop();
        tokio::select! {
            () = handle.stop(true) => {}
            _ = terminate.recv() => handle.stop(false).await,
            _ = interrupt.recv() => handle.stop(false).await,
        }
    });
    tracing::info!(listen = %settings.server.listen, public_url = settings.server.public_url(), "serving");
    let served = server.await;
    tending.abort();
    node.drain().await;
    stop_writing.notify_one();
    if writing.await.is_err() {
        tracing::error!("the last counts of use could not be written");
    }
    store.close().await;
    drop(lock);
    tracing::info!("stopped");
    Ok(served?)
}

async fn store_revoked_tokens(node: &Node) -> Result<Vec<(String, crate::domain::timestamp::Timestamp)>, StoreError> {
    let tokens = node.store.revoked_tokens(clock::now()).await?;
    Ok(tokens.into_iter().map(|token| (token.jti, token.expires_at)).collect())
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

/// Looks after what is due by the clock.
async fn tend(context: web::Data<HttpContext>) {
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        context.failures.tidy();
        if let Err(error) = context.node.tidy().await {
            tracing::error!(%error, "what has ended could not be forgotten");
        }
        organizations::tend_signing_keys(&context.node, clock::now()).await;
    }
}
