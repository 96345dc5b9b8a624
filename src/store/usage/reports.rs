//! Usage reports by hour, day, key and detail, and retention.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::domain::apis::ApiId;
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::Counts;
use crate::store::{Interval, Store, StoreError, UsageOf};

use crate::store::sql::columns::{key_id, slug, unsigned};
use crate::store::sql::statement::{Row, query};
use crate::store::usage::{ROWS, details, packed, placeholder_list};

/// Filter and position of a list of keys by use, busiest first, then by ID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusyKeys {
    pub organization: Slug,
    pub first_day: i64,
    /// `None`: up to now.
    pub last_day: Option<i64>,
    /// Only keys after this one, with its uses.
    pub after: Option<(u64, KeyId)>,
    /// Maximum number of keys.
    pub limit: u32,
}

/// A key with its counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusyKey {
    pub key: KeyId,
    pub name: String,
    /// Counts in the requested days.
    pub counts: Counts,
    /// Last use at any time.
    pub last_used_at: Option<Timestamp>,
}

/// Attribute by which uses are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DetailKind {
    Address,
    Api,
    /// Requested scopes.
    Scope,
}

/// Number of uses by address, by API, or by requested scopes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageDetail {
    pub kind: DetailKind,
    /// The API of the uses; `None` if it is not known, or there are several.
    pub api: Option<ApiId>,
    /// Address, or scopes separated by spaces; `None` for all others.
    pub value: Option<String>,
    pub exchanges: u64,
    pub verifications: u64,
    /// The last day with a use, since the epoch.
    pub last_day: i64,
}

/// Maximum number of hours deleted in one run, one statement each, so that nothing waits long for them.
const HOURS_PER_RUN: usize = 200;

