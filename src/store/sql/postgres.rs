//! PostgreSQL: reaching it, what is asked of it, and connections that are never given back half-way.

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
use crate::store::sql::statement::patiently;
use crate::store::{DatabaseState, PoolState, StoreError};

/// The oldest version that is supported, as PostgreSQL numbers it.
const OLDEST: i64 = 130_000;

/// How long a connection may be waited for.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How much longer than that shows that the process itself was stopped meanwhile.
const STOPPED: Duration = Duration::from_millis(500);

/// How long a start waits for a database that does not answer yet.
const START: Duration = Duration::from_secs(15);

/// A database on a PostgreSQL server.
#[derive(Clone, Debug)]
pub(in crate::store) struct Postgres {
    /// Replaced when it has run dry: its driver can lose a place with a connection that died in silence.
    pool: Arc<ArcSwap<PgPool>>,
    /// The version of the login that the pool uses.
    pool_login: Arc<AtomicU64>,
    login: Arc<Login>,
    connections: u32,
    waits: Arc<Waits>,
    /// Connections live and are asked on one runtime, whichever thread waits for the answer.
    runtime: Handle,
}

/// How often a connection was taken from the pool, and how long that took.
#[derive(Debug, Default)]
struct Waits {
    count: AtomicU64,
    nanos: AtomicU64,
}

/// A connection in use. Dropped before it is given back it is closed, for it may be in the middle of something.
pub(in crate::store) struct PgUse(Option<PoolConnection<sqlx::Postgres>>);

impl Postgres {
    /// Reaches the database of a URL, waiting a little for one that is only just starting.
    pub(in crate::store) async fn reach(url: &str, connections: u32) -> Result<Self, StoreError> {
        Self::reach_as(Login::new(url, None)?, connections).await
    }

    /// The same with a login.
    pub(in crate::store) async fn reach_as(login: Login, connections: u32) -> Result<Self, StoreError> {
        let explain = |error: sqlx::Error| told(&error, &login.current().1);
        let mut reason = StoreError::Silent;
        let first = async {
            loop {
                match login.connect_with(PgConnectOptions::clone).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if is_not_there_yet(&error) => {
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
                    "{reason}, for {} s; is store.url right, and does PostgreSQL run there?",
                    START.as_secs()
                )));
            }
        };
        examine(&mut connection).await.map_err(explain)?;
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

    /// The same database with connections of its own.
    pub(in crate::store) fn apart(&self, connections: u32) -> Self {
        let (version, options) = self.login.current();
        let pool = Arc::new(ArcSwap::from_pointee(new_pool(&options, connections)));
        Self { pool, pool_login: Arc::new(version.into()), connections, waits: Arc::default(), ..self.clone() }
    }

    /// The most connections of the pool.
    pub(in crate::store) fn connections(&self) -> usize {
        self.connections as usize
    }

    /// The pool, for what needs nothing but a pool.
    pub(in crate::store) fn pool(&self) -> PgPool {
        let pool = PgPool::clone(&self.pool.load());
        let (version, options) = self.login.current();
        if self.pool_login.swap(version, Ordering::AcqRel) != version {
            pool.set_connect_options(PgConnectOptions::clone(&options));
        }
        pool
    }

    /// Takes a connection out of the pool.
    pub(in crate::store) async fn acquire(&self) -> Result<PgUse, StoreError> {
        let asked = clock::boot();
        let acquired = self.acquire_patiently(asked).await;
        let nanos = u64::try_from(clock::boot().since(asked).as_nanos()).unwrap_or(u64::MAX);
        self.waits.count.fetch_add(1, Ordering::Relaxed);
        self.waits.nanos.fetch_add(nanos, Ordering::Relaxed);
        acquired
    }

    async fn acquire_patiently(&self, asked: BootTime) -> Result<PgUse, StoreError> {
        match self.acquire_once().await {
            // A process that was stopped finds its time over when it goes on, though nothing kept it waiting but that.
            Err(error) if error.is_used_up() && clock::boot().since(asked) > ACQUIRE + STOPPED => {
                self.acquire_once().await
            }
            Err(error) if error.is_login_refused() && self.login.read_again() => self.acquire_once().await,
            acquired => acquired,
        }
    }

    async fn acquire_once(&self) -> Result<PgUse, StoreError> {
        let pool = self.pool();
        // On the runtime where it is to live, should it be a new one.
        let acquired = self.runtime.spawn(async move { pool.acquire().await }).await;
        Ok(PgUse(Some(acquired.map_err(|_| StoreError::Silent)??)))
    }

    /// What the pool says of itself.
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

    /// A connection beside the pool.
    pub(in crate::store) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.login.connect_with(PgConnectOptions::clone).await?;
        examine(&mut connection).await?;
        Ok(connection)
    }

    /// A connection beside the pool for work that may take long: the time limits of requests do not apply to it.
    pub(in crate::store) async fn connect_without_limits(&self) -> Result<PgConnection, sqlx::Error> {
        let unlimited = |options: &PgConnectOptions| {
            options.clone().options([
                ("statement_timeout", "0"),
                ("lock_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
            ])
        };
        let mut connection = self.login.connect_with(unlimited).await?;
        examine(&mut connection).await?;
        Ok(connection)
    }

    /// Runs something to its end, whoever waits for it.
    pub(in crate::store) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.runtime.spawn(work).await.unwrap_or(Err(StoreError::Silent))
    }

    /// Puts a new pool in the place of one that has run dry although the server answers.
    pub(in crate::store) async fn refresh(&self) -> Result<(), StoreError> {
        // Only if it answers: a new pool in front of a silent server is no better.
        let answers = async { Ok::<_, StoreError>(self.connect().await?.close().await?) };
        tokio::time::timeout(ACQUIRE, answers).await.unwrap_or(Err(StoreError::Silent))?;
        let (version, options) = self.login.current();
        let old = self.pool.swap(Arc::new(new_pool(&options, self.connections)));
        self.pool_login.store(version, Ordering::Release);
        tracing::warn!("the connections to the database were used up although it answers; they are replaced");
        self.runtime.spawn(async move { old.close().await });
        Ok(())
    }

    /// Closes the pool.
    pub(in crate::store) async fn close(&self) {
        let pool = self.pool();
        // A connection that waits for a dead network is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(5), pool.close()).await;
    }
}

