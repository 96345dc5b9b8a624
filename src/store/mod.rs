//! The store: everything that Keyturn keeps, in SQLite or PostgreSQL. The source of truth.
//!
//! [`Store`] is one type; each entity has a file with its records and the functions that read and write them. `sql/` holds
//! what the two databases have in common. Imports `domain` only. Not found is `Ok(None)`; a violated rule (a limit, a
//! version) is a [`Refused`] inside `Ok`; [`StoreError`] is a store that does not work.

mod api_keys;
mod audit;
mod audit_entry;
mod changes;
mod copy;
mod deliveries;
mod events;
mod key_rows;
mod lock;
mod members;
mod nodes;
mod organizations;
mod outbox;
mod sessions;
mod signing_keys;
mod sql;
mod standing;
mod upkeep;
mod usage;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex, Semaphore};
use zeroize::Zeroizing;

pub use api_keys::{KeyFilter, KeyOrder, KeyPlace, Limits, StoredResponse};
pub use audit::ReadAuditRow;
pub use audit_entry::{AuditEntry, AuditFilter, AuditFrom, action};
pub use changes::{ChangeBatch, KeyChange, Restored, RevokedToken, Seq};
pub use copy::CopiedTable;
pub use deliveries::{DeliveryBacklog, DeliveryFilter, message};
pub use events::CountedEvent;
pub use lock::{LockError, StoreLock};
pub use members::EndMemberKey;
pub use nodes::{NodeId, RegisteredNode};
pub use organizations::NewOrganization;
pub use outbox::{AfterAttempt, Attempt, Backlog, ClaimTerms, DueWebhook};
pub use signing_keys::StoredSigningKey;
pub use upkeep::{Notice, StaleKeys, kind};
pub use usage::{BusyKey, BusyKeys, Interval, UsageDetail, UsageOf};
pub use webhooks::{UnsealedUrl, WebhookSeal};

use crate::store::sql::database::{Database, Transaction};
use crate::store::sql::login::Login;
use crate::store::sql::postgres::{self, Postgres};
use crate::store::sql::statement::query;
use crate::store::sql::{schema, sqlite};

/// A store that does not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or refused.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A row that this version cannot read.
    #[error("the database holds an unreadable {what}: {detail}")]
    Unreadable {
        /// The kind of row.
        what: &'static str,
        /// What is wrong with it; never a secret.
        detail: String,
    },
    /// The database was written by a newer Keyturn.
    #[error(
        "the database was made by a newer Keyturn (schema {found}, this version knows {known}); use that version or restore a backup"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database did not answer for too long.
    #[error("the database did not answer in time")]
    Silent,
    /// The answer to a COMMIT was lost, and the transaction could not be looked up.
    #[error("the database did not confirm the change; it may have been made")]
    CommitUnknown,
    /// Whoever asked for a change was revoked, removed or changed before it was written.
    #[error("whoever asked for the change is not what they were any more")]
    Superseded,
    /// The file, folder or server cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether no connection was free for too long.
    pub fn is_used_up(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
    }

    /// Whether the database refuses the user or the password.
    pub fn is_login_refused(&self) -> bool {
        matches!(self, Self::Database(error) if is_login_refused(error))
    }
}

/// How far the schema of a database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaState {
    /// Its version; `None` if Keyturn was never there.
    pub found: Option<i64>,
    /// The version that this Keyturn needs.
    pub known: i64,
}

impl SchemaState {
    /// Whether nothing has to be migrated.
    pub fn is_current(self) -> bool {
        self.found == Some(self.known)
    }
}

/// Whether PostgreSQL refuses the user or the password.
fn is_login_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("28P01" | "28000"))
}

/// Gives the URL of a server with its current credentials, or says in a line without any of them why it cannot.
pub type UrlSource = Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A change that the store's rules do not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Somebody changed it meanwhile.
    VersionConflict,
    /// The organization's or the owner's limit of keys is reached.
    LimitReached,
    /// The policy was changed after the change was checked against it.
    PolicyChanged,
    /// There is one already.
    AlreadyExists,
    /// The same request, by its `Idempotency-Key`, was carried out already.
    Repeated,
    /// The owner is no member any more.
    OwnerGone,
    /// An organization keeps an owner.
    LastOwner,
}

