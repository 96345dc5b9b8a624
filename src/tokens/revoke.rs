//! Revocation (RFC 7009) of a token, or of a key by its secret.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::api_key::{ApiKey, Status};
use crate::domain::authority::{Authority, ChangeContext, OtherApis};
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::key_text::KeyId;
use crate::domain::outcome::Denial;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::{self, KeyError};
use crate::node::{Affects, ChangeError, Node};
use crate::store::{AuditEntry, RevokedToken, action};
use crate::verification::{Credential, PresentedKey, Refusal, Unavailable, VerifiedToken};

/// How long a revoked token is remembered after its expiry: clocks differ, and are corrected.
const KEPT_SECONDS: i64 = 60;

/// A request to revoke a token or a key.
#[derive(Debug)]
pub struct RevokeRequest {
    /// The key of the client.
    pub caller: PresentedKey,
    /// What to revoke; `None` if it is neither a token nor a secret.
    pub credential: Option<Credential>,
    /// The client's address.
    pub address: ClientAddress,
    /// The one reading of the clock.
    pub now: Timestamp,
}

/// Why nothing was revoked.
#[derive(Debug)]
pub enum RevokeError {
    /// The client's credential is not accepted.
    Refused(Refusal),
    /// The key has revoked too many tokens; the seconds until it may retry.
    Limited(u64),
}

impl<E: Into<Refusal>> From<E> for RevokeError {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Revokes a token or a key of the client's organization. A credential that is unknown, already invalid or of another
/// organization is no error (RFC 7009 §2.2). Returns once every node denies the revoked credential.
pub async fn revoke(node: &Node, request: RevokeRequest) -> Result<(), RevokeError> {
    let RevokeRequest { caller, credential, address, now } = request;
    let verifier = node.verifier();

    // 1. The secret of a key can revoke that key, from any address and in any state: a person who finds a leaked secret can
    //    revoke it.
    if let Some(Credential::Key(presented)) = &credential
        && presented.id == caller.id
    {
        let (own, matched) = verifier.identify(verifier.view(), &caller, address, now).await?;
        let (_, same) = verifier.identify(verifier.view(), presented, address, now).await?;
        if matched != SecretMatch::None && same != SecretMatch::None {
            return Ok(revoke_key(node, &own, &caller.id, address.known(), now).await?);
        }
    }

    // 2. Any other client needs a valid key.
    let caller = verifier.authenticate_and_count(&Credential::Key(caller), address, now).await?;
    let organization = &caller.key.organization;
    match credential {
        Some(Credential::Key(presented)) => match verifier.identify(verifier.view(), &presented, address, now).await {
            Ok((key, SecretMatch::Current | SecretMatch::Previous)) if key.organization == *organization => {
                Ok(revoke_key(node, &key, &caller.key.id, address.known(), now).await?)
            }
            Ok(_) | Err(Refusal::Denied(..)) => Ok(()),
            Err(unavailable) => Err(unavailable.into()),
        },
        Some(Credential::Token(token)) => match verified_everywhere(node, &token, now).await {
            Ok(token) if token.claims.org == organization.as_str() => {
                let generation = token.claims.generation;
                let token = RevokedToken {
                    jti: token.claims.jti.clone(),
                    key: token.key,
                    expires_at: Timestamp::from_seconds(token.claims.exp).plus_seconds(KEPT_SECONDS),
                };
                // A token that is dead anyway, or dead by an earlier request, is not written: it costs no entry, event or
                // row. The change that ended it must hold everywhere before this is answered, as the first time.
                if is_dead(node, &token, generation, now).await? {
                    return Ok(node.settle_key(&token.key).await?);
                }
                node.count_revocation(&caller.key.id).map_err(RevokeError::Limited)?;
                Ok(revoke_token(node, token, organization, &caller.key.id, address.known(), now).await?)
            }
            Ok(_) | Err(Refusal::Denied(..)) => Ok(()),
            Err(unavailable) => Err(unavailable.into()),
        },
        None => Ok(()),
    }
}

/// Whether a token is denied already.
async fn is_dead(node: &Node, token: &RevokedToken, generation: u64, now: Timestamp) -> Result<bool, Unavailable> {
    // The store says so, not memory: memory refuses a token also if its revocation could not be written, and then no other
    // node knows of it.
    if node.store.is_token_revoked(&token.jti).await? {
        return Ok(true);
    }
    let key = node.record(&token.key).await?;
    Ok(key.is_none_or(|key| key.generation != generation || key.status(now) == Status::Revoked))
}

/// Verifies a token. If this node does not know the signing key, it first applies every change that was written: the
/// response that the token is unknown must be true on every node.
async fn verified_everywhere(node: &Node, token: &str, now: Timestamp) -> Result<Arc<VerifiedToken>, Refusal> {
    let verifier = node.verifier();
    let known = match (verifier.verified_token(verifier.view(), token, now).await, &node.cluster) {
        (Err(Refusal::Denied(Denial::UnknownSigningKey, _)), Some(cluster)) => {
            cluster.catch_up().await?;
            verifier.verified_token(verifier.view(), token, now).await
        }
        (known, _) => known,
    };
    known.map(|(token, _)| token)
}

async fn revoke_token(
    node: &Node,
    token: RevokedToken,
    organization: &Slug,
    actor: &KeyId,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Unavailable> {
    let by = ChangeContext { actor: format!("key:{actor}"), address, ..ChangeContext::keyturn(now) };
    let new = serde_json::json!({ "key": token.key });
    let entry = AuditEntry::of(&by, action::TOKEN_REVOKE, &token.jti, None, Some(new));
    let write = node.store.revoke_token(&token, organization, &entry);
    match node.change(&entry, Affects::Token(&token), write).await {
        Ok(_) => Ok(()),
        Err(ChangeError::Unavailable(cause)) => Err(cause),
        Err(ChangeError::Refused(_)) => Err(Unavailable::Lost),
    }
}

/// Revokes a key for a caller that presented its secret and needs no other permission.
async fn revoke_key(
    node: &Node,
    key: &ApiKey,
    actor: &KeyId,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Unavailable> {
    let tenant = node.current_tenant(&key.organization).await?;
    let held = tenant.as_ref().map_or(Cow::Borrowed(key), |tenant| tenant.shared.effective(key));
    let authority = Authority {
        scopes: held.grants.of_default_api().clone(),
        other_apis: OtherApis::Granted(held.grants.clone()),
        networks: held.networks.clone(),
        not_after: key.expires_at,
    };
    let by = ChangeContext {
        actor: format!("key:{actor}"),
        member: None,
        customer: None,
        expected_version: None,
        authority,
        address,
        now,
    };
    let reason = Some("revoked by its bearer".to_owned());
    match keys::revoke(node, &key.organization, &by, &key.id, None, reason).await {
        Ok(_) | Err(KeyError::NotFound) => Ok(()),
        Err(KeyError::Unavailable(cause)) => Err(cause),
        // `keys::revoke` gives up after many races. Nothing was changed, and a retry is safe.
        Err(KeyError::Conflict(_) | KeyError::ReferencesChanged) => Err(Unavailable::Contended),
        Err(
            KeyError::PreconditionFailed
            | KeyError::Invalid(_)
            | KeyError::GrantExceeded(_)
            | KeyError::LimitReached
            | KeyError::RoleRequired(_)
            | KeyError::Repeated
            | KeyError::OtherRequest
            | KeyError::AlreadyDone(_)
            | KeyError::NotBootstrapped,
        ) => Err(Unavailable::Lost),
    }
}