impl PgUse {
    /// The connection.
    pub(in crate::store) fn get(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.0.as_deref_mut().ok_or(StoreError::Silent)
    }

    /// Runs a statement that has neither values nor rows.
    pub(in crate::store) async fn command(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let connection = self.get()?;
        patiently(connection.execute(sql)).await?;
        Ok(())
    }

    /// Gives the connection back to the pool, at rest.
    pub(in crate::store) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for PgUse {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// The parameters that a URL may have; the driver would log others, with their values, and go on.
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

/// Checks a URL without reaching anything.
pub(in crate::store) fn check_url(url: &str) -> Result<(), StoreError> {
    options(url).map(drop)
}

/// What a URL says, and what Keyturn asks of every connection.
pub(in crate::store) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let parameters = url::Url::parse(url).map(|url| url.query_pairs().map(|(name, _)| name.into_owned()).collect());
    let parameters: Vec<String> = parameters.unwrap_or_default();
    if let Some(unknown) = parameters.iter().find(|name| !PARAMETERS.contains(&name.as_str())) {
        return Err(StoreError::Unusable(format!(
            "store.url has the parameter {unknown:?}, which is not known; known are {}",
            PARAMETERS.join(", ")
        )));
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        StoreError::Unusable("store.url is not a URL of PostgreSQL, or a parameter of it is not right".into())
    })?;
    Ok(options.application_name("keyturn").options([
        ("client_min_messages", "warning"),
        ("statement_timeout", "10s"),
        ("lock_timeout", "5s"),
        // A node that was stopped in the middle of a change keeps the others from theirs no longer than this.
        ("idle_in_transaction_session_timeout", "2s"),
    ]))
}

fn new_pool(options: &PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| Box::pin(examine(connection)))
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_lazy_with(options.clone())
}

