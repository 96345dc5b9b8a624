//! Client addresses, APIs and requested scopes of keys.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::domain::apis::ApiId;
use crate::domain::usage::{DetailCount, KeyUsage, MOST_DISTINCT};
use crate::store::{Store, StoreError};

use crate::store::sql::statement::{placeholders, query};

/// Maximum number of rows in one statement.
const ROWS: usize = 2_000;

/// Stands for all values beyond the distinct ones.
pub(super) const OTHER: &str = "";

/// Stands for a detail that is not of one API.
pub(super) const NO_API: &str = "";

/// The row that counts a detail.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place<'a> {
    key: &'a str,
    day: i64,
    kind: &'static str,
    api: &'a str,
    value: String,
}

impl Store {
    /// Adds details, in one transaction.
    pub(super) async fn write_details(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        let mut counts: BTreeMap<Place<'_>, (u64, u64)> = BTreeMap::new();
        for usage in batch {
            let key = usage.key.as_str();
            for DetailCount { day, value, exchanges, verifications } in &usage.details.addresses {
                let value = value.map_or(OTHER.to_owned(), |address| address.to_string());
                let place = Place { key, day: *day, kind: "address", api: NO_API, value };
                add(&mut counts, place, (*exchanges, *verifications));
            }
            for DetailCount { day, value, exchanges, verifications } in &usage.details.apis {
                let api = value.as_ref().map_or(NO_API, ApiId::as_str);
                let place = Place { key, day: *day, kind: "api", api, value: OTHER.to_owned() };
                add(&mut counts, place, (*exchanges, *verifications));
            }
            for DetailCount { day, value, exchanges, verifications } in &usage.details.requested {
                let api = value.as_ref().and_then(|of| of.api.as_ref()).map_or(NO_API, ApiId::as_str);
                let value = value.as_ref().and_then(|of| of.requested.text()).unwrap_or_else(|| OTHER.to_owned());
                add(&mut counts, Place { key, day: *day, kind: "scope", api, value }, (*exchanges, *verifications));
            }
        }
        let of_secrets = requests_of_secrets(batch);
        if counts.is_empty() && of_secrets.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = counts.into_iter().collect();
        let mut transaction = self.database.begin().await?;
        for part in of_secrets.chunks(ROWS) {
            let mut insert = query(AssertSqlSafe(format!(
                "WITH used (key_id, hour, secret_version, count) AS (VALUES {}) \
                 INSERT INTO usage_of_secrets (key_id, hour, secret_version, count) \
                 SELECT used.key_id, used.hour, used.secret_version, used.count FROM used JOIN api_keys k ON k.id = used.key_id \
                 WHERE true ON CONFLICT (key_id, hour, secret_version) DO UPDATE SET count = usage_of_secrets.count + excluded.count",
                placeholders(part.len(), 4)
            )));
            for ((key, hour, version), count) in part {
                insert = insert.bind(*key).bind(*hour).bind(*version).bind(*count);
            }
            insert.execute(&mut transaction).await?;
        }
        for part in rows.chunks(ROWS) {
            // Adds to known values. New values are kept if there is room, otherwise counted as other.
            let mut insert = query(AssertSqlSafe(format!(
                "WITH used (key_id, day, kind, api, value, exchanges, verifications) AS (VALUES {}), \
                 placed AS (SELECT used.key_id, used.day, used.kind, used.api, used.value, used.exchanges, used.verifications, \
                   known.value AS known, ROW_NUMBER() OVER (PARTITION BY used.key_id, used.day, used.kind, \
                     CASE WHEN known.value IS NULL AND used.value <> '' THEN 1 ELSE 0 END ORDER BY used.api, used.value) AS place, \
                   (SELECT COUNT(*) FROM usage_details d WHERE d.key_id = used.key_id AND d.day = used.day \
                     AND d.kind = used.kind AND d.value <> '') AS taken \
                   FROM used JOIN api_keys k ON k.id = used.key_id LEFT JOIN usage_details known ON known.key_id = used.key_id \
                   AND known.day = used.day AND known.kind = used.kind AND known.api = used.api AND known.value = used.value), \
                 kept AS (SELECT key_id, day, kind, api, exchanges, verifications, \
                   CASE WHEN known IS NOT NULL OR place + taken <= {MOST_DISTINCT} THEN value ELSE '' END AS value FROM placed) \
                 INSERT INTO usage_details (key_id, day, kind, api, value, exchanges, verifications) \
                 SELECT key_id, day, kind, api, value, CAST(SUM(exchanges) AS BIGINT), CAST(SUM(verifications) AS BIGINT) \
                 FROM kept WHERE true GROUP BY key_id, day, kind, api, value ORDER BY key_id, day, kind, api, value \
                 ON CONFLICT (key_id, day, kind, api, value) DO UPDATE SET \
                 exchanges = usage_details.exchanges + excluded.exchanges, \
                 verifications = usage_details.verifications + excluded.verifications",
                placeholders(part.len(), 7)
            )));
            for (place, (exchanges, verifications)) in part {
                insert = insert.bind(place.key).bind(place.day).bind(place.kind).bind(place.api).bind(&place.value);
                insert = insert.bind(*exchanges).bind(*verifications);
            }
            insert.execute(&mut transaction).await?;
        }
        let of_apis: Vec<_> = rows.iter().filter(|(place, _)| place.kind == "api" && place.api != NO_API).collect();
        for part in of_apis.chunks(ROWS) {
            let mut insert = query(AssertSqlSafe(format!(
                "WITH used (key_id, day, api, exchanges, verifications) AS (VALUES {}) \
                 INSERT INTO usage_of_api_days (organization, api, day, exchanges, verifications) \
                 SELECT k.organization, used.api, used.day, CAST(SUM(used.exchanges) AS BIGINT), \
                 CAST(SUM(used.verifications) AS BIGINT) FROM used JOIN api_keys k ON k.id = used.key_id \
                 WHERE true GROUP BY k.organization, used.api, used.day ORDER BY k.organization, used.api, used.day \
                 ON CONFLICT (organization, api, day) DO UPDATE SET \
                 exchanges = usage_of_api_days.exchanges + excluded.exchanges, \
                 verifications = usage_of_api_days.verifications + excluded.verifications",
                placeholders(part.len(), 5)
            )));
            for (place, (exchanges, verifications)) in part {
                insert = insert.bind(place.key).bind(place.day).bind(place.api).bind(*exchanges).bind(*verifications);
            }
            insert.execute(&mut transaction).await?;
        }
        transaction.commit().await
    }

