//! Verification of an access token. One that was seen before costs a look-up.
//!
//! An entry says which of Keyturn's signing keys signed the claims. Whether that key is still in the ring, whether the token
//! has expired, and the state of its API key are checked each time.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::crypto::digest::sha256;
use crate::domain::apis::find_audience;
use crate::domain::claims::Claims;
use crate::domain::key_text::KeyId;
use crate::domain::outcome::Denial;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::signing;
use crate::verification::{Records, Refusal, Tenant, VerifiedToken, Verifier, View};

/// Longer tokens are not cached: their signature is checked each time.
const MAX_CACHED_BYTES: usize = 16 * 1024;

impl<S: Records> Verifier<'_, S> {
    /// Verifies a token, and returns it with the organization that issued it.
    pub async fn verified_token(
        &self,
        view: View<'_, S>,
        token: &str,
        now: Timestamp,
    ) -> Result<(Arc<VerifiedToken>, Arc<Tenant>), Refusal> {
        let digest = sha256(token.as_bytes());
        if let Some(seen) = self.memory.tokens.get(&digest) {
            let tenant = view.tenant(&seen.organization).await?.ok_or(Refusal::from(Denial::UnknownSigningKey))?;
            if tenant.ring.find(&seen.kid).is_none() {
                self.memory.tokens.remove(&digest);
                return Err(Refusal::from(Denial::UnknownSigningKey));
            }
            check_times(&seen, now)?;
            return Ok((seen, tenant));
        }
        let (verified, tenant) = Box::pin(verify(view, token)).await?;
        check_times(&verified, now)?;
        if token.len() <= MAX_CACHED_BYTES {
            self.memory.tokens.insert(digest, verified.clone());
        }
        Ok((verified, tenant))
    }
}

fn check_times(token: &Arc<VerifiedToken>, now: Timestamp) -> Result<(), Refusal> {
    signing::check_times(&token.claims, now).map_err(|denial| Refusal::of_token(denial, token.clone()))
}

async fn verify<S: Records>(view: View<'_, S>, token: &str) -> Result<(Arc<VerifiedToken>, Arc<Tenant>), Refusal> {
    let kid = signing::peek(token)?.0;
    // 1. The organization that the signing key belongs to, as it is now.
    let organization = view.organization_of_signing_key(&kid).await?;
    let organization = organization.ok_or(Refusal::from(Denial::UnknownSigningKey))?;
    let tenant = view.tenant(&organization).await?.ok_or(Refusal::from(Denial::UnknownSigningKey))?;

    // 2. The signature, and the claims as we write them.
    let verified = verify_with(&tenant, kid, token)?;
    Ok((Arc::new(verified), tenant))
}

fn verify_with(tenant: &Tenant, kid: String, token: &str) -> Result<VerifiedToken, Denial> {
    let signing_key = tenant.ring.find(&kid).ok_or(Denial::UnknownSigningKey)?;
    let claims: Claims = signing::verify(token, signing_key, &tenant.issuer)?;
    let organization = tenant.organization.slug.clone();
    if claims.org != organization.as_str() || claims.client_id != claims.sub {
        return Err(Denial::OtherIssuer);
    }
    let key = KeyId::parse(&claims.sub).ok_or(Denial::InvalidSignature)?;
    // The APIs of a token have one style, and an API cannot change it. An API that is gone accepts no token.
    let apis =
        || claims.aud.iter().filter_map(|audience| find_audience(&tenant.apis, audience)).map(|(api, _)| &api.api);
    let style = apis().next().ok_or(Denial::ApiNotGranted)?.style;
    let scopes = ScopeSet::parse_as(style, &claims.scope).map_err(|_| Denial::InvalidSignature)?;
    let apis = apis().map(|api| api.id).collect();
    let (within_at, length) = (AtomicU64::default(), token.len());
    Ok(VerifiedToken { claims, key, apis, scopes, kid, organization, within_at, length })
}
