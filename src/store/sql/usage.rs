//! Uses of keys, by hour.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use crate::domain::usage::KeyUsage;
use crate::store::sql::SqlStore;
use crate::store::sql::statement::{placeholders, query};
use crate::store::{StoreError, UsageStore};

/// Rows in one statement at most.
const ROWS: usize = 5_000;

#[async_trait]
impl UsageStore for SqlStore {
    async fn add_usage(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        // Each statement stands for itself: a row of a key that is locked here is let go without asking this node
        // again, however slow the way to it is, so that no change of that key waits for it.
        // In one order on every node, so that two batches never wait for each other.
        let mut batch: Vec<&KeyUsage> = batch.iter().collect();
        batch.sort_by_key(|usage| usage.key);

        // 1. Last uses; written twice they are the same.
        let last: Vec<_> = batch.iter().filter_map(|usage| Some((usage.key, usage.last_used.as_ref()?))).collect();
        for part in last.chunks(ROWS) {
            let mut update = query(AssertSqlSafe(format!(
                "WITH used (id, at, ip) AS (VALUES {}) UPDATE api_keys SET last_used_at = used.at, \
                 last_used_ip = COALESCE(used.ip, last_used_ip) FROM used WHERE api_keys.id = used.id \
                 AND (last_used_at IS NULL OR last_used_at <= used.at)",
                placeholders(part.len(), 3)
            )));
            for (key, last) in part {
                update = update
                    .bind(key.as_str())
                    .bind(last.at.as_millis())
                    .bind(last.address.map(|address| address.to_string()));
            }
            update.execute_alone(&self.database).await?;
        }

        // 2. Counts, all of them or none.
        let mut counts: Vec<_> = batch
            .iter()
            .flat_map(|usage| {
                usage.counts.iter().map(|(hour, outcome, count)| (usage.key, *hour, outcome.as_str(), *count))
            })
            .collect();
        counts.sort_unstable();
        if counts.is_empty() {
            return Ok(());
        }
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO usage_hours (key_id, hour, outcome, count) VALUES {} \
             ON CONFLICT (key_id, hour, outcome) DO UPDATE SET count = usage_hours.count + excluded.count",
            placeholders(counts.len(), 4)
        )));
        for (key, hour, outcome, count) in counts {
            insert = insert.bind(key.as_str()).bind(hour).bind(outcome).bind(count);
        }
        insert.execute_alone(&self.database).await?;
        Ok(())
    }
}
