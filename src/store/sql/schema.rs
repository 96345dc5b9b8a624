//! The schema, brought up to date at start from `migrations/`: one folder per dialect, the same files in both.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Row, SqlSafeStr};

use crate::store::sql::postgres::{Postgres, told_of};
use crate::store::{SchemaState, StoreError};

/// How soon a node that waits for another one's migration logs that it waits, and how often it does so again.
const WAITING_LOG: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Declares the migrations of one dialect, in order, from `migrations/{dialect}/`.
macro_rules! migrations {
    ($dialect:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../../migrations/", $dialect, "/", $file, ".sql")))),+]
    };
}

/// The migrations of one dialect: file name without extension, and SQL.
type Migrations = &'static [(&'static str, &'static str)];

const SQLITE: Migrations = migrations!(
    "sqlite":
    "0001_foundation",
    "0002_usage",
    "0003_nodes",
    "0004_members",
    "0005_webhooks",
    "0006_usage_reports",
    "0007_audit_chain",
    "0008_usage_reading",
    "0009_tenants",
    "0010_secret_version",
    "0011_commits",
    "0012_repeated_events",
    "0013_webhook_secrecy",
    "0014_node_settings",
    "0015_webhook_headers",
);

const POSTGRES: Migrations = migrations!(
    "postgres":
    "0001_foundation",
    "0002_usage",
    "0003_nodes",
    "0004_members",
    "0005_webhooks",
    "0006_usage_reports",
    "0007_audit_chain",
    "0008_usage_reading",
    "0009_tenants",
    "0010_secret_version",
    "0011_commits",
    "0012_repeated_events",
    "0013_webhook_secrecy",
    "0014_node_settings",
    "0015_webhook_headers",
);

/// Brings a SQLite file up to date.
pub(in crate::store) async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let tables =
        sqlx::query("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'").fetch_optional(pool).await?;
    if tables.is_some() {
        let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await?;
        refuse_newer(row.try_get("version")?)?;
    }
    ran(migrator(SQLITE).run(pool).await, StoreError::from)
}

/// Brings a PostgreSQL database up to date. Nodes that start together do so one after the other, and wait as long as a
/// migration takes. A database that is up to date is only read, so its user needs no right to change the schema.
pub(in crate::store) async fn migrate_postgres(postgres: &Postgres) -> Result<(), StoreError> {
    let told = |error: sqlx::Error| told_of(postgres, &error);
    let migrator = migrator(POSTGRES);
    {
        let mut connection = postgres.pool().acquire().await.map_err(told)?;
        if is_up_to_date(&mut connection, &migrator).await.map_err(|error| explained(error, told))? {
            return Ok(());
        }
    }
    let mut connection = postgres.connect_without_limits().await.map_err(told)?;
    wait_for_turn(&mut connection).await.map_err(|error| explained(error, told))?;
    // The node that went first may have been of a newer version, and it may have left nothing to do.
    let migrated = match is_up_to_date(&mut connection, &migrator).await {
        Ok(true) => Ok(()),
        Ok(false) => ran(unlocked(migrator).run_direct(None, &mut connection, false).await, told),
        Err(error) => Err(explained(error, told)),
    };
    // Closing the connection releases the lock.
    let _ = connection.close().await;
    migrated
}

/// Takes the lock under which migrations run.
async fn wait_for_turn(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut locking = connection.lock();
    let [mut pause, again] = WAITING_LOG;
    loop {
        match tokio::time::timeout(pause, &mut locking).await {
            Ok(locked) => return ran(locked, StoreError::from),
            Err(_) => tracing::info!("waiting for another node to bring the database's schema up to date"),
        }
        pause = again;
    }
}

/// Whether every migration was applied, as this version knows it.
async fn is_up_to_date(connection: &mut PgConnection, migrator: &Migrator) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS known").fetch_one(&mut *connection);
    if !row.await?.try_get::<bool, _>("known")? {
        return Ok(false);
    }
    let rows = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version");
    let rows = rows.fetch_all(connection).await?;
    refuse_newer(rows.last().map(|row| row.try_get("version")).transpose()?)?;
    let mut known = migrator.iter();
    for row in &rows {
        let (version, checksum): (i64, Vec<u8>) = (row.try_get("version")?, row.try_get("checksum")?);
        let is_as_known = known.next().is_some_and(|known| known.version == version && *known.checksum == checksum);
        if !is_as_known || !row.try_get::<bool, _>("success")? {
            // The migrator says what is wrong.
            return Ok(false);
        }
    }
    Ok(known.next().is_none())
}

