//! PostgreSQL: connecting, required server properties, and the pool. A connection returns to the pool only when it is
//! idle.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor, Row};
use tokio::runtime::Handle;

use crate::clock::{self, BootTime};
use crate::store::sql::login::Login;
use crate::store::sql::statement::with_timeout;
use crate::store::{DatabaseState, PoolState, StoreError};

/// Oldest supported version, in PostgreSQL's numbering.
const OLDEST: i64 = 130_000;

/// Maximum wait for a connection from the pool.
const ACQUIRE: Duration = Duration::from_secs(2);

/// A wait that exceeds [`ACQUIRE`] by this much shows that the process was suspended meanwhile.
const STOPPED: Duration = Duration::from_millis(500);

/// How long a starting node waits for a database that is not reachable yet.
const START: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub(in crate::store) struct Postgres {
    /// Replaced when it is exhausted: the driver can lose a slot with a connection that broke silently.
    pool: Arc<ArcSwap<PgPool>>,
    /// Version of the login that the pool uses.
    pool_login: Arc<AtomicU64>,
    login: Arc<Login>,
    connections: u32,
    waits: Arc<Waits>,
    /// Connections are driven by one runtime, regardless of the thread that waits for a result.
    runtime: Handle,
}

/// Number and duration of acquisitions from the pool.
#[derive(Debug, Default)]
struct Waits {
    count: AtomicU64,
    nanos: AtomicU64,
}

/// A connection in use. It is closed if it is dropped without [`release`](Self::release), because a statement may be
/// running.
pub(in crate::store) struct PooledConnection(Option<PoolConnection<sqlx::Postgres>>);

impl Postgres {
    /// Connects to the database of a URL. Waits if the server is starting.
    pub(in crate::store) async fn connect_to(url: &str, connections: u32) -> Result<Self, StoreError> {
        Self::connect_with_login(Login::new(url, None)?, connections).await
    }

