//! Tokens with a verified signature, by the digest of their text, bounded by their size in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::domain::apis::ApiId;
use crate::domain::claims::Claims;
use crate::domain::key_text::KeyId;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;

/// A token whose signature, issuer and format were verified.
#[derive(Debug)]
pub struct VerifiedToken {
    pub claims: Claims,
    /// The key that it was issued for.
    pub key: KeyId,
    /// The APIs of its audiences.
    pub apis: Box<[ApiId]>,
    /// Parsed from the claims, in the style of its APIs.
    pub scopes: ScopeSet,
    /// The signing key. If it is deleted, the token is no longer valid.
    pub kid: String,
    pub organization: Slug,
    /// [`Stamp`] of the state in which `scopes` were last found to be within the key's; 0 if never.
    pub within_at: AtomicU64,
    /// Length of the encoded token in bytes.
    pub length: usize,
}

/// Size of a verified token beyond twice its length: its parts and its share of the table.
const TOKEN_BYTES: u64 = 1024;

/// Size of a verified token: its claims, and its scopes again.
#[derive(Clone, Debug)]
struct TokenSize;

impl Weighter<[u8; 32], Arc<VerifiedToken>> for TokenSize {
    fn weight(&self, _: &[u8; 32], token: &Arc<VerifiedToken>) -> u64 {
        TOKEN_BYTES + 2 * token.length as u64
    }
}

/// Verified tokens in memory.
#[derive(Debug)]
pub struct TokenCache(Cache<[u8; 32], Arc<VerifiedToken>, TokenSize>);

impl TokenCache {
    /// Creates a cache with a maximum size in bytes.
    pub fn new(bytes: u64) -> Self {
        let tokens = usize::try_from(bytes / TOKEN_BYTES).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(tokens, bytes, TokenSize))
    }

    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Arc<VerifiedToken>> {
        self.0.get(digest)
    }

    pub(super) fn insert(&self, digest: [u8; 32], token: Arc<VerifiedToken>) {
        self.0.insert(digest, token);
    }

    pub(super) fn remove(&self, digest: &[u8; 32]) {
        self.0.remove(digest);
    }
}

/// The state of a key and of its organization's APIs: the low halves of the key's version and of the organization's last
/// change. Both only increase, one by one, so no stamp recurs while a token is valid; a new epoch invalidates every token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(u64);

impl Stamp {
    pub(super) fn new(key_version: u64, organization_seq: u64) -> Self {
        Self((key_version << 32) | (organization_seq & 0xffff_ffff))
    }

    pub(super) fn is_of(self, token: &VerifiedToken) -> bool {
        token.within_at.load(Ordering::Relaxed) == self.0
    }

    pub(super) fn note(self, token: &VerifiedToken) {
        token.within_at.store(self.0, Ordering::Relaxed);
    }
}
