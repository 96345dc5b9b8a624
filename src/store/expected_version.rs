//! Begins changes only if the actor still has the rights with which it started.

use crate::store::{AuditEntry, Seq, Store, StoreError, portal_sessions};

use crate::domain::authority::ActorVersion;
use crate::store::sql::columns::unsigned;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};

impl Store {
    /// Begins a change, unless the actor lost rights since authentication: a key that was revoked or narrowed, or whose
    /// customer was suspended, a member who was removed or changed, or a portal session that ended, can change nothing after that
    /// was confirmed. Entries without an expected version
    /// are not checked: revoking and disabling keys, and what Keyturn does itself. The change row is locked, so the result
    /// holds until the write.
    pub(super) async fn begin_as(&self, entry: &AuditEntry) -> Result<(Transaction, Seq), StoreError> {
        let (mut transaction, seq) = self.begin().await?;
        let Some(expected) = entry.expected_version else { return Ok((transaction, seq)) };
        let (sql, id) = match entry.actor.split_once(':') {
            Some(("portal", id)) => {
                if !portal_sessions::may_change(&mut transaction, id, entry).await? {
                    transaction.rollback().await?;
                    return Err(StoreError::Superseded);
                }
                return Ok((transaction, seq));
            }
            // As in `Caller::actor_version`.
            Some(("key", id)) => (
                "SELECT k.generation + k.secret_version AS version, c.generation AS customer FROM api_keys k \
                 LEFT JOIN customers c ON c.id = k.customer_id \
                 WHERE k.id = $1 AND k.state = 'active' AND c.suspended_at IS NULL AND c.removed_at IS NULL",
                id,
            ),
            Some(("member", id)) => (
                "SELECT version, CAST(NULL AS BIGINT) AS customer FROM members WHERE id = $1 AND removed_at IS NULL",
                id,
            ),
            _ => return Ok((transaction, seq)),
        };
        let row = query(sql).bind(id).fetch_optional(&mut transaction).await?;
        let version = |row: &Row| {
            let customer: Option<i64> = row.try_get("customer")?;
            let customer = customer.map(|generation| unsigned(generation, "generation of a customer")).transpose()?;
            Ok::<_, StoreError>(ActorVersion { own: unsigned(row.try_get("version")?, "version")?, customer })
        };
        if row.as_ref().map(version).transpose()? != Some(expected) {
            transaction.rollback().await?;
            return Err(StoreError::Superseded);
        }
        Ok((transaction, seq))
    }
}
