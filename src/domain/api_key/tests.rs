//! Tests of states and transitions.

use super::*;

pub(crate) fn key(scopes: &str, networks: &[&str]) -> ApiKey {
    ApiKey {
        id: KeyId::from_random([7; 16]),
        organization: Slug::default_organization(),
        prefix: KeyPrefix::default(),
        name: "billing".into(),
        description: String::new(),
        owner: None,
        scopes: ScopeSet::parse(scopes).unwrap(),
        networks: Networks::parse(networks).unwrap(),
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
    assert_eq!(rotated.previous, Some(PreviousSecret::new(verifier(1), at(60))));
    let again = rotated.clone().rotate(rotation(Some(at(90))), at(6));
    assert_eq!(again, Err(TransitionRefused::GraceRunning { until: at(60) }));
    assert_eq!(rotated.clone().rotate(rotation(None), at(6)).unwrap().previous, None);
    assert!(rotated.rotate(rotation(Some(at(90))), at(60)).is_ok(), "the first grace is over");
}

#[test]
fn only_narrowing_invalidates_tokens() {
    let generation_after = |edit: Edit| key("read:a/*", &["10.0.0.0/8"]).edit(edit, at(1)).unwrap().generation;
    let scopes = |text: &str| Edit { scopes: ScopeSet::parse(text).ok(), ..Edit::default() };
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
