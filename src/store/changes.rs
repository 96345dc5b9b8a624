//! Change numbers, the change log, and tokens revoked by themselves.

use sqlx::AssertSqlSafe;

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::{AuditEntry, NodeId, Store, StoreError, action, audit};

use crate::store::sql::columns::{key_id, slug, unsigned};

use crate::store::key_rows::key_from_row;
use crate::store::sql::database::{Database, Transaction};
use crate::store::sql::statement::{Query, Row, query};

/// The number of a change; they become visible in order.
pub type Seq = u64;

/// A change as others follow it: drop what is held of that key, or refuse that token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    /// Its number.
    pub seq: Seq,
    /// The key concerned.
    pub key: KeyId,
    /// The token revoked, if it is one alone.
    pub token: Option<RevokedToken>,
    /// The key's generation after the change.
    pub generation: u64,
}

/// A token revoked by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokedToken {
    /// Its id.
    pub jti: String,
    /// The key it was minted from.
    pub key: KeyId,
    /// When it may be forgotten, being long dead by itself.
    pub expires_at: Timestamp,
}

/// What was done to a database that went back in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The first number of the new epoch.
    pub epoch: Seq,
    /// API keys whose earlier tokens ended.
    pub keys: u64,
    /// Sessions that ended.
    pub sessions: u64,
}

/// What has happened since a change, as one view of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeBatch {
    /// The last change in this view.
    pub last_seq: Seq,
    /// The last change of organizations or signing keys in this view.
    pub tenants_seq: Seq,
    /// Changes up to this one are no longer listed.
    pub pruned_seq: Seq,
    /// Whether the node that asks is a member that has not been struck.
    pub is_member: bool,
    /// Whether `changes` goes as far as `last_seq`.
    pub is_whole: bool,
    /// The database's clock, where it has one of its own.
    pub clock: Option<Timestamp>,
    /// The changes of keys and tokens, in order.
    pub changes: Vec<KeyChange>,
}

/// Takes the next change number. The row stays locked until the transaction ends.
pub(super) async fn next_seq(transaction: &mut Transaction) -> Result<Seq, StoreError> {
    let row =
        query("UPDATE change_seq SET seq = seq + 1 WHERE only_row = 1 RETURNING seq").fetch_one(transaction).await?;
    unsigned(row.try_get("seq")?, "change number")
}

