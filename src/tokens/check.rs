//! The check that gateways ask for: a credential, an address, and what is required.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::decision::ClientAddress;
pub use crate::domain::requirement::Required;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{UsageOutcome, Use, UsedDetail};
use crate::node::Node;
use crate::tokens::authenticate::{Caller, Credential, Refusal, Subject, authenticate};

/// Why a check failed.
#[derive(Debug)]
pub enum CheckError {
    /// The credential is not good.
    Refused(Refusal),
    /// It is good, and this key may not do this.
    NotHeld(Required, Arc<ApiKey>),
    /// It is good for the organization of this key, which is another one.
    OtherOrganization(Arc<ApiKey>),
    /// It is good for other audiences.
    OtherAudience(Arc<ApiKey>),
}

/// What a gateway wants of a caller.
pub struct RequiredAccess<'a> {
    /// The organization whose credentials are accepted; `None` for all.
    pub organization: Option<&'a Slug>,
    /// The token's `aud` must contain one of these (RFC 9068 §4). A secret presented directly has no `aud`; its
    /// organization must be able to mint a token for one. Empty for any audience.
    pub audiences: &'a [String],
    /// Scopes that the caller must hold, all of them.
    pub scopes: &'a [Required],
}

/// Tells whether a credential is good from an address and may do everything that is required.
pub async fn check(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    wanted: &RequiredAccess<'_>,
    now: Timestamp,
) -> Result<Caller, CheckError> {
    let required = wanted.scopes;
    let checked = authenticate(node, credential, address, now).await;
    if let Ok(caller) = &checked {
        if wanted.organization.is_some_and(|organization| *organization != caller.key.organization) {
            return Err(CheckError::OtherOrganization(caller.key.clone()));
        }
        if !wanted.audiences.is_empty() && !has_audience(node, caller, wanted.audiences) {
            count_use(node, caller, UsageOutcome::DeniedAudience, &[], address, now);
            return Err(CheckError::OtherAudience(caller.key.clone()));
        }
    }
    if let Ok(caller) = &checked
        && let Some(missing) = required.iter().find(|required| !required.is_held_by(&caller.grant.scopes))
    {
        count_use(node, caller, UsageOutcome::DeniedScope, &[], address, now);
        return Err(CheckError::NotHeld(missing.clone(), caller.key.clone()));
    }
    count(node, &checked, required, address, now);
    checked.map_err(CheckError::Refused)
}

fn has_audience(node: &Node, caller: &Caller, audiences: &[String]) -> bool {
    match &caller.token {
        Some(token) => audiences.iter().any(|audience| token.claims.aud.contains(audience)),
        None => node.tenant(&caller.key.organization).is_some_and(|tenant| {
            audiences.iter().any(|audience| tenant.find_audience(audience, &node.settings).is_some())
        }),
    }
}

/// Authenticates a caller. A good credential counts as a use of its key, a refused one as a denial.
pub async fn authenticate_caller(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let checked = authenticate(node, credential, address, now).await;
    count(node, &checked, &[], address, now);
    checked
}

/// Counts a use by a caller who was authenticated, with what was required of it.
pub fn count_use(
    node: &Node,
    caller: &Caller,
    outcome: UsageOutcome,
    required: &[Required],
    address: ClientAddress,
    now: Timestamp,
) {
    node.usage.count_use(
        &caller.key.id,
        &Use {
            outcome,
            address,
            requested: (!required.is_empty()).then_some(UsedDetail::Required(required)),
            is_by_previous_secret: caller.has_shown_previous_secret(),
            at: now,
        },
    );
}

/// Counts a check for the key that it was about, if that is known.
pub fn count(
    node: &Node,
    checked: &Result<Caller, Refusal>,
    required: &[Required],
    address: ClientAddress,
    now: Timestamp,
) {
    match checked {
        Ok(caller) => count_use(node, caller, UsageOutcome::Verified, required, address, now),
        Err(Refusal::Denied(denial, Subject::Key(key))) => node.usage.count(&key.id, denial.into(), address, now),
        Err(Refusal::Denied(..) | Refusal::Token(..) | Refusal::Unavailable(_)) => {}
    }
}