    /// Writes the last uses of previous secrets; idempotent. A use from before the last rotation was of an older secret
    /// and is ignored.
    pub(super) async fn write_previous_uses(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        for usage in batch {
            let Some(last) = usage.details.previous_secret else { continue };
            query(
                "UPDATE api_keys SET previous_used_at = $2, previous_used_ip = COALESCE($3, previous_used_ip) \
                 WHERE id = $1 AND previous_phc IS NOT NULL AND rotated_at <= $2 \
                 AND (previous_used_at IS NULL OR previous_used_at <= $2)",
            )
            .bind(usage.key.as_str())
            .bind(last.at.as_millis())
            .bind(last.address.map(|address| address.to_string()))
            .execute_alone(&self.database)
            .await?;
        }
        Ok(())
    }
}

/// Returns the requests of each secret, in the same order on every node, so that concurrent batches do not deadlock.
fn requests_of_secrets(batch: &[KeyUsage]) -> Vec<((&str, i64, u64), u64)> {
    let mut counts: BTreeMap<(&str, i64, u64), u64> = BTreeMap::new();
    for usage in batch {
        for (hour, version, count) in &usage.details.of_secrets {
            let known = counts.entry((usage.key.as_str(), *hour, *version)).or_default();
            *known = known.saturating_add(*count);
        }
    }
    counts.into_iter().collect()
}

fn add<'a>(counts: &mut BTreeMap<Place<'a>, (u64, u64)>, place: Place<'a>, (exchanges, verifications): (u64, u64)) {
    let known = counts.entry(place).or_default();
    known.0 = known.0.saturating_add(exchanges);
    known.1 = known.1.saturating_add(verifications);
}
