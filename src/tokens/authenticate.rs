//! Who a credential is, and what it may do now: positive proof for a key text or an access token.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::crypto::fast_verifier;
use crate::domain::api_key::ApiKey;
use crate::domain::decision::{ClientAddress, DecisionInput, Denial, Grant, Proof, SecretMatch, decide};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Tenant, Unavailable, VerifiedToken, View};
use crate::signing::TokenRejected;
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

/// The key that a refused credential names.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A key.
    Key(Arc<ApiKey>),
    /// The key of a token whose signature holds.
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

/// Why a credential is not good.
#[derive(Debug)]
pub enum Refusal {
    /// The rule says no, to this key.
    Denied(Denial, Subject),
    /// The token proves nothing; the token, if its signature holds.
    Token(TokenRejected, Option<Subject>),
    /// It cannot be decided.
    Unavailable(Unavailable),
}

impl Refusal {
    /// A token that proves nothing.
    pub(super) fn token(rejected: TokenRejected) -> Self {
        Self::Token(rejected, None)
    }

    /// The key that was refused, if it is known.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Denied(_, subject) => Some(subject),
            Self::Token(_, subject) => subject.as_ref(),
            Self::Unavailable(_) => None,
        }
    }

    /// Which of the causes it was that callers cannot tell apart. For logs only.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Denied(denial, subject) => denial_reason(denial, subject),
            Self::Token(rejected, _) => Some(rejected.as_str()),
            Self::Unavailable(_) => None,
        }
    }
}

/// The same for a denial.
pub fn denial_reason(denial: &Denial, subject: &Subject) -> Option<&'static str> {
    match (denial, subject) {
        (Denial::NotAuthentic, Subject::Unknown(_)) => Some("unknown_key"),
        (Denial::NotAuthentic, Subject::Token(_)) => Some("key_deleted"),
        (Denial::NotAuthentic, Subject::Key(_)) => Some("wrong_secret"),
        (Denial::Revoked, _) => Some("key_revoked"),
        (Denial::Stale, Subject::Token(_)) => Some("token_revoked"),
        (Denial::Stale, _) => Some("token_superseded"),
        (
            Denial::Expired
            | Denial::Disabled
            | Denial::OrganizationSuspended
            | Denial::AddressUnreadable(_)
            | Denial::NetworkNotAllowed(_)
            | Denial::ScopeNotHeld(_),
            _,
        ) => None,
    }
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
            let view = node.view();
            let (key, matched) = identify(node, presented, address, now).await?;
            let is_suspended = tenant_of(view, &key).await?.is_suspended();
            let ask = DecisionInput { proof: Proof::Secret(matched), address, scopes: None, is_suspended };
            let grant = decide(&key, &ask, now).map_err(|denial| Refusal::Denied(denial, Subject::Key(key.clone())))?;
            keep_use(node, &key, address, now).await;
            Ok(Caller { key, grant, token: None })
        }
        Credential::Token(token) => {
            // 1. Its own proof.
            let view = node.view();
            let (token, tenant) = verified(node, view, token, now).await?;
            // 2. Not revoked by itself.
            if view.is_token_revoked(&token.claims.jti).await? {
                return Err(Refusal::Denied(Denial::Stale, Subject::Token(token)));
            }
            // 3. Its key, as it stands now.
            let Some(key) = view.record(&token.key).await? else {
                return Err(Refusal::Denied(Denial::NotAuthentic, Subject::Token(token)));
            };
            if key.organization.as_str() != token.claims.org {
                return Err(Refusal::token(TokenRejected::Issuer));
            }
            // 4. The decision.
            let proof = Proof::Token {
                generation: token.claims.generation,
                secret_version: token.claims.secret_version,
                scopes: &token.scopes,
                within_at: token.within_at.load(Ordering::Relaxed),
            };
            let ask = DecisionInput { proof, address, scopes: None, is_suspended: tenant.is_suspended() };
            let mut grant =
                decide(&key, &ask, now).map_err(|denial| Refusal::Denied(denial, Subject::Key(key.clone())))?;
            token.within_at.store(key.version, Ordering::Relaxed);
            let dies = Timestamp::from_seconds(token.claims.exp);
            grant.not_after = Some(grant.not_after.map_or(dies, |end| end.min(dies)));
            keep_use(node, &key, address, now).await;
            Ok(Caller { key, grant, token: Some(token) })
        }
    }
}

/// Sees to it that a use is not lost by which a key is not stale.
pub(super) async fn keep_use(node: &Node, key: &ApiKey, address: ClientAddress, now: Timestamp) {
    if node.is_rare_use(key, now) {
        Box::pin(node.write_rare_use(key, address, now)).await;
    }
}

/// The organization of a key.
pub(super) async fn tenant_of(view: View<'_>, key: &ApiKey) -> Result<Arc<Tenant>, Unavailable> {
    view.tenant(&key.organization).await?.ok_or_else(|| Unavailable::NoSigningKey(key.organization.clone()))
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
        return Err(Refusal::Denied(Denial::NotAuthentic, Subject::Unknown(presented.id)));
    };
    let matched = check_secret(node, &key, &presented.secret, address, now).await?;
    Ok((key, matched))
}
