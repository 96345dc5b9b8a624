//! Tokens whose signature was checked once, and what they weigh in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use quick_cache::Weighter;

use crate::domain::claims::Claims;
use crate::domain::key_text::KeyId;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;

/// A token whose signature, issuer and form were checked once.
#[derive(Debug)]
pub struct VerifiedToken {
    /// What it says.
    pub claims: Claims,
    /// The key it was minted from.
    pub key: KeyId,
    /// What it carries.
    pub scopes: ScopeSet,
    /// The signing key that signed it: once that has left the ring, the token is worth nothing.
    pub kid: String,
    /// The organization that issued it.
    pub organization: Slug,
    /// The version of its key at which `scopes` were last found within the key's scopes; 0 if never.
    pub within_at: AtomicU64,
    /// Bytes of the token as it was presented.
    pub length: usize,
}

/// Bytes of a verified token beyond twice its length: its parts, and its share of the table.
pub(super) const TOKEN_BYTES: u64 = 1024;

/// Weighs a verified token by the memory that it takes: its claims, and its scopes once more.
#[derive(Clone, Debug)]
pub struct TokenSize;

impl Weighter<[u8; 32], Arc<VerifiedToken>> for TokenSize {
    fn weight(&self, _: &[u8; 32], token: &Arc<VerifiedToken>) -> u64 {
        TOKEN_BYTES + 2 * token.length as u64
    }
}
