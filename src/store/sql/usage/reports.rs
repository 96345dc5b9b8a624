//! What was counted, read: by hour, by day, by key, and by detail; and forgetting it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::usage::Counts;
use crate::store::sql::SqlStore;
use crate::store::sql::columns::{key_id, unsigned};
use crate::store::sql::statement::query;
use crate::store::sql::usage::{ROWS, details, packed, places};
use crate::store::{BusyKey, BusyKeys, Interval, StoreError, UsageDetail, UsageOf, UsageReports};

/// Hours forgotten in one go at most: one statement each, so that nothing waits long behind them.
const HOURS_AT_ONCE: usize = 200;

#[async_trait]
impl UsageReports for SqlStore {
    async fn usage(
        &self,
        of: &UsageOf,
        interval: Interval,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, Counts)>, StoreError> {
        let (sql, whose) = match (of, interval) {
            (UsageOf::Key(key), Interval::Day) => return self.days_of_key(key, first, last).await,
            (UsageOf::Key(key), Interval::Hour) => (
                format!(
                    "SELECT {} FROM usage_hours WHERE key_id = $1 AND hour BETWEEN $2 AND $3",
                    packed::outcomes("hour")
                ),
                key.as_str(),
            ),
            (UsageOf::Organization(slug), Interval::Hour) => (
                format!(
                    "SELECT {} FROM usage_of_organization_hours WHERE organization = $1 AND hour BETWEEN $2 AND $3",
                    packed::outcomes("hour")
                ),
                slug.as_str(),
            ),
            (UsageOf::Organization(slug), Interval::Day) => (
                format!(
                    "SELECT {} FROM usage_of_organization_days WHERE organization = $1 AND day BETWEEN $2 AND $3",
                    packed::outcomes("day")
                ),
                slug.as_str(),
            ),
        };
        let row = query(AssertSqlSafe(sql)).bind(whose).bind(first).bind(last).fetch_one(&self.database).await?;
        packed::by_place(&row)
    }

    async fn usage_of_keys(
        &self,
        organization: &Slug,
        keys: &[KeyId],
        first_day: i64,
        last_day: i64,
    ) -> Result<BTreeMap<KeyId, Vec<(i64, Counts)>>, StoreError> {
        let mut found = BTreeMap::new();
        for part in keys.chunks(ROWS) {
            let mut select = query(AssertSqlSafe(format!(
                "SELECT k.id, (SELECT {} FROM usage_days d WHERE d.key_id = k.id AND d.day <= $3 AND d.day >= \
                 COALESCE((SELECT MAX(day) FROM usage_days WHERE key_id = k.id AND day < $2), $2)) AS packed \
                 FROM api_keys k WHERE k.organization = $1 AND k.id IN ({})",
                packed::days(),
                places(4, part.len())
            )))
            .bind(organization.as_str())
            .bind(first_day)
            .bind(last_day);
            for key in part {
                select = select.bind(key.as_str());
            }
            for row in select.fetch_all(&self.database).await? {
                found.insert(key_id(row.try_get("id")?)?, packed::by_day(&row, first_day)?);
            }
        }
        Ok(found)
    }

    async fn busy_keys(&self, asked: &BusyKeys) -> Result<Vec<BusyKey>, StoreError> {
        self.rank_keys(asked).await
    }

    async fn usage_details(&self, key: &KeyId, first_day: i64) -> Result<Vec<UsageDetail>, StoreError> {
        let rows = query(
            "SELECT kind, value, CAST(SUM(exchanges) AS BIGINT) AS exchanges, \
             CAST(SUM(verifications) AS BIGINT) AS verifications, MAX(day) AS last_day \
             FROM usage_details WHERE key_id = $1 AND day >= $2 GROUP BY kind, value ORDER BY kind, value",
        )
        .bind(key.as_str())
        .bind(first_day)
        .fetch_all(&self.database)
        .await?;
        rows.iter()
            .map(|row| {
                let value: String = row.try_get("value")?;
                Ok(UsageDetail {
                    is_address: row.try_get::<String>("kind")? == "address",
                    value: (value != details::OTHER).then_some(value),
                    exchanges: unsigned(row.try_get("exchanges")?, "count of use")?,
                    verifications: unsigned(row.try_get("verifications")?, "count of use")?,
                    last_day: row.try_get("last_day")?,
                })
            })
            .collect()
    }

    async fn forget_usage(&self, hour: i64, day: i64, detail_day: i64) -> Result<(), StoreError> {
        // 1. Hours, the oldest first. What is left for another time is as old then.
        for _ in 0..HOURS_AT_ONCE {
            let row = query("SELECT MIN(hour) AS oldest FROM usage_hours").fetch_one(&self.database).await?;
            let oldest: Option<i64> = row.try_get("oldest")?;
            let Some(oldest) = oldest.filter(|oldest| *oldest < hour) else { break };
            query("DELETE FROM usage_hours WHERE hour = $1").bind(oldest).execute_alone(&self.database).await?;
        }
        query("DELETE FROM usage_of_organization_hours WHERE hour < $1")
            .bind(hour)
            .execute_alone(&self.database)
            .await?;
        // 2. Days. The last row before them stays: it says what had been counted before.
        for row in query("SELECT slug FROM organizations").fetch_all(&self.database).await? {
            query(
                "DELETE FROM usage_days WHERE organization = $1 AND day < $2 AND EXISTS (SELECT 1 FROM usage_days n \
                 WHERE n.key_id = usage_days.key_id AND n.day > usage_days.day AND n.day < $2)",
            )
            .bind(row.try_get::<String>("slug")?)
            .bind(day)
            .execute_alone(&self.database)
            .await?;
        }
        query("DELETE FROM usage_of_organization_days WHERE day < $1").bind(day).execute_alone(&self.database).await?;
        // 3. Details.
        query("DELETE FROM usage_details WHERE day < $1").bind(detail_day).execute_alone(&self.database).await?;
        Ok(())
    }
}

impl SqlStore {
    async fn days_of_key(&self, key: &KeyId, first: i64, last: i64) -> Result<Vec<(i64, Counts)>, StoreError> {
        let row = query(AssertSqlSafe(format!(
            "SELECT {} AS packed FROM usage_days WHERE key_id = $1 AND day <= $3 AND day >= \
             COALESCE((SELECT MAX(day) FROM usage_days WHERE key_id = $1 AND day < $2), $2)",
            packed::days()
        )))
        .bind(key.as_str())
        .bind(first)
        .bind(last)
        .fetch_one(&self.database)
        .await?;
        packed::by_day(&row, first)
    }
}
