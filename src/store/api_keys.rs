use sqlx::AssertSqlSafe;

use crate::domain::api_key::{ApiKey, FastVerifier, Status};
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::{
    AuditEntry, KeyChange, Refused, Seq, Store, StoreError, WriteError, audit, changes, is_duplicate, refuse,
};

use crate::store::sql::columns::key_id;

use crate::store::key_rows::{key_from_row, networks_column, state_columns};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Query, Value, query};

/// Limits on the number of keys that are neither revoked nor expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Limit of the organization.
    pub organization: Option<u32>,
    /// Limit of the key's owner.
    pub owner: Option<u32>,
    /// Version of the policy with these limits. The write is rejected if it has changed.
    pub policy_version: Option<u64>,
}

/// Sort order of a list of keys. Equal values are sorted by key ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOrder {
    Created,
    /// Ignores case.
    Name,
    /// By expiry; keys without one are last.
    Expiry,
    /// By last use; keys that were never used are first.
    LastUse,
}

impl KeyOrder {
    /// Returns a key's position in this order.
    pub fn cursor(self, key: &ApiKey) -> KeyCursor {
        match self {
            Self::Created => KeyCursor::At(key.created_at.as_millis(), key.id),
            Self::Name => KeyCursor::Named(key.name.to_lowercase(), key.id),
            Self::Expiry => KeyCursor::At(key.expires_at.map_or(i64::MAX, Timestamp::as_millis), key.id),
            Self::LastUse => KeyCursor::At(key.last_used_at.map_or(0, Timestamp::as_millis), key.id),
        }
    }
}

/// A position in a list: the value that it is sorted by, and the key ID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyCursor {
    /// Milliseconds.
    At(i64, KeyId),
    /// A name in lower case.
    Named(String, KeyId),
}

/// The response to a request with an `Idempotency-Key`, for repetitions of that request.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    /// As in the audit log.
    pub caller: String,
    /// SHA-256 of the `Idempotency-Key`.
    pub digest: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// The key that was created or rotated.
    pub key: KeyId,
    /// The key's secret, encrypted.
    pub sealed: Sealed,
    pub at: Timestamp,
}

/// Filter, order and position of a list of keys.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    pub organization: Slug,
    /// State at `now`.
    pub status: Option<Status>,
    pub now: Timestamp,
    /// Part of the name, ignoring case.
    pub search: Option<String>,
    pub owner: Option<MemberId>,
    pub order: KeyOrder,
    /// Whether the order is reversed.
    pub is_descending: bool,
    /// Only keys after this position.
    pub after: Option<KeyCursor>,
    /// Maximum number of keys.
    pub limit: u32,
}

impl KeyFilter {
    /// Returns a filter for all keys of an organization, newest first, at most 50.
    pub const fn new(organization: Slug, now: Timestamp) -> Self {
        Self {
            organization,
            status: None,
            now,
            search: None,
            owner: None,
            order: KeyOrder::Created,
            is_descending: true,
            after: None,
            limit: 50,
        }
    }
}

/// A response can be repeated for this long.
const RESPONSE_SECONDS: i64 = 86_400;