    /// Same, with a login.
    pub(in crate::store) async fn connect_with_login(login: Login, connections: u32) -> Result<Self, StoreError> {
        let explain = |error: sqlx::Error| describe_error(&error, &login.current().1);
        let mut reason = StoreError::Silent;
        let first = async {
            loop {
                match login.connect_with(PgConnectOptions::clone).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if is_starting(&error) => {
                        reason = explain(error);
                        tracing::warn!(error = %reason, "waiting for the database");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let mut connection = match tokio::time::timeout(START, first).await {
            Ok(connection) => connection.map_err(explain)?,
            Err(_) => {
                return Err(StoreError::Unusable(format!(
                    "{reason} (tried for {} s); check store.url and that PostgreSQL is running",
                    START.as_secs()
                )));
            }
        };
        check_server(&mut connection).await.map_err(explain)?;
        connection.close().await.map_err(explain)?;
        let (version, options) = login.current();
        Ok(Self {
            pool: Arc::new(ArcSwap::from_pointee(new_pool(&options, connections))),
            pool_login: Arc::new(version.into()),
            login: Arc::new(login),
            connections,
            waits: Arc::default(),
            runtime: Handle::current(),
        })
    }

    /// Returns the same database with a pool of its own.
    pub(in crate::store) fn with_own_pool(&self, connections: u32) -> Self {
        let (version, options) = self.login.current();
        let pool = Arc::new(ArcSwap::from_pointee(new_pool(&options, connections)));
        Self { pool, pool_login: Arc::new(version.into()), connections, waits: Arc::default(), ..self.clone() }
    }

    /// Returns the pool, with the current login.
    pub(in crate::store) fn pool(&self) -> PgPool {
        let pool = PgPool::clone(&self.pool.load());
        let (version, options) = self.login.current();
        if self.pool_login.swap(version, Ordering::AcqRel) != version {
            pool.set_connect_options(PgConnectOptions::clone(&options));
        }
        pool
    }

    /// Takes a connection from the pool.
    pub(in crate::store) async fn acquire(&self) -> Result<PooledConnection, StoreError> {
        let started = clock::boot();
        let acquired = self.acquire_with_retry(started).await;
        let nanos = u64::try_from(clock::boot().since(started).as_nanos()).unwrap_or(u64::MAX);
        self.waits.count.fetch_add(1, Ordering::Relaxed);
        self.waits.nanos.fetch_add(nanos, Ordering::Relaxed);
        acquired
    }

    async fn acquire_with_retry(&self, started: BootTime) -> Result<PooledConnection, StoreError> {
        match self.acquire_once().await {
            // After the process was suspended, the timeout has passed although the pool may be idle: try once more.
            Err(error) if error.is_pool_exhausted() && clock::boot().since(started) > ACQUIRE + STOPPED => {
                self.acquire_once().await
            }
            Err(error) if error.is_login_refused() && self.login.reload() => self.acquire_once().await,
            acquired => acquired,
        }
    }

    async fn acquire_once(&self) -> Result<PooledConnection, StoreError> {
        let pool = self.pool();
        // On the runtime that must drive a new connection.
        let acquired = self.runtime.spawn(async move { pool.acquire().await }).await;
        Ok(PooledConnection(Some(acquired.map_err(|_| StoreError::Silent)??)))
    }

    pub(in crate::store) fn state(&self) -> PoolState {
        let pool = self.pool.load();
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        PoolState {
            idle,
            used: pool.size().saturating_sub(idle),
            most: self.connections,
            waits: self.waits.count.load(Ordering::Relaxed),
            wait_nanos: self.waits.nanos.load(Ordering::Relaxed),
        }
    }

    /// Opens a connection outside the pool.
    pub(in crate::store) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.login.connect_with(PgConnectOptions::clone).await?;
        check_server(&mut connection).await?;
        Ok(connection)
    }

    /// Opens a connection outside the pool without the time limits of requests, for long operations.
    pub(in crate::store) async fn connect_without_limits(&self) -> Result<PgConnection, sqlx::Error> {
        let unlimited = |options: &PgConnectOptions| {
            options.clone().options([
                ("statement_timeout", "0"),
                ("lock_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
            ])
        };
        let mut connection = self.login.connect_with(unlimited).await?;
        check_server(&mut connection).await?;
        Ok(connection)
    }

    /// Runs a future to its end even if the caller stops waiting.
    pub(in crate::store) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.runtime.spawn(work).await.unwrap_or(Err(StoreError::Silent))
    }

    /// Replaces an exhausted pool if the server responds.
    pub(in crate::store) async fn refresh(&self) -> Result<(), StoreError> {
        // A new pool does not help if the server does not respond.
        let probe = async { Ok::<_, StoreError>(self.connect().await?.close().await?) };
        tokio::time::timeout(ACQUIRE, probe).await.unwrap_or(Err(StoreError::Silent))?;
        let (version, options) = self.login.current();
        let old = self.pool.swap(Arc::new(new_pool(&options, self.connections)));
        self.pool_login.store(version, Ordering::Release);
        tracing::warn!("replaced an exhausted connection pool");
        self.runtime.spawn(async move { old.close().await });
        Ok(())
    }

    pub(in crate::store) async fn close(&self) {
        let pool = self.pool();
        // Does not wait for a connection on a broken network.
        let _ = tokio::time::timeout(Duration::from_secs(5), pool.close()).await;
    }
}

impl PooledConnection {
    pub(in crate::store) fn get(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.0.as_deref_mut().ok_or(StoreError::Silent)
    }

    /// Runs a statement without values and rows.
    pub(in crate::store) async fn command(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let connection = self.get()?;
        with_timeout(connection.execute(sql)).await?;
        Ok(())
    }

    /// Returns the idle connection to the pool.
    pub(in crate::store) fn release(mut self) {
        drop(self.0.take());
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// Allowed parameters of a URL. The driver only logs unknown ones, with their values.
const PARAMETERS: [&str; 16] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
];

/// Checks a URL without connecting.
pub(in crate::store) fn check_url(url: &str) -> Result<(), StoreError> {
    options(url).map(drop)
}

/// Returns the options of a URL, with the settings that Keyturn requires for every connection.
pub(in crate::store) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let parameters = url::Url::parse(url).map(|url| url.query_pairs().map(|(name, _)| name.into_owned()).collect());
    let parameters: Vec<String> = parameters.unwrap_or_default();
    if let Some(unknown) = parameters.iter().find(|name| !PARAMETERS.contains(&name.as_str())) {
        return Err(StoreError::Unusable(format!(
            "store.url: unknown parameter {unknown:?}; allowed parameters are {}",
            PARAMETERS.join(", ")
        )));
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        StoreError::Unusable("store.url: not a valid PostgreSQL URL, or a parameter has an invalid value".into())
    })?;
    Ok(options.application_name("keyturn").options([
        ("client_min_messages", "warning"),
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        // Limits how long a suspended node can block the changes of other nodes.
        ("idle_in_transaction_session_timeout", "2s"),
    ]))
}

fn new_pool(options: &PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| Box::pin(check_server(connection)))
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_lazy_with(options.clone())
}

