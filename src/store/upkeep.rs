//! Hourly tasks that one node runs for all, and notices that are sent once.

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::{AuditEntry, KeyChange, Seq, Store, StoreError, api_keys, audit, changes};

use crate::store::sql::columns::slug;

use crate::store::key_rows::key_from_row;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{On, query};

/// Filter and position of a list of stale keys, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaleKeys {
    pub organization: Slug,
    /// Keys that were idle since before this time.
    pub idle_before: Timestamp,
    /// Time at which the keys must be active.
    pub now: Timestamp,
    /// Only keys after this one.
    pub after: Option<(Timestamp, KeyId)>,
    /// Maximum number of keys.
    pub limit: u32,
}

/// Kinds of notices.
pub mod kind {
    /// A key expires soon. The period is the expiry, the detail is the threshold in days.
    pub const EXPIRING: &str = "expiring";
    /// A key is stale. The period is the start of the idle time.
    pub const STALE: &str = "stale";
    /// A stale key was disabled. The period is the start of the idle time.
    pub const STALE_DISABLED: &str = "stale-disabled";
    /// A key was denied by its allowed networks. The period is the hour, the detail is the address.
    pub const NETWORK: &str = "network";
}

/// A notice that is sent once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    pub key: KeyId,
    /// One of [`kind`].
    pub kind: &'static str,
    /// Period of the key's life.
    pub period: i64,
    /// Distinguishes several notices of one period.
    pub detail: String,
    /// Maximum number of notices per period.
    pub most: u32,
}

impl Store {
    /// Counts the active keys of all organizations that expire after `now` and by each of three times. The last must be
    /// the latest.
    pub async fn count_expiring_keys(&self, now: Timestamp, until: [Timestamp; 3]) -> Result<[u64; 3], StoreError> {
        // Reads only the range of the index `api_keys_by_end` between two times.
        let row = query(
            "SELECT COUNT(CASE WHEN expires_at <= $2 THEN 1 END) AS first, COUNT(CASE WHEN expires_at <= $3 THEN 1 END) \
             AS second, COUNT(*) AS third FROM api_keys WHERE state = 'active' AND expires_at > $1 AND expires_at <= $4",
        )
        .bind(now.as_millis())
        .bind(until[0].as_millis())
        .bind(until[1].as_millis())
        .bind(until[2].as_millis())
        .fetch_one(&self.database)
        .await?;
        let count = |name| row.try_get::<i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
        Ok([count("first")?, count("second")?, count("third")?])
    }

    /// Claims a chore if it last ran before `begun_before`. Only one node gets it.
    pub async fn claim_chore(&self, name: &str, begun_before: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        // A run in the future was recorded by a clock that was ahead, and is ignored.
        let claimed = query("UPDATE chores SET ran_at = $3 WHERE name = $1 AND (ran_at <= $2 OR ran_at > $3)")
            .bind(name)
            .bind(begun_before.as_millis())
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(claimed == 1)
    }

