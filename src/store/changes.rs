//! Change numbers, the change log, and revoked tokens.

use std::sync::atomic::Ordering;

use sqlx::AssertSqlSafe;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::{AuditEntry, NodeId, Store, StoreError, audit};

use crate::store::sql::columns::{key_id, unsigned};

use crate::store::customers::customer_id;
use crate::store::key_rows::key_from_row;
use crate::store::sql::database::{Database, Transaction};
use crate::store::sql::statement::{Query, Row, query};

/// Number of a change. Numbers become visible to readers in order.
pub type Seq = u64;

/// A change that other nodes apply: drop the cached key or customer, or deny the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    pub seq: Seq,
    pub key: KeyId,
    /// Set if a single token was revoked.
    pub token: Option<RevokedToken>,
    /// Set if a customer was changed. `key` has the same digits, and no key has that ID.
    pub customer: Option<CustomerId>,
    /// The generation of the key or customer after the change.
    pub generation: u64,
}

impl KeyChange {
    /// The change that led to a key's state.
    pub const fn of_key(seq: Seq, key: &ApiKey) -> Self {
        Self { seq, key: key.id, token: None, customer: None, generation: key.generation }
    }

    /// The change that led to a customer's state.
    pub const fn of_customer(seq: Seq, customer: &Customer) -> Self {
        let id = customer.id;
        Self { seq, key: id.digits(), token: None, customer: Some(id), generation: customer.generation }
    }
}

/// A token that was revoked individually.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokedToken {
    pub jti: String,
    /// The key that it was issued for.
    pub key: KeyId,
    /// The entry can be deleted some time after this expiry.
    pub expires_at: Timestamp,
}

/// The changes after a number, in one snapshot of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeBatch {
    /// Number of the last change in the snapshot.
    pub last_seq: Seq,
    /// Number of the last change of an organization or signing key.
    pub tenants_seq: Seq,
    /// Changes up to this number have been deleted.
    pub pruned_seq: Seq,
    /// Whether the database does not contain changes that this process has seen.
    pub has_lost_changes: bool,
    /// Whether the requesting node is registered and not removed.
    pub is_member: bool,
    /// Whether `changes` contains everything up to `last_seq`.
    pub is_complete: bool,
    /// The database's clock; `None` on SQLite.
    pub clock: Option<Timestamp>,
    /// Changes of keys, customers and tokens, in order.
    pub changes: Vec<KeyChange>,
}

/// Takes the next change number. Its row stays locked until the end of the transaction, which serializes changes.
pub(super) async fn next_seq(transaction: &mut Transaction) -> Result<Seq, StoreError> {
    let row =
        query("UPDATE change_seq SET seq = seq + 1 WHERE only_row = 1 RETURNING seq").fetch_one(transaction).await?;
    unsigned(row.try_get("seq")?, "change number")
}

