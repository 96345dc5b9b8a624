//! Whether somebody is still what they were when they asked for a change.

use crate::store::{AuditEntry, Seq, Store, StoreError};

use crate::store::sql::database::Transaction;
use crate::store::sql::statement::query;

impl Store {
    /// Begins a change that somebody has asked for, if their standing is what it was: a key that was revoked or narrowed, and a
    /// member who was removed or changed, do nothing more once that was answered. The change row is locked, so nothing
    /// comes between this and the write.
    pub(super) async fn begin_by(&self, entry: &AuditEntry) -> Result<(Transaction, Seq), StoreError> {
        let (mut transaction, seq) = self.begin().await?;
        let Some(standing) = entry.standing else { return Ok((transaction, seq)) };
        let (sql, id) = match entry.actor.split_once(':') {
            // As in `ApiKey::standing`.
            Some(("key", id)) => {
                ("SELECT generation + secret_version AS standing FROM api_keys WHERE id = $1 AND state = 'active'", id)
            }
            Some(("member", id)) => {
                ("SELECT version AS standing FROM members WHERE id = $1 AND removed_at IS NULL", id)
            }
            _ => return Ok((transaction, seq)),
        };
        let row = query(sql).bind(id).fetch_optional(&mut transaction).await?;
        let found: Option<i64> = row.map(|row| row.try_get("standing")).transpose()?;
        if found != i64::try_from(standing).ok() {
            transaction.rollback().await?;
            return Err(StoreError::Superseded);
        }
        Ok((transaction, seq))
    }
}
