//! The store: all persistent data, in SQLite or PostgreSQL.
//!
//! [`Store`] is one type; each entity has a file with its records and functions. `sql/` contains what both databases
//! have in common. Imports only `domain`. A missing record is `Ok(None)`, a violated rule (a limit, a version) is
//! [`Refused`], and [`StoreError`] is a failure of the store.

mod api_keys;
mod apis;
mod attempts;
mod audit;
mod audit_change;
mod audit_entry;
mod changes;
mod copy;
mod customers;
mod deletion;
mod deliveries;
mod denials;
mod epoch;
mod events;
mod expected_version;
mod gateway_requests;
mod granted_keys;
mod key_access;
mod key_filter;
mod key_grants;
mod key_list;
mod key_metadata;
mod key_rows;
mod lock;
mod members;
mod named_networks;
mod nodes;
mod organizations;
mod outbox;
mod portal_sessions;
mod portal_settings;
mod profiles;
mod responses;
mod sessions;
mod signing_keys;
mod sql;
mod tenants;
mod upkeep;
mod usage;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, Semaphore};
use zeroize::Zeroizing;

pub use api_keys::{EndKey, Limits};
pub use attempts::{ATTEMPTS_OF_DELIVERY, RESPONSES_OF_WEBHOOK};
pub use audit::ReadAuditRow;
pub use audit_change::AuditChange;
pub use audit_entry::{AuditDirection, AuditEntry, AuditFilter, AuditFrom, action};
pub use changes::{ChangeBatch, KeyChange, RevokedToken, Seq};
pub use copy::CopiedTable;
pub use customers::{CustomerFilter, KEYS_AT_ONCE};
pub use deliveries::{DeliveryBacklog, DeliveryFilter, message};
pub use denials::{DenialFilter, DeniedRequest};
pub use epoch::Restored;
pub use events::CountedEvent;
pub use gateway_requests::GatewayRequest;
pub use key_filter::{KeyCursor, KeyFilter, KeyOrder};
pub use key_list::Attention;
pub use lock::{LockError, StoreLock};
pub use nodes::{NodeId, RegisteredNode};
pub use organizations::{MAX_COUNT, NewOrganization, OrganizationCounts};
pub use outbox::{AfterAttempt, Attempt, Backlog, ClaimTerms, DueWebhook};
pub use responses::StoredResponse;
pub use signing_keys::StoredSigningKey;
pub use tenants::{TenantRecord, Tenants};
pub use upkeep::{Notice, StaleKeys, kind};
pub use usage::{
    BusyKey, BusyKeys, DetailKind, Interval, KeyOfApi, RequestedOfKey, SharingKeys, UsageDetail, UsageOf, UsesOfApi,
};
pub use webhooks::{UnsealedUrl, WebhookSeal};

use crate::store::sql::database::{Database, Transaction};
use crate::store::sql::login::Login;
use crate::store::sql::postgres::{self, Postgres};
use crate::store::sql::statement::query;
use crate::store::sql::{schema, sqlite};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not respond, or returned an error.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// This version cannot decode a row.
    #[error("the database holds an unreadable {what}: {detail}")]
    Unreadable {
        what: &'static str,
        /// Contains no secret.
        detail: String,
    },
    /// The database was migrated by a newer version of Keyturn.
    #[error(
        "the database was migrated by a newer version of Keyturn (schema {found}, this version supports {known}); use that version or restore a backup"
    )]
    Newer { found: i64, known: i64 },
    /// The database did not respond in time.
    #[error("the database did not respond in time")]
    Silent,
    /// The database does not contain changes that this process has seen: a restore, or a fail-over that lost changes.
    #[error("the database has lost changes")]
    LostChanges,
    /// The response to a COMMIT was lost, and the transaction could not be looked up.
    #[error("the database did not confirm the change; it may have been made")]
    CommitUnknown,
    /// The actor lost rights between authentication and the write.
    #[error("the caller's permissions changed before the change was written")]
    Superseded,
    /// The file, folder or server cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether no connection became available in time.
    pub fn is_pool_exhausted(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
    }

    /// Whether the database rejected the user or the password.
    pub fn is_login_refused(&self) -> bool {
        matches!(self, Self::Database(error) if is_login_refused(error))
    }
}

/// The version of a database's schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaState {
    /// `None` if Keyturn has not used the database.
    pub found: Option<i64>,
    /// The version that this build requires.
    pub known: i64,
}

impl SchemaState {
    /// Whether no migration is needed.
    pub fn is_current(self) -> bool {
        self.found == Some(self.known)
    }
}

/// Whether PostgreSQL rejected the user or the password.
fn is_login_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("28P01" | "28000"))
}

