//! Encrypted signing keys, and the ID of the master key that the store uses.

use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::slug;
use crate::store::{
    AuditEntry, Refused, Seq, Store, StoreError, WebhookSeal, WriteError, audit, changes, refuse, webhooks,
};

use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{On, query};

/// A signing key as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredSigningKey {
    /// ID in tokens and in the JWKS.
    pub kid: String,
    pub organization: Slug,
    /// `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// Private key (PKCS#8), encrypted under `kid`.
    pub sealed: Sealed,
    /// Time of creation and publication.
    pub created_at: Timestamp,
    /// First time at which it signs tokens.
    pub active_from: Timestamp,
}

pub(super) async fn insert(transaction: &mut Transaction, key: &StoredSigningKey) -> Result<(), StoreError> {
    query(
        "INSERT INTO signing_keys (kid, organization, algorithm, master_key, sealed, created_at, active_from) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&key.kid)
    .bind(key.organization.as_str())
    .bind(&key.algorithm)
    .bind(&key.sealed.master_key)
    .bind(&key.sealed.bytes)
    .bind(key.created_at.as_millis())
    .bind(key.active_from.as_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Returns the signing keys of one organization or of all, oldest first.
pub(super) async fn read(
    on: impl Into<On<'_>>,
    organization: Option<&Slug>,
) -> Result<Vec<StoredSigningKey>, StoreError> {
    const ALL: &str = "SELECT kid, organization, algorithm, master_key, sealed, created_at, active_from \
         FROM signing_keys ORDER BY active_from, kid";
    const OF_ONE: &str = "SELECT kid, organization, algorithm, master_key, sealed, created_at, active_from \
         FROM signing_keys WHERE organization = $1 ORDER BY active_from, kid";
    let statement = match organization {
        Some(organization) => query(OF_ONE).bind(organization.as_str()),
        None => query(ALL),
    };
    let rows = statement.fetch_all(on).await?;
    rows.iter()
        .map(|row| {
            Ok(StoredSigningKey {
                kid: row.try_get("kid")?,
                organization: slug(row.try_get("organization")?)?,
                algorithm: row.try_get("algorithm")?,
                sealed: Sealed { master_key: row.try_get("master_key")?, bytes: row.try_get("sealed")? },
                created_at: Timestamp::from_millis(row.try_get("created_at")?),
                active_from: Timestamp::from_millis(row.try_get("active_from")?),
            })
        })
        .collect()
}

impl Store {
    /// Returns the signing keys of all organizations, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, StoreError> {
        read(&self.database, None).await
    }

    /// Returns the organization of a signing key.
    pub async fn organization_of_signing_key(&self, kid: &str) -> Result<Option<Slug>, StoreError> {
        let row = query("SELECT organization FROM signing_keys WHERE kid = $1").bind(kid);
        let row = row.fetch_optional(&self.database).await?;
        row.map(|row| slug(row.try_get("organization")?)).transpose()
    }

    /// Inserts a signing key with the audit entry. Rejected if the newest key of its algorithm is not
    /// `newest`.
    pub async fn insert_signing_key(
        &self,
        key: &StoredSigningKey,
        newest: Option<&str>,
        entry: &AuditEntry,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let row = query(
            "SELECT kid FROM signing_keys WHERE organization = $1 AND algorithm = $2 \
                 ORDER BY created_at DESC, kid DESC LIMIT 1",
        )
        .bind(key.organization.as_str())
        .bind(&key.algorithm)
        .fetch_optional(&mut transaction)
        .await?;
        let current: Option<String> = row.map(|row| row.try_get("kid")).transpose()?;
        if current.as_deref() != newest {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        insert(&mut transaction, key).await?;
        changes::tenant_changed(&mut transaction, &key.organization, seq).await?;
        audit::write(&mut transaction, &key.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Deletes a signing key with the audit entry, which invalidates its tokens. Returns `None` if the organization has
    /// no such key, or if its last change is not `seen`.
    pub async fn delete_signing_key(
        &self,
        organization: &Slug,
        kid: &str,
        seen: Option<Seq>,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let deleted = query(
            "DELETE FROM signing_keys WHERE kid = $1 AND organization = $2 AND (CAST($3 AS BIGINT) IS NULL \
             OR EXISTS (SELECT 1 FROM organizations WHERE slug = $2 AND changed_seq = $3))",
        )
        .bind(kid)
        .bind(organization.as_str())
        .bind(seen.map(|seen| i64::try_from(seen).unwrap_or(i64::MAX)))
        .execute(&mut transaction)
        .await?;
        changes::commit_of_tenant(transaction, deleted, organization, (seq, entry)).await
    }

    /// Replaces the encrypted signing keys and webhook data and the ID of the master key, in one transaction. A webhook
    /// that changed meanwhile is not replaced. Every organization gets the audit entry.
    pub async fn reseal(
        &self,
        seals: &[(String, Sealed)],
        webhook_seals: &[WebhookSeal],
        master_key: &str,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        for (kid, sealed) in seals {
            query("UPDATE signing_keys SET master_key = $2, sealed = $3 WHERE kid = $1")
                .bind(kid)
                .bind(&sealed.master_key)
                .bind(&sealed.bytes)
                .execute(&mut transaction)
                .await?;
        }
        for seal in webhook_seals {
            webhooks::reseal(&mut transaction, seal).await?;
        }
        query("UPDATE master_key SET id = $1 WHERE only_row = 1").bind(master_key).execute(&mut transaction).await?;
        // Not a change of an organization: the signing key itself stays the same. The entry is in every organization's
        // log because the master key is shared.
        for row in query("SELECT slug FROM organizations ORDER BY slug").fetch_all(&mut transaction).await? {
            audit::write(&mut transaction, &slug(row.try_get("slug")?)?, entry).await?;
        }
        transaction.commit().await
    }

    /// Returns the ID of the master key that the store uses.
    pub async fn master_key(&self) -> Result<Option<String>, StoreError> {
        let row = query("SELECT id FROM master_key").fetch_optional(&self.database).await?;
        row.map(|row| row.try_get("id")).transpose()
    }

    /// Sets the master key of a new store.
    pub async fn set_master_key(&self, id: &str) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        query("INSERT INTO master_key (only_row, id) VALUES (1, $1)").bind(id).execute(&mut transaction).await?;
        transaction.commit().await
    }
}
