//! Reads and changes the database file while no server uses it, or read-only.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

/// Runs one statement.
pub fn execute(path: &Path, statement: &str) {
    in_database(path, async |connection| {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap();
    });
}

/// Returns one column of a query's result as text.
pub fn column(path: &Path, query: &str) -> Vec<String> {
    in_database(path, async |connection| {
        let rows = sqlx::query(AssertSqlSafe(query.to_owned())).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.try_get::<String, _>(0).unwrap()).collect()
    })
}

/// Returns every row of every table, to check whether anything changed.
pub fn contents(path: &Path) -> BTreeMap<String, Vec<String>> {
    let tables = column(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    let of = |table: &str| {
        let names = column(path, &format!("SELECT name FROM pragma_table_info('{table}')"));
        let row = names.iter().map(|name| format!("quote({name})")).collect::<Vec<_>>().join(" || ',' || ");
        column(path, &format!("SELECT {row} FROM {table} ORDER BY 1"))
    };
    tables.into_iter().map(|table| (table.clone(), of(&table))).collect()
}

fn in_database<T>(path: &Path, work: impl AsyncFnOnce(&mut SqliteConnection) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let result = work(&mut connection).await;
        connection.close().await.unwrap();
        result
    })
}

/// Reverts the schema to version 14, the last one before the headers of webhooks. Each later migration is reverted here.
pub const BACK_TO_14: &[&str] = &[
    "DROP TABLE portal_sessions",
    "DROP TABLE portal_settings",
    "DROP TABLE webhook_attempts",
    "DROP TABLE gateway_watches",
    "DROP TABLE gateway_requests",
    "DROP TABLE apis",
    "DROP TABLE profiles",
    "DROP TABLE named_networks",
    "DROP INDEX api_keys_attention",
    "DROP INDEX IF EXISTS api_keys_shared_grants",
    "DROP INDEX IF EXISTS api_keys_shared_networks",
    "DROP INDEX api_keys_by_profile",
    "ALTER TABLE api_keys DROP COLUMN profile",
    "ALTER TABLE api_keys DROP COLUMN named_networks",
    "DROP INDEX api_keys_by_customer",
    "ALTER TABLE api_keys DROP COLUMN customer_id",
    "ALTER TABLE key_changes DROP COLUMN customer_id",
    "DROP TABLE customers",
    "ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT ''",
    "UPDATE api_keys SET scopes = REPLACE(REPLACE(grants, '[{\"api\":\"0000000000000000\",\"style\":\"filters\",\"scopes\":\"', ''), '\"}]', '')",
    "DROP TABLE key_grants",
    "DROP TABLE key_metadata",
    "ALTER TABLE api_keys DROP COLUMN metadata",
    "ALTER TABLE api_keys DROP COLUMN is_open",
    "ALTER TABLE api_keys DROP COLUMN is_full_access",
    "ALTER TABLE api_keys DROP COLUMN grants",
    "ALTER TABLE api_keys DROP COLUMN search_text",
    "DROP TABLE denials",
    "DROP INDEX audit_by_direction",
    "DROP INDEX audit_without_fields",
    "ALTER TABLE audit DROP COLUMN direction",
    "ALTER TABLE audit DROP COLUMN changed_fields",
    "DROP TABLE usage_of_secrets",
    "DROP TABLE usage_of_api_days",
    "DROP TABLE usage_details",
    "CREATE TABLE usage_details (key_id TEXT NOT NULL REFERENCES api_keys (id), day BIGINT NOT NULL, \
     kind TEXT NOT NULL CHECK (kind IN ('address', 'scope')), value TEXT NOT NULL, exchanges BIGINT NOT NULL, \
     verifications BIGINT NOT NULL, PRIMARY KEY (key_id, day, kind, value))",
    "CREATE INDEX usage_details_by_day ON usage_details (day)",
    "ALTER TABLE api_keys DROP COLUMN previous_hint",
    "ALTER TABLE organizations DROP COLUMN name",
    "ALTER TABLE organizations DROP COLUMN deleted_at",
    "ALTER TABLE organizations DROP COLUMN purged_at",
    "ALTER TABLE members DROP COLUMN dismissed_at",
    "ALTER TABLE webhooks DROP COLUMN headers_sealed",
    "ALTER TABLE webhooks DROP COLUMN headers_master_key",
    "ALTER TABLE webhooks DROP COLUMN header_names",
    "DELETE FROM _sqlx_migrations WHERE version > 14",
];
