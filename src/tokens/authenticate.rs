//! Who a credential is, and what it may do now: positive proof for a key text or an access token.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::claims::Claims;
use crate::domain::decision::{Ask, ClientAddress, Denial, Grant, Proof, decide};
use crate::domain::key_text::KeyId;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable};
use crate::signing::{self, TokenRejected};
use crate::tokens::exchange::PresentedKey;
use crate::tokens::secret_check::check_secret;

/// What a caller has shown.
#[derive(Debug)]
pub enum Credential {
    /// A key text.
    Key(PresentedKey),
    /// An access token.
    Token(String),
}

/// A credential that is good now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key that acts, itself or through a token.
    pub key: Arc<ApiKey>,
    /// What it may do.
    pub grant: Grant,
    /// The token's claims, if it acts through one.
    pub claims: Option<Claims>,
}

/// Why a credential is not good.
#[derive(Debug)]
pub enum Refusal {
    /// The rule says no.
    Denied(Denial),
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
/// issuer and times, its id not revoked, and its key active with the very generation it was minted at.
pub async fn authenticate(
    node: &Node,
    credential: Credential,
    address: ClientAddress,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    match credential {
        Credential::Key(presented) => {
            let Some(key) = node.record(&presented.id).await? else {
                return Err(Refusal::Denied(Denial::NotAuthentic));
            };
            let matched = check_secret(node, &key, &presented.secret, now).await?;
            let ask = Ask { proof: Proof::Secret(matched), address, scopes: None };
            let grant = decide(&key, &ask, now).map_err(Refusal::Denied)?;
            Ok(Caller { key, grant, claims: None })
        }
        Credential::Token(token) => {
            // 1. Its own proof.
            let claims = verify_token(node, &token, now).map_err(Refusal::Token)?;
            // 2. Not revoked by itself.
            if node.list.is_token_revoked(&claims.jti) {
                return Err(Refusal::Denied(Denial::Stale));
            }
            // 3. Its key, as it stands now.
            let id = KeyId::parse(&claims.sub).ok_or(Refusal::Token(TokenRejected::Signature))?;
            let Some(key) = node.record(&id).await? else { return Err(Refusal::Denied(Denial::NotAuthentic)) };
            if key.organization.as_str() != claims.org {
                return Err(Refusal::Token(TokenRejected::Issuer));
            }
            // 4. The decision.
            let scopes = ScopeSet::parse(&claims.scope).map_err(|_| Refusal::Token(TokenRejected::Signature))?;
            let proof = Proof::Token { generation: claims.generation, scopes: &scopes };
            let mut grant = decide(&key, &Ask { proof, address, scopes: None }, now).map_err(Refusal::Denied)?;
            let dies = Timestamp::from_seconds(claims.exp);
            grant.not_after = Some(grant.not_after.map_or(dies, |end| end.min(dies)));
            Ok(Caller { key, grant, claims: Some(claims) })
        }
    }
}

fn verify_token(node: &Node, token: &str, now: Timestamp) -> Result<Claims, TokenRejected> {
    let hint = signing::peek(token, &node.settings.typ)?;
    let tenant = node.tenant_of_signing_key(&hint.0).ok_or(TokenRejected::UnknownKey)?;
    let key = tenant.ring.find(&hint.0).ok_or(TokenRejected::UnknownKey)?;
    let claims = signing::verify(token, key, &tenant.issuer, now)?;
    if claims.org != tenant.organization.slug.as_str() || claims.client_id != claims.sub {
        return Err(TokenRejected::Issuer);
    }
    Ok(claims)
}
