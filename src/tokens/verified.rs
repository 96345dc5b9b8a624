//! Tokens whose signature was checked, remembered by their digest: seen again, a token costs a look-up.
//!
//! What is remembered is only that the token is ours and what it says. Its end and its key's state are
//! checked each time.

use std::sync::Arc;

use crate::crypto::digest::sha256;
use crate::domain::claims::Claims;
use crate::domain::key_text::KeyId;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, VerifiedToken};
use crate::signing::{self, TokenRejected};

/// Longer tokens are not cached: their signature is checked each time.
const MAX_CACHED_BYTES: usize = 16 * 1024;

/// What a token says, if it is one of ours and alive.
pub(super) fn verified(node: &Node, token: &str, now: Timestamp) -> Result<Arc<VerifiedToken>, TokenRejected> {
    let digest = sha256(token.as_bytes());
    if let Some(seen) = node.verified_tokens.get(&digest) {
        return if seen.claims.exp > now.as_seconds() { Ok(seen) } else { Err(TokenRejected::Expired) };
    }
    let verified = Arc::new(verify(node, token, now)?);
    if token.len() <= MAX_CACHED_BYTES {
        node.verified_tokens.insert(digest, verified.clone());
    }
    Ok(verified)
}

fn verify(node: &Node, token: &str, now: Timestamp) -> Result<VerifiedToken, TokenRejected> {
    let hint = signing::peek(token, &node.settings.typ)?;
    let tenant = node.tenant_of_signing_key(&hint.0).ok_or(TokenRejected::UnknownKey)?;
    let signing_key = tenant.ring.find(&hint.0).ok_or(TokenRejected::UnknownKey)?;
    let claims: Claims = signing::verify(token, signing_key, &tenant.issuer, now)?;
    if claims.org != tenant.organization.slug.as_str() || claims.client_id != claims.sub {
        return Err(TokenRejected::Issuer);
    }
    let key = KeyId::parse(&claims.sub).ok_or(TokenRejected::Signature)?;
    let scopes = ScopeSet::parse(&claims.scope).map_err(|_| TokenRejected::Signature)?;
    Ok(VerifiedToken { claims, key, scopes, length: token.len() })
}
