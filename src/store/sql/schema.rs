//! The schema, brought up to date at start: one text for both databases, from `migrations/`.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row, SqlSafeStr};

use crate::store::StoreError;
use crate::store::sql::postgres::{Postgres, told_of};

const MIGRATIONS: [(&str, &str); 4] = [
    ("foundation", include_str!("../../../migrations/0001_foundation.sql")),
    ("usage", include_str!("../../../migrations/0002_usage.sql")),
    ("nodes", include_str!("../../../migrations/0003_nodes.sql")),
    ("usage_reports", include_str!("../../../migrations/0004_usage_reports.sql")),
];

/// Brings a SQLite file up to date.
pub(super) async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let tables =
        sqlx::query("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'").fetch_optional(pool).await?;
    if tables.is_some() {
        let row = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations").fetch_one(pool).await?;
        refuse_newer(row.try_get("version")?)?;
    }
    ran(migrator(str::to_owned).run(pool).await, StoreError::from)
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
    // Sorted and compared by code points, as SQLite does, whatever the server's language is.
    ran(migrator(|sql| sql.replace(" TEXT ", " TEXT COLLATE \"C\" ")).run(&pool).await, told)
}

fn migrator(spelled: impl Fn(&str) -> String) -> Migrator {
    let migrations = (1..).zip(MIGRATIONS).map(|(version, (name, sql))| {
        let sql = AssertSqlSafe(spelled(sql)).into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

fn refuse_newer(found: Option<i64>) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
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