impl Store {
    /// Returns the counts of each hour or day with uses, in order. Hours and days count from the epoch; both ends are
    /// inclusive.
    pub async fn usage(
        &self,
        of: &UsageOf,
        interval: Interval,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, Counts)>, StoreError> {
        let (sql, subject) = match (of, interval) {
            (UsageOf::Key(key), Interval::Day) => return self.days_of_key(key, first, last).await,
            (UsageOf::Customer(customer), Interval::Day) => return self.days_of_customer(customer, first, last).await,
            (UsageOf::Customer(customer), Interval::Hour) => (
                format!(
                    "SELECT {} FROM (SELECT hour, outcome, CAST(SUM(count) AS BIGINT) AS count FROM usage_hours \
                     WHERE key_id IN (SELECT id FROM api_keys WHERE customer_id = $1) AND hour BETWEEN $2 AND $3 \
                     GROUP BY hour, outcome) AS summed",
                    packed::outcomes("hour")
                ),
                customer.as_str(),
            ),
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
        let row = query(AssertSqlSafe(sql)).bind(subject).bind(first).bind(last).fetch_one(&self.database).await?;
        packed::by_slot(&row)
    }

    /// Returns the counts of keys for each day with uses, in order. Omits keys that the organization does not have.
    /// Meant for a page of keys and a month.
    pub async fn usage_of_keys(
        &self,
        organization: &Slug,
        keys: &[KeyId],
        first_day: i64,
        last_day: i64,
    ) -> Result<BTreeMap<KeyId, Vec<(i64, Counts)>>, StoreError> {
        let mut usage = BTreeMap::new();
        for part in keys.chunks(ROWS) {
            let mut select = query(AssertSqlSafe(format!(
                "SELECT k.id, (SELECT {} FROM usage_days d WHERE d.key_id = k.id AND d.day <= $3 AND d.day >= \
                 COALESCE((SELECT MAX(day) FROM usage_days WHERE key_id = k.id AND day < $2), $2)) AS packed \
                 FROM api_keys k WHERE k.organization = $1 AND k.id IN ({})",
                packed::days(),
                placeholder_list(4, part.len())
            )))
            .bind(organization.as_str())
            .bind(first_day)
            .bind(last_day);
            for key in part {
                select = select.bind(key.as_str());
            }
            for row in select.fetch_all(&self.database).await? {
                usage.insert(key_id(row.try_get("id")?)?, packed::by_day(&row, first_day)?);
            }
        }
        Ok(usage)
    }

    /// Returns an organization's keys with their counts, busiest first.
    pub async fn busy_keys(&self, filter: &BusyKeys) -> Result<Vec<BusyKey>, StoreError> {
        self.rank_keys(filter).await
    }

    /// Returns the addresses, APIs and requested scopes of a key since a day.
    pub async fn usage_details(&self, key: &KeyId, first_day: i64) -> Result<Vec<UsageDetail>, StoreError> {
        let rows = query(
            "SELECT kind, api, value, CAST(SUM(exchanges) AS BIGINT) AS exchanges, \
             CAST(SUM(verifications) AS BIGINT) AS verifications, MAX(day) AS last_day \
             FROM usage_details WHERE key_id = $1 AND day >= $2 GROUP BY kind, api, value ORDER BY kind, api, value",
        )
        .bind(key.as_str())
        .bind(first_day)
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(detail_from_row).collect()
    }

    /// Returns the requests of each secret of a key since an hour: the hour, the version of the secret, the count.
    pub async fn usage_of_secrets(&self, key: &KeyId, first_hour: i64) -> Result<Vec<(i64, u64, u64)>, StoreError> {
        let rows = query(
            "SELECT hour, secret_version, count FROM usage_of_secrets WHERE key_id = $1 AND hour >= $2 \
             ORDER BY hour, secret_version",
        )
        .bind(key.as_str())
        .bind(first_hour)
        .fetch_all(&self.database)
        .await?;
        let read = |row: &Row| {
            let version = unsigned(row.try_get("secret_version")?, "secret_version")?;
            Ok((row.try_get("hour")?, version, unsigned(row.try_get("count")?, "count of use")?))
        };
        rows.iter().map(read).collect()
    }

    /// Deletes hours, days and details before the given ones.
    pub async fn forget_usage(&self, hour: i64, day: i64, detail_day: i64) -> Result<(), StoreError> {
        // 1. Hours, oldest first. The remaining ones are deleted in a later run.
        for _ in 0..HOURS_PER_RUN {
            let row = query("SELECT MIN(hour) AS oldest FROM usage_hours").fetch_one(&self.database).await?;
            let oldest: Option<i64> = row.try_get("oldest")?;
            let Some(oldest) = oldest.filter(|oldest| *oldest < hour) else { break };
            query("DELETE FROM usage_hours WHERE hour = $1").bind(oldest).execute_alone(&self.database).await?;
        }
        query("DELETE FROM usage_of_organization_hours WHERE hour < $1")
            .bind(hour)
            .execute_alone(&self.database)
            .await?;
        // 2. Days. The last row before the cutoff stays, because rows are cumulative.
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
        query("DELETE FROM usage_of_api_days WHERE day < $1").bind(day).execute_alone(&self.database).await?;
        // 3. Details.
        query("DELETE FROM usage_details WHERE day < $1").bind(detail_day).execute_alone(&self.database).await?;
        query("DELETE FROM usage_of_secrets WHERE hour < $1")
            .bind(detail_day.saturating_mul(24))
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }
}

impl Store {
    async fn days_of_customer(
        &self,
        customer: &CustomerId,
        first: i64,
        last: i64,
    ) -> Result<Vec<(i64, Counts)>, StoreError> {
        let rows = query("SELECT id, organization FROM api_keys WHERE customer_id = $1")
            .bind(customer.as_str())
            .fetch_all(&self.database)
            .await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let organization = slug(row.try_get("organization")?)?;
        let keys = rows.iter().map(|row| key_id(row.try_get("id")?)).collect::<Result<Vec<_>, _>>()?;
        let mut days: BTreeMap<i64, Counts> = BTreeMap::new();
        for (day, counts) in self.usage_of_keys(&organization, &keys, first, last).await?.into_values().flatten() {
            days.entry(day).or_default().merge(&counts);
        }
        Ok(days.into_iter().collect())
    }

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

/// Reads a row with the columns `kind`, `value`, `exchanges`, `verifications` and `last_day`.
pub(super) fn detail_from_row(row: &Row) -> Result<UsageDetail, StoreError> {
    let value: String = row.try_get("value")?;
    let kind = match row.try_get::<String>("kind")?.as_str() {
        "address" => DetailKind::Address,
        "api" => DetailKind::Api,
        _ => DetailKind::Scope,
    };
    Ok(UsageDetail {
        kind,
        api: ApiId::parse(&row.try_get::<String>("api")?),
        value: (value != details::OTHER).then_some(value),
        exchanges: unsigned(row.try_get("exchanges")?, "count of use")?,
        verifications: unsigned(row.try_get("verifications")?, "count of use")?,
        last_day: row.try_get("last_day")?,
    })
}