    /// Records a notice and writes its audit entry. Returns false, without writing, if it was recorded before or its
    /// period has the maximum number of notices.
    pub async fn record_notice(&self, notice: &Notice, at: Timestamp, entry: &AuditEntry) -> Result<bool, StoreError> {
        // 1. Most notices were recorded before; checking needs no change number.
        if is_recorded(notice, &self.database).await? {
            return Ok(false);
        }
        // 2. Changes are serialized, so the check holds until the write.
        let (mut transaction, _) = self.begin().await?;
        let row = query(
            "SELECT k.organization, (SELECT COUNT(*) FROM notices n WHERE n.key_id = k.id AND n.kind = $2 AND n.period = $3) \
             AS sent FROM api_keys k WHERE k.id = $1",
        )
        .bind(notice.key.as_str())
        .bind(notice.kind)
        .bind(notice.period)
        .fetch_optional(&mut transaction)
        .await?;
        let Some(row) = row else {
            transaction.rollback().await?;
            return Ok(false);
        };
        if row.try_get::<i64>("sent")? >= i64::from(notice.most) || is_recorded(notice, &mut transaction).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        let organization = slug(row.try_get("organization")?)?;
        insert(&mut transaction, notice, at).await?;
        audit::write(&mut transaction, &organization, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Disables a stale key and writes its notice and audit entry, in one transaction. Returns `None`, without writing,
    /// if the key was used since `idle_before`, was changed meanwhile, or had the notice before.
    pub async fn disable_stale_key(
        &self,
        disabled: &ApiKey,
        idle_before: Timestamp,
        notice: &Notice,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError> {
        if is_recorded(notice, &self.database).await? {
            return Ok(None);
        }
        let (mut transaction, seq) = self.begin_as(entry).await?;
        // The row is locked from here on, so a concurrent write of a use is either visible or waits.
        let is_due = !is_recorded(notice, &mut transaction).await?
            && api_keys::update(&mut transaction, disabled, seq).await?
            && !was_used(&mut transaction, &disabled.id, idle_before).await?;
        if !is_due {
            transaction.rollback().await?;
            return Ok(None);
        }
        changes::record(&mut transaction, &KeyChange::of_key(seq, disabled), entry.at).await?;
        insert(&mut transaction, notice, entry.at).await?;
        audit::write(&mut transaction, &disabled.organization, entry).await?;
        transaction.commit().await?;
        Ok(Some(seq))
    }

    /// Deletes notices before a time, except the latest one of each idle period.
    pub async fn forget_notices(&self, before: Timestamp) -> Result<(), StoreError> {
        // A notice for an idle period is kept as long as the key is idle.
        query(
            "DELETE FROM notices WHERE at < $1 AND (kind NOT IN ($2, $3) OR EXISTS (SELECT 1 FROM notices n \
             WHERE n.key_id = notices.key_id AND n.kind = notices.kind AND n.period > notices.period))",
        )
        .bind(before.as_millis())
        .bind(kind::STALE)
        .bind(kind::STALE_DISABLED)
        .execute_alone(&self.database)
        .await?;
        Ok(())
    }

    /// Returns the active keys of an organization that are idle since before a time, newest first.
    pub async fn stale_keys(&self, filter: &StaleKeys) -> Result<Vec<ApiKey>, StoreError> {
        let (created_at, id) = match &filter.after {
            Some((at, id)) => (at.as_millis(), id.as_str().to_owned()),
            None => (i64::MAX, "~".to_owned()),
        };
        let rows = query(
            "SELECT * FROM api_keys WHERE organization = $1 AND (created_at, id) < ($2, $3) AND state = 'active' \
             AND (expires_at IS NULL OR expires_at > $4) AND created_at <= $5 \
             AND (last_used_at IS NULL OR last_used_at <= $5) AND (rotated_at IS NULL OR rotated_at <= $5) \
             ORDER BY created_at DESC, id DESC LIMIT $6",
        )
        .bind(filter.organization.as_str())
        .bind(created_at)
        .bind(id)
        .bind(filter.now.as_millis())
        .bind(filter.idle_before.as_millis())
        .bind(i64::from(filter.limit))
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(key_from_row).collect()
    }

    /// Returns up to `limit` active keys that expire after `now` and by `until`, soonest first, after a given key.
    pub async fn expiring_keys(
        &self,
        now: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, KeyId)>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let (expires_at, id) = match &after {
            Some((at, id)) => (at.as_millis(), id.as_str()),
            None => (now.as_millis(), "~"),
        };
        let rows = query(
            "SELECT * FROM api_keys WHERE state = 'active' AND expires_at > $1 AND expires_at <= $2 \
             AND (expires_at, id) > ($3, $4) ORDER BY expires_at, id LIMIT $5",
        )
        .bind(now.as_millis())
        .bind(until.as_millis())
        .bind(expires_at)
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(key_from_row).collect()
    }
}

/// Whether a key was used after a time.
async fn was_used(transaction: &mut Transaction, key: &KeyId, since: Timestamp) -> Result<bool, StoreError> {
    let row =
        query("SELECT last_used_at FROM api_keys WHERE id = $1").bind(key.as_str()).fetch_one(transaction).await?;
    Ok(row.try_get::<Option<i64>>("last_used_at")?.is_some_and(|last| last > since.as_millis()))
}

async fn insert(transaction: &mut Transaction, notice: &Notice, at: Timestamp) -> Result<(), StoreError> {
    query("INSERT INTO notices (key_id, kind, period, detail, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(notice.key.as_str())
        .bind(notice.kind)
        .bind(notice.period)
        .bind(&notice.detail)
        .bind(at.as_millis())
        .execute(transaction)
        .await?;
    Ok(())
}

async fn is_recorded(notice: &Notice, on: impl Into<On<'_>>) -> Result<bool, StoreError> {
    let row = query("SELECT at FROM notices WHERE key_id = $1 AND kind = $2 AND period = $3 AND detail = $4")
        .bind(notice.key.as_str())
        .bind(notice.kind)
        .bind(notice.period)
        .bind(&notice.detail)
        .fetch_optional(on)
        .await?;
    Ok(row.is_some())
}
