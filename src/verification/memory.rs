//! What a process holds in memory to decide on credentials.

use std::sync::Arc;

use crate::clock;
use crate::revocation::{Lease, RevocationList};
use crate::telemetry::Usage;
use crate::verification::{TenantCache, TokenCache};

/// The state in memory.
pub struct Memory {
    /// Records of keys, and revoked tokens.
    pub list: Arc<RevocationList>,
    /// Permission to act on the state in memory.
    pub lease: Arc<Lease>,
    /// Organizations with their policies and signing keys.
    pub tenants: TenantCache,
    /// Tokens with a verified signature.
    pub tokens: TokenCache,
    /// Uses of keys that are not written yet.
    pub usage: Usage,
}

impl Memory {
    /// Creates a state without organizations. `token_bytes` is the memory for verified tokens.
    pub fn new(list: Arc<RevocationList>, lease: Arc<Lease>, token_bytes: u64) -> Self {
        Self {
            list,
            lease,
            tenants: TenantCache::default(),
            tokens: TokenCache::new(token_bytes),
            usage: Usage::default(),
        }
    }

    /// Whether memory may be used for decisions. Check this before reading it.
    pub fn is_current(&self) -> bool {
        self.lease.is_live(clock::boot())
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("records", &self.list.len()).finish_non_exhaustive()
    }
}
