//! The two databases: SQLite in one file, PostgreSQL over a pool; and a transaction on either.

use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Executor, Row, Sqlite};
use tokio::sync::OwnedSemaphorePermit;

use crate::clock;
use crate::store::StoreError;

use crate::store::sql::postgres::{PgUse, Postgres};
use crate::store::sql::statement::{patiently, query};

/// How long a lost COMMIT is looked up before the caller is told that its outcome is unknown.
const LOOKUP: Duration = Duration::from_secs(8);

/// Pause between two attempts to look up a lost COMMIT.
const LOOKUP_PAUSE: Duration = Duration::from_millis(200);

/// Milliseconds for which the row of a committed transaction is kept.
const COMMITS_KEPT_MILLIS: i64 = 3_600_000;

/// Adds the row that identifies a transaction.
const ADD_COMMIT_SQLITE: &str =
    "INSERT INTO commits (id, at) VALUES (lower(hex(randomblob(16))), unixepoch() * 1000) RETURNING id";

/// Begins a transaction and adds the row that identifies it, in one round trip.
const BEGIN_POSTGRES: &str = "BEGIN; INSERT INTO commits (id, at) VALUES (gen_random_uuid()::TEXT, \
    (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT) RETURNING id";

/// An opened database.
#[derive(Clone, Debug)]
pub(in crate::store) enum Database {
    /// One connection that writes, several that read.
    Sqlite {
        /// The one that writes.
        writer: SqlitePool,
        /// Those that read.
        readers: SqlitePool,
    },
    /// A pool of connections to the primary.
    Postgres(Postgres),
}

/// A transaction. Dropped before its end, it is rolled back.
///
/// It adds a row to `commits` under an ID of its own. If the answer to its COMMIT is lost, that row tells whether it was
/// committed.
pub(in crate::store) struct Transaction {
    pub(in crate::store) connection: TransactionConnection,
    database: Database,
    id: String,
    /// Lets the next change of this store begin once it is dropped.
    turn: Option<OwnedSemaphorePermit>,
}

/// The connection that a transaction runs on.
pub(in crate::store) enum TransactionConnection {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(PgUse),
}

impl Database {
    /// Begins a transaction. On SQLite the write lock is taken at once, so that two transactions never deadlock.
    pub(in crate::store) async fn begin(&self) -> Result<Transaction, StoreError> {
        let (connection, id) = match self {
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                let id = sqlx::query_scalar(ADD_COMMIT_SQLITE).fetch_one(&mut *transaction).await?;
                (TransactionConnection::Sqlite(transaction), id)
            }
            Self::Postgres(postgres) => {
                let mut connection = postgres.acquire().await?;
                let row = patiently(connection.get()?.fetch_one(BEGIN_POSTGRES)).await?;
                let id = row.try_get("id")?;
                (TransactionConnection::Postgres(connection), id)
            }
        };
        Ok(Transaction { connection, database: self.clone(), id, turn: None })
    }

    /// Deletes the rows of transactions that nobody looks up any more.
    pub(in crate::store) async fn forget_commits(&self) -> Result<(), StoreError> {
        let now = match self {
            Self::Sqlite { .. } => "unixepoch() * 1000",
            Self::Postgres(_) => "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT",
        };
        let delete = format!("DELETE FROM commits WHERE at < {now} - {COMMITS_KEPT_MILLIS}");
        query(sqlx::AssertSqlSafe(delete)).execute_alone(self).await?;
        Ok(())
    }

    /// Closes every connection once it is at rest.
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
                    tracing::warn!(error = %lost, "the answer to a COMMIT was lost; the change is committed");
                    return Ok(());
                }
                Ok(false) => return Err(lost),
                Err(error) if clock::boot() >= deadline => {
                    tracing::error!(%error, %lost, "the outcome of a COMMIT is unknown");
                    return Err(StoreError::CommitUnknown);
                }
                Err(_) => tokio::time::sleep(LOOKUP_PAUSE).await,
            }
        }
    }

    /// Whether the transaction of that ID was committed. Returns only once it can no longer be.
    async fn is_committed(&self, id: &str) -> Result<bool, StoreError> {
        match self {
            // There is one connection that writes, so the transaction has ended by the time the connection is free.
            Self::Sqlite { writer, .. } => {
                let row = sqlx::query("SELECT id FROM commits WHERE id = $1").bind(id).fetch_optional(writer).await?;
                Ok(row.is_some())
            }
            Self::Postgres(postgres) => {
                let (connecting, id) = (postgres.clone(), id.to_owned());
                postgres
                    .run(async move {
                        // The pool may hold nothing but dead connections.
                        let mut connection = patiently_connect(&connecting).await?;
                        let mut probe = connection.begin().await?;
                        // Waits while the transaction is still open: both insert the same primary key. Inserting
                        // proves that it was rolled back. The probe itself is always rolled back.
                        let insert = sqlx::query("INSERT INTO commits (id, at) VALUES ($1, 0) ON CONFLICT DO NOTHING");
                        let inserted = patiently(insert.bind(id).execute(&mut *probe)).await?.rows_affected();
                        patiently(probe.rollback()).await?;
                        let _ = patiently(connection.close()).await;
                        Ok(inserted == 0)
                    })
                    .await
            }
        }
    }
}

async fn patiently_connect(postgres: &Postgres) -> Result<sqlx::PgConnection, StoreError> {
    tokio::time::timeout(Duration::from_secs(2), postgres.connect()).await.unwrap_or(Err(StoreError::Silent))
}

impl Transaction {
    /// The same, holding its place among the changes of a store until it ends.
    pub(in crate::store) fn with_turn(self, turn: OwnedSemaphorePermit) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// Commits. If the answer is lost, looks the transaction up and reports what became of it; an error other than
    /// [`StoreError::CommitUnknown`] means that nothing was changed.
    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        let Self { connection, database, id, turn } = self;
        let committed = match connection {
            TransactionConnection::Sqlite(transaction) => transaction.commit().await.map_err(StoreError::from),
            TransactionConnection::Postgres(mut connection) => {
                let committed = connection.command("COMMIT").await;
                if committed.is_ok() {
                    connection.give_back();
                }
                committed
            }
        };
        drop(turn);
        match committed {
            Ok(()) => Ok(()),
            Err(lost) => database.look_up(&id, lost).await,
        }
    }

    /// Rolls back.
    pub(in crate::store) async fn rollback(self) -> Result<(), StoreError> {
        match self.connection {
            TransactionConnection::Sqlite(transaction) => Ok(transaction.rollback().await?),
            TransactionConnection::Postgres(mut connection) => {
                connection.command("ROLLBACK").await?;
                connection.give_back();
                Ok(())
            }
        }
    }
}