/// Returns the URL of a server with its current credentials, or an error message without credentials.
pub type UrlSource = Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// The rule that a change violates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The stored version is not the expected one.
    VersionConflict,
    /// The limit of the organization, the owner or the customer on keys is reached.
    LimitReached,
    /// The policy changed after the change was checked against it.
    PolicyChanged,
    /// The record already exists.
    AlreadyExists,
    /// A request with the same `Idempotency-Key` has been processed.
    Repeated,
    /// The owner is not a member.
    OwnerGone,
    /// The customer does not exist, or is removed.
    CustomerGone,
    /// Keys that work refer to the record.
    HasKeys,
    /// The profile or a network of the key does not exist, or the organization changed after they were checked.
    ReferencesChanged,
    /// Profiles refer to the network.
    HasProfiles,
    /// The organization would have no owner.
    LastOwner,
}

/// Maximum number of transactions for changes at a time. Changes are serialized, so more would only occupy connections
/// that reads need. If the node stops, each of them would also block the changes of other nodes until the database ends it,
/// one after the other, and the second one longer than they wait.
const MAX_OPEN_CHANGES: usize = 1;

/// How long a change waits for earlier ones.
const CHANGE_WAIT: Duration = Duration::from_secs(5);

/// Information about a database that any version can read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DatabaseState {
    /// ID of its master key.
    pub master_key: Option<String>,
    pub organizations: Vec<String>,
}

/// Reason why a change was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A rule does not allow it; nothing was changed.
    #[error("the change is not allowed: {0:?}")]
    Refused(Refused),
    /// Unless this is [`StoreError::CommitUnknown`], nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A SQLite file or a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    /// A connection for following changes, so that a busy pool does not delay it.
    following: Arc<Mutex<Option<PgConnection>>>,
    /// Cached snapshots for ranking keys by use.
    snapshots: Arc<usage::Snapshots>,
    /// Changes wait here in order, without occupying a connection.
    changes: Arc<Semaphore>,
    /// The highest change number that this process has seen; 0 without other nodes.
    seen: Arc<AtomicU64>,
}

impl Store {
    /// Opens a SQLite file, creates it if it does not exist, and migrates its schema.
    pub async fn open_sqlite(path: &Path, readers: u32) -> Result<Self, StoreError> {
        let (writer, readers) = sqlite::open(path, readers).await?;
        let store = Self::on(Database::Sqlite { writer, readers });
        store.chain_audit().await?;
        store.derive_audit_changes().await?;
        Ok(store)
    }

    /// Opens a PostgreSQL database and migrates its schema.
    pub async fn open_postgres(url: &str, connections: u32) -> Result<Self, StoreError> {
        Self::open_postgres_with(url, None, connections).await
    }

    /// Same; `source` returns the URL with its current credentials if the server rejects those of `url`.
    pub async fn open_postgres_with(
        url: &str,
        source: Option<UrlSource>,
        connections: u32,
    ) -> Result<Self, StoreError> {
        let postgres = Postgres::connect_with_login(Login::new(url, source)?, connections).await?;
        schema::migrate_postgres(&postgres).await?;
        let store = Self::on(Database::Postgres(postgres));
        store.chain_audit().await?;
        store.derive_audit_changes().await?;
        Ok(store)
    }

    /// Opens a SQLite file of this version read-only. A server can use it at the same time.
    pub async fn read_sqlite(path: &Path) -> Result<Self, StoreError> {
        let readers = sqlite::open_read_only(path).await?;
        schema::refuse_other(schema::state_of_sqlite(&readers).await?)?;
        Ok(Self::on(Database::Sqlite { writer: readers.clone(), readers }))
    }

    /// Opens a PostgreSQL database of this version read-only. Servers can use it at the same time.
    pub async fn read_postgres(url: &str) -> Result<Self, StoreError> {
        let postgres = Postgres::connect_to(url, 1).await?;
        schema::refuse_other(schema::state_of_postgres(&postgres).await?)?;
        Ok(Self::on(Database::Postgres(postgres)))
    }

    /// Returns the schema version of an existing SQLite file without changing anything.
    pub async fn schema_of_sqlite(path: &Path) -> Result<SchemaState, StoreError> {
        let readers = sqlite::open_read_only(path).await?;
        let state = schema::state_of_sqlite(&readers).await;
        readers.close().await;
        state
    }

    /// Returns the schema version of a PostgreSQL database without changing anything.
    pub async fn schema_of_postgres(url: &str) -> Result<SchemaState, StoreError> {
        let postgres = Postgres::connect_to(url, 1).await?;
        let state = schema::state_of_postgres(&postgres).await;
        postgres.close().await;
        state
    }

    /// Checks the URL of a PostgreSQL database without connecting.
    pub fn check_postgres_url(url: &str) -> Result<(), StoreError> {
        postgres::check_url(url)
    }

