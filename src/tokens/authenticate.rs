//! Authentication: which key acts by a secret or an access token, and what it may do now.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::crypto::fast_verifier;
use crate::domain::api_key::ApiKey;
use crate::domain::decision::{ClientAddress, DecisionInput, Grant, Proof, SecretMatch, decide};
use crate::domain::key_text::KeyId;
use crate::domain::outcome::Denial;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Tenant, Unavailable, VerifiedToken, View};
use crate::tokens::exchange::PresentedKey;
use crate::tokens::secret_check::check_secret;
use crate::tokens::verified::verified;

/// A credential as the caller presents it.
#[derive(Debug)]
pub enum Credential {
    /// A key's ID and secret.
    Key(PresentedKey),
    /// An access token.
    Token(zeroize::Zeroizing<String>),
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key that acts, by its secret or by a token.
    pub key: Arc<ApiKey>,
    /// What it may do.
    pub grant: Grant,
    /// The token, if it acts through one.
    pub token: Option<Arc<VerifiedToken>>,
}

impl Caller {
    /// Whether the caller presented the previous secret itself.
    pub fn has_shown_previous_secret(&self) -> bool {
        self.grant.is_by_previous_secret && self.token.is_none()
    }
}

/// The key that a denied credential names.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A key.
    Key(Arc<ApiKey>),
    /// The key of a token whose signature is valid.
    Token(Arc<VerifiedToken>),
    /// An ID that no key has.
    Unknown(KeyId),
}

impl Subject {
    /// The key's ID.
    pub fn id(&self) -> KeyId {
        match self {
            Self::Key(key) => key.id,
            Self::Token(token) => token.key,
            Self::Unknown(id) => *id,
        }
    }

    /// The organization of the key.
    pub fn organization(&self) -> Option<&Slug> {
        match self {
            Self::Key(key) => Some(&key.organization),
            Self::Token(token) => Some(&token.organization),
            Self::Unknown(_) => None,
        }
    }
}

/// Why a credential is not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// It is denied. The key that it names, if that is known.
    Denied(Denial, Option<Subject>),
    /// It cannot be decided.
    Unavailable(Unavailable),
}

impl Refusal {
    /// A denial of a key.
    pub(super) fn of_key(denial: Denial, key: &Arc<ApiKey>) -> Self {
        Self::Denied(denial, Some(Subject::Key(key.clone())))
    }

    /// A denial of a token whose signature is valid.
    pub(super) fn of_token(denial: Denial, token: Arc<VerifiedToken>) -> Self {
        Self::Denied(denial, Some(Subject::Token(token)))
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial, None)
    }
}

impl<E: Into<Unavailable>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Authenticates a caller with the key's current record. A token is accepted only if its signature, issuer and times are
/// valid, it is not revoked, and its key is active with the generation, the secret and the scopes that it was minted with.
pub async fn authenticate(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    match credential {
        Credential::Key(presented) => {
            let view = node.view();
            let (key, matched) = identify(node, view, presented, address, now).await?;
            let is_suspended = tenant_of(view, &key).await?.is_suspended();
            let ask = DecisionInput { proof: Proof::Secret(matched), address, scopes: None, is_suspended };
            let grant = decide(&key, &ask, now).map_err(|denial| Refusal::of_key(denial, &key))?;
            keep_use(node, &key, address, now).await;
            Ok(Caller { key, grant, token: None })
        }
        Credential::Token(token) => {
            // 1. Its signature, issuer and times.
            let view = node.view();
            let (token, tenant) = verified(node, view, token, now).await?;
            // 2. Its own revocation.
            if view.is_token_revoked(&token.claims.jti).await? {
                return Err(Refusal::of_token(Denial::TokenRevoked, token));
            }
            // 3. Its key's current record.
            let Some(key) = view.record(&token.key).await? else {
                return Err(Refusal::of_token(Denial::KeyDeleted, token));
            };
            if key.organization.as_str() != token.claims.org {
                return Err(Denial::OtherIssuer.into());
            }
            // 4. The decision.
            let proof = Proof::Token {
                generation: token.claims.generation,
                secret_version: token.claims.secret_version,
                scopes: &token.scopes,
                within_at: token.within_at.load(Ordering::Relaxed),
            };
            let ask = DecisionInput { proof, address, scopes: None, is_suspended: tenant.is_suspended() };
            let mut grant = decide(&key, &ask, now).map_err(|denial| Refusal::of_key(denial, &key))?;
            token.within_at.store(key.version, Ordering::Relaxed);
            let dies = Timestamp::from_seconds(token.claims.exp);
            grant.not_after = Some(grant.not_after.map_or(dies, |end| end.min(dies)));
            keep_use(node, &key, address, now).await;
            Ok(Caller { key, grant, token: Some(token) })
        }
    }
}

/// Writes a rare use before the response: if it were lost, the key would be taken for stale.
pub(super) async fn keep_use(node: &Node, key: &ApiKey, address: ClientAddress, now: Timestamp) {
    if node.is_rare_use(key, now) {
        Box::pin(node.write_rare_use(key, address, now)).await;
    }
}

/// The organization of a key.
pub(super) async fn tenant_of(view: View<'_>, key: &ApiKey) -> Result<Arc<Tenant>, Unavailable> {
    view.tenant(&key.organization).await?.ok_or_else(|| Unavailable::NoSigningKey(key.organization.clone()))
}

/// Returns the key that a presented secret belongs to, and which of its secrets it is. Does not decide whether the key may
/// act.
pub(super) async fn identify(
    node: &Node,
    view: View<'_>,
    presented: &PresentedKey,
    address: ClientAddress,
    now: Timestamp,
) -> Result<(Arc<ApiKey>, SecretMatch), Refusal> {
    let Some(key) = view.record(&presented.id).await? else {
        fast_verifier::check_nothing(&node.master_keys, &presented.id, &presented.secret);
        return Err(Refusal::Denied(Denial::UnknownKey, Some(Subject::Unknown(presented.id))));
    };
    let matched = check_secret(node, &key, &presented.secret, address, now).await?;
    Ok((key, matched))
}
