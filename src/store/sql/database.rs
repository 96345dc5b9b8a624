//! The two databases, SQLite in one file and PostgreSQL with a pool, and transactions on both.

use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Executor, Row, Sqlite};
use tokio::sync::OwnedSemaphorePermit;

use crate::clock;
use crate::store::StoreError;

use crate::store::sql::postgres::{PooledConnection, Postgres};
use crate::store::sql::statement::{query, with_timeout};

/// How long a transaction is looked up after a lost COMMIT before its outcome is reported as unknown.
const LOOKUP: Duration = Duration::from_secs(8);

/// Pause between two lookups.
const LOOKUP_PAUSE: Duration = Duration::from_millis(200);

/// Retention of the row of a committed transaction.
const COMMITS_KEPT_MILLIS: i64 = 3_600_000;

/// Inserts the row that identifies a transaction.
const ADD_COMMIT_SQLITE: &str =
    "INSERT INTO commits (id, at) VALUES (lower(hex(randomblob(16))), unixepoch() * 1000) RETURNING id";

/// Begins a transaction and inserts the row that identifies it, in one round trip.
const BEGIN_POSTGRES: &str = "BEGIN; INSERT INTO commits (id, at) VALUES (gen_random_uuid()::TEXT, \
    (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT) RETURNING id";

#[derive(Clone, Debug)]
pub(in crate::store) enum Database {
    /// One connection for writes, several for reads.
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    /// A pool of connections to the primary server.
    Postgres(Postgres),
}

/// A transaction. Rolled back if it is dropped before it is committed.
///
/// It inserts a row with a unique ID into `commits`. If the response to its COMMIT is lost, that row shows whether it
/// was committed.
pub(in crate::store) struct Transaction {
    pub(in crate::store) connection: TransactionConnection,
    database: Database,
    id: String,
    /// Allows the next change of this store once it is dropped.
    permit: Option<OwnedSemaphorePermit>,
}

/// A transaction that only reads, all of it as of one moment.
pub(in crate::store) struct Snapshot(pub(in crate::store) TransactionConnection);

pub(in crate::store) enum TransactionConnection {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(PooledConnection),
}

