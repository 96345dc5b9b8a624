//! Uses of keys, by hour.

use std::collections::BTreeMap;

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
        // In one order on every node, so that two batches do not wait for each other.

        // 1. Last uses; written twice they are the same.
        let mut last = BTreeMap::new();
        for usage in batch {
            let known = last.entry(usage.key).or_insert(usage.last_used);
            *known = usage.last_used.max(*known);
        }
        let last: Vec<_> = last.into_iter().filter_map(|(key, last)| Some((key, last?))).collect();
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
        let mut counts: BTreeMap<_, u64> = BTreeMap::new();
        for usage in batch {
            for (hour, outcome, count) in &usage.counts {
                let known = counts.entry((usage.key, *hour, outcome.as_str())).or_default();
                *known = known.saturating_add(*count);
            }
        }
        if counts.is_empty() {
            return Ok(());
        }
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO usage_hours (key_id, hour, outcome, count) VALUES {} \
             ON CONFLICT (key_id, hour, outcome) DO UPDATE SET count = usage_hours.count + excluded.count",
            placeholders(counts.len(), 4)
        )));
        for ((key, hour, outcome), count) in counts {
            insert = insert.bind(key.as_str()).bind(hour).bind(outcome).bind(count);
        }
        insert.execute_alone(&self.database).await?;
        Ok(())
    }
}
