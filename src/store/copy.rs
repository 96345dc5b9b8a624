//! Copies a SQLite database into an empty PostgreSQL database.

use sqlx::AssertSqlSafe;

use crate::store::{Store, StoreError};

use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Query, Row, Value, placeholders, query};

/// Copied tables, ordered so that referenced rows come first. Excludes nodes, the deployment name, chore times, checks of
/// gateways and transaction IDs, which belong to a database and not to its contents.
const TABLES: [&str; 33] = [
    "organizations",
    "members",
    "apis",
    "customers",
    "profiles",
    "named_networks",
    "portal_settings",
    "portal_sessions",
    "api_keys",
    "key_grants",
    "key_metadata",
    "signing_keys",
    "revoked_tokens",
    "key_changes",
    "audit",
    "audit_heads",
    "master_key",
    "usage_hours",
    "sessions",
    "answers",
    "webhooks",
    "webhook_deliveries",
    "webhook_attempts",
    "usage_totals",
    "usage_days",
    "usage_of_organization_hours",
    "usage_of_organization_days",
    "usage_details",
    "usage_of_api_days",
    "usage_of_secrets",
    "notices",
    "repeated_events",
    "denials",
];

/// Tables with one row that a new database has as well.
const REPLACED: [&str; 1] = ["change_seq"];

/// Maximum number of values in one statement; PostgreSQL allows 65,535.
const VALUES: usize = 20_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopiedTable {
    pub table: &'static str,
    pub rows: usize,
}

impl Store {
    /// Copies everything into an empty store, in one transaction. Neither store may change meanwhile.
    pub async fn copy_to(&self, target: &Self) -> Result<Vec<CopiedTable>, StoreError> {
        let mut transaction = target.database.begin().await?;
        let occupied = query("SELECT slug FROM organizations LIMIT 1").fetch_optional(&mut transaction).await?;
        if occupied.is_some() {
            return Err(StoreError::Unusable("the target already contains an organization; nothing was copied".into()));
        }
        query("DELETE FROM master_key").execute(&mut transaction).await?;
        let mut copied = Vec::new();
        for table in REPLACED {
            query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut transaction).await?;
        }
        for table in TABLES.into_iter().chain(REPLACED) {
            copied.push(CopiedTable { table, rows: self.copy_table(table, &mut transaction).await? });
        }
        transaction.commit().await?;
        Ok(copied)
    }

    async fn copy_table(&self, table: &'static str, target: &mut Transaction) -> Result<usize, StoreError> {
        let columns = self.columns(table).await?;
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        let batch = VALUES / columns.len().max(1);
        let reading =
            format!("SELECT rowid AS copied_row, {names} FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT {batch}");
        let (mut count, mut last) = (0, i64::MIN);
        loop {
            let rows = query(AssertSqlSafe(reading.clone())).bind(last).fetch_all(&self.database).await?;
            let Some(newest) = rows.last() else { return Ok(count) };
            last = newest.try_get("copied_row")?;
            let placeholders = placeholders(rows.len(), columns.len());
            let mut writing = query(AssertSqlSafe(format!("INSERT INTO {table} ({names}) VALUES {placeholders}")));
            for row in &rows {
                writing = bind_all(writing, row, &columns)?;
            }
            writing.execute(target).await?;
            count += rows.len();
        }
    }

    /// Returns the column names and types of a SQLite table.
    async fn columns(&self, table: &str) -> Result<Vec<(String, String)>, StoreError> {
        let rows = query("SELECT name, type FROM pragma_table_info($1)").bind(table).fetch_all(&self.database).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, row.try_get("type")?))).collect()
    }
}

fn bind_all(mut query: Query, row: &Row, columns: &[(String, String)]) -> Result<Query, StoreError> {
    for (name, kind) in columns {
        query = query.bind(match kind.as_str() {
            "TEXT" => Value::Text(row.try_get(name)?),
            "BIGINT" => Value::Number(row.try_get(name)?),
            "BYTEA" => Value::Bytes(row.try_get(name)?),
            other => {
                return Err(StoreError::Unreadable { what: "column", detail: format!("{name} is of type {other}") });
            }
        });
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCLUDED: [&str; 7] =
        ["_sqlx_migrations", "nodes", "deployment", "chores", "commits", "gateway_watches", "gateway_requests"];

    #[tokio::test]
    async fn every_table_is_copied_or_excluded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("keyturn.db"), 1).await.unwrap();
        let rows = query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            .fetch_all(&store.database)
            .await
            .unwrap();
        let mut names: Vec<String> = rows.iter().map(|row| row.try_get("name").unwrap()).collect();
        names.retain(|name| !EXCLUDED.contains(&name.as_str()));
        let mut known: Vec<&str> = TABLES.into_iter().chain(REPLACED).collect();
        known.sort_unstable();
        assert_eq!(names, known);
    }
}
