//! Uses of keys, by hour.

use async_trait::async_trait;

use crate::domain::usage::KeyUsage;
use crate::store::sql::SqlStore;
use crate::store::sql::statement::query;
use crate::store::{StoreError, UsageStore};

#[async_trait]
impl UsageStore for SqlStore {
    async fn add_usage(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        // In one order on every node, so that two batches never wait for each other.
        let mut batch: Vec<&KeyUsage> = batch.iter().collect();
        batch.sort_by_key(|usage| usage.key);
        for usage in batch {
            let mut counts: Vec<_> = usage.counts.iter().collect();
            counts.sort_by_key(|(hour, outcome, _)| (*hour, outcome.as_str()));
            for (hour, outcome, count) in counts {
                query(
                    "INSERT INTO usage_hours (key_id, hour, outcome, count) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (key_id, hour, outcome) DO UPDATE SET count = usage_hours.count + excluded.count",
                )
                .bind(usage.key.as_str())
                .bind(*hour)
                .bind(outcome.as_str())
                .bind(i64::try_from(*count).unwrap_or(i64::MAX))
                .execute(&mut transaction)
                .await?;
            }
            if let Some(last) = usage.last_used {
                query(
                    "UPDATE api_keys SET last_used_at = $2, last_used_ip = COALESCE($3, last_used_ip) \
                     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $2)",
                )
                .bind(usage.key.as_str())
                .bind(last.at.as_millis())
                .bind(last.address.map(|address| address.to_string()))
                .execute(&mut transaction)
                .await?;
            }
        }
        transaction.commit().await
    }
}