/// What a database says of itself; `None` when Keyturn was never there.
pub(in crate::store) async fn look(postgres: &Postgres) -> Result<Option<DatabaseState>, StoreError> {
    let pool = postgres.pool();
    let unusable = |error: sqlx::Error| told_of(postgres, &error);
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

/// Refuses a server that must not be asked: a replica, which may be behind, and a version that is too old. And
/// makes sure that what it calls committed is on its disk.
async fn examine(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "SELECT pg_is_in_recovery() AS is_replica, current_setting('server_version_num')::BIGINT AS version, \
         current_setting('server_version') AS name, set_config('synchronous_commit', \
         CASE current_setting('synchronous_commit') WHEN 'off' THEN 'local' \
         ELSE current_setting('synchronous_commit') END, false) AS durability",
    )
    .fetch_one(connection)
    .await?;
    if row.try_get("is_replica")? {
        return Err(refusal(
            "the database is a replica, which may be behind; store.url must lead to the primary".into(),
        ));
    }
    if let Some(complaint) = too_old(row.try_get("version")?, row.try_get("name")?) {
        return Err(refusal(complaint));
    }
    Ok(())
}

fn too_old(version: i64, name: &str) -> Option<String> {
    (version < OLDEST).then(|| format!("PostgreSQL {name} is not supported; {} or newer is", OLDEST / 10_000))
}

fn refusal(text: String) -> sqlx::Error {
    sqlx::Error::Configuration(text.into())
}

/// Whether a database may answer a moment later: it is not listening yet, or it is starting up.
fn is_not_there_yet(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("57P03" | "53300")),
        _ => false,
    }
}

/// What is wrong, and what to do, for somebody who has just set `store.url`.
fn told(error: &sqlx::Error, options: &PgConnectOptions) -> StoreError {
    let place = place(options);
    let text = match error {
        sqlx::Error::Database(error) => {
            let message = error.message();
            match error.code().as_deref() {
                Some("28P01" | "28000") => {
                    format!(
                        "the database at {place} does not let us in: {message}; correct user and password in store.url"
                    )
                }
                Some("3D000") => format!("{message} at {place}; create it, or correct the name in store.url"),
                Some("42501") => format!(
                    "the user of store.url lacks rights in the database at {place}: {message}; make it the owner of the \
                     database, or GRANT USAGE, CREATE ON SCHEMA public"
                ),
                _ => format!("the database at {place} refuses: {message}"),
            }
        }
        sqlx::Error::Configuration(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!(
            "no TLS with the database at {place}: {error}; sslrootcert=FILE in store.url names the authority to trust"
        ),
        sqlx::Error::Io(error) => format!("the database at {place} cannot be reached: {error}"),
        other => format!("the database at {place} cannot be used: {other}"),
    };
    StoreError::Unusable(text)
}

/// A refused statement of ours, told for somebody who sets up the database.
pub(in crate::store) fn told_of(postgres: &Postgres, error: &sqlx::Error) -> StoreError {
    told(error, &postgres.login.current().1)
}

/// Host, port and database: never the user or the password.
pub(in crate::store) fn place(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    let database = options.get_database().unwrap_or_default();
    format!("{host}:{}/{database}", options.get_port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_13_are_refused() {
        let complaint = "PostgreSQL 12.22 is not supported; 13 or newer is";
        assert_eq!(too_old(120_022, "12.22").as_deref(), Some(complaint));
        assert_eq!(too_old(130_000, "13.0"), None);
        assert_eq!(too_old(150_018, "15.18 (Debian)"), None);
    }

    #[test]
    fn a_parameter_that_is_not_known_is_refused_without_its_value() {
        let error = check_url("postgres://db/keys?sslmod=hunter2").unwrap_err().to_string();
        assert!(error.starts_with("store.url has the parameter \"sslmod\", which is not known; known are sslmode, "));
        assert!(!error.contains("hunter2"));
        assert!(check_url("postgres://db/keys?sslmode=require&sslrootcert=/ca.pem").is_ok());
    }

    #[test]
    fn a_place_names_neither_user_nor_password() {
        let options = options("postgres://me:hunter2@db.example:5433/keys").unwrap();
        assert_eq!(place(&options), "db.example:5433/keys");
    }
}
