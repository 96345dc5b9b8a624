//! THE rule: whether a key, as it stands now, may do what is asked. Pure and total.
//!
//! Exchange, introspection, `/verify` and the management API all ask here and nowhere else.

use std::net::IpAddr;

use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;

/// What is asked of a key.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// What the caller has shown.
    pub proof: Proof<'a>,
    /// Where the caller is.
    pub address: ClientAddress,
    /// The scopes wanted, or `None` for all that the proof carries.
    pub scopes: Option<&'a ScopeSet>,
}

/// What a caller has shown to act for a key.
#[derive(Clone, Debug)]
pub enum Proof<'a> {
    /// A secret, compared with the key's verifiers.
    Secret(SecretMatch),
    /// A token whose signature and times hold.
    Token {
        /// The key's generation when it was minted.
        generation: u64,
        /// What it carries.
        scopes: &'a ScopeSet,
    },
}

/// How a presented secret compares with those of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretMatch {
    /// It is the key's secret.
    Current,
    /// It is the one before the last rotation.
    Previous,
    /// It is neither.
    None,
}

/// Where a caller is, as far as can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAddress {
    /// IPv4-mapped addresses are already folded to IPv4.
    Known(IpAddr),
    /// The forwarding headers of a trusted proxy do not give one address.
    Unreadable(UnreadableAddress),
    /// Somebody else asks about the credential, as in introspection: whoever asks is told the networks and
    /// holds the bearer to them.
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
    /// Nothing granted may outlive this: the key's expiry, or the old secret's grace.
    pub not_after: Option<Timestamp>,
    /// The key's generation, for the token.
    pub generation: u64,
}

/// Why something was refused. Private: what a caller is told of it is each surface's own decision.
#[derive(Clone, PartialEq, Debug)]
pub enum Denial {
    /// No such key, or not its secret, or no longer its secret.
    NotAuthentic,
    /// Revoked; told to nobody but its owner.
    Revoked,
    /// A token from before the last change that took something away.
    Stale,
    /// Past its expiry.
    Expired,
    /// Suspended.
    Disabled,
    /// The client's address is unknown.
    AddressUnreadable(UnreadableAddress),
    /// The address is in none of the key's networks.
    NetworkNotAllowed(IpAddr),
    /// A scope was asked for that is not held: its place among those asked for, from 1. The scope itself
    /// may hold a misplaced secret.
    ScopeNotHeld(usize),
}

impl ClientAddress {
    /// The address, where it can be told.
    pub fn known(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Unreadable(_) | Self::NotTheCaller => None,
        }
    }
}

/// A check, in the order in which they are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// Whether the secret is the key's, or still is.
    Secret,
    /// Whether the key is revoked.
    Revoked,
    /// Whether it is past its expiry.
    Expired,
    /// Whether it is suspended.
    Disabled,
    /// Whether a token is of the key's generation.
    Generation,
    /// Whether the address is in the key's networks.
    Network,
    /// Whether what is asked for is held.
    Scope,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 7] =
        [Self::Secret, Self::Revoked, Self::Expired, Self::Disabled, Self::Generation, Self::Network, Self::Scope];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Generation => "generation",
            Self::Network => "network",
            Self::Scope => "scope",
        }
    }
}

/// What came of a check.
#[derive(Clone, PartialEq, Debug)]
pub enum Finding {
    /// It holds.
    Passed,
    /// What is asked gives it nothing to check.
    NotAsked,
    /// It does not hold, and the decision ends here.
    Failed(Denial),
    /// The decision ended before it.
    NotReached,
}

/// Every check with what came of it, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Trace(Vec<(Check, Finding)>);

impl Trace {
    /// The checks, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Check, Finding)> {
        self.0.iter()
    }

    /// The check that failed, and how.
    pub fn failure(&self) -> Option<(Check, &Denial)> {
        self.iter().find_map(|(check, finding)| match finding {
            Finding::Failed(denial) => Some((*check, denial)),
            Finding::Passed | Finding::NotAsked | Finding::NotReached => None,
        })
    }
}

/// Decides. What is checked first is what a stranger may learn least from.
pub fn decide(key: &ApiKey, ask: &Ask<'_>, now: Timestamp) -> Result<Grant, Denial> {
    walk(key, ask, now, &mut |_, _| {})
}

