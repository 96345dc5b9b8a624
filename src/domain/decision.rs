//! The decision whether a key may act now. Pure and total.
//!
//! Whether the state, secret, address and requested scopes allow it. Exchange, introspection, `/verify` and the management API
//! all ask here first. `tokens/` adds the revocation of single tokens, audiences and requirements, `api/guard.rs` permissions.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::customer::Customer;
use crate::domain::outcome::{Denial, UnknownAction};
use crate::domain::policy::Policy;
use crate::domain::profile::SharedAccess;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;

/// The input of a decision, besides the key and the time.
#[derive(Clone, Debug)]
pub struct DecisionInput<'a> {
    /// What the caller presented.
    pub proof: Proof<'a>,
    /// The client's address.
    pub address: ClientAddress,
    /// The requested scopes; `None` for all of the key or token.
    pub scopes: Option<&'a ScopeSet>,
    /// The key's scopes for the APIs that the request or the token is for, or why there are none.
    pub held: Result<&'a ScopeSet, Denial>,
    /// The key's customer. A key with a customer is denied without it.
    pub customer: Option<&'a Customer>,
    /// The profiles and named networks of the key's organization.
    pub shared: &'a SharedAccess,
    /// Whether the key's organization is suspended.
    pub is_suspended: bool,
}

impl DecisionInput<'_> {
    /// The generation of the key's customer, if it has one.
    fn customer_generation(&self, key: &ApiKey) -> Option<u64> {
        self.customer.filter(|customer| key.customer == Some(customer.id)).map(|customer| customer.generation)
    }
}

/// What a caller presented to act for a key.
#[derive(Clone, Debug)]
pub enum Proof<'a> {
    /// A secret, compared with the key's verifiers.
    Secret(SecretMatch),
    /// A token whose signature and times are valid.
    Token {
        /// The key's generation when it was minted.
        generation: u64,
        /// The version of the secret that minted it.
        secret_version: u64,
        /// The generation of the key's customer when it was minted.
        customer_generation: Option<u64>,
        /// When it was minted.
        issued_at: Timestamp,
        /// The scopes that it carries.
        scopes: &'a ScopeSet,
        /// Whether `scopes` were found within the key's before, and neither the key nor its organization has changed
        /// since, so that the comparison is not repeated.
        is_known_within: bool,
    },
}

/// How a presented secret compares with those of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretMatch {
    /// The current secret.
    Current,
    /// The previous secret.
    Previous,
    /// Neither.
    None,
}

/// The address of a client, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAddress {
    /// IPv4-mapped addresses are already folded to IPv4.
    Known(IpAddr),
    /// The forwarding headers of a trusted proxy do not give one address.
    Unreadable(UnreadableAddress),
    /// Not known because somebody else presents the credential, as in introspection. The response has the allowed networks,
    /// and the API enforces them.
    NotTheCaller,
}

/// Why the forwarding headers of a trusted proxy do not give the client's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnreadableAddress {
    /// No header that counts names a client.
    #[error("the trusted proxy sent no forwarding header")]
    Missing,
    /// The nearest untrusted hop is not an address, or the header is malformed or too long.
    #[error("the trusted proxy sent an unreadable forwarding header")]
    Malformed,
    /// Both headers are present; one of them may come from the client.
    #[error("X-Forwarded-For and Forwarded name different clients; set server.forwarding_header")]
    Disagreement,
}

/// What is granted.
#[derive(Clone, PartialEq, Debug)]
pub struct Grant {
    /// The scopes granted.
    pub scopes: ScopeSet,
    /// The end of everything that is granted: the key's expiry, or the end of the previous secret's grace period.
    pub not_after: Option<Timestamp>,
    /// The key's generation, for the token.
    pub generation: u64,
    /// The version of the secret behind the proof, for the token.
    pub secret_version: u64,
    /// The generation of the key's customer, for the token.
    pub customer_generation: Option<u64>,
    /// Whether that secret is the previous one.
    pub is_by_previous_secret: bool,
}

impl ClientAddress {
    /// The address, if it is known.
    pub fn known(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Unreadable(_) | Self::NotTheCaller => None,
        }
    }
}

/// A check, in the order of evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Whether the secret is the current one, or the previous one in its grace period.
    Secret,
    /// Whether the key is revoked.
    Revoked,
    /// Whether it is past its expiry.
    Expired,
    /// Whether it is disabled.
    Disabled,
    /// Whether its customer is suspended.
    Customer,
    /// Whether its organization is suspended.
    Organization,
    /// Whether a token is of the key's generation, and of its customer's.
    Generation,
    /// Whether the secret that minted a token is the key's, or is in its grace period.
    SecretVersion,
    /// Whether a token is older than the profile of the key allows.
    Lifetime,
    /// Whether the address is in the networks of the key and of its profile.
    Network,
    /// Whether the requested scopes are granted, and whether the key still has the scopes of a token.
    Scope,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 11] = [
        Self::Secret,
        Self::Revoked,
        Self::Expired,
        Self::Disabled,
        Self::Customer,
        Self::Organization,
        Self::Generation,
        Self::SecretVersion,
        Self::Lifetime,
        Self::Network,
        Self::Scope,
    ];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Customer => "customer",
            Self::Organization => "organization",
            Self::Generation => "generation",
            Self::SecretVersion => "secret_version",
            Self::Lifetime => "lifetime",
            Self::Network => "network",
            Self::Scope => "scope",
        }
    }
}

