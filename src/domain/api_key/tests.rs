//! Tests of states and transitions.

use proptest::prelude::*;

use super::*;
use crate::domain::policy::{Policy, ProposedKey};
use crate::domain::scope::ScopeSet;

pub(crate) fn key(scopes: &str, networks: &[&str]) -> ApiKey {
    ApiKey {
        id: KeyId::from_random([7; 16]),
        organization: Slug::default_organization(),
        prefix: KeyPrefix::default(),
        name: "billing".into(),
        description: String::new(),
        metadata: Metadata::default(),
        owner: None,
        customer: None,
        profile: None,
        grants: Grants::of_default(ScopeSet::parse(scopes).unwrap()),
        networks: Networks::parse(networks).unwrap(),
        named_networks: Vec::new(),
        expires_at: None,
        lifecycle: Lifecycle::Active,
        generation: 1,
        secret_version: 1,
        version: 1,
        secret: verifier(1),
        previous: None,
        hint: "kt_...abcd".into(),
        created_at: at(0),
        created_by: "keyturn".into(),
        rotated_at: None,
        last_used_at: None,
        last_used_ip: None,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn verifier(n: u8) -> SecretVerifier {
    SecretVerifier { phc: format!("phc{n}"), fast: Some(FastVerifier { pepper: "p".into(), digest: [n; 32] }) }
}

fn rotation(grace_until: Option<Timestamp>) -> Rotation {
    Rotation {
        secret: verifier(2),
        hint: "kt_...wxyz".into(),
        prefix: KeyPrefix::default(),
        name: None,
        expires_at: None,
        grace_until,
    }
}

#[test]
fn revoked_key_cannot_change() {
    let revoked = key("read:a", &[]).revoke(at(1), Some("leaked".into())).unwrap();
    assert_eq!(revoked.generation, 2);
    assert_eq!(revoked.status(at(2)), Status::Revoked);
    assert_eq!(revoked.clone().revoke(at(2), None), Err(TransitionRefused::Unchanged));
    assert_eq!(revoked.clone().enable(at(2)), Err(TransitionRefused::Revoked));
    assert_eq!(revoked.clone().disable(at(2)), Err(TransitionRefused::Revoked));
    assert_eq!(revoked.clone().rotate(rotation(None), at(2)), Err(TransitionRefused::Revoked));
    assert_eq!(revoked.clone().end_grace(at(2)), Err(TransitionRefused::Unchanged));
    assert_eq!(revoked.clone().extend_grace(600, at(2)), Err(TransitionRefused::Revoked));
    let edit = Edit { name: Some("x".into()), ..Edit::default() };
    assert_eq!(revoked.edit(edit, at(2)), Err(TransitionRefused::Revoked));
}

#[test]
fn enabling_does_not_revive_tokens() {
    let disabled = key("read:a", &[]).disable(at(1)).unwrap();
    assert_eq!((disabled.status(at(1)), disabled.generation), (Status::Disabled, 2));
    let enabled = disabled.enable(at(2)).unwrap();
    assert_eq!((enabled.status(at(1)), enabled.generation), (Status::Active, 2));
}

#[test]
fn rotation_without_grace_invalidates_secret_and_tokens() {
    let rotated = key("read:a", &[]).rotate(rotation(None), at(5)).unwrap();
    assert_eq!((rotated.generation, rotated.previous, rotated.secret), (2, None, verifier(2)));
    assert_eq!(rotated.secret_version, 2);
}

#[test]
fn rotation_with_grace_keeps_the_previous_secret() {
    let rotated = key("read:a", &[]).rotate(rotation(Some(at(60))), at(5)).unwrap();
    assert_eq!((rotated.generation, rotated.secret_version), (1, 2));
    assert_eq!(rotated.previous, Some(PreviousSecret::new(verifier(1), "kt_...abcd".into(), at(60))));
    let again = rotated.clone().rotate(rotation(Some(at(90))), at(6));
    assert_eq!(again, Err(TransitionRefused::GraceRunning { until: at(60) }));
    assert_eq!(rotated.clone().rotate(rotation(None), at(6)).unwrap().previous, None);
    assert!(rotated.rotate(rotation(Some(at(90))), at(60)).is_ok(), "the first grace is over");
}

#[test]
fn ending_the_grace_removes_only_the_previous_secret() {
    let rotated = key("read:a", &[]).rotate(rotation(Some(at(60))), at(5)).unwrap();
    let ended = rotated.clone().end_grace(at(6)).unwrap();
    assert_eq!((&ended.previous, &ended.secret, ended.version), (&None, &verifier(2), rotated.version + 1));
    assert_eq!((ended.generation, ended.secret_version), (rotated.generation, rotated.secret_version));
    assert_eq!(ended.end_grace(at(7)), Err(TransitionRefused::Unchanged));
    assert_eq!(rotated.end_grace(at(60)), Err(TransitionRefused::Unchanged), "it is over already");
}

#[test]
fn grace_is_extended_but_not_beyond_the_expiry() {
    let rotated = key("read:a", &[]).rotate(rotation(Some(at(65))), at(5)).unwrap();
    let until = |key: Result<ApiKey, TransitionRefused>| key.map(|key| key.previous.unwrap().until);
    assert_eq!(until(rotated.clone().extend_grace(120, at(6))), Ok(at(125)), "counted from the rotation");
    assert_eq!(until(rotated.clone().extend_grace(60, at(6))), Err(TransitionRefused::Unchanged));
    assert_eq!(
        until(rotated.clone().extend_grace(59, at(6))),
        Err(TransitionRefused::GraceShortened { until: at(65) })
    );
    assert_eq!(until(rotated.clone().extend_grace(120, at(65))), Err(TransitionRefused::NoGrace));
    let expiring = ApiKey { expires_at: Some(at(100)), ..rotated };
    assert_eq!(until(expiring.clone().extend_grace(120, at(6))), Ok(at(100)));
    let at_most = expiring.extend_grace(120, at(6)).unwrap();
    assert_eq!(until(at_most.extend_grace(120, at(7))), Err(TransitionRefused::Unchanged));
}

proptest! {
    #[test]
    fn grace_never_exceeds_policy_and_expiry_and_is_never_shortened(
        maximum in 1_u32..100,
        first in 1_u32..100,
        wishes in prop::collection::vec((0_u32..130, 0_i64..20), 1..8),
        expiry in prop::option::of(10_i64..120),
    ) {
        let policy = Policy { max_grace_seconds: maximum, ..Policy::default() };
        let first = first.min(maximum);
        let start = ApiKey { expires_at: expiry.map(at), ..key("read:a", &[]) };
        let mut known = start.rotate(rotation(Some(at(5 + i64::from(first)))), at(5)).unwrap();
        let rotated = known.clone();
        let mut now = 5;
        for (seconds, passed) in wishes {
            now += passed;
            let proposed = ProposedKey { grace_seconds: Some(seconds), ..ProposedKey::default() };
            if !policy.violations(&proposed, at(now)).is_empty() {
                continue;
            }
            let before = known.grace_ends(at(now));
            if let Ok(extended) = known.clone().extend_grace(seconds, at(now)) {
                let until = extended.grace_ends(at(now)).unwrap();
                prop_assert!(before.is_some_and(|before| until > before));
                prop_assert!(until <= at(5 + i64::from(maximum)));
                prop_assert!(extended.expires_at.is_none_or(|end| until <= end));
                prop_assert_eq!(extended.version, known.version + 1);
                known = extended;
            }
            prop_assert_eq!(known.generation, rotated.generation);
            prop_assert_eq!(known.secret_version, rotated.secret_version);
            prop_assert_eq!(&known.secret, &rotated.secret);
        }
    }
}

#[test]
fn a_new_owner_invalidates_nothing() {
    let owned = |owner: Option<&str>| Edit { owner: Some(owner.map(|id| MemberId(id.into()))), ..Edit::default() };
    let given = key("read:a", &[]).edit(owned(Some("anna")), at(1)).unwrap();
    assert_eq!((given.owner.as_ref().map(|id| id.0.as_str()), given.generation, given.version), (Some("anna"), 1, 2));
    assert_eq!(given.clone().edit(owned(Some("anna")), at(1)), Err(TransitionRefused::Unchanged));
    assert_eq!(given.edit(owned(None), at(1)).unwrap().owner, None);
}

#[test]
fn only_narrowing_invalidates_tokens() {
    let generation_after = |edit: Edit| key("read:a/*", &["10.0.0.0/8"]).edit(edit, at(1)).unwrap().generation;
    let scopes = |text: &str| Edit { grants: ScopeSet::parse(text).ok().map(Grants::of_default), ..Edit::default() };
    let networks = |list: &[&str]| Edit { networks: Networks::parse(list).ok(), ..Edit::default() };
    let expiry = |end| Edit { expires_at: Some(end), ..Edit::default() };
    assert_eq!(generation_after(scopes("read:a/b")), 2);
    assert_eq!(generation_after(scopes("read:a/* write:b")), 1);
    assert_eq!(generation_after(networks(&["10.0.0.0/9"])), 2);
    assert_eq!(generation_after(networks(&["10.0.0.0/9", "10.128.0.0/9"])), 1);
    assert_eq!(generation_after(networks(&[])), 1);
    assert_eq!(generation_after(expiry(Some(at(99)))), 2);
    assert_eq!(generation_after(Edit { name: Some("other".into()), ..Edit::default() }), 1);
}

#[test]
fn edit_without_effect_is_unchanged() {
    assert_eq!(key("read:a", &[]).edit(Edit::default(), at(1)), Err(TransitionRefused::Unchanged));
}

#[test]
fn only_rotation_with_new_expiry_revives_expired_key() {
    let expired = ApiKey { expires_at: Some(at(10)), ..key("read:a", &[]) };
    let until = |end| Edit { expires_at: Some(end), ..Edit::default() };
    for end in [None, Some(at(99))] {
        assert_eq!(expired.clone().edit(until(end), at(10)), Err(TransitionRefused::Expired));
        assert!(expired.clone().edit(until(end), at(9)).is_ok());
    }
    let renamed = Edit { name: Some("other".into()), ..Edit::default() };
    assert!(expired.clone().edit(renamed, at(10)).is_ok());
    assert_eq!(expired.clone().enable(at(10)), Err(TransitionRefused::Expired));
    assert_eq!(expired.clone().disable(at(10)).unwrap().enable(at(10)), Err(TransitionRefused::Expired));
    assert_eq!(expired.clone().rotate(rotation(None), at(10)), Err(TransitionRefused::Expired));
    let renewed = Rotation { expires_at: Some(Some(at(99))), ..rotation(Some(at(50))) };
    let renewed = expired.rotate(renewed, at(10)).unwrap();
    assert_eq!((renewed.status(at(10)), &renewed.previous), (Status::Active, &None), "the old secret stays invalid");
    assert_eq!(renewed.generation, 2);
}

#[test]
fn grace_ends_no_later_than_the_old_expiry() {
    let ending = ApiKey { expires_at: Some(at(10)), ..key("read:a", &[]) };
    let renewal = Rotation { expires_at: Some(None), ..rotation(Some(at(50))) };
    assert_eq!(ending.clone().rotate(renewal, at(5)).unwrap().grace_ends(at(5)), Some(at(10)));
    assert_eq!(ending.rotate(rotation(Some(at(8))), at(5)).unwrap().grace_ends(at(5)), Some(at(8)));
}

#[test]
fn expiry_is_exclusive() {
    let mut expiring = key("read:a", &[]);
    expiring.expires_at = Some(at(10));
    assert_eq!(expiring.status(Timestamp::from_millis(9_999)), Status::Active);
    assert_eq!(expiring.status(at(10)), Status::Expired);
    assert!(!expiring.counts(at(10)));
}
