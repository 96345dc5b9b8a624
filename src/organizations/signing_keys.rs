//! Rotates, retires and deletes signing keys.
//!
//! The next key is published before it signs, and a rotated key stays published until its last token has expired. A
//! leaked key is retired immediately, which invalidates all its tokens on every node.

use crate::clock;
use crate::domain::authority::ChangeContext;
use crate::domain::choices::Algorithm;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Affects, ChangeError, Node, Tenant, Unavailable};
use crate::organizations::bootstrap::{BootstrapError, new_signing_key};
use crate::signing::SigningKey;
use crate::store::{AuditEntry, StoreError, action};

/// Seconds after which every node that may decide has read a change, by any node's clock.
const SPREAD_SECONDS: i64 = 5;

/// The same for a key that replaces a leaked one: other nodes read it within a second, and their clocks differ by up to
/// [`crate::revocation::CLOCK_TOLERANCE`].
const SPREAD_SECONDS_AT_ONCE: i64 = 2;

/// Maximum time that a key is published before it signs, in seconds.
const MAX_AHEAD_SECONDS: i64 = 86_400;

/// Maximum lifetime of a token in seconds.
const LONGEST_TOKEN_SECONDS: u32 = 3600;

/// Maximum number of signing keys whose tokens may be valid, or that will sign.
pub const MAX_SIGNING_KEYS: usize = 8;

/// Maximum number of attempts of a retirement, if other changes of signing keys come first.
const TRIES: usize = 16;

/// Options of a rotation.
#[derive(Clone, Copy, Debug)]
pub struct SigningKeyRotation {
    pub algorithm: Algorithm,
    /// Seconds between publication and first use.
    pub ahead_seconds: u32,
    /// Delete all keys that have signed as soon as the next one signs. The next key is then published without delay.
    pub retire_now: bool,
}

