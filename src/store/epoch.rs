//! A database that has lost changes, by a restore or a fail-over: it is noticed by its change number, and a new epoch makes it
//! safe to use again.

use std::sync::atomic::Ordering;

use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::query;
use crate::store::{AuditEntry, Seq, Store, StoreError, action, audit};

/// The result of starting a new epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The first number of the new epoch.
    pub epoch: Seq,
    /// API keys whose tokens were invalidated.
    pub keys: u64,
    /// Sessions that were deleted.
    pub sessions: u64,
}

/// Keys or customers updated by one statement.
const ROWS_AT_ONCE: i64 = 10_000;

impl Store {
    /// Starts a new epoch after the database went back in time: a restore, or a fail-over that lost changes. `now` in
    /// milliseconds is higher than any number that was used; every generation, secret version, version and change
    /// number continues from it, so none is used twice. This invalidates every token. Sessions are deleted, because it
    /// is unknown which of them had been ended. Every node reads everything again, and each organization gets an audit
    /// entry.
    ///
    /// If the database has reached the last number that a running node has seen, another node has started the epoch, and
    /// the result is `None`. In a process that has seen none, no node may be running, and all registered nodes are
    /// deleted.
    pub async fn begin_epoch(&self, now: Timestamp) -> Result<Option<Restored>, StoreError> {
        let (mut transaction, seq) = self.begin_on_any().await?;
        let seen = self.seen.load(Ordering::Acquire);
        if seen > 0 && seq > seen {
            transaction.rollback().await?;
            return Ok(None);
        }
        let row =
            query("SELECT COALESCE(MAX(generation), 0) AS highest FROM api_keys").fetch_one(&mut transaction).await?;
        let known = seq.max(seen).max(unsigned(row.try_get("highest")?, "generation")?);
        let epoch = (known + 1).max(u64::try_from(now.as_millis()).unwrap_or_default());

        // 1. Numbers. A node that has applied an earlier number may have missed changes, and reads everything again.
        for statement in [
            "UPDATE change_seq SET seq = $1, epoch = $1, tenants_seq = $1, pruned_seq = $1",
            "UPDATE organizations SET changed_seq = $1, policy_version = $1",
            "UPDATE members SET version = $1",
            "UPDATE webhooks SET version = $1",
            "UPDATE apis SET version = $1",
            "UPDATE profiles SET version = $1",
            "UPDATE named_networks SET version = $1",
            "UPDATE portal_settings SET version = $1",
        ] {
            query(statement).bind(epoch).execute(&mut transaction).await?;
        }
        // In batches, because of PostgreSQL's statement timeout.
        let keys = update_in_batches(
            &mut transaction,
            "UPDATE api_keys SET generation = $1, secret_version = $1, version = $1 \
             WHERE id IN (SELECT id FROM api_keys WHERE generation < $1 LIMIT $2)",
            epoch,
        )
        .await?;
        update_in_batches(
            &mut transaction,
            "UPDATE customers SET generation = $1, version = $1 \
             WHERE id IN (SELECT id FROM customers WHERE generation < $1 LIMIT $2)",
            epoch,
        )
        .await?;

        // 2. Sessions and nodes.
        let sessions = query("DELETE FROM sessions").execute(&mut transaction).await?;
        query("DELETE FROM portal_sessions").execute(&mut transaction).await?;
        if seen == 0 {
            query("DELETE FROM nodes").execute(&mut transaction).await?;
        }

        // 3. The audit log.
        for row in query("SELECT slug FROM organizations WHERE deleted_at IS NULL ORDER BY slug")
            .fetch_all(&mut transaction)
            .await?
        {
            let organization = slug(row.try_get("slug")?)?;
            let entry = AuditEntry::by_keyturn(
                now,
                action::STORE_RESTORE,
                &organization,
                None,
                Some(serde_json::json!({ "epoch": epoch })),
            );
            audit::write(&mut transaction, &organization, &entry).await?;
        }
        transaction.commit().await?;
        Ok(Some(Restored { epoch, keys, sessions }))
    }

    /// Records that this process has seen a change number.
    pub fn saw(&self, seq: Seq) {
        self.seen.fetch_max(seq, Ordering::AcqRel);
    }

    /// Runs a read for a decision. Fails if the database has lost changes that this process had seen before the read,
    /// even if a new epoch has started since then.
    pub async fn read_current<T, E: From<StoreError>>(&self, read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let seen = self.seen.load(Ordering::Acquire);
        let found = read.await?;
        if seen > 0 {
            // A new epoch prunes all earlier changes. Until it starts, no change can be made, so the number stays low.
            let row = query("SELECT seq, pruned_seq FROM change_seq").fetch_one(&self.database).await?;
            let number = |column| unsigned(row.try_get(column)?, "change number");
            if !(number("pruned_seq")?..=number("seq")?).contains(&seen) {
                return Err(StoreError::LostChanges.into());
            }
        }
        Ok(found)
    }
}

/// Runs a statement for at most `$2` rows at a time until none is left; `$1` is the epoch. Returns the number of rows.
async fn update_in_batches(
    transaction: &mut Transaction,
    statement: &'static str,
    epoch: Seq,
) -> Result<u64, StoreError> {
    let mut rows = 0;
    loop {
        let written = query(statement).bind(epoch).bind(ROWS_AT_ONCE).execute(&mut *transaction).await?;
        if written == 0 {
            return Ok(rows);
        }
        rows += written;
    }
}
