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
use crate::store::{AuditEntry, Seq, StoreError, StoredSigningKey, action};

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
    /// The algorithm whose key is rotated; `None` for that of tokens for the default API.
    pub algorithm: Option<Algorithm>,
    /// Seconds between publication and first use.
    pub ahead_seconds: u32,
    /// Delete all keys of the algorithm that have signed as soon as the next one signs. The next key is then published without delay.
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
    /// No API has tokens of the algorithm.
    #[error("no API has tokens signed with {0}; the algorithm is a setting of each API")]
    UnusedAlgorithm(Algorithm),
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

/// Creates and publishes the next signing key of an algorithm. Returns its `kid`.
pub async fn rotate_signing_key(
    node: &Node,
    slug: &Slug,
    rotation: SigningKeyRotation,
    by: &ChangeContext,
) -> Result<String, RotateError> {
    let now = by.now;
    // 1. One rotation at a time, and a limited number of keys.
    let tenant = node.current_tenant(slug).await?.ok_or(RotateError::NotFound)?;
    let algorithm = match rotation.algorithm {
        Some(algorithm) if !tenant.needs(algorithm, now) => return Err(RotateError::UnusedAlgorithm(algorithm)),
        Some(algorithm) => algorithm,
        None => tenant.default_algorithm(now).ok_or(RotateError::NotFound)?,
    };
    let newest = tenant.ring.newest(algorithm);
    let ahead = if newest.is_some() && !rotation.retire_now { rotation.ahead_seconds } else { 0 };
    if rotation.ahead_seconds > 0
        && !rotation.retire_now
        && let Some(pending) = newest.filter(|key| is_pending(key, now))
    {
        let from = clock::rfc3339(pending.active_from());
        return Err(RotateError::Pending { kid: pending.kid().to_owned(), from });
    }
    if !rotation.retire_now {
        check_number(&tenant, now)?;
    }

    // 2. The next key. Every node knows it before any node signs with it.
    let active_from = now.plus_seconds(i64::from(ahead));
    let mut next = new_signing_key(&node.master_keys, algorithm, slug, now, active_from).await?;
    if node.cluster.is_some() && newest.is_some() {
        let spread = if rotation.retire_now { SPREAD_SECONDS_AT_ONCE } else { SPREAD_SECONDS };
        next.active_from = active_from.max(clock::now().plus_seconds(spread));
    }
    let kid = next.kid.clone();

    // 3. The write, unless another rotation came first.
    insert(node, &next, newest, by).await?;

    // 4. Delete every key that may have signed before, once the next one signs everywhere. If an earlier attempt was
    //    interrupted, the key to be deleted is no longer the current one.
    if rotation.retire_now {
        let wait = next.active_from.millis_since(clock::now());
        tokio::time::sleep(std::time::Duration::from_millis(u64::try_from(wait).unwrap_or_default())).await;
        let has_signed = |key: &&SigningKey| key.active_from() <= now;
        let current = tenant.ring.current(now, algorithm).filter(|key| key.active_from() > now);
        for key in tenant.ring.of(algorithm).filter(has_signed).chain(current) {
            delete(node, slug, key, None, by).await?;
        }
    }
    Ok(kid)
}

/// Creates and publishes the first signing key of an algorithm, unless the organization has one. Returns the time from which
/// services that cache the JWKS know a key of the algorithm.
pub(super) async fn publish_algorithm(
    node: &Node,
    slug: &Slug,
    algorithm: Algorithm,
    by: &ChangeContext,
) -> Result<Timestamp, RotateError> {
    let ahead = i64::from(node.settings.publish_ahead_seconds);
    for _ in 0..TRIES {
        let tenant = node.current_tenant(slug).await?.ok_or(RotateError::NotFound)?;
        if let Some(first) = tenant.ring.of(algorithm).next() {
            return Ok(first.created_at().plus_seconds(ahead).max(by.now));
        }
        check_number(&tenant, by.now)?;
        // Nothing is signed with it before an API has the algorithm, which is written after every node knows the key.
        let first = new_signing_key(&node.master_keys, algorithm, slug, by.now, by.now).await?;
        match insert(node, &first, None, by).await {
            Ok(()) => return Ok(by.now.plus_seconds(ahead)),
            Err(RotateError::Raced) => node.memory.tenants.forget(slug),
            Err(other) => return Err(other),
        }
    }
    Err(RotateError::Raced)
}

fn check_number(tenant: &Tenant, now: Timestamp) -> Result<(), RotateError> {
    match tenant.ring.published(now, LONGEST_TOKEN_SECONDS).count() {
        MAX_SIGNING_KEYS.. => Err(RotateError::TooMany),
        _ => Ok(()),
    }
}

