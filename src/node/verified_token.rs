//! Tokens with a verified signature, and their size in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quick_cache::Weighter;

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
    /// Parsed from the claims.
    pub scopes: ScopeSet,
    /// The signing key. If it is deleted, the token is no longer valid.
    pub kid: String,
    pub organization: Slug,
    /// Version of the key at which `scopes` were last found to be within its scopes; 0 if never.
    pub within_at: AtomicU64,
    /// Length of the encoded token in bytes.
    pub length: usize,
}

/// Size of a verified token beyond twice its length: its parts and its share of the table.
pub(super) const TOKEN_BYTES: u64 = 1024;

/// Size of a verified token: its claims, and its scopes again.
#[derive(Clone, Debug)]
pub struct TokenSize;

impl Weighter<[u8; 32], Arc<VerifiedToken>> for TokenSize {
    fn weight(&self, _: &[u8; 32], token: &Arc<VerifiedToken>) -> u64 {
        TOKEN_BYTES + 2 * token.length as u64
    }
}
