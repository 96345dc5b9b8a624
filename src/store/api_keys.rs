//! API keys: reading and writing them under limits.

use crate::domain::api_key::{ApiKey, FastVerifier};
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::key_rows::{
    grants_column, key_from_row, metadata_column, names_column, networks_column, state_columns,
};
use crate::store::responses::{StoredResponse, store_response};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::query;
use crate::store::{
    AuditEntry, KeyChange, Refused, Seq, Store, StoreError, WriteError, audit, changes, customers, is_duplicate,
    key_grants, key_metadata, profiles, refuse,
};

/// Limits on the number of keys that are neither revoked nor expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Limit of the organization.
    pub organization: Option<u32>,
    /// Limit of the key's owner, or of its customer if it has none of its own.
    pub owner: Option<u32>,
    /// Version of the policy with these limits. The write is rejected if it has changed.
    pub policy_version: Option<u64>,
}

/// Returns the next state of a key whose owner or customer is removed, with its audit entry.
pub type EndKey<'a> = &'a (dyn Fn(ApiKey) -> Option<(ApiKey, AuditEntry)> + Send + Sync);

impl Store {
    pub async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let row =
            query("SELECT * FROM api_keys WHERE id = $1").bind(id.as_str()).fetch_optional(&self.database).await?;
        row.as_ref().map(key_from_row).transpose()
    }

    /// Inserts a key with its audit entry and stored response, unless the limits are reached, or its owner or customer
    /// is removed. A key with references is rejected if the organization's last change is not `seen`: what they give it was
    /// checked with that.
    pub async fn insert_key(
        &self,
        key: &ApiKey,
        limits: Limits,
        entry: &AuditEntry,
        response: Option<&StoredResponse>,
        seen: Option<Seq>,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !store_response(&mut transaction, response).await? {
            return refuse(transaction, Refused::Repeated).await;
        }
        if let Some(refused) = denied(&mut transaction, key, limits, entry.at).await? {
            return refuse(transaction, refused).await;
        }
        if !profiles::has_references_of(&mut transaction, key, seen).await? {
            return refuse(transaction, Refused::ReferencesChanged).await;
        }
        match insert(&mut transaction, key, seq).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        }
        // Recorded as a change because another node may have cached that this ID does not exist.
        changes::record(&mut transaction, &KeyChange::of_key(seq, key), entry.at).await?;
        audit::write(&mut transaction, &key.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes the next state of a key with its audit entry, if the stored version is the previous one. `limits` is
    /// given if the key starts to count towards them, or has a new owner or customer, which must not be removed. `seen` is as
    /// for [`Store::insert_key`].
    pub async fn update_key(
        &self,
        key: &ApiKey,
        limits: Option<Limits>,
        entry: &AuditEntry,
        response: Option<&StoredResponse>,
        seen: Option<Seq>,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !store_response(&mut transaction, response).await? {
            return refuse(transaction, Refused::Repeated).await;
        }
        if let Some(limits) = limits
            && let Some(refused) = denied(&mut transaction, key, limits, entry.at).await?
        {
            return refuse(transaction, refused).await;
        }
        if !profiles::has_references_of(&mut transaction, key, seen).await? {
            return refuse(transaction, Refused::ReferencesChanged).await;
        }
        if !update(&mut transaction, key, seq).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        changes::record(&mut transaction, &KeyChange::of_key(seq, key), entry.at).await?;
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

/// Returns why there cannot be one more key of its owner or customer. Changes are serialized, so the result holds until the
/// write.
async fn denied(
    transaction: &mut Transaction,
    key: &ApiKey,
    limits: Limits,
    now: Timestamp,
) -> Result<Option<Refused>, StoreError> {
    const COUNTING: &str = "SELECT COUNT(*) AS n FROM api_keys WHERE organization = $1 AND id <> $2 \
        AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $3)";
    const COUNTING_OF_OWNER: &str = "SELECT COUNT(*) AS n FROM api_keys WHERE organization = $1 AND id <> $2 \
        AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $3) AND owner = $4";
    const COUNTING_OF_CUSTOMER: &str = "SELECT COUNT(*) AS n FROM api_keys WHERE organization = $1 AND id <> $2 \
        AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $3) AND customer_id = $4";
    if !is_owned_by_a_member(transaction, key).await? {
        return Ok(Some(Refused::OwnerGone));
    }
    let customer = customers::current(transaction, key).await?;
    if key.customer.is_some() && customer.is_none() {
        return Ok(Some(Refused::CustomerGone));
    }
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
    if let Some(customer) = customer
        && key.counts(now)
        && let Some(limit) = customer.max_keys.or(limits.owner)
    {
        let row = count(COUNTING_OF_CUSTOMER).bind(customer.id.as_str()).fetch_one(&mut *transaction).await?;
        if row.try_get::<i64>("n")? >= i64::from(limit) {
            return Ok(Some(Refused::LimitReached));
        }
    }
    Ok(None)
}

/// Writes the next state that `end` returns for each of these keys, read in the same transaction. Returns the number of the
/// last change, and the changed keys.
pub(super) async fn end_all(
    transaction: &mut Transaction,
    keys: Vec<ApiKey>,
    end: EndKey<'_>,
) -> Result<(Option<Seq>, Vec<ApiKey>), StoreError> {
    let (mut last, mut ended) = (None, Vec::new());
    for key in keys {
        // The change row is locked, so these keys cannot change meanwhile.
        let Some((key, entry)) = end(key) else { continue };
        let seq = changes::next_seq(transaction).await?;
        update(transaction, &key, seq).await?;
        changes::record(transaction, &KeyChange::of_key(seq, &key), entry.at).await?;
        audit::write(transaction, &key.organization, &entry).await?;
        last = Some(seq);
        ended.push(key);
    }
    Ok((last, ended))
}

pub(super) async fn insert(transaction: &mut Transaction, key: &ApiKey, seq: Seq) -> Result<(), StoreError> {
    query(
        "INSERT INTO api_keys (id, organization, created_at, created_by, owner, prefix, name, name_lowercase, description, grants, \
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
        "UPDATE api_keys SET prefix = $3, name = $4, name_lowercase = $24, search_text = $28, description = $5, grants = $6, networks = $7, is_open = $29, is_full_access = $30, expires_at = $8, \
         state = $9, state_at = $10, revoked_reason = $11, generation = $12, secret_version = $25, version = $13, seq = $14, secret_phc = $15, \
         secret_pepper = $16, secret_digest = $17, previous_phc = $18, previous_pepper = $19, previous_digest = $20, \
         previous_until = $21, previous_hint = $27, hint = $22, rotated_at = $23, owner = $26, customer_id = $31, profile = $32, named_networks = $33, metadata = $34, \
         previous_used_at = CASE WHEN previous_phc IS NOT DISTINCT FROM $18 THEN previous_used_at END, \
         previous_used_ip = CASE WHEN previous_phc IS NOT DISTINCT FROM $18 THEN previous_used_ip END WHERE id = $1 AND version = $2",
    )
    .bind(key.id.as_str())
    .bind(key.version as i64 - 1)
    .bind(key.prefix.as_str())
    .bind(&key.name)
    .bind(&key.description)
    .bind(grants_column(&key.grants)?)
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
    .bind(key.owner.as_ref().map(|owner| owner.0.as_str()))
    .bind(previous.map(|previous| previous.hint.as_str()))
    .bind(format!("{}\n{}", key.name, key.description).to_lowercase())
    .bind(i64::from(key.networks.is_open()))
    .bind(i64::from(key.grants.is_full_access()))
    .bind(key.customer.as_ref().map(CustomerId::as_str))
    .bind(key.profile.as_ref().map(Slug::as_str))
    .bind(names_column(&key.named_networks))
    .bind(metadata_column(&key.metadata)?)
    .execute(&mut *transaction)
    .await?;
    if done == 1 {
        key_grants::write(transaction, key).await?;
        key_metadata::write(transaction, key).await?;
    }
    Ok(done == 1)
}
