//! The exchange of a key for an access token.

use std::sync::Arc;

use crate::crypto::random;
use crate::domain::api_key::ApiKey;
use crate::domain::apis::ApiId;
use crate::domain::claims::ExtendedClaims;
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{UsageOutcome, Use, UsedDetail};
use crate::node::Node;
use crate::tokens::planned::{Decided, KnownRequest, PlannedToken};
use crate::verification::{PresentedKey, Refusal, Secrets};

/// A token request.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// The key.
    pub key: PresentedKey,
    /// The requested scopes, separated by spaces; `None` for all of the key's. Their style is that of the API.
    pub scope: Option<String>,
    /// The requested audiences, without duplicates; empty for the API that the key implies.
    pub audiences: Vec<String>,
    /// The client's address.
    pub address: ClientAddress,
    /// The one reading of the clock, before anything is checked: a process that is stopped in between mints a token that has
    /// already expired.
    pub now: Timestamp,
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
    let ExchangeRequest { key: presented, scope, audiences, address, now } = request;
    let verifier = node.verifier();
    let view = verifier.view();

    // 1. The key's current record, from memory or else from the store, and its secret, in constant time.
    let (key, matched) = verifier.identify(view, &presented, address, now).await?;
    let tenant = verifier.tenant_of(view, &key).await?;
    let customer = view.customer_of(&key).await?;
    let deny = |denial| {
        verifier.count_denial(&denial, &key, address, now);
        Refusal::of_key(denial, &key)
    };

    // 2. The decision, and the token.
    let customer = customer.as_deref();
    let request = KnownRequest { matched, customer, address, scope: scope.as_deref(), audiences: &audiences, now };
    let mut decided = Decided::new(&key, &tenant, request);
    if decided.is_authentic {
        node.keep_use(&key, address, now).await;
    }
    let requested = decided.requested.take();
    let planned = decided.plan(&key, now).map_err(deny)?;

    // 3. The signature.
    let jti = random::public_identifier()?;
    let (signing_key, header) = planned.signing_key(&tenant, now)?;
    let claims = planned.claims(&key, &tenant, &jti);
    let access_token = match planned.custom_claims(&key, customer) {
        None => signing_key.sign(header, &claims)?,
        Some(custom) => signing_key.sign(header, &ExtendedClaims { claims, custom })?,
    };
    let apis: Vec<ApiId> = planned.target.apis.iter().map(|served| served.api.id).collect();
    node.memory.usage.count_use(
        &key.id,
        &Use {
            outcome: UsageOutcome::Exchanged,
            address,
            apis: &apis,
            is_of_keyturn: false,
            requested: requested.as_ref().map(UsedDetail::Scopes),
            is_by_previous_secret: matched == SecretMatch::Previous,
            secret_version: key.previous.is_some().then_some(planned.grant.secret_version),
            at: now,
        },
    );
    let PlannedToken { grant, lifetime, .. } = planned;
    Ok(Minted { key, access_token, expires_in: lifetime.expires_in, scopes: grant.scopes })
}
