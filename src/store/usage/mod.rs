//! Key usage: written in batches, read by hour and by day.
//!
//! All tables are updated in one transaction, so reads are consistent at any time and a crash never counts a use twice.

mod apis;
mod busiest;
mod details;
mod packed;
mod reports;
mod shared;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};

use sqlx::AssertSqlSafe;

use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::usage::{Counts, KeyUsage, UsageOutcome};
use crate::store::{Store, StoreError};

use crate::store::sql::columns::unsigned;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, placeholders, query};

pub use apis::{KeyOfApi, RequestedOfKey, UsesOfApi};
pub use reports::{BusyKey, BusyKeys, DetailKind, UsageDetail};
pub use shared::SharingKeys;
pub(super) use snapshots::Snapshots;

/// The subject of a usage report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsageOf {
    Key(KeyId),
    /// The keys that a customer has now.
    Customer(CustomerId),
    /// All keys of an organization.
    Organization(Slug),
}

/// Resolution of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interval {
    /// Hours in UTC.
    Hour,
    /// Days in UTC.
    Day,
}

/// Maximum number of rows in one statement.
const ROWS: usize = 5_000;

/// The rows of a batch, in the same order on every node, so that concurrent batches do not deadlock.
#[derive(Default)]
struct Added<'a> {
    hours: BTreeMap<(KeyId, i64, &'static str), u64>,
    keys: BTreeMap<(&'a str, KeyId), Counts>,
    days: BTreeMap<i64, BTreeMap<(&'a str, KeyId), Counts>>,
    of_organizations: [BTreeMap<(&'a str, i64, &'static str), u64>; 2],
}

impl Store {
    /// Adds a batch of counts.
    pub async fn add_usage(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        // 1. Last uses; idempotent. An autocommitted statement, so that its row locks on keys are released without
        //    another round trip from this node, and changes of those keys do not wait for a slow connection.
        self.write_last_uses(batch).await?;

        // 2. Counts, in one transaction. Changes of keys do not wait for these rows.
        if batch.iter().all(|usage| usage.counts.is_empty()) {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        let organizations = organizations_of(&mut transaction, batch).await?;
        let added = added(batch, &organizations);
        let hours = added.hours.iter().map(|((key, hour, outcome), count)| {
            let hour = (*hour).into();
            [key.as_str().into(), hour, (*outcome).into(), (*count).into()]
        });
        upsert(&mut transaction, "usage_hours (key_id, hour, outcome, count)", hours).await?;
        // The row of totals is the lock for the days of a key.
        add_to_totals(&mut transaction, &added.keys).await?;
        for (day, keys) in &added.days {
            add_to_days(&mut transaction, *day, keys).await?;
        }
        for (table, counts) in [
            "usage_of_organization_hours (organization, hour, outcome, count)",
            "usage_of_organization_days (organization, day, outcome, count)",
        ]
        .into_iter()
        .zip(&added.of_organizations)
        {
            let rows = counts.iter().map(|((organization, slot, outcome), count)| {
                [(*organization).into(), (*slot).into(), (*outcome).into(), (*count).into()]
            });
            upsert(&mut transaction, table, rows).await?;
        }
        transaction.commit().await
    }

    /// Adds the details of a batch.
    pub async fn add_details(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        self.write_previous_uses(batch).await?;
        self.write_details(batch).await
    }
}

impl Store {
    async fn write_last_uses(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
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
        Ok(())
    }
}

/// Returns the organization of each key in a batch. Keys that do not exist are omitted.
async fn organizations_of(
    transaction: &mut Transaction,
    batch: &[KeyUsage],
) -> Result<BTreeMap<String, String>, StoreError> {
    let keys: Vec<KeyId> = batch.iter().map(|usage| usage.key).collect::<BTreeSet<_>>().into_iter().collect();
    let mut organizations = BTreeMap::new();
    for part in keys.chunks(ROWS) {
        let placeholders = placeholder_list(1, part.len());
        let mut select =
            query(AssertSqlSafe(format!("SELECT id, organization FROM api_keys WHERE id IN ({placeholders})")));
        for key in part {
            select = select.bind(key.as_str());
        }
        for row in select.fetch_all(&mut *transaction).await? {
            organizations.insert(row.try_get("id")?, row.try_get("organization")?);
        }
    }
    Ok(organizations)
}

fn added<'a>(batch: &[KeyUsage], organizations: &'a BTreeMap<String, String>) -> Added<'a> {
    let mut added = Added::default();
    for usage in batch {
        let Some(organization) = organizations.get(usage.key.as_str()).map(String::as_str) else { continue };
        for (hour, outcome, count) in &usage.counts {
            let (day, name) = (hour.div_euclid(24), outcome.as_str());
            sum(added.hours.entry((usage.key, *hour, name)).or_default(), *count);
            added.keys.entry((organization, usage.key)).or_default().add(*outcome, *count);
            let of_day = added.days.entry(day).or_default();
            of_day.entry((organization, usage.key)).or_default().add(*outcome, *count);
            let [hours, days] = &mut added.of_organizations;
            sum(hours.entry((organization, *hour, name)).or_default(), *count);
            sum(days.entry((organization, day, name)).or_default(), *count);
        }
    }
    added
}

fn sum(known: &mut u64, count: u64) {
    *known = known.saturating_add(count);
}

/// Adds to existing counts and inserts missing ones. `table` includes the columns: the key, and the count as the last.
async fn upsert(
    transaction: &mut Transaction,
    table: &str,
    rows: impl Iterator<Item = [crate::store::sql::statement::Value; 4]>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let name = table.split(' ').next().unwrap_or(table);
    let key = table.split_once('(').and_then(|(_, columns)| columns.rsplit_once(',')).map_or("", |(key, _)| key);
    let mut insert = query(AssertSqlSafe(format!(
        "INSERT INTO {table} VALUES {} ON CONFLICT ({key}) DO UPDATE SET count = {name}.count + excluded.count",
        placeholders(rows.len(), 4)
    )));
    for value in rows.into_iter().flatten() {
        insert = insert.bind(value);
    }
    insert.execute(transaction).await?;
    Ok(())
}

async fn add_to_totals(
    transaction: &mut Transaction,
    keys: &BTreeMap<(&str, KeyId), Counts>,
) -> Result<(), StoreError> {
    for part in keys.iter().collect::<Vec<_>>().chunks(ROWS / 4) {
        let adding = each_outcome(|name| format!("{name} = usage_totals.{name} + excluded.{name}"));
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO usage_totals (organization, key_id, {}) VALUES {} \
             ON CONFLICT (organization, key_id) DO UPDATE SET {adding}",
            each_outcome(str::to_owned),
            placeholders(part.len(), 2 + UsageOutcome::ALL.len())
        )));
        for ((organization, key), counts) in part {
            insert = insert.bind(*organization).bind(key.as_str());
            for outcome in UsageOutcome::ALL {
                insert = insert.bind(counts.of(outcome));
            }
        }
        insert.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Adds the counts of a day to the rows of that day and of all later days, because rows are cumulative.
