//! The laws of the decision.

use super::*;
use crate::domain::api_key::tests::key;
use crate::domain::api_key::{PreviousSecret, SecretVerifier};
use crate::domain::customer::tests::customer;
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::domain::{grants::Grants, networks::Networks};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn from(address: &str) -> ClientAddress {
    ClientAddress::Known(address.parse().unwrap())
}

/// Without profiles and networks.
static ALONE: SharedAccess = SharedAccess::empty();

/// Replaced by the key's scopes in [`decide`] and [`explain`].
const NOT_GRANTED: Result<&ScopeSet, Denial> = Err(Denial::ApiNotGranted);

fn for_default_api<'a>(key: &'a ApiKey, ask: &DecisionInput<'a>) -> DecisionInput<'a> {
    DecisionInput { held: Ok(key.grants.of_default_api()), ..ask.clone() }
}

fn decide(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> Result<Grant, Denial> {
    super::decide(key, &for_default_api(key, ask), now)
}

fn explain(key: &ApiKey, ask: &DecisionInput<'_>, now: Timestamp) -> (Result<Grant, Denial>, DecisionTrace) {
    super::explain(key, &for_default_api(key, ask), now)
}

fn ask(proof: Proof<'static>) -> DecisionInput<'static> {
    DecisionInput {
        proof,
        address: from("10.1.2.3"),
        scopes: None,
        held: NOT_GRANTED,
        customer: None,
        shared: &ALONE,
        is_suspended: false,
    }
}

fn with_secret(matched: SecretMatch) -> DecisionInput<'static> {
    ask(Proof::Secret(matched))
}

#[test]
fn an_active_key_with_its_secret_gets_all_its_scopes() {
    let key = key("read:a/* write:b", &[]);
    let grant = decide(&key, &with_secret(SecretMatch::Current), NOW).unwrap();
    assert_eq!((grant.scopes, grant.not_after, grant.generation), (key.grants.of_default_api().clone(), None, 1));
    assert_eq!((grant.secret_version, grant.is_by_previous_secret), (1, false));
}

#[test]
fn a_suspended_organization_denies_every_proof_and_only_a_right_one_learns_of_it() {
    let key = key("read:a", &[]);
    let suspended = |proof| DecisionInput { is_suspended: true, ..ask(proof) };
    let held = key.grants.of_default_api().clone();
    let token = Proof::Token {
        generation: 1,
        secret_version: 1,
        customer_generation: None,
        issued_at: NOW,
        scopes: &held,
        is_known_within: false,
    };
    assert_eq!(
        decide(&key, &DecisionInput { proof: token, ..suspended(Proof::Secret(SecretMatch::Current)) }, NOW),
        Err(Denial::OrganizationSuspended)
    );
    let denied = |matched| decide(&key, &suspended(Proof::Secret(matched)), NOW);
    assert_eq!(denied(SecretMatch::Current), Err(Denial::OrganizationSuspended));
    assert_eq!(denied(SecretMatch::None), Err(Denial::WrongSecret));
}

#[test]
fn suspended_customer_denies_every_proof_and_only_a_right_one_learns_of_it() {
    let (current, mut key) = (customer(), key("read:a", &[]));
    key.customer = Some(current.id);
    let held = key.grants.of_default_api().clone();
    let token = |customer_generation| Proof::Token {
        generation: 1,
        secret_version: 1,
        customer_generation,
        issued_at: NOW,
        scopes: &held,
        is_known_within: false,
    };
    let decide = |proof, customer| {
        let ask = DecisionInput {
            proof,
            address: from("10.1.2.3"),
            scopes: None,
            held: NOT_GRANTED,
            customer,
            shared: &ALONE,
            is_suspended: false,
        };
        decide(&key, &ask, NOW).map(|grant| grant.customer_generation)
    };
    let secret = |matched, customer| decide(Proof::Secret(matched), Some(customer));
    assert_eq!(secret(SecretMatch::Current, &current), Ok(Some(1)));
    assert_eq!(decide(token(Some(1)), Some(&current)), Ok(Some(1)));

    let suspended = current.clone().suspend(NOW).unwrap();
    assert_eq!(secret(SecretMatch::Current, &suspended), Err(Denial::CustomerSuspended));
    assert_eq!(secret(SecretMatch::None, &suspended), Err(Denial::WrongSecret));
    assert_eq!(decide(token(Some(1)), Some(&suspended)), Err(Denial::CustomerSuspended));
    let removed = current.clone().remove(NOW);
    assert_eq!(secret(SecretMatch::Current, &removed), Err(Denial::CustomerSuspended));

    // Earlier tokens, and those of a time without a customer, stay invalid.
    let reinstated = suspended.clone().reinstate().unwrap();
    assert_eq!(secret(SecretMatch::Current, &reinstated), Ok(Some(2)));
    for (generation, expected) in
        [(Some(2), Ok(Some(2))), (Some(1), Err(Denial::TokenSuperseded)), (None, Err(Denial::TokenSuperseded))]
    {
        assert_eq!(decide(token(generation), Some(&reinstated)), expected);
    }

    // A customer that is not the key's proves nothing.
    let other = Customer { id: crate::domain::customer::CustomerId::from_random([6; 16]), ..current.clone() };
    assert_eq!(secret(SecretMatch::Current, &other), Err(Denial::CustomerSuspended));
    assert_eq!(decide(Proof::Secret(SecretMatch::Current), None), Err(Denial::CustomerSuspended));
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
    rotated.previous = Some(PreviousSecret::new(secret, "kt_...prev".into(), Timestamp::from_seconds(1_001)));
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
        let token = ask(Proof::Token {
            generation,
            secret_version: 1,
            customer_generation: None,
            issued_at: NOW,
            scopes,
            is_known_within: false,
        });
        assert_eq!(decide(&key("read:a", &[]), &token, NOW).is_ok(), good);
    }
}

