//! A key becomes a token.

use std::sync::Arc;

use crate::crypto::{fast_verifier, random};
use crate::domain::api_key::ApiKey;
use crate::domain::claims::{self, Audience, Claims, Lifetime};
use crate::domain::decision::{ClientAddress, DecisionInput, Denial, Proof, SecretMatch, decide};
use crate::domain::key_text::{KeyId, Secret};
use crate::domain::policy::Policy;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{UsageOutcome, Use, UsedDetail};
use crate::node::{Node, Tenant, Unavailable};
use crate::tokens::authenticate::{Subject, keep_use, tenant_of};
use crate::tokens::secret_check::check_secret;

/// A request for a token, complete.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// The key.
    pub key: PresentedKey,
    /// The scopes asked for; `None`: all of the key's.
    pub scopes: Option<ScopeSet>,
    /// The audiences asked for, without duplicates; none: the default one.
    pub audiences: Vec<String>,
    /// Where the caller is.
    pub address: ClientAddress,
    /// The one reading of the clock. It comes before the check, so that a process that is stopped in
    /// between mints a token that is already dead.
    pub now: Timestamp,
}

/// A key's id and secret as a caller gave them.
#[derive(Debug)]
pub struct PresentedKey {
    /// The `client_id`.
    pub id: KeyId,
    /// The secret.
    pub secret: Secret,
}

/// A minted token.
#[derive(Debug)]
pub struct Minted {
    /// The key.
    pub key: Arc<ApiKey>,
    /// The compact JWT.
    pub access_token: String,
    /// Its life, in seconds.
    pub expires_in: i64,
    /// What it carries, separated by spaces.
    pub scope: String,
}

/// Why there is no token.
#[derive(Debug)]
pub enum ExchangeError {
    /// The rule says no, to this key.
    Denied(Denial, Subject),
    /// A requested scope has an action that does not exist in this key's organization.
    UnknownAction(UnknownAction, Arc<ApiKey>),
    /// The rule says no to one of the scopes.
    ScopeNotHeld {
        /// Its place among those asked for, from 1.
        place: usize,
        /// The scope.
        scope: Option<Scope>,
        /// The key.
        key: Arc<ApiKey>,
    },
    /// An audience is not allowed to this key's organization.
    AudienceNotAllowed(Arc<ApiKey>),
    /// It cannot be decided.
    Unavailable(Unavailable),
}

/// A requested scope whose action the organization does not define. A wildcard does not reach it: the token would be
/// good for nothing, and the client would learn so only from its API.
#[derive(Debug)]
pub struct UnknownAction {
    /// The scope's place in the request, from 1.
    pub place: usize,
    /// Whether it is one of OpenID Connect's scopes.
    pub is_openid: bool,
    /// The actions that can be requested.
    pub allowed: String,
}

impl UnknownAction {
    /// Finds the first. An action that is no longer defined can be requested with a key that was granted it by name.
    fn find(requested: &ScopeSet, granted: &ScopeSet, policy: &Policy) -> Option<Self> {
        const OPENID: [&str; 6] = ["openid", "offline_access", "profile", "email", "address", "phone"];
        let is_unknown = |scope: &Scope| {
            !policy.has_action(scope.action()) && !granted.iter().any(|held| held.action() == scope.action())
        };
        let (index, scope) = requested.iter().enumerate().find(|(_, scope)| is_unknown(scope))?;
        Some(Self {
            place: index + 1,
            is_openid: OPENID.contains(&scope.action().as_str()),
            allowed: policy.describe_actions(),
        })
    }
}

