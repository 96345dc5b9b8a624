//! Tests of policies.

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

fn fields(policy: &Policy, proposed: &ProposedKey<'_>) -> Vec<String> {
    policy.violations(proposed, NOW).into_iter().map(|violation| violation.field.to_string()).collect()
}

fn in_days(days: i64) -> ProposedKey<'static> {
    ProposedKey { expiry: new(Some(NOW.plus_seconds(days * DAY))), ..ProposedKey::default() }
}

fn new(expires_at: Option<Timestamp>) -> Expiry {
    Expiry::Set { expires_at, since: NOW }
}

#[test]
fn default_policy_requires_nothing() {
    let grants = Grants::of_default(ScopeSet::parse("read:a *:keyturn/*").unwrap());
    let proposed = ProposedKey {
        name: Some(""),
        grants: Some(&grants),
        expiry: new(None),
        grace_seconds: Some(60),
        ..ProposedKey::default()
    };
    assert_eq!(fields(&Policy::default(), &proposed), Vec::<String>::new());
}

#[test]
fn all_violations_are_returned() {
    let policy = Policy { name_required: true, expiry_required: true, max_grace_seconds: 10, ..Policy::default() };
    let grants = Grants::of_default(ScopeSet::parse("read:a fly:b").unwrap());
    let proposed = ProposedKey {
        name: Some(" "),
        grants: Some(&grants),
        expiry: new(None),
        grace_seconds: Some(11),
        ..ProposedKey::default()
    };
    assert_eq!(fields(&policy, &proposed), ["name", "scopes[1].action", "expires_at", "grace_seconds"]);
}

#[test]
fn expiry_bounds() {
    assert_eq!(fields(&Policy::default(), &in_days(0)), ["expires_at"]);
    let far = ProposedKey { expiry: new(Some(Timestamp::from_millis(i64::MAX))), ..ProposedKey::default() };
    assert_eq!(fields(&Policy::default(), &far), ["expires_at"]);
}

#[test]
fn lifetime_must_be_a_choice() {
    let choices = ExpirationChoices { days: vec![7, 30, 60, 90], none: true };
    let policy = Policy { expiration_choices: Some(choices), ..Policy::default() };
    for days in [7, 30, 60, 90] {
        assert!(fields(&policy, &in_days(days)).is_empty(), "{days}");
    }
    for days in [1, 8, 91, 365] {
        assert_eq!(fields(&policy, &in_days(days)), ["expires_at"], "{days}");
    }
    assert!(fields(&policy, &ProposedKey { expiry: new(None), ..ProposedKey::default() }).is_empty());
}

#[test]
fn maximum_lifetime_requires_an_expiry() {
    let policy = Policy { max_lifetime_days: Some(30), ..Policy::default() };
    assert!(fields(&policy, &in_days(30)).is_empty());
    assert_eq!(fields(&policy, &in_days(31)), ["expires_at"]);
    assert_eq!(fields(&policy, &ProposedKey { expiry: new(None), ..ProposedKey::default() }), ["expires_at"]);
}

#[test]
fn edit_does_not_extend_the_lifetime() {
    let since = NOW.plus_seconds(-29 * DAY);
    let edit = |days: i64| ProposedKey {
        expiry: Expiry::Set { expires_at: Some(since.plus_seconds(days * DAY)), since },
        ..ProposedKey::default()
    };
    let limited = Policy { max_lifetime_days: Some(30), ..Policy::default() };
    assert!(fields(&limited, &edit(30)).is_empty());
    assert_eq!(fields(&limited, &edit(31)), ["expires_at"]);
    assert_eq!(fields(&limited, &edit(58)), ["expires_at"], "thirty days from the edit");
    let choices = ExpirationChoices { days: vec![30, 90], none: false };
    let chosen = Policy { expiration_choices: Some(choices), ..Policy::default() };
    assert!(fields(&chosen, &edit(90)).is_empty());
    for days in [59, 119] {
        assert_eq!(fields(&chosen, &edit(days)), ["expires_at"], "a choice counted from the edit, {days}");
    }
    let violation = limited.violations(&edit(31), NOW).remove(0);
    assert_eq!(violation.kind, ViolationKind::MaxLifetime(30, Lifetime::OfExistingSecret));
    assert!(violation.message().contains("rotate the key to start a new lifetime"), "{violation:?}");
}

#[test]
fn rotation_checks_the_kept_expiry() {
    let kept = |days: Option<i64>| ProposedKey {
        expiry: Expiry::Kept(days.map(|days| NOW.plus_seconds(days * DAY))),
        ..ProposedKey::default()
    };
    let limited = Policy { max_lifetime_days: Some(30), ..Policy::default() };
    let choices =
        |none| Policy { expiration_choices: Some(ExpirationChoices { days: vec![7, 30], none }), ..Policy::default() };
    for policy in [&limited, &choices(false)] {
        assert!(fields(policy, &kept(Some(1))).is_empty() && fields(policy, &kept(Some(30))).is_empty());
        assert_eq!(fields(policy, &kept(Some(31))), ["expires_at"]);
        assert_eq!(fields(policy, &kept(None)), ["expires_at"]);
    }
    assert!(fields(&choices(true), &kept(Some(400))).is_empty() && fields(&choices(true), &kept(None)).is_empty());
    let required = Policy { expiry_required: true, ..Policy::default() };
    assert_eq!(fields(&required, &kept(None)), ["expires_at"]);
    assert_eq!(fields(&Policy::default(), &kept(Some(0))), ["expires_at"], "the key has expired");
    assert!(fields(&Policy::default(), &kept(None)).is_empty());
}

#[test]
fn grantable_scopes() {
    let policy = |list: &[&str]| Policy {
        grantable_scopes: Some(list.iter().map(|scope| Scope::parse(scope).unwrap()).collect()),
        ..Policy::default()
    };
    let grants = Grants::of_default(ScopeSet::parse("read:a/b *:a/c write:a read:keyturn/keys").unwrap());
    let proposed = ProposedKey { grants: Some(&grants), ..ProposedKey::default() };
    let some = policy(&["read:a/*", "write:*"]);
    assert_eq!(fields(&some, &proposed), ["scopes[1]", "scopes[3]"]);
    assert_eq!(fields(&policy(&["*:*"]), &proposed), ["scopes[3]"], "the management API is named or not granted");
    assert_eq!(fields(&policy(&[]), &proposed).len(), 4);
    assert!(fields(&Policy::default(), &proposed).is_empty());
    let held = Grants::of_default(ScopeSet::parse("*:a/* read:keyturn/keys").unwrap());
    assert_eq!(fields(&policy(&[]), &ProposedKey { held: Some(&held), ..proposed }), ["scopes[2]"], "the rest is kept");
    let faulty = [policy(&["fly:a"]), Policy { scopes_required: true, ..policy(&[]) }];
    for policy in faulty {
        assert_eq!(policy.validate().first().map(|violation| violation.field.name.as_str()), Some("grantable_scopes"));
    }
}

#[test]
fn json_round_trips_and_rejects_unknown_settings() {
    let json = serde_json::to_string(&Policy::default()).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), Policy::default());
    assert!(serde_json::from_str::<Policy>(r#"{"max_kyes":3}"#).is_err());
}
