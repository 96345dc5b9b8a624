//! Webhooks, with encrypted secrets.

use crate::domain::destination::{AllowedDestinations, Destination};
use crate::domain::event::EventFilter;
use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{SealedHeaders, SealedUrl, Webhook, WebhookId, WebhookState};
use crate::store::sql::columns::{slug, unsigned};
use crate::store::{AuditEntry, Refused, Store, StoreError, WriteError, audit, refuse};

use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};

/// The encrypted data of one version of a webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookSeal {
    pub webhook: WebhookId,
    pub version: u64,
    /// Its secrets.
    pub sealed: Sealed,
    /// Its URL.
    pub url: Sealed,
    /// Its custom headers, if any.
    pub headers: Option<Sealed>,
}

/// A URL that an earlier version stored unencrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsealedUrl {
    pub webhook: WebhookId,
    pub version: u64,
    pub destination: Destination,
}

impl Store {
    /// Returns an organization's webhooks, oldest first.
    pub async fn webhooks(&self, organization: &Slug) -> Result<Vec<Webhook>, StoreError> {
        let rows = query("SELECT * FROM webhooks WHERE organization = $1 ORDER BY created_at, id")
            .bind(organization.as_str())
            .fetch_all(&self.database)
            .await?;
        rows.iter().map(webhook_from_row).collect()
    }

    /// Returns a webhook of an organization.
    pub async fn webhook(&self, organization: &Slug, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        let row = query("SELECT * FROM webhooks WHERE id = $1 AND organization = $2")
            .bind(id.as_str())
            .bind(organization.as_str())
            .fetch_optional(&self.database)
            .await?;
        row.as_ref().map(webhook_from_row).transpose()
    }