/// Writes a change for others to follow.
pub(super) async fn record(transaction: &mut Transaction, change: &KeyChange, at: Timestamp) -> Result<(), StoreError> {
    let (jti, dies) = match &change.token {
        Some(token) => (Some(token.jti.as_str()), Some(token.expires_at.as_millis())),
        None => (None, None),
    };
    query(
        "INSERT INTO key_changes (seq, key_id, jti, token_expires_at, generation, at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(change.seq)
    .bind(change.key.as_str())
    .bind(jti)
    .bind(dies)
    .bind(change.generation)
    .bind(at.as_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Records that an organization's policy, state or signing keys changed, for every node to read them again.
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

/// A change as it is followed; the columns `key_id`, `jti`, `token_expires_at`, `generation`.
fn change(row: &Row, seq: i64) -> Result<KeyChange, StoreError> {
    let (jti, dies): (Option<String>, Option<i64>) = (row.try_get("jti")?, row.try_get("token_expires_at")?);
    let key = key_id(row.try_get("key_id")?)?;
    Ok(KeyChange {
        seq: unsigned(seq, "change number")?,
        key,
        token: jti.map(|jti| RevokedToken { jti, key, expires_at: Timestamp::from_millis(dies.unwrap_or(i64::MAX)) }),
        generation: unsigned(row.try_get("generation")?, "generation")?,
    })
}

/// Rows deleted by one statement.
const IDS_AT_ONCE: usize = 500;

/// API keys that are given new numbers by one statement.
const KEYS_AT_ONCE: i64 = 10_000;

impl Store {
    /// Starts a new epoch of a database that went back in time: a restore, or a fail-over that lost changes. `now` is in
    /// milliseconds and so higher than any number that was counted; every generation, secret version, version and change
    /// number continues from it, so that none is given out a second time. That ends every token; sessions end too,
    /// because which of them were ended is not known. Every node reads everything again, and each organization gets an
    /// audit entry.
    ///
    /// With a number that a node has followed up to, nothing is done (`None`) if the database has reached it: another
    /// node has started the epoch. Without one no node runs, and those that the database lists are removed.
    pub async fn begin_epoch(&self, followed: Option<Seq>, now: Timestamp) -> Result<Option<Restored>, StoreError> {
        let (mut transaction, seq) = self.begin().await?;
        if followed.is_some_and(|followed| seq > followed) {
            transaction.rollback().await?;
            return Ok(None);
        }
        let row =
            query("SELECT COALESCE(MAX(generation), 0) AS highest FROM api_keys").fetch_one(&mut transaction).await?;
        let known = seq.max(followed.unwrap_or_default()).max(unsigned(row.try_get("highest")?, "generation")?);
        let epoch = (known + 1).max(u64::try_from(now.as_millis()).unwrap_or_default());

        // 1. Numbers. A node that has followed up to an earlier one may have missed changes, and reads everything again.
        for statement in [
            "UPDATE change_seq SET seq = $1, epoch = $1, tenants_seq = $1, pruned_seq = $1",
            "UPDATE organizations SET changed_seq = $1, policy_version = $1",
            "UPDATE members SET version = $1",
            "UPDATE webhooks SET version = $1",
        ] {
            query(statement).bind(epoch).execute(&mut transaction).await?;
        }
        // In batches, because PostgreSQL limits the time of a statement.
        let mut keys = 0;
        loop {
            let written = query(
                "UPDATE api_keys SET generation = $1, secret_version = $1, version = $1 \
                 WHERE id IN (SELECT id FROM api_keys WHERE generation < $1 LIMIT $2)",
            )
            .bind(epoch)
            .bind(KEYS_AT_ONCE)
            .execute(&mut transaction)
            .await?;
            keys += written;
            if written == 0 {
                break;
            }
        }

        // 2. What may have been ended.
        let sessions = query("DELETE FROM sessions").execute(&mut transaction).await?;
        if followed.is_none() {
            query("DELETE FROM nodes").execute(&mut transaction).await?;
        }

        // 3. The audit log.
        for row in query("SELECT slug FROM organizations ORDER BY slug").fetch_all(&mut transaction).await? {
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

    /// The number of the last change.
    pub async fn last_seq(&self) -> Result<Seq, StoreError> {
        let row = query("SELECT seq FROM change_seq").fetch_one(&self.database).await?;
        unsigned(row.try_get("seq")?, "change number")
    }

    /// What has happened after a change, for a node; at most `limit` changes.
    pub async fn follow(&self, after: Seq, node: &NodeId, limit: u32) -> Result<ChangeBatch, StoreError> {
        // One statement, so one view of the database: what it does not list had not happened.
        const FOLLOWING: &str = "SELECT s.seq AS last_seq, s.tenants_seq, s.pruned_seq, \
            (SELECT COUNT(*) FROM nodes n WHERE n.id = $2 AND n.struck = 0) AS membership, \
            c.seq AS change_number, c.key_id, c.jti, c.token_expires_at, c.generation \
            FROM change_seq s LEFT JOIN key_changes c ON c.seq > $1 ORDER BY c.seq LIMIT $3";
        const FOLLOWING_WITH_CLOCK: &str = "SELECT s.seq AS last_seq, s.tenants_seq, s.pruned_seq, \
            (SELECT COUNT(*) FROM nodes n WHERE n.id = $2 AND n.struck = 0) AS membership, \
            c.seq AS change_number, c.key_id, c.jti, c.token_expires_at, c.generation, \
            (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT AS clock \
            FROM change_seq s LEFT JOIN key_changes c ON c.seq > $1 ORDER BY c.seq LIMIT $3";
        let ask = |sql| query(sql).bind(after).bind(node.as_str()).bind(i64::from(limit));
        let rows = match &self.database {
            Database::Sqlite { .. } => ask(FOLLOWING).fetch_all(&self.database).await?,
            Database::Postgres(postgres) => {
                // Kept only if all went well; whoever loses patience half-way loses the connection with it.
                let mut following = self.following.lock().await;
                let mut connection = match following.take() {
                    Some(connection) => connection,
                    None => postgres.connect().await?,
                };
                let rows = ask(FOLLOWING_WITH_CLOCK).on_postgres(&mut connection).await?;
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
        Ok(ChangeBatch {
            last_seq: number("last_seq")?,
            tenants_seq: number("tenants_seq")?,
            pruned_seq: number("pruned_seq")?,
            is_member: first.try_get::<i64>("membership")? == 1,
            is_whole: changes.len() < limit as usize,
            clock: clock.map(Timestamp::from_millis),
            changes,
        })
    }

    /// Forgets the changes before a moment.
    pub async fn shorten(&self, before: Timestamp) -> Result<(), StoreError> {
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

    /// The keys that were changed since a moment, as they are now.
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
    /// Writes one, and its audit row. A second time is no change.
    pub async fn revoke_token(
        &self,
        token: &RevokedToken,
        organization: &Slug,
        entry: &AuditEntry,
    ) -> Result<Seq, StoreError> {
        let (mut transaction, seq) = self.begin_by(entry).await?;
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
        let change = KeyChange { seq, key: token.key, token: Some(token.clone()), generation };
        record(&mut transaction, &change, entry.at).await?;
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// All that are not forgotten yet, expired or not: whether one has expired is for a clock that may be wrong to say.
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

    /// Whether a token was revoked by itself, and is not forgotten.
    pub async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError> {
        let row =
            query("SELECT jti FROM revoked_tokens WHERE jti = $1").bind(jti).fetch_optional(&self.database).await?;
        Ok(row.is_some())
    }

    /// Forgets the tokens of these IDs.
    pub async fn forget_revoked_tokens(&self, ids: &[String]) -> Result<u64, StoreError> {
        let mut count = 0;
        for ids in ids.chunks(IDS_AT_ONCE) {
            let places: Vec<String> = (1..=ids.len()).map(|number| format!("${number}")).collect();
            let sql = format!("DELETE FROM revoked_tokens WHERE jti IN ({})", places.join(", "));
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