async fn add_to_days(
    transaction: &mut Transaction,
    day: i64,
    keys: &BTreeMap<(&str, KeyId), Counts>,
) -> Result<(), StoreError> {
    for part in keys.iter().collect::<Vec<_>>().chunks(ROWS / 4) {
        // 1. A row for the day, copied from the last one before it.
        let before = each_outcome(|name| format!("COALESCE(p.{name}, 0)"));
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO usage_days (organization, day, key_id, {}) SELECT k.organization, CAST($1 AS BIGINT), k.id, {before} \
             FROM api_keys k LEFT JOIN usage_days p ON p.key_id = k.id \
             AND p.day = (SELECT MAX(day) FROM usage_days WHERE key_id = k.id AND day < $1) \
             WHERE k.id IN ({}) ON CONFLICT (key_id, day) DO NOTHING",
            each_outcome(str::to_owned),
            placeholder_list(2, part.len())
        )))
        .bind(day);
        for ((_, key), _) in part {
            insert = insert.bind(key.as_str());
        }
        insert.execute(&mut *transaction).await?;

        // 2. The new counts.
        let columns = UsageOutcome::ALL.len() + 2;
        let names = each_outcome(str::to_owned);
        let adding = each_outcome(|name| format!("{name} = usage_days.{name} + used.{name}"));
        let mut update = query(AssertSqlSafe(format!(
            "WITH used (id, day, {names}) AS (VALUES {}) UPDATE usage_days SET {adding} FROM used \
             WHERE usage_days.key_id = used.id AND usage_days.day >= used.day",
            placeholders(part.len(), columns)
        )));
        for ((_, key), counts) in part {
            update = update.bind(key.as_str()).bind(day);
            for outcome in UsageOutcome::ALL {
                update = update.bind(counts.of(outcome));
            }
        }
        update.execute(&mut *transaction).await?;
    }
    Ok(())
}

/// Formats each outcome's column, separated by commas.
fn each_outcome(text: impl Fn(&str) -> String) -> String {
    UsageOutcome::ALL.map(|outcome| text(outcome.as_str())).join(", ")
}

/// Returns placeholders from `first` on, separated by commas.
fn placeholder_list(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// Reads counts from a row with a column for each outcome.
fn counts(row: &Row) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    for outcome in UsageOutcome::ALL {
        counts.add(outcome, unsigned(row.try_get(outcome.as_str())?, "count of use")?);
    }
    Ok(counts)
}