    /// Inspects a SQLite file without changing anything; `None` if it does not exist.
    pub async fn inspect_sqlite(path: &Path) -> Result<Option<DatabaseState>, StoreError> {
        sqlite::inspect(path).await
    }

    /// Inspects a PostgreSQL database without changing anything; `None` if Keyturn has not used it.
    pub async fn inspect_postgres(url: &str) -> Result<Option<DatabaseState>, StoreError> {
        let postgres = Postgres::connect_to(url, 1).await?;
        let state = postgres::inspect(&postgres).await;
        postgres.close().await;
        state
    }

    /// Returns the same store with a connection pool of its own (on PostgreSQL), so that load on one pool does not
    /// delay users of the other.
    pub fn with_own_pool(&self, connections: u32) -> Self {
        let database = match &self.database {
            Database::Sqlite { .. } => self.database.clone(),
            Database::Postgres(postgres) => Database::Postgres(postgres.with_own_pool(connections)),
        };
        Self { seen: Arc::clone(&self.seen), ..Self::on(database) }
    }

    fn on(database: Database) -> Self {
        let changes = Arc::new(Semaphore::new(MAX_OPEN_CHANGES));
        Self { database, following: Arc::default(), snapshots: Arc::default(), changes, seen: Arc::default() }
    }

    /// Begins a change and takes its number. The row of the number stays locked until the end, so changes are
    /// serialized and become visible in order. Fails on a database that has lost changes, whose numbers would be used
    /// a second time.
    async fn begin(&self) -> Result<(Transaction, Seq), StoreError> {
        let (transaction, seq) = self.begin_on_any().await?;
        if seq <= self.seen.load(Ordering::Acquire) {
            transaction.rollback().await?;
            return Err(StoreError::LostChanges);
        }
        Ok((transaction, seq))
    }

    /// Same, also on a database that has lost changes.
    async fn begin_on_any(&self) -> Result<(Transaction, Seq), StoreError> {
        let permit = tokio::time::timeout(CHANGE_WAIT, Arc::clone(&self.changes).acquire_owned()).await;
        let permit = permit.map_err(|_| StoreError::Silent)?.map_err(|_| StoreError::Silent)?;
        let mut transaction = self.database.begin().await?.with_permit(permit);
        let seq = changes::next_seq(&mut transaction).await?;
        Ok((transaction, seq))
    }

    /// Checks that the database responds and accepts a transaction.
    pub async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT seq FROM change_seq").fetch_one(&self.database).await?;
        self.database.begin().await?.rollback().await
    }

    /// Returns the state of the PostgreSQL pool; `None` on SQLite.
    pub fn pool(&self) -> Option<PoolState> {
        match &self.database {
            Database::Sqlite { .. } => None,
            Database::Postgres(postgres) => Some(postgres.state()),
        }
    }

    /// Waits for running statements and closes the database.
    pub async fn close(&self) {
        drop(self.following.lock().await.take());
        self.database.close().await;
    }

    /// Replaces a pool that has no free connection although the database responds.
    pub async fn recover(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite { .. } => Ok(()),
            Database::Postgres(postgres) => postgres.refresh().await,
        }
    }
}

/// State of a connection pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolState {
    /// Open connections that are not in use.
    pub idle: u32,
    pub used: u32,
    /// Maximum number of connections.
    pub most: u32,
    /// Number of connections that were taken from the pool.
    pub waits: u64,
    /// Total time of waiting for them in nanoseconds.
    pub wait_nanos: u64,
}

/// Rolls back a change that violates a rule.
async fn refuse<T>(transaction: Transaction, refused: Refused) -> Result<T, WriteError> {
    transaction.rollback().await?;
    Err(WriteError::Refused(refused))
}

/// Whether an insert failed because the row already exists.
fn is_duplicate(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_disk_does_not_affect_later_changes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("keyturn.db"), 1).await.unwrap();
        let Database::Sqlite { writer, .. } = &store.database else { unreachable!("it was opened above") };
        sqlx::query("PRAGMA max_page_count = 1").execute(writer).await.unwrap();
        let fill = async || {
            let mut transaction = store.database.begin().await?;
            query("INSERT INTO organizations (slug, policy, created_at) VALUES ($1, $2, 0)")
                .bind("big")
                .bind("x".repeat(1 << 20))
                .execute(&mut transaction)
                .await?;
            transaction.commit().await?;
            Ok::<(), StoreError>(())
        };
        assert!(fill().await.is_err(), "the file may not grow");
        // A new connection has no size limit, as after freeing disk space.
        for _ in 0..3 {
            store.ping().await.unwrap();
        }
        fill().await.unwrap();
    }

    #[tokio::test]
    async fn inspecting_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyturn.db");
        assert_eq!(Store::inspect_sqlite(&path).await.unwrap(), None);
        assert!(!path.exists());
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Store::inspect_sqlite(&path).await.unwrap(), Some(DatabaseState::default()));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
