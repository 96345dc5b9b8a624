//! The schema, brought up to date at start: one text for both databases, from `migrations/`.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Row, SqlSafeStr};

use crate::store::StoreError;
use crate::store::sql::postgres::{Postgres, told_of};

const MIGRATIONS: [(&str, &str); 6] = [
    ("foundation", include_str!("../../../migrations/0001_foundation.sql")),
    ("usage", include_str!("../../../migrations/0002_usage.sql")),
    ("nodes", include_str!("../../../migrations/0003_nodes.sql")),
    ("members", include_str!("../../../migrations/0004_members.sql")),
    ("webhooks", include_str!("../../../migrations/0005_webhooks.sql")),
    ("audit_chain", include_str!("../../../migrations/0006_audit_chain.sql")),
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
    // Sorted and compared by code points, as SQLite does, whatever the server's language is; and what is computed from
    // other columns is stored, for PostgreSQL knows it no other way.
    let spelled = |sql: &str| sql.replace(" TEXT ", " TEXT COLLATE \"C\" ").replace(" VIRTUAL;", " STORED;");
    ran(migrator(spelled).run(&pool).await, told)
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
        Some(found) if found == MIGRATIONS.len() as i64 => Ok(()),
        _ => Err(StoreError::Unusable(
            "the database is not of this version yet; a server of this version brings it up to date when it starts"
                .into(),
        )),
    }
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
