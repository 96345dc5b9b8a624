//! The store in SQL. SQLite for now; the text is kept to what PostgreSQL takes as well.

mod api_keys;
mod audit;
mod changes;
mod columns;
mod key_rows;
mod organizations;
mod signing_keys;
mod usage;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Row, SqlSafeStr, Sqlite, SqliteConnection, Transaction};

use crate::store::{Store, StoreError};

/// What a database file says of itself, whatever version wrote it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The master key it belongs to.
    pub master_key: Option<String>,
    /// The slugs of its organizations.
    pub organizations: Vec<String>,
}

/// A store in one SQLite file: one connection that writes, several that read.
#[derive(Clone, Debug)]
pub struct SqlStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqlStore {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    pub async fn open(path: &Path, readers: u32) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| StoreError::Unusable(format!("{}: {error}", folder.display())))?;
        }
        let options = SqliteConnectOptions::from_str("sqlite://")?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .pragma("temp_store", "MEMORY");
        let unusable = |error: sqlx::Error| StoreError::Unusable(format!("{}: {}", path.display(), plain(&error)));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(10))
            // After a failed write SQLite has rolled back by itself and the driver still counts a transaction;
            // such a connection would refuse every later change.
            .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone())
            .await
            .map_err(unusable)?;
        migrate(&writer).await.map_err(|error| match error {
            StoreError::Database(error) => unusable(error),
            other => other,
        })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(readers.max(1))
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(unusable)?;
        Ok(Self { writer, readers })
    }

    /// Looks at a database file without changing anything; `None` when there is none.
    pub async fn look(path: &Path) -> Result<Option<Look>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let unusable = |error: sqlx::Error| StoreError::Unusable(format!("{}: {}", path.display(), plain(&error)));
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(unusable)?;
        let mut look = Look::default();
        for table in ["master_key", "organizations"] {
            let known = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1")
                .bind(table)
                .fetch_optional(&mut connection)
                .await
                .map_err(unusable)?;
            if known.is_none() {
                return Ok(Some(look));
            }
        }
        let row = sqlx::query("SELECT id FROM master_key").fetch_optional(&mut connection).await.map_err(unusable)?;
        look.master_key = row.map(|row| row.try_get("id")).transpose()?;
        let rows = sqlx::query("SELECT slug FROM organizations").fetch_all(&mut connection).await.map_err(unusable)?;
        look.organizations = rows.iter().map(|row| row.try_get("slug")).collect::<Result<_, _>>()?;
        connection.close().await.map_err(unusable)?;
        Ok(Some(look))
    }

    /// Begins a change. The write lock is taken at once, so that two changes never deadlock half-way.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT seq FROM change_seq").fetch_one(&self.readers).await?;
        self.begin().await?.rollback().await?;
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let migration = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrations = vec![
        migration(1, "foundation", include_str!("../../../migrations/0001_foundation.sql")),
        migration(2, "usage", include_str!("../../../migrations/0002_usage.sql")),
    ];
    let known = migrations.len() as i64;
    if let Some(found) = schema_version(pool).await?.filter(|found| *found > known) {
        return Err(StoreError::Newer { found, known });
    }
    match Migrator::with_migrations(migrations).run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(error.into()),
        Err(other) => Err(StoreError::Unusable(format!("the database's schema cannot be brought up to date: {other}"))),
    }
}

/// The newest migration that was applied; `None` in a new file.
async fn schema_version(pool: &SqlitePool) -> Result<Option<i64>, StoreError> {
    let tables =
        sqlx::query("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'").fetch_optional(pool).await?;
    if tables.is_none() {
        return Ok(None);
    }
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await?;
    Ok(row.try_get("version")?)
}

/// A database error in one line, without the driver's own prefix.
fn plain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

/// Whether an insert failed because the row is there already.
fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_fails_one_change_and_not_those_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqlStore::open(&folder.path().join("keyturn.db"), 1).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.unwrap();
        let fill = async || {
            let mut transaction = store.begin().await?;
            sqlx::query("INSERT INTO organizations (slug, policy, created_at) VALUES ($1, $2, 0)")
                .bind("big")
                .bind("x".repeat(1 << 20))
                .execute(&mut *transaction)
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
        assert_eq!(SqlStore::look(&path).await.unwrap(), None);
        assert!(!path.exists());
        std::fs::write(&path, b"").unwrap();
        assert_eq!(SqlStore::look(&path).await.unwrap(), Some(Look::default()));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
