//! SQLite: opening and inspecting files.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Row, SqliteConnection};

use crate::store::sql::schema;
use crate::store::{DatabaseState, StoreError};

/// Opens a file, creates it if it does not exist, and migrates its schema. Returns the pool for writes and the pool for
/// reads.
pub(in crate::store) async fn open(path: &Path, readers: u32) -> Result<(SqlitePool, SqlitePool), StoreError> {
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
        // SQLite rolls back after some failed writes, but the driver still counts an open transaction. Such a
        // connection would reject all later changes.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options.clone())
        .await
        .map_err(unusable)?;
    schema::migrate_sqlite(&writer).await.map_err(|error| match error {
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
    Ok((writer, readers))
}

/// Opens an existing file read-only.
pub(in crate::store) async fn open_read_only(path: &Path) -> Result<SqlitePool, StoreError> {
    let unusable = |error: sqlx::Error| StoreError::Unusable(format!("{}: {}", path.display(), plain(&error)));
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(unusable)
}

/// Inspects a file; `None` if it does not exist.
pub(in crate::store) async fn inspect(path: &Path) -> Result<Option<DatabaseState>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let unusable = |error: sqlx::Error| StoreError::Unusable(format!("{}: {}", path.display(), plain(&error)));
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(unusable)?;
    let mut state = DatabaseState::default();
    for table in ["master_key", "organizations"] {
        let known = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1")
            .bind(table)
            .fetch_optional(&mut connection)
            .await
            .map_err(unusable)?;
        if known.is_none() {
            return Ok(Some(state));
        }
    }
    let row = sqlx::query("SELECT id FROM master_key").fetch_optional(&mut connection).await.map_err(unusable)?;
    state.master_key = row.map(|row| row.try_get("id")).transpose()?;
    let rows = sqlx::query("SELECT slug FROM organizations").fetch_all(&mut connection).await.map_err(unusable)?;
    state.organizations = rows.iter().map(|row| row.try_get("slug")).collect::<Result<_, _>>()?;
    connection.close().await.map_err(unusable)?;
    Ok(Some(state))
}

/// Returns a database error in one line, without the driver's prefix.
fn plain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}