impl Database {
    /// Begins a transaction. On SQLite this takes the write lock immediately, so that two transactions never deadlock.
    pub(in crate::store) async fn begin(&self) -> Result<Transaction, StoreError> {
        let (connection, id) = match self {
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                let id = sqlx::query_scalar(ADD_COMMIT_SQLITE).fetch_one(&mut *transaction).await?;
                (TransactionConnection::Sqlite(transaction), id)
            }
            Self::Postgres(postgres) => {
                let mut connection = postgres.acquire().await?;
                let row = with_timeout(connection.get()?.fetch_one(BEGIN_POSTGRES)).await?;
                let id = row.try_get("id")?;
                (TransactionConnection::Postgres(connection), id)
            }
        };
        Ok(Transaction { connection, database: self.clone(), id, permit: None })
    }

    /// Begins reads as of one moment.
    pub(in crate::store) async fn begin_snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(match self {
            Self::Sqlite { readers, .. } => TransactionConnection::Sqlite(readers.begin().await?),
            Self::Postgres(postgres) => {
                let mut connection = postgres.acquire().await?;
                connection.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                TransactionConnection::Postgres(connection)
            }
        }))
    }

    /// Runs a future to its end even if the caller stops waiting, so that its connection stays usable.
    pub(in crate::store) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite { .. } => work.await,
            Self::Postgres(postgres) => postgres.run(work).await,
        }
    }

    /// Deletes old rows of committed transactions.
    pub(in crate::store) async fn forget_commits(&self) -> Result<(), StoreError> {
        let now = match self {
            Self::Sqlite { .. } => "unixepoch() * 1000",
            Self::Postgres(_) => "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT",
        };
        let delete = format!("DELETE FROM commits WHERE at < {now} - {COMMITS_KEPT_MILLIS}");
        query(sqlx::AssertSqlSafe(delete)).execute_alone(self).await?;
        Ok(())
    }

    /// Closes all connections when they are idle.
    pub(in crate::store) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Returns the outcome of a transaction whose COMMIT failed with `lost`.
    async fn look_up(&self, id: &str, lost: StoreError) -> Result<(), StoreError> {
        let deadline = clock::boot().plus(LOOKUP);
        loop {
            match self.is_committed(id).await {
                Ok(true) => {
                    tracing::warn!(error = %lost, "response to COMMIT was lost; the change is committed");
                    return Ok(());
                }
                Ok(false) => return Err(lost),
                Err(error) if clock::boot() >= deadline => {
                    tracing::error!(%error, %lost, "outcome of COMMIT is unknown");
                    return Err(StoreError::CommitUnknown);
                }
                Err(_) => tokio::time::sleep(LOOKUP_PAUSE).await,
            }
        }
    }

    /// Whether the transaction was committed. Returns only after it can no longer be committed.
    async fn is_committed(&self, id: &str) -> Result<bool, StoreError> {
        match self {
            // There is only one writing connection, so the transaction has ended when the connection is free.
            Self::Sqlite { writer, .. } => {
                let row = sqlx::query("SELECT id FROM commits WHERE id = $1").bind(id).fetch_optional(writer).await?;
                Ok(row.is_some())
            }
            Self::Postgres(postgres) => {
                let (connecting, id) = (postgres.clone(), id.to_owned());
                postgres
                    .run(async move {
                        // All connections of the pool may be broken.
                        let mut connection = connect_with_timeout(&connecting).await?;
                        let mut probe = connection.begin().await?;
                        // Waits while the transaction is open, because both insert the same primary key. A successful
                        // insert proves that it was rolled back. This probe is always rolled back.
                        let insert = sqlx::query("INSERT INTO commits (id, at) VALUES ($1, 0) ON CONFLICT DO NOTHING");
                        let inserted = with_timeout(insert.bind(id).execute(&mut *probe)).await?.rows_affected();
                        with_timeout(probe.rollback()).await?;
                        let _ = with_timeout(connection.close()).await;
                        Ok(inserted == 0)
                    })
                    .await
            }
        }
    }
}

async fn connect_with_timeout(postgres: &Postgres) -> Result<sqlx::PgConnection, StoreError> {
    tokio::time::timeout(Duration::from_secs(2), postgres.connect()).await.unwrap_or(Err(StoreError::Silent))
}

impl Snapshot {
    /// Returns the connection to its pool.
    pub(in crate::store) async fn end(self) -> Result<(), StoreError> {
        match self.0 {
            TransactionConnection::Sqlite(transaction) => Ok(transaction.rollback().await?),
            TransactionConnection::Postgres(mut connection) => {
                connection.command("COMMIT").await?;
                connection.release();
                Ok(())
            }
        }
    }
}

impl Transaction {
    /// Attaches the permit of a change, which is released at the end of the transaction.
    pub(in crate::store) fn with_permit(self, permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// Commits. If the response is lost, looks up the outcome. An error other than [`StoreError::CommitUnknown`] means
    /// that nothing was changed.
    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        let Self { connection, database, id, permit } = self;
        let committed = match connection {
            TransactionConnection::Sqlite(transaction) => transaction.commit().await.map_err(StoreError::from),
            TransactionConnection::Postgres(mut connection) => {
                let committed = connection.command("COMMIT").await;
                if committed.is_ok() {
                    connection.release();
                }
                committed
            }
        };
        drop(permit);
        match committed {
            Ok(()) => Ok(()),
            Err(lost) => database.look_up(&id, lost).await,
        }
    }

    pub(in crate::store) async fn rollback(self) -> Result<(), StoreError> {
        match self.connection {
            TransactionConnection::Sqlite(transaction) => Ok(transaction.rollback().await?),
            TransactionConnection::Postgres(mut connection) => {
                connection.command("ROLLBACK").await?;
                connection.release();
                Ok(())
            }
        }
    }
}