impl<E: Into<Unavailable>> From<E> for ExchangeError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Exchanges a key for a token. No write, and no wait beyond a record that is not in memory.
pub async fn exchange(node: &Node, request: ExchangeRequest) -> Result<Minted, ExchangeError> {
    let ExchangeRequest { key: presented, scopes, audiences, address, now } = request;

    // 1. The key's current record: from memory, else from the store.
    let view = node.view();
    let Some(key) = view.record(&presented.id).await? else {
        fast_verifier::check_nothing(&node.master_keys, &presented.id, &presented.secret);
        return Err(ExchangeError::Denied(Denial::NotAuthentic, Subject::Unknown(presented.id)));
    };

    // 2. The secret, in constant time.
    let matched = check_secret(node, &key, &presented.secret, address, now).await?;

    // 3. The decision.
    let tenant = tenant_of(view, &key).await?;
    let is_suspended = tenant.is_suspended();
    let ask = DecisionInput { proof: Proof::Secret(matched), address, scopes: scopes.as_ref(), is_suspended };
    let decided = decide(&key, &ask, now);
    if matches!(decided, Ok(_) | Err(Denial::ScopeNotHeld(_))) {
        keep_use(node, &key, address, now).await;
        if let Some(requested) = &scopes
            && let Some(unknown) = UnknownAction::find(requested, &key.scopes, &tenant.organization.policy)
        {
            node.usage.count(&key.id, UsageOutcome::DeniedScope, address, now);
            return Err(ExchangeError::UnknownAction(unknown, key.clone()));
        }
    }
    let grant = decided.map_err(|denial| {
        node.usage.count(&key.id, (&denial).into(), address, now);
        match denial {
            Denial::ScopeNotHeld(place) => {
                let scope = scopes.as_ref().and_then(|scopes| scopes.iter().nth(place - 1)).cloned();
                ExchangeError::ScopeNotHeld { place, scope, key: key.clone() }
            }
            denial => ExchangeError::Denied(denial, Subject::Key(key.clone())),
        }
    })?;

    // 4. For whom: one of the organization's audiences.
    let aud = audience(node, &tenant, audiences).ok_or_else(|| {
        node.usage.count(&key.id, UsageOutcome::DeniedAudience, address, now);
        ExchangeError::AudienceNotAllowed(key.clone())
    })?;

    // 5. How long: never beyond the key.
    let Lifetime { iat, exp, expires_in } =
        claims::lifetime(now, tenant.ttl_seconds, grant.not_after).ok_or_else(|| {
            // Less than a second is left of the key, or of the grace of a secret that was rotated out.
            let key_ends = grant.not_after == key.expires_at;
            let denial = if key_ends { Denial::Expired } else { Denial::NotAuthentic };
            ExchangeError::Denied(denial, Subject::Key(key.clone()))
        })?;

    // 6. The signature.
    let claims = Claims {
        iss: tenant.issuer.clone(),
        sub: key.id.to_string(),
        client_id: key.id.to_string(),
        aud,
        iat,
        exp,
        jti: random::identifier()?,
        scope: grant.scopes.to_string(),
        org: key.organization.to_string(),
        generation: grant.generation,
        secret_version: grant.secret_version,
        cidrs: key.networks.is_restricted().then(|| key.networks.to_strings()),
    };
    let (signing_key, header) =
        tenant.ring.current(now).ok_or_else(|| Unavailable::NoSigningKey(key.organization.clone()))?;
    let access_token = signing_key.sign(header, &claims)?;
    node.usage.count_use(
        &key.id,
        &Use {
            outcome: UsageOutcome::Exchanged,
            address,
            requested: scopes.as_ref().map(UsedDetail::Scopes),
            is_by_previous_secret: matched == SecretMatch::Previous,
            at: now,
        },
    );
    Ok(Minted { key, access_token, expires_in, scope: claims.scope })
}

/// The audiences of the token; `None` if one of those asked for is not allowed.
fn audience(node: &Node, tenant: &Tenant, asked: Vec<String>) -> Option<Audience> {
    if asked.is_empty() {
        return Some(Audience::One(node.settings.audience.clone()));
    }
    let mut found: Vec<String> = Vec::new();
    for audience in asked {
        let allowed = tenant.find_audience(&audience, &node.settings)?;
        if found.iter().all(|known| known != allowed) {
            found.push(allowed.to_owned());
        }
    }
    Some(Audience::from_list(found))
}
