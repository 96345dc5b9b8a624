//! Rotating signing keys: the next one is published ahead of its use, the old one stays for its tokens.

use crate::domain::authority::By;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Tenant, Unavailable};
use crate::organizations::founding::{FoundError, new_signing_key};
use crate::organizations::load::{LoadError, load_tenants};
use crate::signing::{Algorithm, SigningKey};
use crate::store::{AuditEntry, action};

/// Seconds within which every node that may decide has heard of a change.
const HEARD_SECONDS: i64 = 5;

/// Why a signing key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// A key is published and not in use yet.
    #[error("the next signing key, {kid}, is published already and will be used from {from}; rotate again after that")]
    Pending {
        /// The key.
        kid: String,
        /// Its first use.
        from: String,
    },
    /// Somebody else rotated at the same time.
    #[error("the signing key was rotated by somebody else at the same time")]
    Raced,
    /// It could not be made or written.
    #[error(transparent)]
    Found(#[from] FoundError),
    /// It could not be written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Memory could not be brought up to date.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Makes an organization's next signing key and publishes it; it signs after `ahead_seconds`.
///
/// With another algorithm than the current key's it signs at once and alone is published, because a JWKS
/// holds one key type at a time; tokens signed before are still good where Keyturn itself is asked.
pub async fn rotate_signing_key(
    node: &Node,
    tenant: &Tenant,
    algorithm: Algorithm,
    ahead_seconds: u32,
    by: &By,
) -> Result<String, RotateError> {
    let now = by.now;
    // 1. One at a time; but a key that is to sign at once, as when one has leaked, waits for none.
    let newest = tenant.ring.newest();
    if let Some(pending) = newest.filter(|key| ahead_seconds > 0 && key.active_from() > now) {
        let from = crate::clock::rfc3339(pending.active_from());
        return Err(RotateError::Pending { kid: pending.kid().to_owned(), from });
    }

    // 2. The next key.
    let ahead = match newest {
        Some(key) if key.algorithm() == algorithm => ahead_seconds,
        _ => 0,
    };
    let slug = &tenant.organization.slug;
    let active_from = now.plus_seconds(i64::from(ahead));
    let mut next = new_signing_key(&node.master_keys, algorithm, slug, now, active_from).await?;
    if node.cluster.is_some() && newest.is_some() {
        // All know the key before one signs with it, however long it took to ask for it and to make it. The first
        // one all know when the change is answered, and nothing was signed before.
        next.active_from = active_from.max(crate::clock::now().plus_seconds(HEARD_SECONDS));
    }
    let kid = next.kid.clone();

    // 3. The write, unless another node was quicker.
    let new = serde_json::json!({
        "algorithm": algorithm.as_str(), "active_from": crate::clock::rfc3339(next.active_from),
    });
    let entry = AuditEntry::of(by, action::SIGNING_KEY_CREATE, &kid, None, Some(new));
    let written = node.store.insert_signing_key(&next, newest.map(SigningKey::kid), &entry).await;

    // 4. Memory, here and everywhere; also after a write whose outcome is unknown.
    load_tenants(node).await?;
    match written.map_err(Unavailable::from)? {
        Ok(seq) => {
            node.settle_tenants(seq).await;
            node.metrics.change(action::SIGNING_KEY_CREATE);
            tracing::info!(organization = %slug, kid, ahead_seconds = ahead, "signing key rotated");
            Ok(kid)
        }
        Err(_) => Err(RotateError::Raced),
    }
}

/// What is due for every organization's signing keys: the next one made when the current one is old
/// enough, and those removed that no living token can be signed with. One that fails keeps none waiting.
pub async fn tend_signing_keys(node: &Node, now: Timestamp) {
    for tenant in node.tenants() {
        if let Err(error) = tend(node, &tenant, now).await {
            tracing::error!(%error, organization = %tenant.organization.slug, "signing keys could not be looked after");
        }
    }
}

async fn tend(node: &Node, tenant: &Tenant, now: Timestamp) -> Result<(), RotateError> {
    if next_rotation(node, tenant).is_some_and(|due| due <= now) {
        let algorithm = tenant.ring.newest().map_or(node.settings.algorithm, SigningKey::algorithm);
        let ahead = node.settings.publish_ahead_seconds;
        match rotate_signing_key(node, tenant, algorithm, ahead, &By::keyturn(now)).await {
            Ok(_) | Err(RotateError::Pending { .. } | RotateError::Raced) => {}
            Err(other) => return Err(other),
        }
    }
    let over: Vec<_> = tenant.ring.all().filter(|key| tenant.ring.is_over(key.kid(), now, 3600)).collect();
    for key in &over {
        let entry = AuditEntry {
            at: now,
            actor: "keyturn".into(),
            address: None,
            action: action::SIGNING_KEY_DELETE,
            subject: key.kid().to_owned(),
            old: Some(serde_json::json!({
                "algorithm": key.algorithm().as_str(), "active_from": crate::clock::rfc3339(key.active_from()),
            })),
            new: None,
            standing: None,
        };
        node.store.delete_signing_key(key.kid(), &entry).await.map_err(Unavailable::from)?;
    }
    if !over.is_empty() {
        load_tenants(node).await?;
    }
    Ok(())
}

/// When the next signing key is made of itself; `None`: never. It signs [`NodeSettings::publish_ahead_seconds`] later.
///
/// [`NodeSettings::publish_ahead_seconds`]: crate::node::NodeSettings::publish_ahead_seconds
pub fn next_rotation(node: &Node, tenant: &Tenant) -> Option<Timestamp> {
    let days = i64::from(node.settings.rotate_every_days);
    let ahead = i64::from(node.settings.publish_ahead_seconds);
    let newest = tenant.ring.newest().filter(|_| days > 0)?;
    Some(newest.active_from().plus_seconds(days * 86_400 - ahead))
}
