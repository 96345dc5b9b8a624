//! The check that gateways ask for: a credential, an address, and what is required.

use crate::domain::decision::{ClientAddress, Denial};
use crate::domain::scope::Scope;
use crate::domain::timestamp::Timestamp;
use crate::node::Node;
use crate::tokens::authenticate::{Caller, Credential, Refusal, authenticate};

/// Tells whether a credential is good from an address and holds every one of the scopes required.
pub async fn check(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    required: &[Scope],
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let caller = authenticate(node, credential, address, now).await?;
    match required.iter().find(|scope| !caller.grant.scopes.contains(scope)) {
        Some(missing) => Err(Refusal::Denied(Denial::ScopeNotHeld(missing.clone()), Some(caller.key))),
        None => Ok(caller),
    }
}