/// Decides, and tells what came of each check: the very walk of [`decide`], listened to.
pub fn explain(key: &ApiKey, ask: &Ask<'_>, now: Timestamp) -> (Result<Grant, Denial>, Trace) {
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
    (decided, Trace(seen))
}

/// The checks, one after the other. `listen` is told of each: passed, not asked, or why it failed. A listener that does
/// nothing costs nothing.
fn walk(
    key: &ApiKey,
    ask: &Ask<'_>,
    now: Timestamp,
    listen: &mut impl FnMut(Check, Result<bool, &Denial>),
) -> Result<Grant, Denial> {
    let proof_ends = step(Check::Secret, secret(key, ask, now), listen)?.flatten();
    step(Check::Revoked, revoked(key), listen)?;
    step(Check::Expired, expired(key, now), listen)?;
    step(Check::Disabled, disabled(key), listen)?;
    step(Check::Generation, generation(key, ask), listen)?;
    step(Check::Network, network(key, ask), listen)?;
    step(Check::Scope, scope(key, ask), listen)?;
    let scopes = ask.scopes.unwrap_or_else(|| held(key, ask)).clone();
    let not_after = match (key.expires_at, proof_ends) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Ok(Grant { scopes, not_after, generation: key.generation })
}

/// What a check finds; `None` where nothing is asked of it.
type Checked<T> = Result<Option<T>, Denial>;

#[inline(always)]
fn step<T>(check: Check, checked: Checked<T>, listen: &mut impl FnMut(Check, Result<bool, &Denial>)) -> Checked<T> {
    listen(check, checked.as_ref().map(Option::is_some));
    checked
}

/// What the proof carries at most.
fn held<'a>(key: &'a ApiKey, ask: &Ask<'a>) -> &'a ScopeSet {
    match ask.proof {
        Proof::Secret(_) => &key.scopes,
        Proof::Token { scopes, .. } => scopes,
    }
}

/// When the secret ends by itself, if it does.
fn secret(key: &ApiKey, ask: &Ask<'_>, now: Timestamp) -> Checked<Option<Timestamp>> {
    match ask.proof {
        Proof::Secret(SecretMatch::Current) => Ok(Some(None)),
        Proof::Secret(SecretMatch::Previous) => match &key.previous {
            Some(previous) if now < previous.until => Ok(Some(Some(previous.until))),
            _ => Err(Denial::NotAuthentic),
        },
        Proof::Secret(SecretMatch::None) => Err(Denial::NotAuthentic),
        Proof::Token { .. } => Ok(None),
    }
}

fn revoked(key: &ApiKey) -> Checked<()> {
    match key.lifecycle {
        Lifecycle::Revoked { .. } => Err(Denial::Revoked),
        Lifecycle::Disabled { .. } | Lifecycle::Active => Ok(Some(())),
    }
}

fn expired(key: &ApiKey, now: Timestamp) -> Checked<()> {
    if key.is_expired(now) { Err(Denial::Expired) } else { Ok(Some(())) }
}

fn disabled(key: &ApiKey) -> Checked<()> {
    if matches!(key.lifecycle, Lifecycle::Disabled { .. }) { Err(Denial::Disabled) } else { Ok(Some(())) }
}

fn generation(key: &ApiKey, ask: &Ask<'_>) -> Checked<()> {
    match ask.proof {
        Proof::Token { generation, .. } if generation != key.generation => Err(Denial::Stale),
        Proof::Token { .. } => Ok(Some(())),
        Proof::Secret(_) => Ok(None),
    }
}

fn network(key: &ApiKey, ask: &Ask<'_>) -> Checked<()> {
    match ask.address {
        ClientAddress::Known(address) if key.networks.allows(address) => Ok(Some(())),
        ClientAddress::Known(address) => Err(Denial::NetworkNotAllowed(address)),
        ClientAddress::Unreadable(reason) => Err(Denial::AddressUnreadable(reason)),
        ClientAddress::NotTheCaller => Ok(None),
    }
}