/// Changes of one store that are in the database at once. They are made one at a time, so more would only occupy the connections
/// that reads need, and if the node stops, each of them keeps the other nodes waiting until the database ends it.
const CHANGES_AT_ONCE: usize = 2;

/// How long a change waits for those before it.
const CHANGE_WAIT: Duration = Duration::from_secs(5);

/// What a database says of itself, whatever version wrote it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DatabaseState {
    /// The master key it belongs to.
    pub master_key: Option<String>,
    /// The slugs of its organizations.
    pub organizations: Vec<String>,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A rule does not allow it; nothing was changed.
    #[error("the change is not allowed: {0:?}")]
    Refused(Refused),
    /// The store does not work. Unless it is [`StoreError::CommitUnknown`], nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A store in one SQLite file, or in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    /// The connection that changes are followed on: no crowd in the pool keeps it waiting.
    following: Arc<Mutex<Option<PgConnection>>>,
    /// What was read for ranking keys by their use.
    standings: Arc<usage::Standings>,
    /// Changes wait here in order, without a connection.
    changes: Arc<Semaphore>,
}

impl Store {
    /// Opens a SQLite file, makes it if it is not there, and brings its schema up to date.
    pub async fn open_sqlite(path: &Path, readers: u32) -> Result<Self, StoreError> {
        let (writer, readers) = sqlite::open(path, readers).await?;
        let store = Self::on(Database::Sqlite { writer, readers });
        store.chain_audit().await?;
        Ok(store)
    }

    /// Opens a PostgreSQL database and brings its schema up to date.
    pub async fn open_postgres(url: &str, connections: u32) -> Result<Self, StoreError> {
        Self::open_postgres_with(url, None, connections).await
    }

    /// The same; `source` gives the URL with its current credentials when the server refuses those of `url`.
    pub async fn open_postgres_with(
        url: &str,
        source: Option<UrlSource>,
        connections: u32,
    ) -> Result<Self, StoreError> {
        let postgres = Postgres::reach_as(Login::new(url, source)?, connections).await?;
        schema::migrate_postgres(&postgres).await?;
        let store = Self::on(Database::Postgres(postgres));
        store.chain_audit().await?;
        Ok(store)
    }

    /// Opens a SQLite file of this version for reading, beside whoever serves from it.
    pub async fn read_sqlite(path: &Path) -> Result<Self, StoreError> {
        let readers = sqlite::open_read_only(path).await?;
        schema::refuse_other(schema::state_of_sqlite(&readers).await?)?;
        Ok(Self::on(Database::Sqlite { writer: readers.clone(), readers }))
    }

    /// Opens a PostgreSQL database of this version for reading, beside whoever serves from it.
    pub async fn read_postgres(url: &str) -> Result<Self, StoreError> {
        let postgres = Postgres::reach(url, 1).await?;
        schema::refuse_other(schema::state_of_postgres(&postgres).await?)?;
        Ok(Self::on(Database::Postgres(postgres)))
    }

    /// The schema of a SQLite file that is there, without changing anything.
    pub async fn schema_of_sqlite(path: &Path) -> Result<SchemaState, StoreError> {
        let readers = sqlite::open_read_only(path).await?;
        let state = schema::state_of_sqlite(&readers).await;
        readers.close().await;
        state
    }

    /// The schema of a PostgreSQL database, without changing anything.
    pub async fn schema_of_postgres(url: &str) -> Result<SchemaState, StoreError> {
        let postgres = Postgres::reach(url, 1).await?;
        let state = schema::state_of_postgres(&postgres).await;
        postgres.close().await;
        state
    }

    /// Checks the URL of a PostgreSQL database without reaching anything.
    pub fn check_postgres_url(url: &str) -> Result<(), StoreError> {
        postgres::check_url(url)
    }

