//! The store in SQL: one text for SQLite and PostgreSQL, run on whichever was opened.

mod api_keys;
mod audit;
mod changes;
mod columns;
mod copy;
mod database;
mod deliveries;
mod events;
mod key_rows;
mod login;
mod members;
mod nodes;
mod organizations;
mod outbox;
mod postgres;
mod schema;
mod sessions;
mod signing_keys;
mod sqlite;
mod standing;
mod statement;
mod upkeep;
mod usage;
mod webhooks;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use tokio::sync::Mutex;

use crate::store::sql::database::{Database, Transaction};
use crate::store::sql::login::Login;
use crate::store::sql::postgres::Postgres;
use crate::store::sql::statement::query;
use crate::store::{PoolState, Refused, SchemaState, Seq, Store, StoreError, UrlSource};

pub use copy::Copied;

/// What a database says of itself, whatever version wrote it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The master key it belongs to.
    pub master_key: Option<String>,
    /// The slugs of its organizations.
    pub organizations: Vec<String>,
}

/// A store in one SQLite file, or in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct SqlStore {
    database: Database,
    /// The connection that changes are followed on: no crowd in the pool keeps it waiting.
    following: Arc<Mutex<Option<PgConnection>>>,
    /// What was read for ranking keys by their use.
    standings: Arc<usage::Standings>,
}

impl SqlStore {
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
    pub async fn look_at_sqlite(path: &Path) -> Result<Option<Look>, StoreError> {
        sqlite::look(path).await
    }

    /// Looks at a PostgreSQL database without changing anything; `None` when Keyturn was never there.
    pub async fn look_at_postgres(url: &str) -> Result<Option<Look>, StoreError> {
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
        Self { database, following: Arc::default(), standings: Arc::default() }
    }

    /// Begins a change, with its number. The row of the number stays locked until the end, so changes are made
    /// one at a time and become visible in order.
    async fn begin(&self) -> Result<(Transaction, Seq), StoreError> {
        let mut transaction = self.database.begin().await?;
        let seq = changes::next_seq(&mut transaction).await?;
        Ok((transaction, seq))
    }
}

/// Takes back a change that a rule forbids.
async fn refuse<T>(transaction: Transaction, refused: Refused) -> Result<Result<T, Refused>, StoreError> {
    transaction.rollback().await?;
    Ok(Err(refused))
}

#[async_trait]
impl Store for SqlStore {
    async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT seq FROM change_seq").fetch_one(&self.database).await?;
        self.database.begin().await?.rollback().await
    }

    async fn close(&self) {
        drop(self.following.lock().await.take());
        self.database.close().await;
    }

    async fn recover(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite { .. } => Ok(()),
            Database::Postgres(postgres) => postgres.refresh().await,
        }
    }

    fn pool(&self) -> Option<PoolState> {
        match &self.database {
            Database::Sqlite { .. } => None,
            Database::Postgres(postgres) => Some(postgres.state()),
        }
    }
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
        let store = SqlStore::open_sqlite(&folder.path().join("keyturn.db"), 1).await.unwrap();
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
        assert_eq!(SqlStore::look_at_sqlite(&path).await.unwrap(), None);
        assert!(!path.exists());
        std::fs::write(&path, b"").unwrap();
        assert_eq!(SqlStore::look_at_sqlite(&path).await.unwrap(), Some(Look::default()));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
