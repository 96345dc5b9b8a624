//! Bringing organizations and their signing keys into memory, and changing the master key.

use std::collections::HashMap;

use crate::crypto::master_key::MasterKeys;
use crate::crypto::sealing::{self, SealError};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::WebhookId;
use crate::node::{Node, NodeSettings, Tenant};
use crate::signing::{Algorithm, KeyRing, SigningError, SigningKey};
use crate::store::{AuditEntry, SigningKeyStore, Store, StoreError, StoredSigningKey, action};

/// Why organizations could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signing key does not open.
    #[error("signing key {0}: {1}")]
    Seal(String, #[source] SealError),
    /// A webhook's secrets do not open.
    #[error("the secrets of webhook {0}: {1}")]
    WebhookSeal(WebhookId, #[source] SealError),
    /// A signing key is unusable.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The master key is another one.
    #[error(
        "the master key does not fit this database: it belongs to master key {expected}, and the current one given is {given}; every node of a database needs the same"
    )]
    WrongMasterKey {
        /// The database's.
        expected: String,
        /// The one configured.
        given: String,
    },
    /// A row that this version does not know.
    #[error("signing key {0} has an unknown algorithm")]
    Algorithm(String),
}

/// Checks that the master keys given are those of the store; claims a new store for the current one.
pub async fn check_master_key(store: &dyn SigningKeyStore, keys: &MasterKeys) -> Result<(), LoadError> {
    if store.master_key().await?.is_none() {
        let claimed = store.set_master_key(keys.current().id()).await;
        // Another node may have been quicker.
        if store.master_key().await?.is_none() {
            claimed?;
        }
    }
    match store.master_key().await? {
        None => Ok(()),
        Some(id) => check_master_key_id(&id, keys),
    }
}

/// Checks that the master key that a store names is among those given.
pub fn check_master_key_id(id: &str, keys: &MasterKeys) -> Result<(), LoadError> {
    match keys.find(id) {
        Some(_) => Ok(()),
        None => Err(LoadError::WrongMasterKey { expected: id.to_owned(), given: keys.current().id().to_owned() }),
    }
}

/// Reads every organization into the node's memory.
pub async fn load_tenants(node: &Node) -> Result<(), LoadError> {
    let _turn = node.reloading().await;
    let mut rings: HashMap<Slug, Vec<SigningKey>> = HashMap::new();
    for stored in node.store.signing_keys().await? {
        let key = open(&node.master_keys, &stored)?;
        rings.entry(stored.organization).or_default().push(key);
    }
    let mut tenants = Vec::new();
    for organization in node.store.organizations().await? {
        let ring = KeyRing::new(rings.remove(&organization.slug).unwrap_or_default(), &node.settings.typ)?;
        tenants.push(Tenant {
            issuer: organization.slug.issuer(&node.settings.public_url),
            ttl_seconds: ttl(&node.settings, organization.policy.token_ttl_seconds),
            organization,
            ring,
        });
    }
    node.set_tenants(tenants);
    Ok(())
}

/// Seals every signing key and every webhook's secrets under the current master key. Returns how many were sealed anew.
pub async fn reseal(store: &dyn Store, keys: &MasterKeys, now: Timestamp) -> Result<usize, LoadError> {
    let mut seals = Vec::new();
    for stored in store.signing_keys().await? {
        let failed = |error| LoadError::Seal(stored.kid.clone(), error);
        let plain = sealing::open(keys, &stored.kid, &stored.sealed).map_err(failed)?;
        let sealed = sealing::seal(keys, &stored.kid, &plain).map_err(failed)?;
        seals.push((stored.kid, sealed));
    }
    let id = keys.current().id();
    let entry = AuditEntry {
        at: now,
        actor: "keyturn".into(),
        address: None,
        action: action::MASTER_KEY_ROTATE,
        subject: id.to_owned(),
        old: store.master_key().await?.map(|old| serde_json::json!({ "master_key": old })),
        new: Some(serde_json::json!({ "master_key": id })),
        standing: None,
    };
    let mut webhooks = store.webhook_seals().await?;
    for seal in &mut webhooks {
        let name = seal.webhook.seal_name();
        let failed = |error| LoadError::WebhookSeal(seal.webhook.clone(), error);
        let plain = sealing::open(keys, &name, &seal.sealed).map_err(failed)?;
        seal.sealed = sealing::seal(keys, &name, &plain).map_err(failed)?;
    }
    store.reseal(&seals, &webhooks, id, &entry).await?;
    Ok(seals.len() + webhooks.len())
}

fn open(keys: &MasterKeys, stored: &StoredSigningKey) -> Result<SigningKey, LoadError> {
    let algorithm = Algorithm::parse(&stored.algorithm).ok_or_else(|| LoadError::Algorithm(stored.kid.clone()))?;
    let pkcs8 =
        sealing::open(keys, &stored.kid, &stored.sealed).map_err(|error| LoadError::Seal(stored.kid.clone(), error))?;
    Ok(SigningKey::read(stored.kid.clone(), algorithm, &pkcs8, stored.created_at, stored.active_from)?)
}

fn ttl(settings: &NodeSettings, policy: Option<u32>) -> u32 {
    policy.unwrap_or(settings.ttl_seconds).clamp(60, 3600)
}

/// Whether the store's seals are those of the current master key.
pub async fn is_current(store: &dyn Store, keys: &MasterKeys) -> Result<bool, LoadError> {
    let id = keys.current().id();
    // Another node may have made a signing key or a webhook under an older one meanwhile.
    let is_sealed = store.signing_keys().await?.iter().all(|key| key.sealed.master_key == id)
        && store.webhook_seals().await?.iter().all(|seal| seal.sealed.master_key == id);
    Ok(is_sealed && store.master_key().await?.as_deref() == Some(id))
}
