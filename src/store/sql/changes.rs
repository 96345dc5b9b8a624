//! Change numbers, the change log, and tokens revoked by themselves.

use async_trait::async_trait;
use sqlx::{Row, Sqlite, Transaction};

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{key_id, unsigned};
use crate::store::sql::{SqlStore, audit};
use crate::store::{AuditEntry, ChangeLog, KeyChange, RevokedToken, RevokedTokenStore, Seq, StoreError};

/// Takes the next change number. The row stays locked until the transaction ends.
pub(super) async fn next_seq(transaction: &mut Transaction<'static, Sqlite>) -> Result<Seq, StoreError> {
    let row = sqlx::query("UPDATE change_seq SET seq = seq + 1 WHERE only_row = 1 RETURNING seq")
        .fetch_one(&mut **transaction)
        .await?;
    unsigned(row.try_get("seq")?, "change number")
}

/// Writes a change for others to follow.
pub(super) async fn record(
    transaction: &mut Transaction<'static, Sqlite>,
    change: &KeyChange,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO key_changes (seq, key_id, jti, generation, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(change.seq as i64)
        .bind(change.key.as_str())
        .bind(change.token.as_deref())
        .bind(change.generation as i64)
        .bind(at.as_millis())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

#[async_trait]
impl ChangeLog for SqlStore {
    async fn last_seq(&self) -> Result<Seq, StoreError> {
        let row = sqlx::query("SELECT seq FROM change_seq").fetch_one(&self.readers).await?;
        unsigned(row.try_get("seq")?, "change number")
    }

    async fn changes_after(&self, seq: Seq, limit: u32) -> Result<Vec<KeyChange>, StoreError> {
        let rows =
            sqlx::query("SELECT seq, key_id, jti, generation FROM key_changes WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(seq as i64)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(KeyChange {
                    seq: unsigned(row.try_get("seq")?, "change number")?,
                    key: key_id(row.try_get("key_id")?)?,
                    token: row.try_get("jti")?,
                    generation: unsigned(row.try_get("generation")?, "generation")?,
                })
            })
            .collect()
    }
}

#[async_trait]
impl RevokedTokenStore for SqlStore {
    async fn revoke_token(
        &self,
        token: &RevokedToken,
        organization: &Slug,
        entry: &AuditEntry,
    ) -> Result<Seq, StoreError> {
        let mut transaction = self.begin().await?;
        let seq = next_seq(&mut transaction).await?;
        let inserted = sqlx::query(
            "INSERT INTO revoked_tokens (jti, key_id, expires_at, seq) VALUES ($1, $2, $3, $4) ON CONFLICT (jti) DO NOTHING",
        )
        .bind(&token.jti)
        .bind(token.key.as_str())
        .bind(token.expires_at.as_millis())
        .bind(seq as i64)
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            transaction.rollback().await?;
            return self.seq_of_token(&token.jti).await;
        }
        let generation = generation_of(&mut transaction, &token.key).await?;
        let change = KeyChange { seq, key: token.key, token: Some(token.jti.clone()), generation };
        record(&mut transaction, &change, entry.at).await?;
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    async fn revoked_tokens(&self, now: Timestamp) -> Result<Vec<RevokedToken>, StoreError> {
        let rows = sqlx::query("SELECT jti, key_id, expires_at FROM revoked_tokens WHERE expires_at > $1")
            .bind(now.as_millis())
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(RevokedToken {
                    jti: row.try_get("jti")?,
                    key: key_id(row.try_get("key_id")?)?,
                    expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
                })
            })
            .collect()
    }

    async fn forget_revoked_tokens(&self, now: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM revoked_tokens WHERE expires_at <= $1")
            .bind(now.as_millis())
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected())
    }
}

impl SqlStore {
    async fn seq_of_token(&self, jti: &str) -> Result<Seq, StoreError> {
        let row =
            sqlx::query("SELECT seq FROM revoked_tokens WHERE jti = $1").bind(jti).fetch_one(&self.readers).await?;
        unsigned(row.try_get("seq")?, "change number")
    }
}

async fn generation_of(transaction: &mut Transaction<'static, Sqlite>, key: &KeyId) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT generation FROM api_keys WHERE id = $1")
        .bind(key.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    row.map_or(Ok(0), |row| unsigned(row.try_get("generation")?, "generation"))
}
