//! Who a credential is, and what it may do now: positive proof for a key text or an access token.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::crypto::fast_verifier;
use crate::domain::api_key::ApiKey;
use crate::domain::decision::{Ask, ClientAddress, Denial, Grant, Proof, SecretMatch, decide};
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable, VerifiedToken};
use crate::signing::TokenRejected;
use crate::store::StoreError;
use crate::tokens::exchange::PresentedKey;
use crate::tokens::secret_check::check_secret;
use crate::tokens::verified::verified;

/// What a caller has shown.
#[derive(Debug)]
pub enum Credential {
    /// A key text.
    Key(PresentedKey),
    /// An access token.
    Token(zeroize::Zeroizing<String>),
}

/// A credential that is good now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key that acts, itself or through a token.
    pub key: Arc<ApiKey>,
    /// What it may do.
    pub grant: Grant,
    /// The token, if it acts through one.
    pub token: Option<Arc<VerifiedToken>>,
}

impl Caller {
    /// Whether it has shown the previous secret itself.
    pub fn has_shown_previous_secret(&self) -> bool {
        self.grant.is_by_previous_secret && self.token.is_none()
    }
}

/// Why a credential is not good.
#[derive(Debug)]
pub enum Refusal {
    /// The rule says no, to this key.
    Denied(Denial, Option<Arc<ApiKey>>),
    /// The token proves nothing.
    Token(TokenRejected),
    /// It cannot be decided.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Tells who acts, from the key's record as it stands now. A token is good only by proof: its signature,
/// issuer and times, its id not revoked, and its key active with the very generation it was minted at, the secret that
/// minted it, and all of its scopes.
pub async fn authenticate(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    match credential {
        Credential::Key(presented) => {
            let (key, matched) = identify(node, presented, address, now).await?;
            let ask = Ask { proof: Proof::Secret(matched), address, scopes: None };
            let grant = decide(&key, &ask, now).map_err(|denial| Refusal::Denied(denial, Some(key.clone())))?;
            Ok(Caller { key, grant, token: None })
        }
        Credential::Token(token) => {
            // 1. Its own proof.
            let token = match verified(node, token, now) {
                // It may be signed with a key that this node has not heard of; under a lease it has heard of all.
                Err(TokenRejected::UnknownKey) if !node.is_current() => return Err(StoreError::Silent.into()),
                Err(TokenRejected::UnknownKey) => verified(node, token, now).map_err(Refusal::Token)?,
                known => known.map_err(Refusal::Token)?,
            };
            // 2. Not revoked by itself.
            if node.is_token_revoked(&token.claims.jti).await? {
                return Err(Refusal::Denied(Denial::Stale, None));
            }
            // 3. Its key, as it stands now.
            let key = node.record(&token.key).await?.ok_or(Refusal::Denied(Denial::NotAuthentic, None))?;
            if key.organization.as_str() != token.claims.org {
                return Err(Refusal::Token(TokenRejected::Issuer));
            }
            // 4. The decision.
            let proof = Proof::Token {
                generation: token.claims.generation,
                secret_version: token.claims.secret_version,
                scopes: &token.scopes,
                within_at: token.within_at.load(Ordering::Relaxed),
            };
            let mut grant = decide(&key, &Ask { proof, address, scopes: None }, now)
                .map_err(|denial| Refusal::Denied(denial, Some(key.clone())))?;
            token.within_at.store(key.version, Ordering::Relaxed);
            let dies = Timestamp::from_seconds(token.claims.exp);
            grant.not_after = Some(grant.not_after.map_or(dies, |end| end.min(dies)));
            Ok(Caller { key, grant, token: Some(token) })
        }
    }
}

/// Which key a presented secret belongs to, and as which of its secrets; whether it may act is not asked.
pub(super) async fn identify(
    node: &Node,
    presented: &PresentedKey,
    address: ClientAddress,
    now: Timestamp,
) -> Result<(Arc<ApiKey>, SecretMatch), Refusal> {
    let Some(key) = node.record(&presented.id).await? else {
        fast_verifier::check_nothing(&node.master_keys, &presented.id, &presented.secret);
        return Err(Refusal::Denied(Denial::NotAuthentic, None));
    };
    let matched = check_secret(node, &key, &presented.secret, address, now).await?;
    Ok((key, matched))
}
