//! The check that gateways ask for: a credential, an address, and what is required.

use crate::domain::decision::{ClientAddress, Denial};
use crate::domain::scope::Scope;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::UsageOutcome;
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
    let checked = match authenticate(node, credential, address, now).await {
        Ok(caller) => match required.iter().find(|scope| !caller.grant.scopes.contains(scope)) {
            Some(missing) => Err(Refusal::Denied(Denial::ScopeNotHeld(missing.clone()), Some(caller.key))),
            None => Ok(caller),
        },
        Err(refusal) => Err(refusal),
    };
    count(node, &checked, address, now);
    checked
}

/// Counts a check for the key that it was about, where that is known.
pub(super) fn count(node: &Node, checked: &Result<Caller, Refusal>, address: ClientAddress, now: Timestamp) {
    match checked {
        Ok(caller) => node.usage.count(&caller.key.id, UsageOutcome::Verified, address, now),
        Err(Refusal::Denied(denial, Some(key))) => node.usage.count(&key.id, denial.into(), address, now),
        Err(Refusal::Denied(_, None) | Refusal::Token(_) | Refusal::Unavailable(_)) => {}
    }
}
