//! The decision whether a key may act now. Pure and total.
//!
//! Exchange, introspection, `/verify` and the management API all decide here and nowhere else.

use std::net::IpAddr;

use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::outcome::{Denial, UnknownAction};
use crate::domain::policy::Policy;
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
    /// Whether the key's organization is suspended.
    pub is_suspended: bool,
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
        /// The scopes that it carries.
        scopes: &'a ScopeSet,
        /// The version of the key at which `scopes` were last found within the key's scopes, so that the comparison is
        /// not repeated for an unchanged key; 0 if never.
        within_at: u64,
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
    /// Whether its organization is suspended.
    Organization,
    /// Whether a token is of the key's generation.
    Generation,
    /// Whether the secret that minted a token is the key's, or is in its grace period.
    SecretVersion,
    /// Whether the address is in the key's networks.
    Network,
    /// Whether the requested scopes are granted, and whether the key still has the scopes of a token.
    Scope,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 9] = [
        Self::Secret,
        Self::Revoked,
        Self::Expired,
        Self::Disabled,
        Self::Organization,
        Self::Generation,
        Self::SecretVersion,
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
            Self::Organization => "organization",
            Self::Generation => "generation",
            Self::SecretVersion => "secret_version",
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
    /// Failed: the decision ends here.
    Failed(Denial),
    /// The decision ended earlier.
    NotReached,
}

/// Every check with its result, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct DecisionTrace(Vec<(Check, Finding)>);

impl DecisionTrace {
    /// The checks, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Check, Finding)> {
        self.0.iter()
    }

    /// The check that failed, and its denial.
    pub fn failure(&self) -> Option<(Check, &Denial)> {
        self.iter().find_map(|(check, finding)| match finding {
            Finding::Failed(denial) => Some((*check, denial)),
            Finding::Passed | Finding::NotAsked | Finding::NotReached => None,
        })
    }
}

