//! What was counted, read: by hour, by day, by key, and by detail; and forgetting it.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::store::sql::SqlStore;
use crate::store::sql::columns::{key_id, unsigned};
use crate::store::sql::statement::{Row, query};
use crate::store::sql::usage::{details, each_outcome};
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
                "SELECT hour AS place, outcome, count FROM usage_hours WHERE key_id = $1 AND hour BETWEEN $2 AND $3 \
                 ORDER BY hour",
                key.as_str(),
            ),
            (UsageOf::Organization(slug), Interval::Hour) => (
                "SELECT hour AS place, outcome, count FROM usage_of_organization_hours WHERE organization = $1 \
                 AND hour BETWEEN $2 AND $3 ORDER BY hour",
                slug.as_str(),
            ),
            (UsageOf::Organization(slug), Interval::Day) => (
                "SELECT day AS place, outcome, count FROM usage_of_organization_days WHERE organization = $1 \
                 AND day BETWEEN $2 AND $3 ORDER BY day",
                slug.as_str(),
            ),
        };
        let rows = query(sql).bind(whose).bind(first).bind(last).fetch_all(&self.database).await?;
        let mut found: Vec<(i64, Counts)> = Vec::new();
        for row in &rows {
            let (place, outcome): (i64, String) = (row.try_get("place")?, row.try_get("outcome")?);
            let outcome = UsageOutcome::ALL.into_iter().find(|known| known.as_str() == outcome);
            let Some(outcome) = outcome else { continue };
            let count = unsigned(row.try_get("count")?, "count of use")?;
            match found.last_mut() {
                Some((known, counts)) if *known == place => counts.add(outcome, count),
                _ => {
                    let mut counts = Counts::default();
                    counts.add(outcome, count);
                    found.push((place, counts));
                }
            }
        }
        Ok(found)
    }

    async fn busy_keys(&self, asked: &BusyKeys) -> Result<Vec<BusyKey>, StoreError> {
        // Up to the end of the range: all there is, or the row of its last day, or else the last row before.
        // Up to its beginning: the row of the day before, or else the last one before that.
        let (end, ends) = match asked.last_day {
            None => ("t.exchanged + t.verified".to_owned(), ""),
            Some(_) => (
                up_to("e", "$6"),
                "LEFT JOIN usage_days e ON e.organization = $1 AND e.day = $6 AND e.key_id = t.key_id",
            ),
        };
        let start = up_to("b", "$2");
        let latest = |name: &str, day: &str| {
            format!(
                "LEFT JOIN usage_days {name} ON {name}.key_id = r.key_id AND {name}.day = \
                 (SELECT MAX(day) FROM usage_days WHERE key_id = r.key_id AND day <= {day})"
            )
        };
        let (whole, whole_joined) = match asked.last_day {
            None => (
                each_outcome(|name| format!("t.{name} - COALESCE(p.{name}, 0) AS {name}")),
                "JOIN usage_totals t ON t.organization = $1 AND t.key_id = r.key_id".to_owned(),
            ),
            Some(_) => (
                each_outcome(|name| format!("COALESCE(t.{name}, 0) - COALESCE(p.{name}, 0) AS {name}")),
                latest("t", "$6"),
            ),
        };
        let sql = format!(
            "WITH ranked AS MATERIALIZED (SELECT t.key_id, {end} - {start} AS uses FROM usage_totals t {ends} \
             LEFT JOIN usage_days b ON b.organization = $1 AND b.day = $2 AND b.key_id = t.key_id \
             WHERE t.organization = $1), \
             r AS (SELECT key_id, uses FROM ranked WHERE uses < $3 OR (uses = $3 AND key_id > $4) \
             ORDER BY uses DESC, key_id LIMIT $5) \
             SELECT r.key_id, r.uses, k.name, k.last_used_at, {whole} FROM r JOIN api_keys k ON k.id = r.key_id \
             {whole_joined} {} ORDER BY r.uses DESC, r.key_id",
            latest("p", "$2")
        );
        let (uses, after) = match &asked.after {
            Some((uses, key)) => (i64::try_from(*uses).unwrap_or(i64::MAX), key.as_str()),
            None => (i64::MAX, ""),
        };
        let mut select = query(AssertSqlSafe(sql))
            .bind(asked.organization.as_str())
            .bind(asked.first_day.saturating_sub(1))
            .bind(uses)
            .bind(after)
            .bind(i64::from(asked.limit));
        if let Some(last) = asked.last_day {
            select = select.bind(last);
        }
        let rows = select.fetch_all(&self.database).await?;
        rows.iter()
            .map(|row| {
                Ok(BusyKey {
                    key: key_id(row.try_get("key_id")?)?,
                    name: row.try_get("name")?,
                    counts: counts(row)?,
                    last_used_at: row.try_get::<Option<i64>>("last_used_at")?.map(Timestamp::from_millis),
                })
            })
            .collect()
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
        let rows = query(AssertSqlSafe(format!(
            "SELECT day, {} FROM usage_days WHERE key_id = $1 AND day <= $3 AND day >= \
             COALESCE((SELECT MAX(day) FROM usage_days WHERE key_id = $1 AND day < $2), $2) ORDER BY day",
            each_outcome(str::to_owned)
        )))
        .bind(key.as_str())
        .bind(first)
        .bind(last)
        .fetch_all(&self.database)
        .await?;
        let (mut found, mut before) = (Vec::new(), Counts::default());
        for row in &rows {
            let (day, so_far): (i64, Counts) = (row.try_get("day")?, counts(row)?);
            if day >= first {
                found.push((day, so_far.since(&before)));
            }
            before = so_far;
        }
        Ok(found)
    }
}

/// Uses up to the end of a day, in `ranked`: from the joined row of that very day, or from the last one before it.
fn up_to(joined: &str, day: &str) -> String {
    format!(
        "COALESCE({joined}.exchanged + {joined}.verified, (SELECT p.exchanged + p.verified FROM usage_days p \
         WHERE p.key_id = t.key_id AND p.day < {day} ORDER BY p.day DESC LIMIT 1), 0)"
    )
}

fn counts(row: &Row) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    for outcome in UsageOutcome::ALL {
        counts.add(outcome, unsigned(row.try_get(outcome.as_str())?, "count of use")?);
    }
    Ok(counts)
}