#[test]
fn an_api_that_is_not_granted_denies_after_every_other_check() {
    let scopes = ScopeSet::parse("read").unwrap();
    let subject = key("read", &["192.0.2.0/24"]);
    for is_known_within in [true, false] {
        let proof = Proof::Token {
            generation: 1,
            secret_version: 1,
            customer_generation: None,
            issued_at: NOW,
            scopes: &scopes,
            is_known_within,
        };
        let of_token = DecisionInput { proof, ..with_secret(SecretMatch::Current) };
        assert!(matches!(super::decide(&subject, &of_token, NOW), Err(Denial::NetworkNotAllowed(_))));
        assert_eq!(super::decide(&key("read", &[]), &of_token, NOW), Err(Denial::ApiNotGranted));
    }
    let of_secret = DecisionInput { held: Err(Denial::AudienceNotAllowed), ..with_secret(SecretMatch::Current) };
    assert_eq!(super::decide(&key("read", &[]), &of_secret, NOW), Err(Denial::AudienceNotAllowed));
}

#[test]
fn a_token_reaches_no_further_than_itself() {
    let token_scopes = ScopeSet::parse("read:a/b").unwrap();
    let wanted = ScopeSet::parse("read:a/c").unwrap();
    let ask = DecisionInput {
        proof: Proof::Token {
            generation: 1,
            secret_version: 1,
            customer_generation: None,
            issued_at: NOW,
            scopes: &token_scopes,
            is_known_within: false,
        },
        address: from("10.1.2.3"),
        scopes: Some(&wanted),
        held: NOT_GRANTED,
        customer: None,
        shared: &ALONE,
        is_suspended: false,
    };
    assert!(matches!(decide(&key("*:*", &[]), &ask, NOW), Err(Denial::ScopeNotHeld(..))));
}

fn token(scopes: &ScopeSet, secret_version: u64) -> DecisionInput<'_> {
    let proof = Proof::Token {
        generation: 1,
        secret_version,
        customer_generation: None,
        issued_at: NOW,
        scopes,
        is_known_within: false,
    };
    DecisionInput {
        proof,
        address: from("10.1.2.3"),
        scopes: None,
        held: NOT_GRANTED,
        customer: None,
        shared: &ALONE,
        is_suspended: false,
    }
}

