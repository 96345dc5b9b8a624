//! Checks the master key of the store, and re-encrypts data when it is changed.

use crate::crypto::master_key::MasterKeys;
use crate::crypto::sealing::{self, SealError};
use crate::crypto::webhook_url;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::WebhookId;
use crate::store::{AuditEntry, Store, StoreError, action};

/// Reason why a master key does not match the store, or data could not be re-encrypted.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signing key cannot be decrypted.
    #[error("signing key {0}: {1}")]
    Seal(String, #[source] SealError),
    /// A webhook's secrets or URL cannot be decrypted.
    #[error("the secrets or the URL of webhook {0}: {1}")]
    WebhookSeal(WebhookId, #[source] SealError),
    /// The master key is not the one of the store.
    #[error(
        "the master key does not match this database: the database uses master key {expected}, but the configured one is {given}; configure the same master key on every node"
    )]
    WrongMasterKey {
        /// ID of the database's master key.
        expected: String,
        /// ID of the configured master key.
        given: String,
    },
}

/// Checks that the store's master key is configured. Claims a new store for the current one.
pub async fn check_master_key(store: &Store, keys: &MasterKeys) -> Result<(), ResealError> {
    if store.master_key().await?.is_none() {
        let claimed = store.set_master_key(keys.current().id()).await;
        // Another node may have claimed it.
        if store.master_key().await?.is_none() {
            claimed?;
        }
    }
    match store.master_key().await? {
        None => Ok(()),
        Some(id) => check_master_key_id(&id, keys),
    }
}

/// Checks that the master key with this ID is configured.
pub fn check_master_key_id(id: &str, keys: &MasterKeys) -> Result<(), ResealError> {
    match keys.find(id) {
        Some(_) => Ok(()),
        None => Err(ResealError::WrongMasterKey { expected: id.to_owned(), given: keys.current().id().to_owned() }),
    }
}

/// Encrypts the webhook URLs that an earlier version stored in plain text. Returns their number.
pub async fn seal_webhook_urls(store: &Store, keys: &MasterKeys) -> Result<usize, ResealError> {
    let unsealed = store.unsealed_webhook_urls().await?;
    for url in &unsealed {
        let sealed = webhook_url::seal(keys, &url.webhook, &url.destination)
            .map_err(|error| ResealError::WebhookSeal(url.webhook.clone(), error))?;
        store.seal_webhook_url(&url.webhook, url.version, &sealed).await?;
    }
    Ok(unsealed.len())
}

/// Re-encrypts all signing keys and all webhook secrets, URLs and headers with the current master key. Returns their
/// number.
pub async fn reseal(store: &Store, keys: &MasterKeys, now: Timestamp) -> Result<usize, ResealError> {
    seal_webhook_urls(store, keys).await?;
    let mut seals = Vec::new();
    for stored in store.signing_keys().await? {
        let failed = |error| ResealError::Seal(stored.kid.clone(), error);
        let plain = sealing::open(keys, &stored.kid, &stored.sealed).map_err(failed)?;
        let sealed = sealing::seal(keys, &stored.kid, &plain).map_err(failed)?;
        seals.push((stored.kid, sealed));
    }
    let id = keys.current().id();
    let entry = AuditEntry::by_keyturn(
        now,
        action::MASTER_KEY_ROTATE,
        id,
        store.master_key().await?.map(|old| serde_json::json!({ "master_key": old })),
        Some(serde_json::json!({ "master_key": id })),
    );
    let mut webhooks = store.webhook_seals().await?;
    for seal in &mut webhooks {
        let failed = |error| ResealError::WebhookSeal(seal.webhook.clone(), error);
        let own = [(seal.webhook.seal_name(), &mut seal.sealed), (seal.webhook.url_seal_name(), &mut seal.url)];
        let headers = seal.headers.as_mut().map(|headers| (seal.webhook.headers_seal_name(), headers));
        for (name, sealed) in own.into_iter().chain(headers) {
            let plain = sealing::open(keys, &name, sealed).map_err(failed)?;
            *sealed = sealing::seal(keys, &name, &plain).map_err(failed)?;
        }
    }
    store.reseal(&seals, &webhooks, id, &entry).await?;
    Ok(seals.len() + webhooks.len())
}

/// Whether all data is encrypted with the current master key.
pub async fn is_current(store: &Store, keys: &MasterKeys) -> Result<bool, ResealError> {
    let id = keys.current().id();
    // Another node may have created a signing key or a webhook under an older master key.
    let is_current = store.signing_keys().await?.iter().all(|key| key.sealed.master_key == id)
        && store.webhook_seals().await?.iter().all(|seal| {
            [Some(&seal.sealed), Some(&seal.url), seal.headers.as_ref()]
                .into_iter()
                .flatten()
                .all(|sealed| sealed.master_key == id)
        });
    Ok(is_current && store.master_key().await?.as_deref() == Some(id))
}
