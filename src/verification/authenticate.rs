//! Authentication: which key acts by a secret or an access token, and what it may do now.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::apis::{ApiId, ServedApi, find_audience, held_for_token};
use crate::domain::authority::ActorVersion;
use crate::domain::customer::Customer;
use crate::domain::decision::{ClientAddress, DecisionInput, Grant, Proof, SecretMatch, decide};
use crate::domain::grants::{self, Grants};
use crate::domain::key_text::{KeyId, Secret};
use crate::domain::outcome::Denial;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::verification::{Secrets, Stamp, Tenant, Unavailable, VerifiedToken, Verifier, View};

/// A key's ID and secret as a client presents them.
#[derive(Debug)]
pub struct PresentedKey {
    /// The `client_id`.
    pub id: KeyId,
    /// The secret.
    pub secret: Secret,
}

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
    /// The key's customer.
    pub customer: Option<Arc<Customer>>,
    /// Its organization.
    pub tenant: Arc<Tenant>,
    /// What it may do. The scopes are those of the token, or the key's for the API that a token request without an audience
    /// would be for.
    pub grant: Grant,
    /// The token, if it acts through one.
    pub token: Option<Arc<VerifiedToken>>,
    /// The API of a presented secret's scopes, or the required one among those of a token.
    pub api: Option<ApiId>,
}

impl Caller {
    /// The APIs that the caller uses: the required one, otherwise those of the token, or that of the secret's scopes.
    pub fn apis(&self) -> &[ApiId] {
        match (&self.api, &self.token) {
            (None, Some(token)) => &token.apis,
            (api, _) => api.as_slice(),
        }
    }

    /// Whether the caller presented the previous secret itself.
    pub fn has_shown_previous_secret(&self) -> bool {
        self.grant.is_by_previous_secret && self.token.is_none()
    }

    /// Returns a version that changes when a caller that authenticated with this key loses rights.
    pub fn actor_version(&self) -> ActorVersion {
        ActorVersion {
            own: self.key.rights_version(),
            customer: self.grant.customer_generation,
            shared: self.tenant.shared.version_of(&self.key),
        }
    }

    /// Returns the caller's scopes for each API: those of a token for the APIs in its audience, otherwise the key's.
    pub fn grants(&self) -> Grants {
        let apis = &self.tenant.apis;
        let granted = self.tenant.shared.grants_of(&self.key);
        let effective = |served: &ServedApi| {
            let api = &served.api;
            let held = api.effective(granted.get(api.id)?);
            Some(grants::Grant { api: api.id, scopes: held })
        };
        let Some(token) = &self.token else { return Grants::new(apis.iter().filter_map(effective)) };
        let of_audience = token.claims.aud.iter().filter_map(|audience| find_audience(apis, audience));
        Grants::new(of_audience.map(|(served, _)| grants::Grant { api: served.api.id, scopes: token.scopes.clone() }))
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
    pub fn of_key(denial: Denial, key: &Arc<ApiKey>) -> Self {
        Self::Denied(denial, Some(Subject::Key(key.clone())))
    }

    /// A denial of a token whose signature is valid.
    pub fn of_token(denial: Denial, token: Arc<VerifiedToken>) -> Self {
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

impl<'a, S: Secrets> Verifier<'a, S> {
    /// Authenticates a caller with the key's current record. A token is accepted only if its signature, issuer and times are
    /// valid, it is not revoked, and its key is active with the generation, the secret and the scopes that it was minted with.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let view = self.view();
        match credential {
            Credential::Key(presented) => {
                let (key, matched) = self.identify(view, presented, address, now).await?;
                let tenant = self.tenant_of(view, &key).await?;
                let customer = view.customer_of(&key).await?;
                let implied = tenant.select(&key, &[], None).ok();
                let api = implied.as_ref().and_then(|target| target.apis.first()).map(|served| served.api.id);
                let held = implied.map(|target| target.scopes).unwrap_or_default();
                let ask = DecisionInput {
                    proof: Proof::Secret(matched),
                    address,
                    scopes: None,
                    held: Ok(&held),
                    customer: customer.as_deref(),
                    shared: &tenant.shared,
                    is_suspended: tenant.is_suspended(),
                };
                let grant = decide(&key, &ask, now).map_err(|denial| Refusal::of_key(denial, &key))?;
                self.source.keep_use(&key, address, now).await;
                Ok(Caller { key, customer, tenant, grant, token: None, api })
            }
            Credential::Token(token) => {
                // 1. Its signature, issuer and times.
                let (token, tenant) = self.verified_token(view, token, now).await?;
                // 2. Its own revocation.
                if view.is_token_revoked(&token.claims.jti).await? {
                    return Err(Refusal::of_token(Denial::TokenRevoked, token));
                }
                // 3. The current records of its key and of the key's customer.
                let Some(key) = view.record(&token.key).await? else {
                    return Err(Refusal::of_token(Denial::KeyDeleted, token));
                };
                if key.organization.as_str() != token.claims.org {
                    return Err(Denial::OtherIssuer.into());
                }
                let customer = view.customer_of(&key).await?;
                // 4. The decision. The APIs and the key's scopes for them are looked up again only if something changed.
                let stamp = Stamp::new(key.version, tenant.organization.changed_seq);
                let is_known_within = stamp.is_of(&token);
                let held = match is_known_within {
                    true => Some(token.scopes.clone()),
                    false => held_for_token(&tenant.apis, &tenant.shared.grants_of(&key), &token.claims.aud),
                };
                let proof = Proof::Token {
                    generation: token.claims.generation,
                    secret_version: token.claims.secret_version,
                    customer_generation: token.claims.customer_generation,
                    issued_at: Timestamp::from_seconds(token.claims.iat),
                    scopes: &token.scopes,
                    is_known_within,
                };
                let held = held.as_ref().ok_or(Denial::ApiNotGranted);
                let ask = DecisionInput {
                    proof,
                    address,
                    scopes: None,
                    held,
                    customer: customer.as_deref(),
                    shared: &tenant.shared,
                    is_suspended: tenant.is_suspended(),
                };
                let mut grant = decide(&key, &ask, now).map_err(|denial| Refusal::of_key(denial, &key))?;
                stamp.note(&token);
                let dies = Timestamp::from_seconds(token.claims.exp);
                grant.not_after = Some(grant.not_after.map_or(dies, |end| end.min(dies)));
                self.source.keep_use(&key, address, now).await;
                Ok(Caller { key, customer, tenant, grant, token: Some(token), api: None })
            }
        }
    }

    /// Returns the organization of a key.
    pub async fn tenant_of(&self, view: View<'a, S>, key: &ApiKey) -> Result<Arc<Tenant>, Unavailable> {
        view.tenant(&key.organization).await?.ok_or_else(|| Unavailable::NoSigningKey(key.organization.clone()))
    }

    /// Returns the key that a presented secret belongs to, and which of its secrets it is. Does not decide whether the key
    /// may act.
    pub async fn identify(
        &self,
        view: View<'a, S>,
        presented: &PresentedKey,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<(Arc<ApiKey>, SecretMatch), Refusal> {
        let Some(key) = view.record(&presented.id).await? else {
            self.source.check_unknown(&presented.id, &presented.secret);
            return Err(Refusal::Denied(Denial::UnknownKey, Some(Subject::Unknown(presented.id))));
        };
        let matched = self.source.check_secret(&key, &presented.secret, address, now).await?;
        Ok((key, matched))
    }
}