/// Decides. The checks whose result reveals least to a stranger come first.
pub fn decide(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> Result<Grant, Denial> {
    walk(key, ask, now, &mut |_, _| {})
}

/// Decides like [`decide`], with the same code, and returns the result of each check.
pub fn explain(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> (Result<Grant, Denial>, DecisionTrace) {
    let mut seen = Vec::with_capacity(Check::ALL.len());
    let decided = walk(key, ask, now, &mut |check, finding: Result<bool, &Denial>| {
        seen.push((
            check,
            match finding {
                Ok(true) => Finding::Passed,
                Ok(false) => Finding::NotAsked,
                Err(denial) => Finding::Failed(denial.clone()),
            },
        ));
    });
    let left = Check::ALL.into_iter().skip(seen.len()).map(|check| (check, Finding::NotReached)).collect::<Vec<_>>();
    seen.extend(left);
    (decided, DecisionTrace(seen))
}

/// Evaluates the checks in order and passes each result to `listen`: passed, does not apply, or the denial. A listener that
/// does nothing costs nothing.
fn walk(
    key: &ApiKey,
    ask: &DecisionInput<'_>,
    now: Timestamp,
    listen: &mut impl FnMut(Check, Result<bool, &Denial>),
) -> Result<Grant, Denial> {
    let shown = step(Check::Secret, secret(key, ask, now), listen)?;
    step(Check::Revoked, revoked(key), listen)?;
    step(Check::Expired, expired(key, now), listen)?;
    step(Check::Disabled, disabled(key), listen)?;
    step(Check::Organization, organization(ask), listen)?;
    step(Check::Generation, generation(key, ask), listen)?;
    let minted_by = step(Check::SecretVersion, secret_version(key, ask, now), listen)?;
    step(Check::Network, network(key, ask), listen)?;
    step(Check::Scope, scope(key, ask), listen)?;
    let scopes = ask.scopes.unwrap_or_else(|| held(key, ask)).clone();
    let grace_ends = shown.or(minted_by).flatten();
    let not_after = match (key.expires_at, grace_ends) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let is_by_previous_secret = grace_ends.is_some();
    let secret_version = key.secret_version.saturating_sub(u64::from(is_by_previous_secret));
    Ok(Grant { scopes, not_after, generation: key.generation, secret_version, is_by_previous_secret })
}

/// The result of a check; `None` if it does not apply.
type Checked<T> = Result<Option<T>, Denial>;

#[inline(always)]
fn step<T>(check: Check, checked: Checked<T>, listen: &mut impl FnMut(Check, Result<bool, &Denial>)) -> Checked<T> {
    listen(check, checked.as_ref().map(Option::is_some));
    checked
}

/// The scopes of the key or token.
fn held<'a>(key: &'a ApiKey, ask: &DecisionInput<'a>) -> &'a ScopeSet {
    match ask.proof {
        Proof::Secret(_) => &key.scopes,
        Proof::Token { scopes, .. } => scopes,
    }
}

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

fn generation(key: &ApiKey, ask: &DecisionInput<'_>) -> Checked<()> {
    match ask.proof {
        Proof::Token { generation, .. } if generation != key.generation => Err(Denial::TokenSuperseded),
        Proof::Token { .. } => Ok(Some(())),
        Proof::Secret(_) => Ok(None),
    }
}

fn network(key: &ApiKey, ask: &DecisionInput<'_>) -> Checked<()> {
    match ask.address {
        ClientAddress::Known(address) if key.networks.allows(address) => Ok(Some(())),
        ClientAddress::Known(address) => Err(Denial::NetworkNotAllowed(address)),
        ClientAddress::Unreadable(reason) => Err(Denial::AddressUnreadable(reason)),
        ClientAddress::NotTheCaller => Ok(None),
    }
}

fn scope(key: &ApiKey, ask: &DecisionInput<'_>) -> Checked<()> {
    if let Proof::Token { scopes, within_at, .. } = ask.proof
        && within_at != key.version
        && *scopes != key.scopes
        && !key.scopes.contains_all(scopes)
    {
        return Err(Denial::TokenSuperseded);
    }
    let Some(wanted) = ask.scopes else {
        return Ok(matches!(ask.proof, Proof::Token { .. }).then_some(()));
    };
    let held = held(key, ask);
    let reach = |scope: &Scope| held.contains(scope) && key.scopes.contains(scope);
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
        !policy.has_action(scope.action()) && !granted.iter().any(|held| held.action() == scope.action())
    };
    match requested.iter().enumerate().find(|(_, scope)| is_unknown(scope)) {
        None => Ok(()),
        Some((index, scope)) => Err(Denial::UnknownAction(UnknownAction {
            place: index + 1,
            is_openid: OPENID.contains(&scope.action().as_str()),
            allowed: policy.describe_actions(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::tests::key;
    use crate::domain::api_key::{PreviousSecret, SecretVerifier};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn from(address: &str) -> ClientAddress {
        ClientAddress::Known(address.parse().unwrap())
    }

    fn ask(proof: Proof<'static>) -> DecisionInput<'static> {
        DecisionInput { proof, address: from("10.1.2.3"), scopes: None, is_suspended: false }
    }

    fn with_secret(matched: SecretMatch) -> DecisionInput<'static> {
        ask(Proof::Secret(matched))
    }

    #[test]
    fn an_active_key_with_its_secret_gets_all_its_scopes() {
        let key = key("read:a/* write:b", &[]);
        let grant = decide(&key, &with_secret(SecretMatch::Current), NOW).unwrap();
        assert_eq!((grant.scopes, grant.not_after, grant.generation), (key.scopes, None, 1));
        assert_eq!((grant.secret_version, grant.is_by_previous_secret), (1, false));
    }

    #[test]
    fn a_suspended_organization_denies_every_proof_and_only_a_right_one_learns_of_it() {
        let key = key("read:a", &[]);
        let suspended = |proof| DecisionInput { is_suspended: true, ..ask(proof) };
        let held = key.scopes.clone();
        let token = Proof::Token { generation: 1, secret_version: 1, scopes: &held, within_at: 0 };
        let ask = DecisionInput { proof: token, address: from("10.1.2.3"), scopes: None, is_suspended: true };
        assert_eq!(decide(&key, &ask, NOW), Err(Denial::OrganizationSuspended));
        let denied = |matched| decide(&key, &suspended(Proof::Secret(matched)), NOW);
        assert_eq!(denied(SecretMatch::Current), Err(Denial::OrganizationSuspended));
        assert_eq!(denied(SecretMatch::None), Err(Denial::WrongSecret));
    }

    #[test]
    fn a_wrong_secret_learns_nothing_of_the_state() {
        let mut expired = key("read:a", &["192.0.2.0/24"]).disable(NOW).unwrap();
        expired.expires_at = Some(NOW);
        assert_eq!(decide(&expired, &with_secret(SecretMatch::None), NOW), Err(Denial::WrongSecret));
    }

    #[test]
    fn states_deny_in_order() {
        let current = with_secret(SecretMatch::Current);
        let mut subject = key("read:a", &["192.0.2.0/24"]);
        assert!(matches!(decide(&subject, &current, NOW), Err(Denial::NetworkNotAllowed(_))));
        subject = subject.disable(NOW).unwrap();
        assert_eq!(decide(&subject, &current, NOW), Err(Denial::Disabled));
        subject.expires_at = Some(NOW);
        assert_eq!(decide(&subject, &current, NOW), Err(Denial::Expired));
        subject = subject.revoke(NOW, None).unwrap();
        assert_eq!(decide(&subject, &current, NOW), Err(Denial::KeyRevoked));
    }

    #[test]
    fn the_previous_secret_works_until_its_grace_ends_and_its_grants_end_with_it() {
        let mut rotated = key("read:a", &[]);
        let secret = SecretVerifier { phc: String::new(), fast: None };
        rotated.previous = Some(PreviousSecret::new(secret, Timestamp::from_seconds(1_001)));
        let previous = with_secret(SecretMatch::Previous);
        let grant = decide(&rotated, &previous, NOW).unwrap();
        assert_eq!(grant.not_after, Some(Timestamp::from_seconds(1_001)));
        let later = Timestamp::from_seconds(1_001);
        assert_eq!(decide(&rotated, &previous, later), Err(Denial::WrongSecret));
        assert!(decide(&rotated, &with_secret(SecretMatch::Current), later).is_ok());
    }

    #[test]
    fn an_address_that_cannot_be_told_is_refused_even_by_an_unrestricted_key() {
        let unreadable = DecisionInput {
            address: ClientAddress::Unreadable(UnreadableAddress::Missing),
            ..with_secret(SecretMatch::Current)
        };
        assert_eq!(
            decide(&key("read:a", &[]), &unreadable, NOW),
            Err(Denial::AddressUnreadable(UnreadableAddress::Missing))
        );
    }

    #[test]
    fn a_token_needs_the_very_generation_of_its_key() {
        let scopes: &'static ScopeSet = Box::leak(Box::new(ScopeSet::parse("read:a").unwrap()));
        for (generation, good) in [(0, false), (1, true), (2, false)] {
            let token = ask(Proof::Token { generation, secret_version: 1, scopes, within_at: 0 });
            assert_eq!(decide(&key("read:a", &[]), &token, NOW).is_ok(), good);
        }
    }

    #[test]
    fn a_token_reaches_no_further_than_itself() {
        let token_scopes = ScopeSet::parse("read:a/b").unwrap();
        let wanted = ScopeSet::parse("read:a/c").unwrap();
        let ask = DecisionInput {
            proof: Proof::Token { generation: 1, secret_version: 1, scopes: &token_scopes, within_at: 0 },
            address: from("10.1.2.3"),
            scopes: Some(&wanted),
            is_suspended: false,
        };
        assert!(matches!(decide(&key("*:*", &[]), &ask, NOW), Err(Denial::ScopeNotHeld(..))));
    }

    fn token(scopes: &ScopeSet, secret_version: u64) -> DecisionInput<'_> {
        let proof = Proof::Token { generation: 1, secret_version, scopes, within_at: 0 };
        DecisionInput { proof, address: from("10.1.2.3"), scopes: None, is_suspended: false }
    }

    #[test]
    fn a_token_of_the_previous_secret_ends_with_its_grace_period() {
        let verifier = SecretVerifier { phc: String::new(), fast: None };
        let until = Timestamp::from_seconds(1_001);
        let rotated =
            ApiKey { secret_version: 3, previous: Some(PreviousSecret::new(verifier, until)), ..key("read:a", &[]) };
        let grant = decide(&rotated, &token(&rotated.scopes, 2), NOW).unwrap();
        assert_eq!((grant.not_after, grant.secret_version, grant.is_by_previous_secret), (Some(until), 2, true));
        let grant = decide(&rotated, &token(&rotated.scopes, 3), until).unwrap();
        assert_eq!((grant.not_after, grant.secret_version, grant.is_by_previous_secret), (None, 3, false));
        assert_eq!(
            decide(&rotated, &token(&rotated.scopes, 2), until),
            Err(Denial::TokenSuperseded),
            "the grace period is over"
        );
        for other in [0, 1, 4, u64::MAX] {
            assert_eq!(decide(&rotated, &token(&rotated.scopes, other), NOW), Err(Denial::TokenSuperseded), "{other}");
        }
        let ended = ApiKey { previous: None, ..rotated };
        assert_eq!(
            decide(&ended, &token(&ended.scopes, 2), NOW),
            Err(Denial::TokenSuperseded),
            "the grace period was ended"
        );
    }

    #[test]
    fn a_token_with_more_scopes_than_its_key_is_stale() {
        let held = key("read:a/*", &[]);
        for (scopes, is_good) in
            [("read:a/*", true), ("read:a/b", true), ("", true), ("read:*", false), ("read:a/b write:a", false)]
        {
            let scopes = ScopeSet::parse(scopes).unwrap();
            assert_eq!(decide(&held, &token(&scopes, 1), NOW).is_ok(), is_good, "{scopes}");
        }
    }

    fn scope_set() -> impl Strategy<Value = ScopeSet> {
        let segment = || prop::sample::select(vec!["a", "b", "#", "keyturn"]);
        let scope =
            (prop::sample::select(vec!["read", "write", "*"]), prop::collection::vec(segment(), 0..3), any::<bool>())
                .prop_map(|(action, mut segments, tail)| {
                    if tail || segments.is_empty() {
                        segments.push("*");
                    }
                    format!("{action}:{}", segments.join("/"))
                });
        prop::collection::vec(scope, 1..4).prop_map(|list| ScopeSet::parse(&list.join(" ")).unwrap())
    }

    proptest! {
        #[test]
        fn a_grant_is_never_more_than_the_key_has(held in scope_set(), wanted in prop::option::of(scope_set())) {
            let key = key(&held.to_string(), &[]);
            let ask = DecisionInput { scopes: wanted.as_ref(), ..with_secret(SecretMatch::Current) };
            match decide(&key, &ask, NOW) {
                Ok(grant) => {
                    prop_assert!(held.contains_all(&grant.scopes));
                    prop_assert_eq!(grant.scopes, wanted.unwrap_or(held));
                }
                Err(denial) => {
                    prop_assert!(matches!(denial, Denial::ScopeNotHeld(..)));
                    prop_assert!(!held.contains_all(&wanted.unwrap_or_default()));
                }
            }
        }

        #[test]
        fn a_token_never_has_more_than_its_key_or_its_secret(
            (held, carried) in (scope_set(), scope_set()),
            (version, minted) in (0..4_u64, 0..4_u64),
            grace in prop::option::of(990..1_010_i64),
        ) {
            let mut subject = key(&held.to_string(), &[]);
            subject.secret_version = version;
            subject.previous = grace.map(|until| PreviousSecret::new(SecretVerifier { phc: String::new(), fast: None }, Timestamp::from_seconds(until)));
            if let Ok(grant) = decide(&subject, &token(&carried, minted), NOW) {
                prop_assert!(held.contains_all(&grant.scopes));
                prop_assert_eq!(grant.secret_version, minted);
                let secret = if minted == version { SecretMatch::Current } else { SecretMatch::Previous };
                let by_secret = decide(&subject, &with_secret(secret), NOW).unwrap();
                prop_assert_eq!(grant.not_after, by_secret.not_after);
                prop_assert_eq!(grant.secret_version, by_secret.secret_version);
            }
        }

        #[test]
        fn the_first_failure_of_a_trace_is_the_denial_and_a_trace_without_one_is_the_grant(
            (scopes, wanted) in (scope_set(), prop::option::of(scope_set())),
            token in prop::option::of((0..3_u64, 0..4_u64, scope_set())),
            matched in prop::sample::select(vec![SecretMatch::Current, SecretMatch::Previous, SecretMatch::None]),
            state in 0..4_u8,
            (expires, grace) in (prop::option::of(990..1_010_i64), prop::option::of(990..1_010_i64)),
            networks in prop::sample::select(vec![vec![], vec!["10.0.0.0/8"], vec!["192.0.2.0/24"]]),
            address in prop::sample::select(vec![from("10.1.2.3"), from("::1"), ClientAddress::Unreadable(UnreadableAddress::Missing),
                ClientAddress::NotTheCaller]),
        ) {
            let mut subject = key(&scopes.to_string(), &networks);
            if state & 1 == 1 { subject = subject.disable(NOW).unwrap(); }
            if state & 2 == 2 { subject = subject.revoke(NOW, None).unwrap(); }
            subject.generation = 1;
            subject.secret_version = 2;
            subject.expires_at = expires.map(Timestamp::from_seconds);
            subject.previous = grace.map(|until| PreviousSecret::new(SecretVerifier { phc: String::new(), fast: None }, Timestamp::from_seconds(until)));
            let proof = match &token {
                Some((generation, secret_version, scopes)) => {
                    Proof::Token { generation: *generation, secret_version: *secret_version, scopes, within_at: 0 }
                }
                None => Proof::Secret(matched),
            };
            let ask = DecisionInput { proof, address, scopes: wanted.as_ref(), is_suspended: false };
            let decided = decide(&subject, &ask, NOW);
            let (explained, trace) = explain(&subject, &ask, NOW);
            prop_assert_eq!(&decided, &explained);
            let checks: Vec<Check> = trace.iter().map(|(check, _)| *check).collect();
            prop_assert_eq!(checks, Check::ALL);
            prop_assert_eq!(trace.failure().map(|(_, denial)| denial), decided.as_ref().err());
            let failed = trace.iter().position(|(_, finding)| matches!(finding, Finding::Failed(_)));
            for (place, (_, finding)) in trace.iter().enumerate() {
                prop_assert_eq!(*finding == Finding::NotReached, failed.is_some_and(|failed| place > failed));
            }
        }
    }
}