impl Store {
    pub async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let row =
            query("SELECT * FROM api_keys WHERE id = $1").bind(id.as_str()).fetch_optional(&self.database).await?;
        row.as_ref().map(key_from_row).transpose()
    }

    /// Returns the keys that match a filter.
    pub async fn keys(&self, filter: &KeyFilter) -> Result<Vec<ApiKey>, StoreError> {
        let rows = list_query(filter).fetch_all(&self.database).await?;
        rows.iter().map(key_from_row).collect()
    }

    /// Inserts a key with its audit entry and stored response, unless the limits are reached or its owner is not a
    /// member.
    pub async fn insert_key(
        &self,
        key: &ApiKey,
        limits: Limits,
        entry: &AuditEntry,
        response: Option<&StoredResponse>,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !store_response(&mut transaction, response).await? {
            return refuse(transaction, Refused::Repeated).await;
        }
        if !is_owned_by_a_member(&mut transaction, key).await? {
            return refuse(transaction, Refused::OwnerGone).await;
        }
        if let Some(refused) = exceeded(&mut transaction, key, limits, entry.at).await? {
            return refuse(transaction, refused).await;
        }
        match insert(&mut transaction, key, seq).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        }
        // Recorded as a change because another node may have cached that this ID does not exist.
        let change = KeyChange { seq, key: key.id, token: None, generation: key.generation };
        changes::record(&mut transaction, &change, entry.at).await?;
        audit::write(&mut transaction, &key.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes the next state of a key with its audit entry, if the stored version is the previous one. `limits` is
    /// given if the key starts to count towards them.
    pub async fn update_key(
        &self,
        key: &ApiKey,
        limits: Option<Limits>,
        entry: &AuditEntry,
        response: Option<&StoredResponse>,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !store_response(&mut transaction, response).await? {
            return refuse(transaction, Refused::Repeated).await;
        }
        if let Some(limits) = limits
            && let Some(refused) = exceeded(&mut transaction, key, limits, entry.at).await?
        {
            return refuse(transaction, refused).await;
        }
        if !update(&mut transaction, key, seq).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let change = KeyChange { seq, key: key.id, token: None, generation: key.generation };
        changes::record(&mut transaction, &change, entry.at).await?;
        audit::write(&mut transaction, &key.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Replaces the fast verifier of a secret that Argon2 has verified. Not a change: no rights are affected.
    pub async fn refresh_fast_verifier(&self, id: &KeyId, phc: &str, fast: &FastVerifier) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        query("UPDATE api_keys SET secret_pepper = $3, secret_digest = $4 WHERE id = $1 AND secret_phc = $2")
            .bind(id.as_str())
            .bind(phc)
            .bind(&fast.pepper)
            .bind(fast.digest.as_slice())
            .execute(&mut transaction)
            .await?;
        query("UPDATE api_keys SET previous_pepper = $3, previous_digest = $4 WHERE id = $1 AND previous_phc = $2")
            .bind(id.as_str())
            .bind(phc)
            .bind(&fast.pepper)
            .bind(fast.digest.as_slice())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Replaces a pending verifier of a key's current or previous secret with its PHC string. Not a change.
    pub async fn complete_verifier(&self, id: &KeyId, pending: &str, phc: &str) -> Result<(), StoreError> {
        query(
            "UPDATE api_keys SET secret_phc = CASE WHEN secret_phc = $2 THEN $3 ELSE secret_phc END, \
             previous_phc = CASE WHEN previous_phc = $2 THEN $3 ELSE previous_phc END \
             WHERE id = $1 AND (secret_phc = $2 OR previous_phc = $2)",
        )
        .bind(id.as_str())
        .bind(pending)
        .bind(phc)
        .execute_alone(&self.database)
        .await?;
        Ok(())
    }

    /// Returns the response to a caller's request with this `Idempotency-Key` (its SHA-256), unless it is older than
    /// `since`.
    pub async fn stored_response(
        &self,
        caller: &str,
        digest: &[u8; 32],
        since: Timestamp,
    ) -> Result<Option<StoredResponse>, StoreError> {
        let row = query(
            "SELECT request, key_id, master_key, sealed, at FROM answers WHERE caller = $1 AND digest = $2 AND at > $3",
        )
        .bind(caller)
        .bind(digest.as_slice())
        .bind(since.as_millis())
        .fetch_optional(&self.database)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let request: Vec<u8> = row.try_get("request")?;
        let unreadable = |_| StoreError::Unreadable { what: "answer", detail: "a digest of a wrong length".into() };
        Ok(Some(StoredResponse {
            caller: caller.to_owned(),
            digest: *digest,
            request: request.try_into().map_err(unreadable)?,
            key: key_id(row.try_get("key_id")?)?,
            sealed: Sealed { master_key: row.try_get("master_key")?, bytes: row.try_get("sealed")? },
            at: Timestamp::from_millis(row.try_get("at")?),
        }))
    }

    /// Deletes responses up to `before`.
    pub async fn delete_responses(&self, before: Timestamp) -> Result<u64, StoreError> {
        query("DELETE FROM answers WHERE at <= $1").bind(before.as_millis()).execute_alone(&self.database).await
    }
}

/// Stores a response. Returns false if there is one already.
async fn store_response(transaction: &mut Transaction, response: Option<&StoredResponse>) -> Result<bool, StoreError> {
    let Some(response) = response else { return Ok(true) };
    let written = query(
        "INSERT INTO answers (caller, digest, request, key_id, master_key, sealed, at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (caller, digest) DO UPDATE SET request = excluded.request, key_id = excluded.key_id, \
         master_key = excluded.master_key, sealed = excluded.sealed, at = excluded.at WHERE answers.at <= $8",
    )
    .bind(&response.caller)
    .bind(response.digest.as_slice())
    .bind(response.request.as_slice())
    .bind(response.key.as_str())
    .bind(&response.sealed.master_key)
    .bind(&response.sealed.bytes)
    .bind(response.at.as_millis())
    .bind(response.at.plus_seconds(-RESPONSE_SECONDS).as_millis())
    .execute(transaction)
    .await?;
    Ok(written == 1)
}

/// Whether a key belongs to its organization or to a current member.
async fn is_owned_by_a_member(transaction: &mut Transaction, key: &ApiKey) -> Result<bool, StoreError> {
    let Some(owner) = &key.owner else { return Ok(true) };
    let row = query("SELECT id FROM members WHERE id = $1 AND organization = $2 AND removed_at IS NULL")
        .bind(&owner.0)
        .bind(key.organization.as_str())
        .fetch_optional(transaction)
        .await?;
    Ok(row.is_some())
}

/// Returns the statement of a list. IDs are selected from a covering index first, then their rows are read.
fn list_query(filter: &KeyFilter) -> Query {
    let value = match filter.order {
        KeyOrder::Created => "created_at",
        KeyOrder::Name => "name_lowercase",
        KeyOrder::Expiry => "expires_place",
        KeyOrder::LastUse => "used_place",
    };
    let (beyond, direction) = if filter.is_descending { ("<", "DESC") } else { (">", "ASC") };
    let mut conditions = String::from("organization = $1");
    let mut values = vec![Value::from(filter.organization.as_str())];
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    if let Some(cursor) = &filter.after {
        let (last, id) = match cursor {
            KeyCursor::At(at, id) => (bind((*at).into()), bind(id.as_str().into())),
            KeyCursor::Named(name, id) => (bind(name.into()), bind(id.as_str().into())),
        };
        conditions.push_str(&format!(" AND ({value}, id) {beyond} ({last}, {id})"));
    }
    if let Some(status) = filter.status {
        let now = bind(filter.now.as_millis().into());
        conditions.push_str(&match status {
            Status::Revoked => " AND state = 'revoked'".into(),
            Status::Expired => format!(" AND state <> 'revoked' AND expires_at <= {now}"),
            Status::Active => format!(" AND state = 'active' AND (expires_at IS NULL OR expires_at > {now})"),
            Status::Disabled => format!(" AND state = 'disabled' AND (expires_at IS NULL OR expires_at > {now})"),
        });
    }
    if let Some(part) = filter.search.as_deref().filter(|part| !part.is_empty()) {
        let pattern = bind(contains_pattern(part).into());
        conditions.push_str(&format!(" AND name_lowercase LIKE {pattern} ESCAPE '\\'"));
    }
    if let Some(owner) = &filter.owner {
        let owner = bind(owner.0.as_str().into());
        conditions.push_str(&format!(" AND owner = {owner}"));
    }
    let limit = bind(i64::from(filter.limit).into());
    let sql = format!(
        "SELECT * FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE {conditions} \
         ORDER BY {value} {direction}, id {direction} LIMIT {limit}) ORDER BY {value} {direction}, id {direction}"
    );
    values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind)
}

/// Returns why the limits do not allow one more key. Changes are serialized, so the result holds until the write.
async fn exceeded(
    transaction: &mut Transaction,
    key: &ApiKey,
    limits: Limits,
    now: Timestamp,
) -> Result<Option<Refused>, StoreError> {
    const COUNTING: &str = "SELECT COUNT(*) AS n FROM api_keys WHERE organization = $1 AND id <> $2 \
        AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $3)";
    const COUNTING_OF_OWNER: &str = "SELECT COUNT(*) AS n FROM api_keys WHERE organization = $1 AND id <> $2 \
        AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $3) AND owner = $4";
    let count = |sql| query(sql).bind(key.organization.as_str()).bind(key.id.as_str()).bind(now.as_millis());
    if let Some(version) = limits.policy_version {
        let row = query("SELECT policy_version FROM organizations WHERE slug = $1")
            .bind(key.organization.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        if row.try_get::<i64>("policy_version")? != i64::try_from(version).unwrap_or(i64::MAX) {
            return Ok(Some(Refused::PolicyChanged));
        }
    }
    if let Some(limit) = limits.organization {
        let row = count(COUNTING).fetch_one(&mut *transaction).await?;
        if row.try_get::<i64>("n")? >= i64::from(limit) {
            return Ok(Some(Refused::LimitReached));
        }
    }
    if let (Some(limit), Some(owner)) = (limits.owner, &key.owner) {
        let row = count(COUNTING_OF_OWNER).bind(&owner.0).fetch_one(&mut *transaction).await?;
        if row.try_get::<i64>("n")? >= i64::from(limit) {
            return Ok(Some(Refused::LimitReached));
        }
    }
    Ok(None)
}

pub(super) async fn insert(transaction: &mut Transaction, key: &ApiKey, seq: Seq) -> Result<(), StoreError> {
    query(
        "INSERT INTO api_keys (id, organization, created_at, created_by, owner, prefix, name, name_lowercase, description, scopes, \
         networks, expires_at, state, state_at, revoked_reason, generation, version, seq, secret_phc, secret_pepper, \
         secret_digest, previous_phc, previous_pepper, previous_digest, previous_until, hint, rotated_at) \
         VALUES ($1, $2, $3, $4, $5, '', '', '', '', '', '', NULL, 'active', NULL, NULL, 0, $6, 0, '', NULL, NULL, NULL, \
         NULL, NULL, NULL, '', NULL)",
    )
    .bind(key.id.as_str())
    .bind(key.organization.as_str())
    .bind(key.created_at.as_millis())
    .bind(&key.created_by)
    .bind(key.owner.as_ref().map(|owner| owner.0.as_str()))
    .bind(key.version as i64 - 1)
    .execute(&mut *transaction)
    .await?;
    update(&mut *transaction, key, seq).await?;
    // Every key has totals from the start, so that reports list unused keys too.
    query(
        "INSERT INTO usage_totals (organization, key_id, exchanged, verified, denied_invalid, denied_expired, \
         denied_disabled, denied_network, denied_scope, denied_audience) VALUES ($1, $2, 0, 0, 0, 0, 0, 0, 0, 0)",
    )
    .bind(key.organization.as_str())
    .bind(key.id.as_str())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Writes all mutable columns if the stored version is the previous one.
pub(super) async fn update(transaction: &mut Transaction, key: &ApiKey, seq: Seq) -> Result<bool, StoreError> {
    let (state, state_at, revoked_reason) = state_columns(&key.lifecycle);
    let fast = key.secret.fast.as_ref();
    let previous = key.previous.as_ref();
    let previous_fast = previous.and_then(|previous| previous.secret.fast.as_ref());
    let done = query(
        "UPDATE api_keys SET prefix = $3, name = $4, name_lowercase = $24, description = $5, scopes = $6, networks = $7, expires_at = $8, \
         state = $9, state_at = $10, revoked_reason = $11, generation = $12, secret_version = $25, version = $13, seq = $14, secret_phc = $15, \
         secret_pepper = $16, secret_digest = $17, previous_phc = $18, previous_pepper = $19, previous_digest = $20, \
         previous_until = $21, hint = $22, rotated_at = $23, \
         previous_used_at = CASE WHEN previous_phc IS NOT DISTINCT FROM $18 THEN previous_used_at END, \
         previous_used_ip = CASE WHEN previous_phc IS NOT DISTINCT FROM $18 THEN previous_used_ip END WHERE id = $1 AND version = $2",
    )
    .bind(key.id.as_str())
    .bind(key.version as i64 - 1)
    .bind(key.prefix.as_str())
    .bind(&key.name)
    .bind(&key.description)
    .bind(key.scopes.to_string())
    .bind(networks_column(&key.networks))
    .bind(key.expires_at.map(Timestamp::as_millis))
    .bind(state)
    .bind(state_at)
    .bind(revoked_reason)
    .bind(key.generation as i64)
    .bind(key.version as i64)
    .bind(seq as i64)
    .bind(&key.secret.phc)
    .bind(fast.map(|fast| fast.pepper.as_str()))
    .bind(fast.map(|fast| fast.digest.as_slice()))
    .bind(previous.map(|previous| previous.secret.phc.as_str()))
    .bind(previous_fast.map(|fast| fast.pepper.as_str()))
    .bind(previous_fast.map(|fast| fast.digest.as_slice()))
    .bind(previous.map(|previous| previous.until.as_millis()))
    .bind(&key.hint)
    .bind(key.rotated_at.map(Timestamp::as_millis))
    .bind(key.name.to_lowercase())
    .bind(key.secret_version as i64)
    .execute(transaction)
    .await?;
    Ok(done == 1)
}

/// Returns a LIKE pattern for a substring of a lower-case text, with wildcards escaped.
fn contains_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