/// The result of a check.
#[derive(Clone, PartialEq, Debug)]
pub enum Finding {
    /// Passed.
    Passed,
    /// Does not apply to the input.
    NotAsked,
    /// Failed. The first failure is the decision.
    Failed(Denial),
}

/// Every check with its result, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct DecisionTrace(Vec<(Check, Finding)>);

impl DecisionTrace {
    /// The checks, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Check, Finding)> {
        self.0.iter()
    }

    /// The first check that failed, and its denial.
    pub fn failure(&self) -> Option<(Check, &Denial)> {
        self.iter().find_map(|(check, finding)| match finding {
            Finding::Failed(denial) => Some((*check, denial)),
            Finding::Passed | Finding::NotAsked => None,
        })
    }
}

/// Decides. The checks whose result reveals least to a stranger come first.
pub fn decide(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> Result<Grant, Denial> {
    let shown = secret(key, ask, now)?;
    revoked(key)?;
    expired(key, now)?;
    disabled(key)?;
    customer(key, ask)?;
    organization(ask)?;
    generation(key, ask)?;
    let minted_by = secret_version(key, ask, now)?;
    let outlived_at = lifetime(key, ask, now)?;
    network(key, ask)?;
    scope(ask)?;
    let scopes = match (ask.scopes, &ask.proof, &ask.held) {
        (Some(requested), _, _) => requested.clone(),
        (None, Proof::Token { scopes, .. }, _) => (*scopes).clone(),
        (None, Proof::Secret(_), Ok(held)) => (*held).clone(),
        (None, Proof::Secret(_), Err(denial)) => return Err(denial.clone()),
    };
    let grace_ends = shown.or(minted_by).flatten();
    let not_after = [key.expires_at, grace_ends, outlived_at.flatten()].into_iter().flatten().min();
    let is_by_previous_secret = grace_ends.is_some();
    let secret_version = key.secret_version.saturating_sub(u64::from(is_by_previous_secret));
    Ok(Grant {
        scopes,
        not_after,
        generation: key.generation,
        secret_version,
        customer_generation: ask.customer_generation(key),
        is_by_previous_secret,
    })
}

/// Decides like [`decide`], and returns the result of each of its checks, also of those after the first that failed.
pub fn explain(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> (Result<Grant, Denial>, DecisionTrace) {
    let finding = |check| match check {
        Check::Secret => found(secret(key, ask, now)),
        Check::Revoked => found(revoked(key)),
        Check::Expired => found(expired(key, now)),
        Check::Disabled => found(disabled(key)),
        Check::Customer => found(customer(key, ask)),
        Check::Organization => found(organization(ask)),
        Check::Generation => found(generation(key, ask)),
        Check::SecretVersion => found(secret_version(key, ask, now)),
        Check::Lifetime => found(lifetime(key, ask, now)),
        Check::Network => found(network(key, ask)),
        Check::Scope => found(scope(ask)),
    };
    let trace = Check::ALL.into_iter().map(|check| (check, finding(check))).collect();
    (decide(key, ask, now), DecisionTrace(trace))
}

fn found<T>(checked: Checked<T>) -> Finding {
    match checked {
        Ok(Some(_)) => Finding::Passed,
        Ok(None) => Finding::NotAsked,
        Err(denial) => Finding::Failed(denial),
    }
}

/// The result of a check; `None` if it does not apply.
type Checked<T> = Result<Option<T>, Denial>;

/// The end of the secret's grace period, if it is in one.
fn secret(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> Checked<Option<Timestamp>> {
    match ask.proof {
        Proof::Secret(SecretMatch::Current) => Ok(Some(None)),
        Proof::Secret(SecretMatch::Previous) => match key.grace_ends(now) {
            Some(end) => Ok(Some(Some(end))),
            None => Err(Denial::WrongSecret),
        },
        Proof::Secret(SecretMatch::None) => Err(Denial::WrongSecret),
        Proof::Token { .. } => Ok(None),
    }
}

/// The end of the grace period of the secret that minted a token, if that secret is in one. A token never outlives the
/// grace period, even if the period was ended after the token was minted.
fn secret_version(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> Checked<Option<Timestamp>> {
    let Proof::Token { secret_version, .. } = ask.proof else { return Ok(None) };
    if secret_version == key.secret_version {
        return Ok(Some(None));
    }
    match key.grace_ends(now) {
        Some(end) if secret_version.checked_add(1) == Some(key.secret_version) => Ok(Some(Some(end))),
        _ => Err(Denial::TokenSuperseded),
    }
}

fn revoked(key: &ApiKey) -> Checked<()> {
    match key.lifecycle {
        Lifecycle::Revoked { .. } => Err(Denial::KeyRevoked),
        Lifecycle::Disabled { .. } | Lifecycle::Active => Ok(Some(())),
    }
}

fn expired(key: &ApiKey, now: Timestamp) -> Checked<()> {
    if key.is_expired(now) { Err(Denial::Expired) } else { Ok(Some(())) }
}

fn disabled(key: &ApiKey) -> Checked<()> {
    if matches!(key.lifecycle, Lifecycle::Disabled { .. }) { Err(Denial::Disabled) } else { Ok(Some(())) }
}

fn organization(ask: &DecisionInput<'_>) -> Checked<()> {
    if ask.is_suspended { Err(Denial::OrganizationSuspended) } else { Ok(Some(())) }
}

fn customer(key: &ApiKey, ask: &DecisionInput<'_>) -> Checked<()> {
    let Some(id) = key.customer else { return Ok(None) };
    match ask.customer {
        Some(customer) if customer.id == id && !customer.is_denied() => Ok(Some(())),
        Some(_) | None => Err(Denial::CustomerSuspended),
    }
}

fn generation(key: &ApiKey, ask: &DecisionInput<'_>) -> Checked<()> {
    match ask.proof {
        Proof::Token { generation, .. } if generation != key.generation => Err(Denial::TokenSuperseded),
        Proof::Token { customer_generation, .. } if customer_generation != ask.customer_generation(key) => {
            Err(Denial::TokenSuperseded)
        }
        Proof::Token { .. } => Ok(Some(())),
        Proof::Secret(_) => Ok(None),
    }
}

/// When a token is older than the profile of the key allows, if it limits the lifetime. A profile that is changed to a shorter
/// lifetime applies to tokens that were minted before.
fn lifetime(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> Checked<Option<Timestamp>> {
    let Proof::Token { issued_at, .. } = ask.proof else { return Ok(None) };
    match ask.shared.token_ttl_of(key).map(|seconds| issued_at.plus_seconds(i64::from(seconds))) {
        Some(end) if now >= end => Err(Denial::TokenExpired),
        end => Ok(Some(end)),
    }
}

fn network(key: &ApiKey, ask: &DecisionInput<'_>) -> Checked<()> {
    match ask.address {
        ClientAddress::Known(address) if ask.shared.allows(key, address) => Ok(Some(())),
        ClientAddress::Known(address) => Err(Denial::NetworkNotAllowed(address)),
        ClientAddress::Unreadable(reason) => Err(Denial::AddressUnreadable(reason)),
        // The service that enforces the networks has nothing to compare the address with.
        ClientAddress::NotTheCaller if ask.shared.allows_nowhere(key) => Err(Denial::NoNetworkAllowed),
        ClientAddress::NotTheCaller => Ok(None),
    }
}

fn scope(ask: &DecisionInput<'_>) -> Checked<()> {
    let of_key = *ask.held.as_ref().map_err(Denial::clone)?;
    let held = match ask.proof {
        Proof::Secret(_) => of_key,
        Proof::Token { scopes, is_known_within, .. } => {
            if !is_known_within && scopes != of_key && !of_key.contains_all(scopes) {
                return Err(Denial::TokenSuperseded);
            }
            scopes
        }
    };
    let Some(wanted) = ask.scopes else {
        return Ok(matches!(ask.proof, Proof::Token { .. }).then_some(()));
    };
    let reach = |scope: &Scope| held.contains(scope) && of_key.contains(scope);
    match wanted.iter().enumerate().find(|(_, scope)| !reach(scope)) {
        Some((index, scope)) => Err(Denial::ScopeNotHeld(index + 1, scope.clone())),
        None => Ok(Some(())),
    }
}

/// Checks that the organization defines the action of every requested scope. A wildcard does not reach other actions: the
/// token would be useless, and the client would learn so only from its API. An action that is no longer defined can be
/// requested with a key that was granted it by name.
pub fn check_actions(requested: &ScopeSet, granted: &ScopeSet, policy: &Policy) -> Result<(), Denial> {
    const OPENID: [&str; 6] = ["openid", "offline_access", "profile", "email", "address", "phone"];
    let is_unknown = |scope: &Scope| {
        scope.action().is_some_and(|action| !policy.has_action(action))
            && !granted.iter().any(|held| held.action() == scope.action())
    };
    match requested.iter().enumerate().find(|(_, scope)| is_unknown(scope)) {
        None => Ok(()),
        Some((index, scope)) => Err(Denial::UnknownAction(UnknownAction {
            place: index + 1,
            is_openid: scope.action().is_some_and(|action| OPENID.contains(&action.as_str())),
            allowed: policy.describe_actions(),
        })),
    }
}
