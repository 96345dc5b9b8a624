//! Revocation (RFC 7009): whoever holds a token, or a key text, can end it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::authority::{Authority, By};
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::{self, KeyError};
use crate::node::{Node, Unavailable, VerifiedToken};
use crate::signing::TokenRejected;
use crate::store::{AuditEntry, RevokedToken, StoreError, action};
use crate::tokens::authenticate::{Credential, Refusal, authenticate, identify};
use crate::tokens::exchange::PresentedKey;
use crate::tokens::verified::verified;

/// For how long a revoked token is remembered after its end: clocks differ, and are set.
const KEPT_SECONDS: i64 = 60;

/// A request to end a token or a key.
#[derive(Debug)]
pub struct RevokeRequest {
    /// Who asks.
    pub caller: PresentedKey,
    /// What is to end; `None`: something that is neither a token nor a key text.
    pub credential: Option<Credential>,
    /// Where the caller is.
    pub address: ClientAddress,
    /// The one reading of the clock.
    pub now: Timestamp,
}

/// Ends a token or a key of the caller's organization. What is unknown, dead already or somebody else's
/// is no error (RFC 7009 §2.2). Returns only when what was revoked is refused everywhere.
pub async fn revoke(node: &Node, request: RevokeRequest) -> Result<(), Refusal> {
    let RevokeRequest { caller, credential, address, now } = request;

    // 1. The bearer of a key may end that very key, from wherever and in whatever state it is: whoever
    //    finds a leaked key can kill it.
    if let Some(Credential::Key(presented)) = &credential
        && presented.id == caller.id
    {
        let (own, matched) = identify(node, &caller, address, now).await?;
        let (_, same) = identify(node, presented, address, now).await?;
        if matched != SecretMatch::None && same != SecretMatch::None {
            return Ok(revoke_key(node, &own, &caller.id, address.known(), now).await?);
        }
    }

    // 2. Anybody else must be a key in good standing.
    let caller = authenticate(node, &Credential::Key(caller), address, now).await?;
    let organization = &caller.key.organization;
    match credential {
        Some(Credential::Key(presented)) => match identify(node, &presented, address, now).await {
            Ok((key, SecretMatch::Current | SecretMatch::Previous)) if key.organization == *organization => {
                Ok(revoke_key(node, &key, &caller.key.id, address.known(), now).await?)
            }
            Ok(_) | Err(Refusal::Denied(..) | Refusal::Token(_)) => Ok(()),
            Err(unavailable) => Err(unavailable),
        },
        Some(Credential::Token(token)) => match verified_everywhere(node, &token, now).await? {
            Ok(token) if token.claims.org == organization.as_str() => {
                let token = RevokedToken {
                    jti: token.claims.jti.clone(),
                    key: token.key,
                    expires_at: Timestamp::from_seconds(token.claims.exp).plus_seconds(KEPT_SECONDS),
                };
                Ok(revoke_token(node, token, organization, &caller.key.id, address.known(), now).await?)
            }
            Ok(_) | Err(_) => Ok(()),
        },
        None => Ok(()),
    }
}

/// What a token says. One that is signed with a key which this node does not know is looked at again once it has heard
/// of all that is written: to call it unknown is to say that it is good nowhere.
async fn verified_everywhere(
    node: &Node,
    token: &str,
    now: Timestamp,
) -> Result<Result<Arc<VerifiedToken>, TokenRejected>, StoreError> {
    match (verified(node, token, now), &node.cluster) {
        (Err(TokenRejected::UnknownKey), Some(cluster)) => {
            cluster.catch_up().await?;
            Ok(verified(node, token, now))
        }
        (known, _) => Ok(known),
    }
}

async fn revoke_token(
    node: &Node,
    token: RevokedToken,
    organization: &Slug,
    actor: &KeyId,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Unavailable> {
    let entry = AuditEntry {
        at: now,
        actor: format!("key:{actor}"),
        address: address.map(|address| address.to_string()),
        action: action::TOKEN_REVOKE,
        subject: token.jti.clone(),
        old: None,
        new: Some(serde_json::json!({ "key": token.key })),
        standing: None,
    };
    let written = node.store.revoke_token(&token, organization, &entry).await;
    // A write whose answer was lost may have been made: refusing the token is right in any case.
    node.list.apply_token_revocation(&token.jti, token.expires_at);
    node.settle_token_revocation(written?, &token).await;
    node.metrics.change(action::TOKEN_REVOKE);
    tracing::info!(action = action::TOKEN_REVOKE, key = %token.key, actor = %actor, "token revoked");
    Ok(())
}

/// Revokes a key by its bearer, who needs no other right.
async fn revoke_key(
    node: &Node,
    key: &ApiKey,
    actor: &KeyId,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Unavailable> {
    let authority = Authority { scopes: key.scopes.clone(), networks: key.networks.clone(), not_after: key.expires_at };
    let by = By { actor: format!("key:{actor}"), member: None, standing: None, authority, address, now };
    let reason = Some("revoked by its bearer".to_owned());
    match keys::revoke(node, &key.organization, &by, &key.id, None, reason).await {
        Ok(_) | Err(KeyError::NotFound) => Ok(()),
        Err(KeyError::Unavailable(cause)) => Err(cause),
        // `keys::revoke` gives up after many races. Nothing was changed, and a retry is safe.
        Err(KeyError::Conflict(_)) => Err(Unavailable::Contended),
        Err(
            KeyError::PreconditionFailed
            | KeyError::Invalid(_)
            | KeyError::Beyond(_)
            | KeyError::LimitReached
            | KeyError::RoleRequired(_)
            | KeyError::Repeated
            | KeyError::OtherRequest
            | KeyError::AlreadyDone(_)
            | KeyError::NotBootstrapped,
        ) => Err(Unavailable::Lost),
    }
}
