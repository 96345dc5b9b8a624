//! Verification for gateways: a credential, an address and the required scopes and audiences.

use crate::domain::api_key::ApiKey;
use crate::domain::decision::ClientAddress;
use crate::domain::outcome::Denial;
pub use crate::domain::requirement::Required;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{UsageOutcome, Use, UsedDetail};
use crate::node::Node;
use crate::tokens::authenticate::{Caller, Credential, Refusal, Subject, authenticate};

/// What a gateway requires of a caller.
pub struct RequiredAccess<'a> {
    /// The organization whose credentials are accepted; `None` for all.
    pub organization: Option<&'a Slug>,
    /// The token's `aud` must contain one of these (RFC 9068 §4). A secret presented directly has no `aud`; its
    /// organization must be able to mint a token for one. Empty for any audience.
    pub audiences: &'a [String],
    /// Scopes that the caller must hold, all of them.
    pub scopes: &'a [Required],
}

/// Checks that a credential is valid from an address and has everything that is required.
pub async fn check(
    node: &Node,
    credential: &Credential,
    address: ClientAddress,
    wanted: &RequiredAccess<'_>,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let mut checked = authenticate(node, credential, address, now).await;
    let denied = checked.as_ref().ok().and_then(|caller| Some((caller, missing(node, caller, wanted)?)));
    if let Some((caller, denial)) = denied {
        if let Some(outcome) = denial.usage() {
            count_use(node, caller, outcome, &[], address, now);
        }
        checked = Err(Refusal::of_key(denial, &caller.key));
    } else {
        count(node, &checked, wanted.scopes, address, now);
    }
    checked
}

/// The first requirement that an authenticated caller does not meet.
fn missing(node: &Node, caller: &Caller, wanted: &RequiredAccess<'_>) -> Option<Denial> {
    if wanted.organization.is_some_and(|organization| *organization != caller.key.organization) {
        return Some(Denial::OtherOrganization);
    }
    if !wanted.audiences.is_empty() && !has_audience(node, caller, wanted.audiences) {
        return Some(Denial::OtherAudience);
    }
    let missing = wanted.scopes.iter().find(|required| !required.is_held_by(&caller.grant.scopes));
    missing.map(|required| Denial::RequiredScopeNotHeld(required.clone()))
}

fn has_audience(node: &Node, caller: &Caller, audiences: &[String]) -> bool {
    match &caller.token {
        Some(token) => audiences.iter().any(|audience| token.claims.aud.contains(audience)),
        None => node.tenant(&caller.key.organization).is_some_and(|tenant| {
            audiences.iter().any(|audience| tenant.find_audience(audience, &node.settings).is_some())
        }),
    }
}

/// Authenticates a caller, and counts a use or a denial of the key.
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

/// Counts a use by an authenticated caller, with what was required.
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

/// Counts a use or a denial of the key, if the key is known.
pub fn count(
    node: &Node,
    checked: &Result<Caller, Refusal>,
    required: &[Required],
    address: ClientAddress,
    now: Timestamp,
) {
    match checked {
        Ok(caller) => count_use(node, caller, UsageOutcome::Verified, required, address, now),
        Err(Refusal::Denied(denial, Some(Subject::Key(key)))) => count_denial(node, denial, key, address, now),
        Err(Refusal::Denied(..) | Refusal::Unavailable(_)) => {}
    }
}

/// Counts a denial of a key.
pub(super) fn count_denial(node: &Node, denial: &Denial, key: &ApiKey, address: ClientAddress, now: Timestamp) {
    if let Some(outcome) = denial.usage() {
        node.usage.count(&key.id, outcome, address, now);
    }
}