/// Records a change for other nodes.
pub(super) async fn record(transaction: &mut Transaction, change: &KeyChange, at: Timestamp) -> Result<(), StoreError> {
    let (jti, expires_at) = match &change.token {
        Some(token) => (Some(token.jti.as_str()), Some(token.expires_at.as_millis())),
        None => (None, None),
    };
    query(
        "INSERT INTO key_changes (seq, key_id, jti, token_expires_at, customer_id, generation, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(change.seq)
    .bind(change.key.as_str())
    .bind(jti)
    .bind(expires_at)
    .bind(change.customer.as_ref().map(CustomerId::as_str))
    .bind(change.generation)
    .bind(at.as_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Records that an organization's policy, state or signing keys changed, so that every node reads them again.
pub(super) async fn tenant_changed(
    transaction: &mut Transaction,
    organization: &Slug,
    seq: Seq,
) -> Result<(), StoreError> {
    query("UPDATE change_seq SET tenants_seq = $1").bind(seq).execute(&mut *transaction).await?;
    query("UPDATE organizations SET changed_seq = $2 WHERE slug = $1")
        .bind(organization.as_str())
        .bind(seq)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Commits the change of an organization with its audit entry. Rolls back and returns `None` if no row was written.
pub(super) async fn commit_of_tenant(
    mut transaction: Transaction,
    written: u64,
    organization: &Slug,
    (seq, entry): (Seq, &AuditEntry),
) -> Result<Option<Seq>, StoreError> {
    if written == 0 {
        transaction.rollback().await?;
        return Ok(None);
    }
    tenant_changed(&mut transaction, organization, seq).await?;
    audit::write(&mut transaction, organization, entry).await?;
    transaction.commit().await?;
    Ok(Some(seq))
}

/// Reads a change from the columns `key_id`, `jti`, `token_expires_at`, `customer_id`, `generation`.
fn change(row: &Row, seq: i64) -> Result<KeyChange, StoreError> {
    let (jti, expires_at): (Option<String>, Option<i64>) = (row.try_get("jti")?, row.try_get("token_expires_at")?);
    let key = key_id(row.try_get("key_id")?)?;
    let customer: Option<String> = row.try_get("customer_id")?;
    Ok(KeyChange {
        seq: unsigned(seq, "change number")?,
        key,
        token: jti.map(|jti| RevokedToken {
            jti,
            key,
            expires_at: Timestamp::from_millis(expires_at.unwrap_or(i64::MAX)),
        }),
        customer: customer.as_deref().map(customer_id).transpose()?,
        generation: unsigned(row.try_get("generation")?, "generation")?,
    })
}

/// IDs deleted by one statement.
const IDS_AT_ONCE: usize = 500;

impl Store {
    /// Returns the number of the last change. Fails if the database has lost changes.
    pub async fn last_seq(&self) -> Result<Seq, StoreError> {
        // Before the read: another task may see a later change meanwhile.
        let seen = self.seen.load(Ordering::Acquire);
        let row = query("SELECT seq FROM change_seq").fetch_one(&self.database).await?;
        let seq = unsigned(row.try_get("seq")?, "change number")?;
        if seq < seen { Err(StoreError::LostChanges) } else { Ok(seq) }
    }

    /// Returns the changes after `after` for a node, at most `limit`.
    pub async fn follow(&self, after: Seq, node: &NodeId, limit: u32) -> Result<ChangeBatch, StoreError> {
        // A single statement reads a consistent snapshot, so a missing change has not been committed.
        const FOLLOWING: &str = "SELECT s.seq AS last_seq, s.tenants_seq, s.pruned_seq, \
            (SELECT COUNT(*) FROM nodes n WHERE n.id = $2 AND n.struck = 0) AS membership, \
            c.seq AS change_number, c.key_id, c.jti, c.token_expires_at, c.customer_id, c.generation \
            FROM change_seq s LEFT JOIN key_changes c ON c.seq > $1 ORDER BY c.seq LIMIT $3";
        const FOLLOWING_WITH_CLOCK: &str = "SELECT s.seq AS last_seq, s.tenants_seq, s.pruned_seq, \
            (SELECT COUNT(*) FROM nodes n WHERE n.id = $2 AND n.struck = 0) AS membership, \
            c.seq AS change_number, c.key_id, c.jti, c.token_expires_at, c.customer_id, c.generation, \
            (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT AS clock \
            FROM change_seq s LEFT JOIN key_changes c ON c.seq > $1 ORDER BY c.seq LIMIT $3";
        let bind = |sql| query(sql).bind(after).bind(node.as_str()).bind(i64::from(limit));
        // Before the read, as in `last_seq`.
        let seen = self.seen.load(Ordering::Acquire);
        let rows = match &self.database {
            Database::Sqlite { .. } => bind(FOLLOWING).fetch_all(&self.database).await?,
            Database::Postgres(postgres) => {
                // Kept only after a success; if the caller stops waiting, the connection is closed.
                let mut following = self.following.lock().await;
                let mut connection = match following.take() {
                    Some(connection) => connection,
                    None => postgres.connect().await?,
                };
                let rows = bind(FOLLOWING_WITH_CLOCK).on_postgres(&mut connection).await?;
                *following = Some(connection);
                rows
            }
        };
        let first = rows.first().ok_or(StoreError::Database(sqlx::Error::RowNotFound))?;
        let number = |column| unsigned(first.try_get(column)?, "change number");
        let clock: Option<i64> = match first {
            Row::Sqlite(_) => None,
            Row::Postgres(_) => first.try_get("clock")?,
        };
        let mut changes = Vec::new();
        for row in &rows {
            if let Some(seq) = row.try_get::<Option<i64>>("change_number")? {
                changes.push(change(row, seq)?);
            }
        }
        let last_seq = number("last_seq")?;
        self.saw(last_seq);
        Ok(ChangeBatch {
            last_seq,
            has_lost_changes: last_seq < seen,
            tenants_seq: number("tenants_seq")?,
            pruned_seq: number("pruned_seq")?,
            is_member: first.try_get::<i64>("membership")? == 1,
            is_complete: changes.len() < limit as usize,
            clock: clock.map(Timestamp::from_millis),
            changes,
        })
    }

    /// Deletes changes before a time.
    pub async fn prune_changes(&self, before: Timestamp) -> Result<(), StoreError> {
        let (mut transaction, _) = self.begin().await?;
        query(
            "UPDATE change_seq SET pruned_seq = \
             COALESCE((SELECT MAX(seq) FROM key_changes WHERE at < $1), pruned_seq)",
        )
        .bind(before.as_millis())
        .execute(&mut transaction)
        .await?;
        query("DELETE FROM key_changes WHERE seq <= (SELECT pruned_seq FROM change_seq)")
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        self.database.forget_commits().await
    }

    /// Returns the current state of the keys that were changed since a time.
    pub async fn changed_keys(&self, since: Timestamp) -> Result<Vec<ApiKey>, StoreError> {
        let rows = query(
            "SELECT * FROM api_keys WHERE id IN (SELECT key_id FROM key_changes WHERE at >= $1 AND jti IS NULL) \
             AND version > 1",
        )
        .bind(since.as_millis())
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(key_from_row).collect()
    }
}

impl Store {
    /// Revokes a token and writes the audit entry. Has no effect if the token is already revoked.
    pub async fn revoke_token(
        &self,
        token: &RevokedToken,
        organization: &Slug,
        entry: &AuditEntry,
    ) -> Result<Seq, StoreError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let inserted = query(
            "INSERT INTO revoked_tokens (jti, key_id, expires_at, seq) VALUES ($1, $2, $3, $4) ON CONFLICT (jti) DO NOTHING",
        )
        .bind(&token.jti)
        .bind(token.key.as_str())
        .bind(token.expires_at.as_millis())
        .bind(seq)
        .execute(&mut transaction)
        .await?;
        if inserted == 0 {
            transaction.rollback().await?;
            return self.seq_of_token(&token.jti).await;
        }
        let generation = generation_of(&mut transaction, &token.key).await?;
        let change = KeyChange { seq, key: token.key, token: Some(token.clone()), customer: None, generation };
        record(&mut transaction, &change, entry.at).await?;
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Returns all revoked tokens that have not been deleted. Includes expired ones, because the clock may be wrong.
    pub async fn revoked_tokens(&self) -> Result<Vec<RevokedToken>, StoreError> {
        let rows = query("SELECT jti, key_id, expires_at FROM revoked_tokens").fetch_all(&self.database).await?;
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

    /// Whether a token was revoked individually and has not been deleted.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        let row =
            query("SELECT jti FROM revoked_tokens WHERE jti = $1").bind(jti).fetch_optional(&self.database).await?;
        Ok(row.is_some())
    }

    /// Deletes the revocations of these token IDs.
    pub async fn forget_revoked_tokens(&self, ids: &[String]) -> Result<u64, StoreError> {
        let mut count = 0;
        for ids in ids.chunks(IDS_AT_ONCE) {
            let placeholders: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
            let sql = format!("DELETE FROM revoked_tokens WHERE jti IN ({})", placeholders.join(", "));
            let statement = ids.iter().fold(query(AssertSqlSafe(sql)), Query::bind);
            count += statement.execute_alone(&self.database).await?;
        }
        Ok(count)
    }
}

impl Store {
    async fn seq_of_token(&self, jti: &str) -> Result<Seq, StoreError> {
        let row = query("SELECT seq FROM revoked_tokens WHERE jti = $1").bind(jti).fetch_one(&self.database).await?;
        unsigned(row.try_get("seq")?, "change number")
    }
}

async fn generation_of(transaction: &mut Transaction, key: &KeyId) -> Result<u64, StoreError> {
    let row =
        query("SELECT generation FROM api_keys WHERE id = $1").bind(key.as_str()).fetch_optional(transaction).await?;
    row.map_or(Ok(0), |row| unsigned(row.try_get("generation")?, "generation"))
}
