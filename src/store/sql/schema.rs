//! The schema, brought up to date at start from `migrations/`: one folder per dialect, the same files in both.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqlSafeStr};

use crate::store::StoreError;
use crate::store::sql::postgres::{Postgres, told_of};

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
);

/// Brings a SQLite file up to date.
pub(super) async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let tables =
        sqlx::query("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'").fetch_optional(pool).await?;
    if tables.is_some() {
        let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await?;
        refuse_newer(row.try_get("version")?)?;
    }
    ran(migrator(SQLITE).run(pool).await, StoreError::from)
}

/// Brings a PostgreSQL database up to date. Nodes that start together do it one after the other.
pub(super) async fn migrate_postgres(postgres: &Postgres) -> Result<(), StoreError> {
    let pool = postgres.pool();
    let told = |error: sqlx::Error| told_of(postgres, &error);
    let row = sqlx::query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS known")
        .fetch_one(&pool)
        .await
        .map_err(told)?;
    if row.try_get("known")? {
        let row =
            sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(&pool).await.map_err(told)?;
        refuse_newer(row.try_get("version")?)?;
    }
    ran(migrator(POSTGRES).run(&pool).await, told)
}

/// Checks that a SQLite file is of this version.
pub(super) async fn check_sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await;
    refuse_other(row.map_or(Ok(None), |row| row.try_get("version"))?)
}

/// Checks that a PostgreSQL database is of this version.
pub(super) async fn check_postgres(postgres: &Postgres) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(&postgres.pool()).await;
    refuse_other(row.map_or(Ok(None), |row| row.try_get("version"))?)
}

fn refuse_other(found: Option<i64>) -> Result<(), StoreError> {
    refuse_newer(found)?;
    match found {
        Some(found) if found == SQLITE.len() as i64 => Ok(()),
        _ => Err(StoreError::Unusable(
            "the database is not of this version yet; a server of this version brings it up to date when it starts"
                .into(),
        )),
    }
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
    use crate::store::{BusyKeys, Interval, SqlStore, UsageOf, UsageReports};
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
        let store = SqlStore::open_sqlite(&path, 1).await.unwrap();
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