/// Writes a new key, if the newest of its algorithm is `newest`.
async fn insert(
    node: &Node,
    key: &StoredSigningKey,
    newest: Option<&SigningKey>,
    by: &ChangeContext,
) -> Result<(), RotateError> {
    let new = serde_json::json!({ "algorithm": key.algorithm, "active_from": clock::rfc3339(key.active_from) });
    let entry = AuditEntry::of(by, action::SIGNING_KEY_CREATE, &key.kid, None, Some(new));
    let write = node.store.insert_signing_key(key, newest.map(SigningKey::kid), &entry);
    match node.change(&entry, Affects::Organization(&key.organization), write).await {
        Ok(_) => Ok(()),
        Err(ChangeError::Refused(_)) => Err(RotateError::Raced),
        Err(ChangeError::Unavailable(cause)) => Err(cause.into()),
    }
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
        // The only key of an algorithm that no API needs is not replaced.
        let current = tenant.ring.current(by.now, key.algorithm()).filter(|key| tenant.needs(key.algorithm(), by.now));
        let signs = current.is_some_and(|current| current.kid() == kid);
        if !signs {
            return Ok(delete(node, slug, key, None, by).await?);
        }
        let rotation = SigningKeyRotation { algorithm: Some(key.algorithm()), ahead_seconds: 0, retire_now: true };
        match rotate_signing_key(node, slug, rotation, by).await {
            Err(RotateError::Raced) => {}
            result => return Ok(result.map(drop)?),
        }
    }
    Err(RotateError::Raced.into())
}

/// Deletes a key; if `seen` is given, only if the organization has not changed since.
async fn delete(
    node: &Node,
    slug: &Slug,
    key: &SigningKey,
    seen: Option<Seq>,
    by: &ChangeContext,
) -> Result<(), RotateError> {
    let old = serde_json::json!({
        "algorithm": key.algorithm().as_str(), "active_from": clock::rfc3339(key.active_from()),
    });
    let entry = AuditEntry::of(by, action::SIGNING_KEY_DELETE, key.kid(), Some(old), None);
    node.change(&entry, Affects::Organization(slug), node.store.delete_signing_key(slug, key.kid(), seen, &entry))
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
    let algorithms = tenant.algorithms(now);
    for algorithm in &algorithms {
        if tenant.ring.newest(*algorithm).is_none() && !tenant.ring.is_empty() {
            tracing::warn!(organization = %slug, %algorithm, "an API's algorithm has no signing key; creating one");
            publish_algorithm(node, slug, *algorithm, &by).await?;
            continue;
        }
        if next_rotation(node, tenant, *algorithm).is_none_or(|due| due > now) {
            continue;
        }
        let ahead_seconds = node.settings.publish_ahead_seconds;
        let rotation = SigningKeyRotation { algorithm: Some(*algorithm), ahead_seconds, retire_now: false };
        match rotate_signing_key(node, slug, rotation, &by).await {
            Ok(_) | Err(RotateError::Pending { .. } | RotateError::Raced) => {}
            Err(other) => return Err(other),
        }
    }
    for key in tenant.ring.all() {
        let is_needed = algorithms.contains(&key.algorithm());
        let current = tenant.ring.current(now, key.algorithm()).filter(|_| is_needed);
        if current.is_some_and(|current| current.kid() == key.kid()) {
            continue;
        }
        let is_over = !is_needed || tenant.ring.is_over(key.kid(), now, LONGEST_TOKEN_SECONDS);
        if node.can_delete_signing_key(key.kid(), is_over) {
            // An API may have begun to need the algorithm.
            let seen = (!is_needed).then_some(tenant.organization.changed_seq);
            delete(node, slug, key, seen, &by).await?;
        }
    }
    Ok(())
}

/// Returns when the next signing key of an algorithm is created automatically, if ever. It signs
/// [`NodeSettings::publish_ahead_seconds`] later.
///
/// [`NodeSettings::publish_ahead_seconds`]: crate::node::NodeSettings::publish_ahead_seconds
pub fn next_rotation(node: &Node, tenant: &Tenant, algorithm: Algorithm) -> Option<Timestamp> {
    let days = i64::from(node.settings.rotate_every_days);
    let ahead = i64::from(node.settings.publish_ahead_seconds);
    let newest = tenant.ring.newest(algorithm).filter(|_| days > 0)?;
    Some(newest.active_from().plus_seconds(days * 86_400 - ahead))
}
