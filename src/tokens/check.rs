//! The check that gateways ask for: a credential, an address, and what is required.

use crate::domain::decision::ClientAddress;
pub use crate::domain::requirement::Required;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Asked, UsageOutcome, Use};
use crate::node::Node;
use crate::tokens::authenticate::{Caller, Credential, Refusal, authenticate};

/// Why a check failed.
#[derive(Debug)]
pub enum CheckError {
    /// The credential is not good.
    Refused(Refusal),
    /// It is good, and may not do this.
    NotHeld(Required),
    /// It is good for another organization.
    OtherOrganization,
    /// It is good for other audiences.
    OtherAudience,
}

/// What a gateway wants of a caller.
pub struct Wanted<'a> {
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
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Caller, CheckError> {
    let required = wanted.scopes;
    let checked = authenticate(node, credential, address, now).await;
    if let Ok(caller) = &checked {
        if wanted.organization.is_some_and(|organization| *organization != caller.key.organization) {
            return Err(CheckError::OtherOrganization);
        }
        if !wanted.audiences.is_empty() && !has_audience(node, caller, wanted.audiences) {
            node.usage.count(&caller.key.id, UsageOutcome::DeniedScope, address, now);
            return Err(CheckError::OtherAudience);
        }
    }
    if let Ok(caller) = &checked
        && let Some(missing) = required.iter().find(|required| !required.is_held_by(&caller.grant.scopes))
    {
        node.usage.count(&caller.key.id, UsageOutcome::DeniedScope, address, now);
        return Err(CheckError::NotHeld(missing.clone()));
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

/// Counts a check for the key that it was about, where that is known.
pub(super) fn count(
    node: &Node,
    checked: &Result<Caller, Refusal>,
    required: &[Required],
    address: ClientAddress,
    now: Timestamp,
) {
    match checked {
        Ok(caller) => node.usage.count_use(
            &caller.key.id,
            &Use {
                outcome: UsageOutcome::Verified,
                address,
                asked: (!required.is_empty()).then_some(Asked::Required(required)),
                is_by_previous_secret: caller.has_shown_previous_secret(),
                at: now,
            },
        ),
        Err(Refusal::Denied(denial, Some(key))) => node.usage.count(&key.id, denial.into(), address, now),
        Err(Refusal::Denied(_, None) | Refusal::Token(_) | Refusal::Unavailable(_)) => {}
    }
}