fn scope(key: &ApiKey, ask: &Ask<'_>) -> Checked<()> {
    let Some(wanted) = ask.scopes else { return Ok(None) };
    let held = held(key, ask);
    let reach = |scope: &Scope| held.contains(scope) && key.scopes.contains(scope);
    match wanted.iter().position(|scope| !reach(scope)) {
        Some(place) => Err(Denial::ScopeNotHeld(place + 1)),
        None => Ok(Some(())),
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

    fn ask(proof: Proof<'static>) -> Ask<'static> {
        Ask { proof, address: from("10.1.2.3"), scopes: None }
    }

    fn with_secret(matched: SecretMatch) -> Ask<'static> {
        ask(Proof::Secret(matched))
    }

    #[test]
    fn an_active_key_with_its_secret_gets_all_its_scopes() {
        let key = key("read:a/* write:b", &[]);
        let grant = decide(&key, &with_secret(SecretMatch::Current), NOW).unwrap();
        assert_eq!((grant.scopes, grant.not_after, grant.generation), (key.scopes, None, 1));
    }

    #[test]
    fn a_wrong_secret_learns_nothing_of_the_state() {
        let mut expired = key("read:a", &["192.0.2.0/24"]).disable(NOW).unwrap();
        expired.expires_at = Some(NOW);
        assert_eq!(decide(&expired, &with_secret(SecretMatch::None), NOW), Err(Denial::NotAuthentic));
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
        assert_eq!(decide(&subject, &current, NOW), Err(Denial::Revoked));
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
        assert_eq!(decide(&rotated, &previous, later), Err(Denial::NotAuthentic));
        assert!(decide(&rotated, &with_secret(SecretMatch::Current), later).is_ok());
    }

    #[test]
    fn an_address_that_cannot_be_told_is_refused_even_by_an_unrestricted_key() {
        let unreadable =
            Ask { address: ClientAddress::Unreadable(UnreadableAddress::Missing), ..with_secret(SecretMatch::Current) };
        assert_eq!(
            decide(&key("read:a", &[]), &unreadable, NOW),
            Err(Denial::AddressUnreadable(UnreadableAddress::Missing))
        );
    }

    #[test]
    fn a_token_needs_the_very_generation_of_its_key() {
        let scopes: &'static ScopeSet = Box::leak(Box::new(ScopeSet::parse("read:a").unwrap()));
        for (generation, good) in [(0, false), (1, true), (2, false)] {
            let token = ask(Proof::Token { generation, scopes });
            assert_eq!(decide(&key("read:a", &[]), &token, NOW).is_ok(), good);
        }
    }

    #[test]
    fn a_token_reaches_no_further_than_itself() {
        let token_scopes = ScopeSet::parse("read:a/b").unwrap();
        let wanted = ScopeSet::parse("read:a/c").unwrap();
        let ask = Ask {
            proof: Proof::Token { generation: 1, scopes: &token_scopes },
            address: from("10.1.2.3"),
            scopes: Some(&wanted),
        };
        assert!(matches!(decide(&key("*:*", &[]), &ask, NOW), Err(Denial::ScopeNotHeld(_))));
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
            let ask = Ask { scopes: wanted.as_ref(), ..with_secret(SecretMatch::Current) };
            match decide(&key, &ask, NOW) {
                Ok(grant) => {
                    prop_assert!(held.contains_all(&grant.scopes));
                    prop_assert_eq!(grant.scopes, wanted.unwrap_or(held));
                }
                Err(denial) => {
                    prop_assert!(matches!(denial, Denial::ScopeNotHeld(_)));
                    prop_assert!(!held.contains_all(&wanted.unwrap_or_default()));
                }
            }
        }

        #[test]
        fn the_first_failure_of_a_trace_is_the_denial_and_a_trace_without_one_is_the_grant(
            (scopes, wanted) in (scope_set(), prop::option::of(scope_set())),
            token in prop::option::of((0..3_u64, scope_set())),
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
            subject.expires_at = expires.map(Timestamp::from_seconds);
            subject.previous = grace.map(|until| PreviousSecret::new(SecretVerifier { phc: String::new(), fast: None }, Timestamp::from_seconds(until)));
            let proof = match &token {
                Some((generation, scopes)) => Proof::Token { generation: *generation, scopes },
                None => Proof::Secret(matched),
            };
            let ask = Ask { proof, address, scopes: wanted.as_ref() };
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
