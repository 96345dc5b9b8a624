//! The two databases: SQLite in one file, PostgreSQL over a pool; and a transaction on either.

use sqlx::Sqlite;
use sqlx::sqlite::SqlitePool;

use crate::store::StoreError;
use crate::store::sql::postgres::{PgUse, Postgres};

/// An opened database.
#[derive(Clone, Debug)]
pub(super) enum Database {
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

/// A transaction. Dropped before its end, it is as if it had never been.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(PgUse),
}

impl Database {
    /// Begins a transaction. On SQLite the write lock is taken at once, so that two never deadlock half-way.
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Transaction::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres(postgres) => {
                let mut connection = postgres.acquire().await?;
                connection.command("BEGIN").await?;
                Ok(Transaction::Postgres(connection))
            }
        }
    }

    /// Closes every connection once it is at rest.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}

impl Transaction {
    /// Makes it true. An error leaves open whether it became so.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(transaction) => Ok(transaction.commit().await?),
            Self::Postgres(mut connection) => {
                connection.command("COMMIT").await?;
                connection.give_back();
                Ok(())
            }
        }
    }

    /// Takes it back.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(transaction) => Ok(transaction.rollback().await?),
            Self::Postgres(mut connection) => {
                connection.command("ROLLBACK").await?;
                connection.give_back();
                Ok(())
            }
        }
    }
}