#[test]
fn a_token_of_the_previous_secret_ends_with_its_grace_period() {
    let verifier = SecretVerifier { phc: String::new(), fast: None };
    let until = Timestamp::from_seconds(1_001);
    let rotated = ApiKey {
        secret_version: 3,
        previous: Some(PreviousSecret::new(verifier, "kt_...prev".into(), until)),
        ..key("read:a", &[])
    };
    let grant = decide(&rotated, &token(rotated.grants.of_default_api(), 2), NOW).unwrap();
    assert_eq!((grant.not_after, grant.secret_version, grant.is_by_previous_secret), (Some(until), 2, true));
    let grant = decide(&rotated, &token(rotated.grants.of_default_api(), 3), until).unwrap();
    assert_eq!((grant.not_after, grant.secret_version, grant.is_by_previous_secret), (None, 3, false));
    assert_eq!(
        decide(&rotated, &token(rotated.grants.of_default_api(), 2), until),
        Err(Denial::TokenSuperseded),
        "the grace period is over"
    );
    for other in [0, 1, 4, u64::MAX] {
        assert_eq!(
            decide(&rotated, &token(rotated.grants.of_default_api(), other), NOW),
            Err(Denial::TokenSuperseded),
            "{other}"
        );
    }
    let ended = ApiKey { previous: None, ..rotated };
    assert_eq!(
        decide(&ended, &token(ended.grants.of_default_api(), 2), NOW),
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
        subject.previous = grace.map(|until| PreviousSecret::new(SecretVerifier { phc: String::new(), fast: None }, "kt_...prev".into(), Timestamp::from_seconds(until)));
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
        subject.previous = grace.map(|until| PreviousSecret::new(SecretVerifier { phc: String::new(), fast: None }, "kt_...prev".into(), Timestamp::from_seconds(until)));
        let proof = match &token {
            Some((generation, secret_version, scopes)) => {
                Proof::Token { generation: *generation, secret_version: *secret_version, customer_generation: None, issued_at: NOW, scopes, is_known_within: false }
            }
            None => Proof::Secret(matched),
        };
        let ask = DecisionInput { proof, address, scopes: wanted.as_ref(), held: NOT_GRANTED, customer: None, shared: &ALONE, is_suspended: false };
        let decided = decide(&subject, &ask, NOW);
        let (explained, trace) = explain(&subject, &ask, NOW);
        prop_assert_eq!(&decided, &explained);
        let checks: Vec<Check> = trace.iter().map(|(check, _)| *check).collect();
        prop_assert_eq!(checks, Check::ALL);
        prop_assert_eq!(trace.failure().map(|(_, denial)| denial), decided.as_ref().err());
        // Each failure is what the decision would be without the ones before it.
        let fails = |check: Check| trace.iter().any(|(one, finding)| *one == check && matches!(finding, Finding::Failed(_)));
        prop_assert_eq!(fails(Check::Revoked), state & 2 == 2);
        prop_assert_eq!(fails(Check::Disabled), state == 1);
        prop_assert_eq!(fails(Check::Expired), expires.is_some_and(|end| Timestamp::from_seconds(end) <= NOW));
        let is_outside = match address {
            ClientAddress::Known(address) => !subject.networks.allows(address),
            ClientAddress::Unreadable(_) => true,
            // The key has no references.
            ClientAddress::NotTheCaller => false,
        };
        prop_assert_eq!(fails(Check::Network), is_outside);
    }
}

fn profile(name: &str, token_ttl_seconds: Option<u32>) -> Profile {
    Profile {
        organization: Slug::default_organization(),
        name: Slug::parse(name).unwrap(),
        description: String::new(),
        grants: Grants::of_default(ScopeSet::parse("read").unwrap()),
        networks: Networks::all(),
        named_networks: Vec::new(),
        token_ttl_seconds,
        version: 1,
        created_at: NOW,
    }
}

#[test]
fn a_token_ends_with_the_lifetime_that_its_profile_allows() {
    let scopes = ScopeSet::parse("read").unwrap();
    let limited = |seconds| SharedAccess::new(vec![profile("short", seconds)], Vec::new());
    let subject = ApiKey { profile: Slug::parse("short"), ..key("read", &[]) };
    let decided = |shared: &SharedAccess, later| {
        let ask = DecisionInput { shared, ..token(&scopes, 1) };
        decide(&subject, &ask, NOW.plus_seconds(later)).map(|grant| grant.not_after)
    };
    assert_eq!(decided(&limited(None), 3_000), Ok(None));
    assert_eq!(decided(&limited(Some(60)), 59), Ok(Some(NOW.plus_seconds(60))));
    assert_eq!(decided(&limited(Some(60)), 60), Err(Denial::TokenExpired));
    let by_secret = DecisionInput { shared: &limited(Some(60)), ..with_secret(SecretMatch::Current) };
    assert_eq!(decide(&subject, &by_secret, NOW.plus_seconds(99)).map(|grant| grant.not_after), Ok(None));
}

#[test]
fn a_key_that_no_address_may_use_is_denied_whoever_presents_it() {
    let local = Profile { networks: Networks::parse(&["10.0.0.0/8"]).unwrap(), ..profile("local", None) };
    let shared = SharedAccess::new(vec![local], Vec::new());
    let decided = |networks: &[&str]| {
        let subject = ApiKey { profile: Slug::parse("local"), ..key("read", networks) };
        let presented = with_secret(SecretMatch::Current);
        let ask = DecisionInput { address: ClientAddress::NotTheCaller, shared: &shared, ..presented };
        decide(&subject, &ask, NOW).map(|grant| grant.scopes.to_string())
    };
    assert_eq!(decided(&["192.0.2.0/24"]), Err(Denial::NoNetworkAllowed));
    assert_eq!(decided(&["192.0.2.0/24", "10.0.0.1"]), Ok("read".into()));
    assert_eq!(decided(&[]), Ok("read".into()));
    let nowhere = ApiKey { named_networks: vec![Slug::parse("gone").unwrap()], ..key("read", &[]) };
    let ask = DecisionInput { address: ClientAddress::NotTheCaller, ..with_secret(SecretMatch::Current) };
    assert_eq!(decide(&nowhere, &ask, NOW), Err(Denial::NoNetworkAllowed));
}
