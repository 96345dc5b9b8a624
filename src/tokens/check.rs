//! The check that gateways ask for: a credential, an address, and what is required.

use crate::domain::decision::ClientAddress;
use crate::domain::scope::{Action, Resource, Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::UsageOutcome;
use crate::node::Node;
use crate::tokens::authenticate::{Caller, Credential, Refusal, authenticate};

/// Something that a credential must be allowed to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Required {
    /// All that a scope says.
    Scope(Scope),
    /// One action on one resource.
    Access(Action, Resource),
}

impl Required {
    /// Whether scopes allow it.
    pub fn is_held_by(&self, scopes: &ScopeSet) -> bool {
        match self {
            Self::Scope(scope) => scopes.contains(scope),
            Self::Access(action, resource) => scopes.allows(action, resource),
        }
    }
}

/// Why a check failed.
#[derive(Debug)]
pub enum CheckError {
    /// The credential is not good.
    Refused(Refusal),
    /// It is good, and may not do this.
    NotHeld(Required),
}

/// Tells whether a credential is good from an address and may do everything that is required.
pub async fn check(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    required: &[Required],
    now: Timestamp,
) -> Result<Caller, CheckError> {
    let checked = authenticate(node, credential, address, now).await;
    if let Ok(caller) = &checked
        && let Some(missing) = required.iter().find(|required| !required.is_held_by(&caller.grant.scopes))
    {
        node.usage.count(&caller.key.id, UsageOutcome::DeniedScope, address, now);
        return Err(CheckError::NotHeld(missing.clone()));
    }
    count(node, &checked, address, now);
    checked.map_err(CheckError::Refused)
}

/// Counts a check for the key that it was about, where that is known.
pub(super) fn count(node: &Node, checked: &Result<Caller, Refusal>, address: ClientAddress, now: Timestamp) {
    match checked {
        Ok(caller) => node.usage.count(&caller.key.id, UsageOutcome::Verified, address, now),
        Err(Refusal::Denied(denial, Some(key))) => node.usage.count(&key.id, denial.into(), address, now),
        Err(Refusal::Denied(_, None) | Refusal::Token(_) | Refusal::Unavailable(_)) => {}
    }
}