/// Reason why a signing key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    #[error("organization not found")]
    NotFound,
    /// A key is published but not active yet.
    #[error("the next signing key, {kid}, is already published and will sign from {from}; rotate again after that")]
    Pending {
        kid: String,
        /// Start of its use, in RFC 3339.
        from: String,
    },
    /// Too many keys whose tokens may be valid.
    #[error(
        "an organization has at most {MAX_SIGNING_KEYS} signing keys that have not expired; delete one, or rotate again \
         when the oldest has expired"
    )]
    TooMany,
    /// The signing key was rotated at the same time.
    #[error("the signing key was rotated at the same time by another request")]
    Raced,
    #[error(transparent)]
    Create(#[from] BootstrapError),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Reason why a signing key was not retired.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    #[error("signing key not found")]
    NotFound,
    /// The next signing key could not be created.
    #[error(transparent)]
    Rotate(#[from] RotateError),
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<crate::node::LoadError> for RotateError {
    fn from(error: crate::node::LoadError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Creates and publishes an organization's next signing key. Returns its `kid`.
///
/// A key with another algorithm than the current one signs immediately and is the only one published, because a JWKS
/// contains one key type at a time. Keyturn itself still accepts earlier tokens.
pub async fn rotate_signing_key(
    node: &Node,
    slug: &Slug,
    rotation: SigningKeyRotation,
    by: &ChangeContext,
) -> Result<String, RotateError> {
    let now = by.now;
    // 1. One rotation at a time, and a limited number of keys.
    let tenant = node.current_tenant(slug).await?.ok_or(RotateError::NotFound)?;
    let newest = tenant.ring.newest();
    let ahead = match newest {
        Some(key) if key.algorithm() == rotation.algorithm && !rotation.retire_now => rotation.ahead_seconds,
        _ => 0,
    };
    if rotation.ahead_seconds > 0
        && !rotation.retire_now
        && let Some(pending) = newest.filter(|key| is_pending(key, now))
    {
        let from = clock::rfc3339(pending.active_from());
        return Err(RotateError::Pending { kid: pending.kid().to_owned(), from });
    }
    if !rotation.retire_now && tenant.ring.published(now, LONGEST_TOKEN_SECONDS).count() >= MAX_SIGNING_KEYS {
        return Err(RotateError::TooMany);
    }

    // 2. The next key. Every node knows it before any node signs with it.
    let active_from = now.plus_seconds(i64::from(ahead));
    let mut next = new_signing_key(&node.master_keys, rotation.algorithm, slug, now, active_from).await?;
    if node.cluster.is_some() && newest.is_some() {
        let spread = if rotation.retire_now { SPREAD_SECONDS_AT_ONCE } else { SPREAD_SECONDS };
        next.active_from = active_from.max(clock::now().plus_seconds(spread));
    }
    let kid = next.kid.clone();

    // 3. The write, unless another rotation came first.
    let new = serde_json::json!({
        "algorithm": rotation.algorithm.as_str(), "active_from": clock::rfc3339(next.active_from),
    });
    let entry = AuditEntry::of(by, action::SIGNING_KEY_CREATE, &kid, None, Some(new));
    let write = node.store.insert_signing_key(&next, newest.map(SigningKey::kid), &entry);
    match node.change(&entry, Affects::Organization(slug), write).await {
        Ok(_) => {}
        Err(ChangeError::Refused(_)) => return Err(RotateError::Raced),
        Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
    }

    // 4. Delete every key that may have signed before, once the next one signs everywhere. If an earlier attempt was
    //    interrupted, the key to be deleted is no longer the current one.
    if rotation.retire_now {
        let wait = next.active_from.millis_since(clock::now());
        tokio::time::sleep(std::time::Duration::from_millis(u64::try_from(wait).unwrap_or_default())).await;
        let has_signed = |key: &&SigningKey| key.active_from() <= now;
        let current = tenant.ring.current(now).map(|(key, _)| key).filter(|key| key.active_from() > now);
        for key in tenant.ring.all().filter(has_signed).chain(current) {
            delete(node, slug, key, by).await?;
        }
    }
    Ok(kid)
}

/// Deletes a signing key. All its tokens are invalid on every node when this returns. A key that is signing is replaced
/// first.
pub async fn retire_signing_key(node: &Node, slug: &Slug, kid: &str, by: &ChangeContext) -> Result<(), RetireError> {
    for _ in 0..TRIES {
        let tenant = node.current_tenant(slug).await.map_err(RotateError::from)?.ok_or(RetireError::NotFound)?;
        let Some(key) = tenant.ring.find(kid) else {
            // A concurrent deletion must be effective before it is confirmed.
            node.settle_organization(slug).await.map_err(RotateError::from)?;
            return Err(RetireError::NotFound);
        };
        let signs = tenant.ring.current(by.now).is_some_and(|(current, _)| current.kid() == kid);
        if !signs {
            return Ok(delete(node, slug, key, by).await?);
        }
        let rotation = SigningKeyRotation { algorithm: key.algorithm(), ahead_seconds: 0, retire_now: true };
        match rotate_signing_key(node, slug, rotation, by).await {
            Err(RotateError::Raced) => {}
            result => return Ok(result.map(drop)?),
        }
    }
    Err(RotateError::Raced.into())
}

async fn delete(node: &Node, slug: &Slug, key: &SigningKey, by: &ChangeContext) -> Result<(), RotateError> {
    let old = serde_json::json!({
        "algorithm": key.algorithm().as_str(), "active_from": clock::rfc3339(key.active_from()),
    });
    let entry = AuditEntry::of(by, action::SIGNING_KEY_DELETE, key.kid(), Some(old), None);
    node.change(&entry, Affects::Organization(slug), node.store.delete_signing_key(slug, key.kid(), &entry))
        .await
        .map_err(Unavailable::from)?;
    Ok(())
}

/// Whether a key will sign soon. A start too far in the future was set by a clock that was ahead.
fn is_pending(key: &SigningKey, now: Timestamp) -> bool {
    let ahead = key.active_from().millis_since(now);
    (1..=(MAX_AHEAD_SECONDS + 60) * 1000).contains(&ahead)
}

/// Maintains the signing keys of all organizations: creates the next one when it is due, and deletes those whose tokens
/// have all expired. A failure in one organization does not affect the others.
pub async fn maintain_signing_keys(node: &Node, now: Timestamp) {
    for tenant in node.tenants() {
        if let Err(error) = maintain(node, &tenant, now).await {
            tracing::error!(%error, organization = %tenant.organization.slug, "failed to maintain signing keys");
        }
    }
}

async fn maintain(node: &Node, tenant: &Tenant, now: Timestamp) -> Result<(), RotateError> {
    let slug = &tenant.organization.slug;
    let by = ChangeContext::keyturn(now);
    if next_rotation(node, tenant).is_some_and(|due| due <= now) {
        let algorithm = tenant.ring.newest().map_or(node.settings.algorithm, SigningKey::algorithm);
        let ahead_seconds = node.settings.publish_ahead_seconds;
        let rotation = SigningKeyRotation { algorithm, ahead_seconds, retire_now: false };
        match rotate_signing_key(node, slug, rotation, &by).await {
            Ok(_) | Err(RotateError::Pending { .. } | RotateError::Raced) => {}
            Err(other) => return Err(other),
        }
    }
    let current = tenant.ring.current(now).map(|(key, _)| key.kid());
    for key in tenant.ring.all().filter(|key| Some(key.kid()) != current) {
        let is_over = tenant.ring.is_over(key.kid(), now, LONGEST_TOKEN_SECONDS);
        if node.can_delete_signing_key(key.kid(), is_over) {
            delete(node, slug, key, &by).await?;
        }
    }
    Ok(())
}

/// Returns when the next signing key is created automatically, if ever. It signs
/// [`NodeSettings::publish_ahead_seconds`] later.
///
/// [`NodeSettings::publish_ahead_seconds`]: crate::node::NodeSettings::publish_ahead_seconds
pub fn next_rotation(node: &Node, tenant: &Tenant) -> Option<Timestamp> {
    let days = i64::from(node.settings.rotate_every_days);
    let ahead = i64::from(node.settings.publish_ahead_seconds);
    let newest = tenant.ring.newest().filter(|_| days > 0)?;
    Some(newest.active_from().plus_seconds(days * 86_400 - ahead))
}
