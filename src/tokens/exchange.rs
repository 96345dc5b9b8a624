//! The exchange of a key for an access token.

use std::sync::Arc;

use crate::crypto::random;
use crate::domain::api_key::ApiKey;
use crate::domain::claims::{self, Audience, Claims, Lifetime};
use crate::domain::decision::{ClientAddress, DecisionInput, Proof, SecretMatch, check_actions, decide};
use crate::domain::key_text::{KeyId, Secret};
use crate::domain::outcome::Denial;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{UsageOutcome, Use, UsedDetail};
use crate::node::{Node, Tenant, Unavailable};
use crate::tokens::authenticate::{Refusal, identify, keep_use, tenant_of};
use crate::tokens::check::count_denial;

/// A token request.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// The key.
    pub key: PresentedKey,
    /// The requested scopes; `None` for all of the key's.
    pub scopes: Option<ScopeSet>,
    /// The requested audiences, without duplicates; empty for the default one.
    pub audiences: Vec<String>,
    /// The client's address.
    pub address: ClientAddress,
    /// The one reading of the clock, before anything is checked: a process that is stopped in between mints a token that has
    /// already expired.
    pub now: Timestamp,
}

/// A key's ID and secret as a client presents them.
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
    /// Its lifetime in seconds.
    pub expires_in: i64,
    /// Its scopes.
    pub scopes: ScopeSet,
}

/// Exchanges a key for a token. Writes nothing, and waits only for a record that is not in memory.
pub async fn exchange(node: &Node, request: ExchangeRequest) -> Result<Minted, Refusal> {
    let ExchangeRequest { key: presented, scopes, audiences, address, now } = request;
    let view = node.view();

    // 1. The key's current record, from memory or else from the store, and its secret, in constant time.
    let (key, matched) = identify(node, view, &presented, address, now).await?;
    let tenant = tenant_of(view, &key).await?;
    let deny = |denial| {
        count_denial(node, &denial, &key, address, now);
        Refusal::of_key(denial, &key)
    };

    // 2. The decision.
    let is_suspended = tenant.is_suspended();
    let ask = DecisionInput { proof: Proof::Secret(matched), address, scopes: scopes.as_ref(), is_suspended };
    let decided = decide(&key, &ask, now);
    if matches!(decided, Ok(_) | Err(Denial::ScopeNotHeld(..))) {
        keep_use(node, &key, address, now).await;
        if let Some(requested) = &scopes {
            check_actions(requested, &key.scopes, &tenant.organization.policy).map_err(deny)?;
        }
    }
    let grant = decided.map_err(deny)?;

    // 3. The audience: one or several of the organization's.
    let aud = audience(node, &tenant, &audiences).ok_or(Denial::AudienceNotAllowed).map_err(deny)?;

    // 4. The lifetime: never beyond the key, nor beyond the grace period of the secret.
    let Lifetime { iat, exp, expires_in } = claims::lifetime(now, tenant.ttl_seconds, grant.not_after)
        .ok_or_else(|| if grant.not_after == key.expires_at { Denial::Expired } else { Denial::WrongSecret })
        .map_err(deny)?;

    // 5. The signature.
    let jti = random::public_identifier()?;
    let claims = Claims {
        iss: tenant.issuer.as_str(),
        sub: key.id.as_str(),
        client_id: key.id.as_str(),
        aud,
        iat,
        exp,
        jti: &jti,
        scope: grant.scopes.as_str(),
        org: key.organization.as_str(),
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
    Ok(Minted { key, access_token, expires_in, scopes: grant.scopes })
}

/// The audiences of the token; `None` if a requested one is not allowed.
fn audience<'a>(node: &'a Node, tenant: &'a Tenant, asked: &[String]) -> Option<Audience<&'a str>> {
    if asked.is_empty() {
        return Some(Audience::One(&node.settings.audience));
    }
    let mut found: Vec<&str> = Vec::new();
    for audience in asked {
        let allowed = tenant.find_audience(audience, &node.settings)?;
        if !found.contains(&allowed) {
            found.push(allowed);
        }
    }
    Some(Audience::from_list(found))
}