    /// Inserts a webhook with its audit entry, unless the organization has `limit` webhooks.
    pub async fn insert_webhook(&self, webhook: &Webhook, limit: u32, entry: &AuditEntry) -> Result<(), WriteError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        let row = query("SELECT COUNT(*) AS n FROM webhooks WHERE organization = $1")
            .bind(webhook.organization.as_str())
            .fetch_one(&mut transaction)
            .await?;
        if row.try_get::<i64>("n")? >= i64::from(limit) {
            return refuse(transaction, Refused::LimitReached).await;
        }
        query(
            "INSERT INTO webhooks (id, organization, created_at, created_by, unsealed_url, description, events, state, \
             master_key, sealed, version) VALUES ($1, $2, $3, $4, '', '', '', 'enabled', '', $5, $6)",
        )
        .bind(webhook.id.as_str())
        .bind(webhook.organization.as_str())
        .bind(webhook.created_at.as_millis())
        .bind(&webhook.created_by)
        .bind(&webhook.sealed.bytes)
        .bind(webhook.version as i64 - 1)
        .execute(&mut transaction)
        .await?;
        update(&mut transaction, webhook).await?;
        audit::write(&mut transaction, &webhook.organization, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes the next version of a webhook with its audit entry, if the stored version is the previous one.
    pub async fn update_webhook(&self, webhook: &Webhook, entry: &AuditEntry) -> Result<(), WriteError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        if !update(&mut transaction, webhook).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        audit::write(&mut transaction, &webhook.organization, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes a webhook and its deliveries, if the stored version is the same, and writes the audit entry.
    pub async fn delete_webhook(&self, webhook: &Webhook, entry: &AuditEntry) -> Result<(), WriteError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        let row = query("SELECT version FROM webhooks WHERE id = $1")
            .bind(webhook.id.as_str())
            .fetch_optional(&mut transaction)
            .await?;
        let version: Option<i64> = row.map(|row| row.try_get("version")).transpose()?;
        if version != Some(webhook.version as i64) {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        for statement in ["DELETE FROM webhook_deliveries WHERE webhook = $1", "DELETE FROM webhooks WHERE id = $1"] {
            query(statement).bind(webhook.id.as_str()).execute(&mut transaction).await?;
        }
        audit::write(&mut transaction, &webhook.organization, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Returns the encrypted data of all webhooks.
    pub async fn webhook_seals(&self) -> Result<Vec<WebhookSeal>, StoreError> {
        let rows = query(
            "SELECT id, version, master_key, sealed, url_master_key, url_sealed, headers_master_key, headers_sealed \
             FROM webhooks ORDER BY id",
        );
        let rows = rows.fetch_all(&self.database).await?;
        rows.iter()
            .map(|row| {
                Ok(WebhookSeal {
                    webhook: webhook_id(row.try_get("id")?)?,
                    version: unsigned(row.try_get("version")?, "webhook")?,
                    sealed: Sealed { master_key: row.try_get("master_key")?, bytes: row.try_get("sealed")? },
                    url: Sealed { master_key: row.try_get("url_master_key")?, bytes: row.try_get("url_sealed")? },
                    headers: headers_seal(row)?,
                })
            })
            .collect()
    }

    /// Returns the URLs that an earlier version stored unencrypted.
    pub async fn unsealed_webhook_urls(&self) -> Result<Vec<UnsealedUrl>, StoreError> {
        let rows = query("SELECT id, version, unsealed_url FROM webhooks WHERE unsealed_url <> '' ORDER BY id");
        let rows = rows.fetch_all(&self.database).await?;
        rows.iter()
            .map(|row| {
                let webhook = webhook_id(row.try_get("id")?)?;
                let url: String = row.try_get("unsealed_url")?;
                Ok(UnsealedUrl {
                    version: unsigned(row.try_get("version")?, "webhook")?,
                    destination: Destination::parse(&url, AllowedDestinations::Anywhere)
                        .map_err(|_| StoreError::Unreadable { what: "webhook", detail: format!("url of {webhook}") })?,
                    webhook,
                })
            })
            .collect()
    }

    /// Encrypts a stored URL, unless the webhook changed since that version.
    pub async fn seal_webhook_url(&self, webhook: &WebhookId, version: u64, url: &SealedUrl) -> Result<(), StoreError> {
        query(
            "UPDATE webhooks SET unsealed_url = '', origin = $3, url_digest = $4, url_master_key = $5, url_sealed = $6 \
             WHERE id = $1 AND version = $2 AND unsealed_url <> ''",
        )
        .bind(webhook.as_str())
        .bind(version)
        .bind(&url.origin)
        .bind(&url.digest)
        .bind(&url.sealed.master_key)
        .bind(&url.sealed.bytes)
        .execute_alone(&self.database)
        .await?;
        Ok(())
    }
}

/// Replaces the encrypted data of a webhook, unless it changed meanwhile.
pub(super) async fn reseal(transaction: &mut Transaction, seal: &WebhookSeal) -> Result<(), StoreError> {
    query(
        "UPDATE webhooks SET master_key = $3, sealed = $4, url_master_key = $5, url_sealed = $6, headers_master_key = $7, \
         headers_sealed = $8 WHERE id = $1 AND version = $2",
    )
    .bind(seal.webhook.as_str())
    .bind(seal.version)
    .bind(&seal.sealed.master_key)
    .bind(&seal.sealed.bytes)
    .bind(&seal.url.master_key)
    .bind(&seal.url.bytes)
    .bind(seal.headers.as_ref().map_or("", |headers| headers.master_key.as_str()))
    .bind(seal.headers.as_ref().map(|headers| headers.bytes.as_slice()))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Reads the encrypted headers of a webhook, if any.
fn headers_seal(row: &Row) -> Result<Option<Sealed>, StoreError> {
    let bytes: Option<Vec<u8>> = row.try_get("headers_sealed")?;
    let master_key = row.try_get("headers_master_key")?;
    Ok(bytes.map(|bytes| Sealed { master_key, bytes }))
}

/// Writes all mutable columns if the stored version is the previous one.
async fn update(transaction: &mut Transaction, webhook: &Webhook) -> Result<bool, StoreError> {
    let (state, reason) = match &webhook.state {
        WebhookState::Enabled => ("enabled", None),
        WebhookState::Disabled { reason } => ("disabled", reason.as_deref()),
    };
    let done = query(
        "UPDATE webhooks SET origin = $3, description = $4, events = $5, state = $6, state_reason = $7, master_key = $8, \
         sealed = $9, previous_until = $10, version = $11, url_digest = $12, url_master_key = $13, url_sealed = $14, \
         unsealed_url = '', header_names = $15, headers_master_key = $16, headers_sealed = $17 \
         WHERE id = $1 AND version = $2",
    )
    .bind(webhook.id.as_str())
    .bind(webhook.version as i64 - 1)
    .bind(&webhook.url.origin)
    .bind(&webhook.description)
    .bind(webhook.events.to_string())
    .bind(state)
    .bind(reason)
    .bind(&webhook.sealed.master_key)
    .bind(&webhook.sealed.bytes)
    .bind(webhook.previous_until.map(Timestamp::as_millis))
    .bind(webhook.version as i64)
    .bind(&webhook.url.digest)
    .bind(&webhook.url.sealed.master_key)
    .bind(&webhook.url.sealed.bytes)
    .bind(webhook.header_names().join(" "))
    .bind(webhook.headers.as_ref().map_or("", |headers| headers.sealed.master_key.as_str()))
    .bind(webhook.headers.as_ref().map(|headers| headers.sealed.bytes.as_slice()))
    .execute(transaction)
    .await?;
    Ok(done == 1)
}

/// Reads a webhook from a row with all columns.
pub(super) fn webhook_from_row(row: &Row) -> Result<Webhook, StoreError> {
    let id = webhook_id(row.try_get("id")?)?;
    let unreadable = |what: &str| StoreError::Unreadable { what: "webhook", detail: format!("{what} of {id}") };
    let events: String = row.try_get("events")?;
    let names: String = row.try_get("header_names")?;
    let names = names.split_whitespace().map(str::to_owned).collect();
    let state: String = row.try_get("state")?;
    let previous_until: Option<i64> = row.try_get("previous_until")?;
    Ok(Webhook {
        organization: slug(row.try_get("organization")?)?,
        url: SealedUrl {
            origin: row.try_get("origin")?,
            digest: row.try_get("url_digest")?,
            sealed: Sealed { master_key: row.try_get("url_master_key")?, bytes: row.try_get("url_sealed")? },
        },
        headers: headers_seal(row)?.map(|sealed| SealedHeaders { names, sealed }),
        description: row.try_get("description")?,
        events: EventFilter::from_stored(&events),
        state: match state.as_str() {
            "enabled" => WebhookState::Enabled,
            "disabled" => WebhookState::Disabled { reason: row.try_get("state_reason")? },
            _ => return Err(unreadable("state")),
        },
        sealed: Sealed { master_key: row.try_get("master_key")?, bytes: row.try_get("sealed")? },
        previous_until: previous_until.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
        version: unsigned(row.try_get("version")?, "webhook")?,
        id,
    })
}

pub(super) fn webhook_id(text: String) -> Result<WebhookId, StoreError> {
    WebhookId::parse(&text).ok_or_else(|| StoreError::Unreadable { what: "webhook", detail: format!("id {text:?}") })
}
