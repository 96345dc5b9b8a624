//! Schema migrations from `migrations/`: one folder per dialect with the same file names.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Row, SqlSafeStr};

use crate::store::sql::postgres::{Postgres, unusable};
use crate::store::{SchemaState, StoreError};

/// When a node first logs that it waits for another node's migration, and the interval after that.
const WAITING_LOG: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Lists the migrations of one dialect, in order, from `migrations/{dialect}/`.
macro_rules! migrations {
    ($dialect:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../../migrations/", $dialect, "/", $file, ".sql")))),+]
    };
}

/// File name without extension, and SQL.
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
    "0016_key_lists",
    "0017_denials",
    "0018_audit_direction",
    "0019_secret_usage",
    "0020_organization_names",
    "0021_deleted_organizations",
    "0022_delivery_attempts",
    "0023_gateway_checks",
    "0024_apis",
    "0025_customers",
    "0026_usage_by_api",
    "0027_portal",
    "0028_profiles",
    "0029_attributes",
    "0030_access_in_effect",
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
    "0016_key_lists",
    "0017_denials",
    "0018_audit_direction",
    "0019_secret_usage",
    "0020_organization_names",
    "0021_deleted_organizations",
    "0022_delivery_attempts",
    "0023_gateway_checks",
    "0024_apis",
    "0025_customers",
    "0026_usage_by_api",
    "0027_portal",
    "0028_profiles",
    "0029_attributes",
    "0030_access_in_effect",
);

/// Migrates a SQLite file.
pub(in crate::store) async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let tables =
        sqlx::query("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'").fetch_optional(pool).await?;
    if tables.is_some() {
        let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await?;
        refuse_newer(row.try_get("version")?)?;
    }
    check_result(migrator(SQLITE).run(pool).await, StoreError::from)
}

/// Migrates a PostgreSQL database. Nodes that start at the same time migrate one after another, and wait as long as a
/// migration takes. An up-to-date database is only read, so its user needs no right to change the schema.
pub(in crate::store) async fn migrate_postgres(postgres: &Postgres) -> Result<(), StoreError> {
    let describe = |error: sqlx::Error| unusable(postgres, &error);
    let migrator = migrator(POSTGRES);
    {
        let mut connection = postgres.pool().acquire().await.map_err(describe)?;
        if is_up_to_date(&mut connection, &migrator).await.map_err(|error| describe_database_error(error, describe))? {
            return Ok(());
        }
    }
    let mut connection = postgres.connect_without_limits().await.map_err(describe)?;
    lock_migrations(&mut connection).await.map_err(|error| describe_database_error(error, describe))?;
    // The other node may have had a newer version, or left nothing to migrate.
    let migrated = match is_up_to_date(&mut connection, &migrator).await {
        Ok(true) => Ok(()),
        Ok(false) => check_result(unlocked(migrator).run_direct(None, &mut connection, false).await, describe),
        Err(error) => Err(describe_database_error(error, describe)),
    };
    let _ = connection.close().await;
    migrated
}

/// Acquires the lock for migrations.
async fn lock_migrations(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut locking = connection.lock();
    let [mut interval, next] = WAITING_LOG;
    loop {
        match tokio::time::timeout(interval, &mut locking).await {
            Ok(locked) => return check_result(locked, StoreError::from),
            Err(_) => tracing::info!("waiting for another node to migrate the database"),
        }
        interval = next;
    }
}

/// Whether exactly the known migrations were applied.
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
            // The migrator reports the difference.
            return Ok(false);
        }
    }
    Ok(known.next().is_none())
}

fn unlocked(mut migrator: Migrator) -> Migrator {
    migrator.set_locking(false);
    migrator
}

/// Describes a database error for operators.
fn describe_database_error(error: StoreError, describe: impl Fn(sqlx::Error) -> StoreError) -> StoreError {
    match error {
        StoreError::Database(error) => describe(error),
        other => other,
    }
}

/// Returns the schema version of a SQLite file.
pub(in crate::store) async fn state_of_sqlite(pool: &SqlitePool) -> Result<SchemaState, StoreError> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await;
    state(row.map_or(Ok(None), |row| row.try_get("version"))?)
}

/// Returns the schema version of a PostgreSQL database.
pub(in crate::store) async fn state_of_postgres(postgres: &Postgres) -> Result<SchemaState, StoreError> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(&postgres.pool()).await;
    let is_absent = |error: &sqlx::Error| {
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42P01")
    };
    match row {
        Ok(row) => state(row.try_get("version")?),
        Err(error) if is_absent(&error) => state(None),
        Err(error) => Err(unusable(postgres, &error)),
    }
}

fn state(found: Option<i64>) -> Result<SchemaState, StoreError> {
    refuse_newer(found)?;
    Ok(SchemaState { found, known: SQLITE.len() as i64 })
}

/// Rejects a schema of another version.
pub(in crate::store) fn refuse_other(state: SchemaState) -> Result<(), StoreError> {
    if state.is_current() {
        return Ok(());
    }
    Err(StoreError::Unusable(
        "the database has not been migrated to this version; start a server of this version to migrate it".into(),
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

fn check_result(
    result: Result<(), MigrateError>,
    describe: impl Fn(sqlx::Error) -> StoreError,
) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(describe(error)),
        Err(other) => Err(StoreError::Unusable(format!("cannot migrate the database: {other}"))),
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
    async fn hourly_counts_are_migrated_to_days() {
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
        let filter = BusyKeys { organization, first_day: 11, last_day: None, after: None, limit: 9 };
        assert_eq!(store.busy_keys(&filter).await.unwrap()[0].counts.0, [5, 0, 0, 0, 0, 0, 6, 0]);
    }
}