/// Inspects a database; `None` if Keyturn has not used it.
pub(in crate::store) async fn inspect(postgres: &Postgres) -> Result<Option<DatabaseState>, StoreError> {
    let pool = postgres.pool();
    let unusable = |error: sqlx::Error| unusable(postgres, &error);
    let known = sqlx::query(
        "SELECT to_regclass('master_key') IS NOT NULL AND to_regclass('organizations') IS NOT NULL AS known",
    );
    let row = known.fetch_one(&pool).await.map_err(unusable)?;
    if !row.try_get::<bool, _>("known")? {
        return Ok(None);
    }
    let master_key = sqlx::query("SELECT id FROM master_key").fetch_optional(&pool).await.map_err(unusable)?;
    let organizations = sqlx::query("SELECT slug FROM organizations").fetch_all(&pool).await.map_err(unusable)?;
    Ok(Some(DatabaseState {
        master_key: master_key.map(|row| row.try_get("id")).transpose()?,
        organizations: organizations.iter().map(|row| row.try_get("slug")).collect::<Result<_, _>>()?,
    }))
}

/// Rejects a replica, which may be behind, and versions that are too old. Turns on `synchronous_commit`, so that
/// committed data is on disk.
async fn check_server(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "SELECT pg_is_in_recovery() AS is_replica, current_setting('server_version_num')::BIGINT AS version, \
         current_setting('server_version') AS name, set_config('synchronous_commit', \
         CASE current_setting('synchronous_commit') WHEN 'off' THEN 'local' \
         ELSE current_setting('synchronous_commit') END, false) AS durability",
    )
    .fetch_one(connection)
    .await?;
    if row.try_get("is_replica")? {
        return Err(refusal("the database is a replica, which may be behind; set store.url to the primary".into()));
    }
    if let Some(message) = too_old(row.try_get("version")?, row.try_get("name")?) {
        return Err(refusal(message));
    }
    Ok(())
}

fn too_old(version: i64, name: &str) -> Option<String> {
    (version < OLDEST).then(|| format!("PostgreSQL {name} is not supported; use {} or newer", OLDEST / 10_000))
}

fn refusal(text: String) -> sqlx::Error {
    sqlx::Error::Configuration(text.into())
}

/// Whether the server may be available a moment later: it is not listening yet, or starting.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P03" | "53300")),
        _ => false,
    }
}

/// Returns the error with advice for operators who set `store.url`.
fn describe_error(error: &sqlx::Error, options: &PgConnectOptions) -> StoreError {
    let location = location(options);
    let text = match error {
        sqlx::Error::Database(error) => {
            let message = error.message();
            match error.code().as_deref() {
                Some("28P01" | "28000") => {
                    format!(
                        "the database at {location} rejected the login: {message}; check the user and password in store.url"
                    )
                }
                Some("3D000") => format!("{message} at {location}; create it, or correct the name in store.url"),
                Some("42501") => format!(
                    "the user of store.url lacks privileges in the database at {location}: {message}; make it the owner of the \
                     database, or GRANT USAGE, CREATE ON SCHEMA public"
                ),
                _ => format!("the database at {location} returned an error: {message}"),
            }
        }
        sqlx::Error::Configuration(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!(
            "TLS with the database at {location} failed: {error}; set sslrootcert=FILE in store.url to the CA certificate"
        ),
        sqlx::Error::Io(error) => format!("cannot reach the database at {location}: {error}"),
        other => format!("cannot use the database at {location}: {other}"),
    };
    StoreError::Unusable(text)
}

/// Same for an error of a statement.
pub(in crate::store) fn unusable(postgres: &Postgres, error: &sqlx::Error) -> StoreError {
    describe_error(error, &postgres.login.current().1)
}

/// Returns host, port and database, without user and password.
pub(in crate::store) fn location(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    let database = options.get_database().unwrap_or_default();
    format!("{host}:{}/{database}", options.get_port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_13_are_rejected() {
        let complaint = "PostgreSQL 12.22 is not supported; use 13 or newer";
        assert_eq!(too_old(120_022, "12.22").as_deref(), Some(complaint));
        assert_eq!(too_old(130_000, "13.0"), None);
        assert_eq!(too_old(150_018, "15.18 (Debian)"), None);
    }

    #[test]
    fn unknown_parameter_is_rejected_without_its_value() {
        let error = check_url("postgres://db/keys?sslmod=hunter2").unwrap_err().to_string();
        assert!(error.starts_with("store.url: unknown parameter \"sslmod\"; allowed parameters are sslmode, "));
        assert!(!error.contains("hunter2"));
        assert!(check_url("postgres://db/keys?sslmode=require&sslrootcert=/ca.pem").is_ok());
    }

    #[test]
    fn location_contains_no_credentials() {
        let options = options("postgres://me:hunter2@db.example:5433/keys").unwrap();
        assert_eq!(location(&options), "db.example:5433/keys");
    }
}