fn unlocked(mut migrator: Migrator) -> Migrator {
    migrator.set_locking(false);
    migrator
}

/// A failure of the database, told for somebody who sets it up.
fn explained(error: StoreError, told: impl Fn(sqlx::Error) -> StoreError) -> StoreError {
    match error {
        StoreError::Database(error) => told(error),
        other => other,
    }
}

/// The schema of a SQLite file.
pub(in crate::store) async fn state_of_sqlite(pool: &SqlitePool) -> Result<SchemaState, StoreError> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await;
    state(row.map_or(Ok(None), |row| row.try_get("version"))?)
}

/// The schema of a PostgreSQL database.
pub(in crate::store) async fn state_of_postgres(postgres: &Postgres) -> Result<SchemaState, StoreError> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(&postgres.pool()).await;
    let is_absent = |error: &sqlx::Error| {
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42P01")
    };
    match row {
        Ok(row) => state(row.try_get("version")?),
        Err(error) if is_absent(&error) => state(None),
        Err(error) => Err(told_of(postgres, &error)),
    }
}

fn state(found: Option<i64>) -> Result<SchemaState, StoreError> {
    refuse_newer(found)?;
    Ok(SchemaState { found, known: SQLITE.len() as i64 })
}

/// Refuses a schema that is not of this version.
pub(in crate::store) fn refuse_other(state: SchemaState) -> Result<(), StoreError> {
    if state.is_current() {
        return Ok(());
    }
    Err(StoreError::Unusable(
        "the database is not of this version yet; a server of this version brings it up to date when it starts".into(),
    ))
}

fn migrator(migrations: Migrations) -> Migrator {
    let migrations = (1..).zip(migrations).map(|(version, (name, sql))| {
        let name = name.split_once('_').map_or(*name, |(_, name)| name);
        Migration::new(version, name.into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

fn refuse_newer(found: Option<i64>) -> Result<(), StoreError> {
    let known = SQLITE.len() as i64;
    match found {
        Some(found) if found > known => Err(StoreError::Newer { found, known }),
        _ => Ok(()),
    }
}

fn ran(result: Result<(), MigrateError>, told: impl Fn(sqlx::Error) -> StoreError) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(told(error)),
        Err(other) => Err(StoreError::Unusable(format!("the database's schema cannot be brought up to date: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_text::KeyId;
    use crate::domain::slug::Slug;
    use crate::store::{BusyKeys, Interval, Store, UsageOf};
    use sqlx::AssertSqlSafe;

    #[tokio::test]
    async fn what_was_counted_by_hour_before_is_found_by_day_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyturn.db");
        let pool = SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
        migrator(&SQLITE[..3]).run(&pool).await.unwrap();
        let key = KeyId::from_random([1; 16]);
        for sql in [
            "INSERT INTO organizations VALUES ('acme', '{}', 0)".to_owned(),
            format!(
                "INSERT INTO api_keys (id, organization, prefix, name, name_lowercase, description, scopes, networks, \
                 state, generation, version, seq, secret_phc, hint, created_at, created_by) \
                 VALUES ('{key}', 'acme', 'kt', 'n', 'n', '', '', '', 'active', 1, 1, 1, 'p', '', 0, 'keyturn')"
            ),
            format!(
                "INSERT INTO usage_hours VALUES ('{key}', 240, 'exchanged', 3), ('{key}', 250, 'verified', 4), \
                 ('{key}', 265, 'exchanged', 5), ('{key}', 265, 'denied_scope', 6)"
            ),
        ] {
            sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let store = Store::open_sqlite(&path, 1).await.unwrap();
        let organization = Slug::parse("acme").unwrap();
        for of in [UsageOf::Key(key), UsageOf::Organization(organization.clone())] {
            let days = store.usage(&of, Interval::Day, 0, 100).await.unwrap();
            let uses: Vec<(i64, u64)> = days.iter().map(|(day, counts)| (*day, counts.uses())).collect();
            assert_eq!(uses, [(10, 7), (11, 5)]);
        }
        let asked = BusyKeys { organization, first_day: 11, last_day: None, after: None, limit: 9 };
        assert_eq!(store.busy_keys(&asked).await.unwrap()[0].counts.0, [5, 0, 0, 0, 0, 0, 6, 0]);
    }
}
