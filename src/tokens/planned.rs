//! What a token request is granted, and the token for it. The exchange and its preview both decide by this.

use std::collections::BTreeMap;

use crate::domain::api_key::ApiKey;
use crate::domain::apis::Target;
use crate::domain::attribute::{self, AttributeValue};
use crate::domain::choices::Algorithm;
use crate::domain::claims::{self, Claims, Lifetime};
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::decision::{ClientAddress, DecisionInput, Grant, Proof, SecretMatch, check_actions, decide};
use crate::domain::outcome::Denial;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::signing::SigningKey;
use crate::verification::{Tenant, Unavailable};

/// A token request of a known key.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownRequest<'r> {
    /// Which of the key's secrets was presented.
    pub(super) matched: SecretMatch,
    /// The key's customer.
    pub(super) customer: Option<&'r Customer>,
    pub(super) address: ClientAddress,
    /// Separated by spaces; `None` for all of the key's.
    pub(super) scope: Option<&'r str>,
    /// Without duplicates; empty for the API that the key implies.
    pub(super) audiences: &'r [String],
    pub(super) now: Timestamp,
}

/// The decision on a token request.
#[derive(Debug)]
pub(super) struct Decided<'t> {
    target: Result<Target<'t>, Denial>,
    /// Longest lifetime that the key's profile allows.
    ttl_limit: Option<u32>,
    /// The requested scopes, in the style of the APIs; `None` for all of the key's.
    pub(super) requested: Option<ScopeSet>,
    grant: Result<Grant, Denial>,
    /// Whether the secret is one of the key's, even if the request is denied.
    pub(super) is_authentic: bool,
}

/// A token that can be minted.
#[derive(Debug)]
pub(super) struct PlannedToken<'t> {
    pub(super) target: Target<'t>,
    pub(super) grant: Grant,
    pub(super) lifetime: Lifetime,
    algorithm: Algorithm,
}

impl<'t> Decided<'t> {
    /// Decides on a request.
    pub(super) fn new(key: &ApiKey, tenant: &'t Tenant, request: KnownRequest<'_>) -> Self {
        let KnownRequest { matched, customer, address, scope, audiences, now } = request;
        // 1. The APIs: one, or several that the client named, and the requested scopes in their style.
        let target = tenant.select(key, audiences, scope).map_err(Denial::from);
        let requested = match (&target, scope) {
            (Ok(target), Some(text)) => {
                target.parse_scopes(text).map(Some).map_err(|error| Denial::MalformedScope(Box::new(error)))
            }
            _ => Ok(None),
        };
        let held = match (&target, &requested) {
            (Err(denial), _) | (_, Err(denial)) => Err(denial.clone()),
            (Ok(target), Ok(_)) => Ok(&target.scopes),
        };
        let requested = requested.unwrap_or_default().filter(|scopes| !scopes.is_empty());

        // 2. The decision.
        let is_suspended = tenant.is_suspended();
        let proof = Proof::Secret(matched);
        let shared = &tenant.shared;
        let ask = DecisionInput { proof, address, scopes: requested.as_ref(), held, customer, shared, is_suspended };
        let mut grant = decide(key, &ask, now);
        let is_authentic = grant.as_ref().err().is_none_or(Denial::is_of_an_authentic_secret);
        if is_authentic
            && let (Some(requested), Ok(target)) = (&requested, &target)
            && let Err(denial) = check_actions(requested, &target.scopes, &tenant.organization.policy)
        {
            grant = Err(denial);
        }
        Self { target, ttl_limit: shared.token_ttl_of(key), requested, grant, is_authentic }
    }

    /// Returns the token. Its lifetime is that of its APIs or of the key's profile, and never beyond the key, nor beyond the
    /// grace period of the secret.
    pub(super) fn plan(self, key: &ApiKey, now: Timestamp) -> Result<PlannedToken<'t>, Denial> {
        let (grant, target) = (self.grant?, self.target?);
        let algorithm = target.algorithm(now)?;
        let ttl_seconds = self.ttl_limit.map_or(target.ttl_seconds(), |limit| limit.min(target.ttl_seconds()));
        let lifetime = claims::lifetime(now, ttl_seconds, grant.not_after)
            .ok_or_else(|| if grant.not_after == key.expires_at { Denial::Expired } else { Denial::WrongSecret })?;
        Ok(PlannedToken { target, grant, lifetime, algorithm })
    }
}

impl PlannedToken<'_> {
    /// Returns the token's payload.
    pub(super) fn claims<'a>(&'a self, key: &'a ApiKey, tenant: &'a Tenant, jti: &'a str) -> Claims<&'a str> {
        let networks = tenant.shared.networks_of(key);
        Claims {
            iss: tenant.issuer.as_str(),
            sub: key.id.as_str(),
            client_id: key.id.as_str(),
            aud: self.target.audience(),
            iat: self.lifetime.iat,
            exp: self.lifetime.exp,
            jti,
            scope: self.grant.scopes.as_str(),
            org: key.organization.as_str(),
            generation: self.grant.generation,
            secret_version: self.grant.secret_version,
            customer: key.customer.as_ref().map(CustomerId::as_str),
            customer_generation: self.grant.customer_generation,
            cidrs: networks.is_restricted().then(|| networks.to_strings()),
        }
    }

    /// Returns the token's custom claims.
    pub(super) fn custom_claims<'a>(
        &'a self,
        key: &'a ApiKey,
        customer: Option<&'a Customer>,
    ) -> Option<BTreeMap<&'a str, AttributeValue<'a>>> {
        Some(attribute::values(self.target.claims()?, key, customer))
    }

    /// Returns the signing key, and the encoded header of the token.
    pub(super) fn signing_key<'a>(
        &self,
        tenant: &'a Tenant,
        now: Timestamp,
    ) -> Result<(&'a SigningKey, &'a str), Unavailable> {
        tenant
            .ring
            .current_with_header(now, self.algorithm, self.target.typ())
            .ok_or_else(|| Unavailable::NoSigningKey(tenant.organization.slug.clone()))
    }
}