    /// Looks at a SQLite file without changing anything; `None` when there is none.
    pub async fn look_at_sqlite(path: &Path) -> Result<Option<DatabaseState>, StoreError> {
        sqlite::look(path).await
    }

    /// Looks at a PostgreSQL database without changing anything; `None` when Keyturn was never there.
    pub async fn look_at_postgres(url: &str) -> Result<Option<DatabaseState>, StoreError> {
        let postgres = Postgres::reach(url, 1).await?;
        let look = postgres::look(&postgres).await;
        postgres.close().await;
        look
    }

    /// The same store with connections of its own, where that makes a difference: a crowd that uses up the others does
    /// not keep whoever has these waiting.
    pub fn apart(&self, connections: u32) -> Self {
        Self::on(match &self.database {
            Database::Sqlite { .. } => self.database.clone(),
            Database::Postgres(postgres) => Database::Postgres(postgres.apart(connections)),
        })
    }

    fn on(database: Database) -> Self {
        let at_once = match &database {
            Database::Sqlite { .. } => CHANGES_AT_ONCE,
            Database::Postgres(postgres) => CHANGES_AT_ONCE.min(postgres.connections().saturating_sub(1)).max(1),
        };
        let changes = Arc::new(Semaphore::new(at_once));
        Self { database, following: Arc::default(), standings: Arc::default(), changes }
    }

    /// Begins a change, with its number. The row of the number stays locked until the end, so changes are made
    /// one at a time and become visible in order.
    async fn begin(&self) -> Result<(Transaction, Seq), StoreError> {
        let turn = tokio::time::timeout(CHANGE_WAIT, Arc::clone(&self.changes).acquire_owned()).await;
        let turn = turn.map_err(|_| StoreError::Silent)?.map_err(|_| StoreError::Silent)?;
        let mut transaction = self.database.begin().await?.with_turn(turn);
        let seq = changes::next_seq(&mut transaction).await?;
        Ok((transaction, seq))
    }

    /// Checks that the database answers and accepts a transaction.
    pub async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT seq FROM change_seq").fetch_one(&self.database).await?;
        self.database.begin().await?.rollback().await
    }

    /// The pool of connections to PostgreSQL; `None` for a database without one.
    pub fn pool(&self) -> Option<PoolState> {
        match &self.database {
            Database::Sqlite { .. } => None,
            Database::Postgres(postgres) => Some(postgres.state()),
        }
    }

    /// Finishes running statements and closes the database.
    pub async fn close(&self) {
        drop(self.following.lock().await.take());
        self.database.close().await;
    }

    /// Replaces a pool that no longer serves although its database answers.
    pub async fn recover(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite { .. } => Ok(()),
            Database::Postgres(postgres) => postgres.refresh().await,
        }
    }
}

/// A pool of connections, and how long it let its users wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolState {
    /// Open connections that nobody uses.
    pub idle: u32,
    /// Connections in use.
    pub used: u32,
    /// Connections that may be open.
    pub most: u32,
    /// How often a connection was taken.
    pub waits: u64,
    /// How long taking them took in total, in nanoseconds.
    pub wait_nanos: u64,
}

/// Takes back a change that a rule forbids.
async fn refuse<T>(transaction: Transaction, refused: Refused) -> Result<T, WriteError> {
    transaction.rollback().await?;
    Err(WriteError::Refused(refused))
}

/// Whether an insert failed because the row is there already.
fn is_duplicate(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_fails_one_change_and_not_those_after_it() {
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
        // A new connection has no limit any more, as after space was made.
        for _ in 0..3 {
            store.ping().await.unwrap();
        }
        fill().await.unwrap();
    }

    #[tokio::test]
    async fn looking_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyturn.db");
        assert_eq!(Store::look_at_sqlite(&path).await.unwrap(), None);
        assert!(!path.exists());
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Store::look_at_sqlite(&path).await.unwrap(), Some(DatabaseState::default()));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
