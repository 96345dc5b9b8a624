//! Members, sessions, policies, stored responses, and sort orders of lists.

use std::sync::Arc;

use keyturn::domain::api_key::{ApiKey, Lifecycle};
use keyturn::domain::member::{Member, MemberId, Role, Session};
use keyturn::domain::policy::Policy;
use keyturn::domain::sealed::Sealed;
use keyturn::domain::timestamp::Timestamp;
use keyturn::store::{
    AuditEntry, CountedEvent, KeyFilter, KeyOrder, Limits, Refused, Store, StoreError, StoredResponse, WriteError,
    action,
};

use super::{
    NOW, WriteOutcome as _, all, audit_actions, create_organization, entry, id, insert, key, next, slug,
    stored_organizations,
};

fn member(name: &str, role: Role) -> Member {
    Member {
        id: MemberId(format!("member-{name}")),
        organization: slug("acme"),
        email: format!("{name}@acme.example"),
        role,
        created_at: NOW,
        version: 1,
        last_sign_in_at: None,
    }
}

async fn add(store: &Store, member: &Member) {
    let row = entry(action::MEMBER_CREATE, &member.id);
    store.insert_member(member, "$argon2id$theirs", &row).await.outcome().unwrap();
}

fn session(member: &Member, name: &str) -> Session {
    Session {
        id: format!("session-{name}"),
        member: member.id.clone(),
        created_at: NOW,
        last_seen_at: NOW,
        ends_at: NOW.plus_seconds(100),
        address: Some("192.0.2.1".into()),
        user_agent: "a browser".into(),
    }
}

async fn open(store: &Store, session: &Session, digest: u8) {
    let row = entry(action::SESSION_BEGIN, &session.member);
    let member = store.member(&slug("acme"), &session.member).await.unwrap().unwrap();
    assert!(store.open_session(session, &[digest; 32], &member, &row).await.unwrap());
}

pub async fn repeated_events_are_two_entries_per_hour(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let hour = NOW.as_millis() / 3_600_000;
    let event = |network: &str, count, later: i64| CountedEvent {
        organization: slug("acme"),
        action: action::SESSION_REFUSE,
        subject: "member".into(),
        network: network.into(),
        address: Some("192.0.2.1".into()),
        hour,
        count,
        first_at: NOW,
        last_at: NOW.plus_seconds(later),
    };
    let entries = async || {
        let actions = audit_actions(store.as_ref()).await;
        actions.iter().filter(|name| *name == action::SESSION_REFUSE).count()
    };
    for later in 0..5 {
        store.count_event(&event("192.0.2.0/24", 10, later)).await.unwrap();
    }
    assert_eq!(entries().await, 1, "the first at once");
    store.count_event(&event("198.51.100.0/24", 1, 0)).await.unwrap();
    assert_eq!(entries().await, 2);
    assert_eq!(store.close_event_hours(hour, NOW).await.unwrap(), 0, "the hour is not over");
    assert_eq!(store.close_event_hours(hour + 1, NOW).await.unwrap(), 1, "a single event needs no summary");
    assert_eq!(store.close_event_hours(hour + 1, NOW).await.unwrap(), 0);
    assert_eq!(entries().await, 3);
    for n in 0..100 {
        store.count_event(&event(&format!("10.{n}.0.0/24"), 1, 0)).await.unwrap();
    }
    assert_eq!(entries().await, 3 + 65, "64 networks, and all others together");
}

pub async fn member_is_added_changed_and_removed(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let ada = member("ada", Role::Developer);
    add(store.as_ref(), &ada).await;
    assert_eq!(store.member(&slug("acme"), &ada.id).await.unwrap(), Some(ada.clone()));
    assert_eq!(store.member(&slug("other"), &ada.id).await.unwrap(), None);
    let logins: Vec<_> = store.members(&slug("acme")).await.unwrap().into_iter().map(|member| member.email).collect();
    assert_eq!(logins, ["ada@acme.example", "boss@acme.example"]);

    // The login is used by another member.
    let twin = Member { id: MemberId("twin".into()), ..ada.clone() };
    let row = entry(action::MEMBER_CREATE, "twin");
    assert_eq!(store.insert_member(&twin, "x", &row).await.outcome(), Err(Refused::AlreadyExists));

    let admin = Member { role: Role::Admin, version: 2, ..ada.clone() };
    let row = entry(action::MEMBER_CHANGE, &ada.id);
    store.update_member(&admin, None, &row).await.outcome().unwrap();
    assert_eq!(store.update_member(&admin, None, &row).await.outcome(), Err(Refused::VersionConflict));
    let login = store.login(&slug("acme"), &ada.email).await.unwrap();
    assert_eq!(login, Some((admin.clone(), "$argon2id$theirs".into())), "the password stays");
    let taken = Member { email: "boss@acme.example".into(), version: 3, ..admin.clone() };
    assert_eq!(store.update_member(&taken, None, &row).await.outcome(), Err(Refused::AlreadyExists));

    let row = entry(action::MEMBER_REMOVE, &ada.id);
    assert_eq!(store.remove_member(&ada, &|_| None, &row).await.outcome(), Err(Refused::VersionConflict));
    store.remove_member(&admin, &|_| None, &row).await.outcome().unwrap();
    assert_eq!(store.member(&slug("acme"), &ada.id).await.unwrap(), None);
    assert_eq!(store.login(&slug("acme"), &ada.email).await.unwrap(), None);
    assert_eq!(store.remove_member(&admin, &|_| None, &row).await.outcome(), Err(Refused::VersionConflict));
    // The login can be used again.
    add(store.as_ref(), &Member { id: MemberId("ada-again".into()), ..ada }).await;
    assert_eq!(
        audit_actions(store.as_ref()).await,
        ["organization.create", "member.create", "member.change", "member.remove", "member.create"]
    );
}

pub async fn organization_keeps_an_owner(store: Arc<Store>) {
    let boss = create_organization(store.as_ref()).await.owner.0;
    let row = entry(action::MEMBER_CHANGE, &boss.id);
    let lesser = Member { role: Role::Admin, version: 2, ..boss.clone() };
    assert_eq!(store.update_member(&lesser, None, &row).await.outcome(), Err(Refused::LastOwner));
    assert_eq!(store.remove_member(&boss, &|_| None, &row).await.outcome(), Err(Refused::LastOwner));
    assert_eq!(store.member(&slug("acme"), &boss.id).await.unwrap(), Some(boss.clone()), "nothing was changed");
    add(store.as_ref(), &member("second", Role::Owner)).await;
    store.update_member(&lesser, None, &row).await.outcome().unwrap();
}

pub async fn removing_a_member_revokes_their_keys(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let ada = member("ada", Role::Developer);
    add(store.as_ref(), &ada).await;
    open(store.as_ref(), &session(&ada, "one"), 1).await;
    let owned = |n: u8| ApiKey { owner: Some(ada.id.clone()), ..key(n) };
    for n in 1..=3 {
        insert(store.as_ref(), &owned(n)).await;
    }
    insert(store.as_ref(), &key(4)).await;
    let before = store.last_seq().await.unwrap();
    let end = |key: ApiKey| -> Option<(ApiKey, AuditEntry)> {
        let ended = key.revoke(NOW, Some("gone".into())).ok()?;
        let row = entry(action::KEY_REVOKE, ended.id);
        Some((ended, row))
    };
    let row = entry(action::MEMBER_REMOVE, &ada.id);
    let (seq, ended) = store.remove_member(&ada, &end, &row).await.outcome().unwrap();
    assert_eq!((ended.len(), seq), (3, before + 4));
    assert_eq!(store.last_seq().await.unwrap(), seq);
    for n in 1..=3 {
        let key = store.key(&id(n)).await.unwrap().unwrap();
        assert!(matches!(key.lifecycle, Lifecycle::Revoked { .. }) && key.generation == 2 && key.version == 2);
    }
    assert_eq!(store.key(&id(4)).await.unwrap().unwrap().lifecycle, Lifecycle::Active);
    assert_eq!(store.session(&[1; 32]).await.unwrap(), None);
    let followed = super::following::changes_after(store.as_ref(), before, 10).await;
    let mut keys: Vec<_> = followed.iter().map(|change| change.key).collect();
    keys.sort_unstable();
    let mut owned = [id(1), id(2), id(3)];
    owned.sort_unstable();
    assert_eq!(keys, owned);
    assert!(followed.iter().all(|change| change.generation == 2));
}

pub async fn key_owner_is_a_current_member(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let ada = member("ada", Role::Developer);
    add(store.as_ref(), &ada).await;
    let owned = ApiKey { owner: Some(ada.id.clone()), ..key(1) };
    let row = entry(action::MEMBER_REMOVE, &ada.id);
    store.remove_member(&ada, &|_| None, &row).await.outcome().unwrap();
    let row = entry(action::KEY_CREATE, owned.id);
    let refused = store.insert_key(&owned, Limits::default(), &row, None, None).await.outcome();
    assert_eq!(refused, Err(Refused::OwnerGone));
    assert_eq!(store.key(&owned.id).await.unwrap(), None);
}

pub async fn session_is_found_by_its_secret_until_it_ends(store: Arc<Store>) {
    let boss = create_organization(store.as_ref()).await.owner.0;
    let (one, two) = (session(&boss, "one"), session(&boss, "two"));
    open(store.as_ref(), &one, 1).await;
    open(store.as_ref(), &Session { created_at: NOW.plus_seconds(1), ..two.clone() }, 2).await;
    let signed_in = Member { last_sign_in_at: Some(NOW.plus_seconds(1)), ..boss.clone() };
    assert_eq!(store.session(&[1; 32]).await.unwrap(), Some((one.clone(), signed_in)));
    assert_eq!(store.session(&[3; 32]).await.unwrap(), None);
    let listed: Vec<_> = store.sessions(&boss.id).await.unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(listed, ["session-two", "session-one"]);

    store.touch_session(&one.id, NOW.plus_seconds(30)).await.unwrap();
    store.touch_session(&one.id, NOW.plus_seconds(20)).await.unwrap();
    assert_eq!(store.session(&[1; 32]).await.unwrap().unwrap().0.last_seen_at, NOW.plus_seconds(30));

    let row = entry(action::SESSION_END, &boss.id);
    let stranger = member("stranger", Role::Viewer);
    assert!(!store.end_session(&stranger, &one.id, &row).await.unwrap());
    assert!(store.end_session(&boss, &one.id, &row).await.unwrap());
    assert!(!store.end_session(&boss, &one.id, &row).await.unwrap());
    assert_eq!(store.session(&[1; 32]).await.unwrap(), None);

    assert_eq!(store.forget_sessions(NOW.plus_seconds(99), NOW.plus_seconds(-1)).await.unwrap(), 0);
    assert_eq!(store.forget_sessions(NOW.plus_seconds(99), NOW).await.unwrap(), 1, "by rest");
    open(store.as_ref(), &two, 2).await;
    assert_eq!(store.forget_sessions(NOW.plus_seconds(100), NOW.plus_seconds(-1)).await.unwrap(), 1, "by age");
}

pub async fn new_password_ends_other_sessions(store: Arc<Store>) {
    let boss = create_organization(store.as_ref()).await.owner.0;
    for (digest, name) in [(1, "one"), (2, "two"), (3, "three")] {
        open(store.as_ref(), &session(&boss, name), digest).await;
    }
    let row = entry(action::MEMBER_CHANGE, &boss.id);
    let next = Member { version: 2, ..boss.clone() };
    store.update_member(&next, Some(("$new", Some("session-two"))), &row).await.outcome().unwrap();
    assert_eq!(store.sessions(&boss.id).await.unwrap().len(), 1);
    assert!(store.session(&[2; 32]).await.unwrap().is_some());
    assert_eq!(store.login(&slug("acme"), &boss.email).await.unwrap().unwrap().1, "$new");
    let reset = Member { version: 3, ..boss.clone() };
    store.update_member(&reset, Some(("$newer", None)), &row).await.outcome().unwrap();
    assert_eq!(store.sessions(&boss.id).await.unwrap(), []);
}

pub async fn session_requires_an_unchanged_member(store: Arc<Store>) {
    let boss = create_organization(store.as_ref()).await.owner.0;
    let ada = member("ada", Role::Owner);
    add(store.as_ref(), &ada).await;
    let row = entry(action::SESSION_BEGIN, &boss.id);
    let changed = Member { version: 2, ..boss.clone() };
    store.update_member(&changed, Some(("$new", None)), &row).await.outcome().unwrap();
    assert!(!store.open_session(&session(&boss, "one"), &[1; 32], &boss, &row).await.unwrap(), "another password");
    assert!(store.open_session(&session(&boss, "two"), &[2; 32], &changed, &row).await.unwrap());
    store.remove_member(&changed, &|_| None, &row).await.outcome().unwrap();
    assert!(!store.open_session(&session(&boss, "three"), &[3; 32], &changed, &row).await.unwrap(), "removed");
    assert_eq!(store.sessions(&boss.id).await.unwrap(), []);
}

pub async fn policy_is_replaced_once_per_version(store: Arc<Store>) {
    let mut organization = create_organization(store.as_ref()).await.organization;
    organization.policy = Policy { max_keys: Some(77), ..Policy::default() };
    organization.policy_version = 2;
    let row = entry(action::POLICY_CHANGE, "acme");
    let seq = store.update_policy(&organization, &row).await.outcome().unwrap();
    assert_eq!(stored_organizations(store.as_ref()).await, [organization.clone()]);
    assert_eq!(store.last_seq().await.unwrap(), seq);
    assert_eq!(store.update_policy(&organization, &row).await.outcome(), Err(Refused::VersionConflict));
    assert_eq!(audit_actions(store.as_ref()).await, ["organization.create", "policy.change"]);
}

pub async fn response_is_stored_with_its_change_once(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let remembered = |n: u8, at: Timestamp| StoredResponse {
        caller: "key:a".into(),
        digest: [9; 32],
        request: [n; 32],
        key: id(n),
        sealed: Sealed { master_key: "master".into(), bytes: vec![n, 0, 255] },
        at,
    };
    let add = async |n: u8, at: Timestamp| {
        let row = entry(action::KEY_CREATE, id(n));
        store.insert_key(&key(n), Limits::default(), &row, Some(&remembered(n, at)), None).await.outcome().map(|_| ())
    };
    add(1, NOW).await.unwrap();
    let before = NOW.plus_seconds(-1);
    let known = store.stored_response("key:a", &[9; 32], before).await.unwrap().unwrap();
    assert_eq!((known.request, known.key, known.sealed.bytes, known.at), ([1; 32], id(1), vec![1, 0, 255], NOW));
    assert!(store.stored_response("key:b", &[9; 32], before).await.unwrap().is_none(), "another caller's");
    assert!(store.stored_response("key:a", &[8; 32], before).await.unwrap().is_none());
    assert!(store.stored_response("key:a", &[9; 32], NOW).await.unwrap().is_none(), "too old");

    assert_eq!(add(2, NOW.plus_seconds(86_399)).await, Err(Refused::Repeated));
    assert_eq!(store.key(&id(2)).await.unwrap(), None);
    // After a day the same `Idempotency-Key` can be used for another request.
    add(3, NOW.plus_seconds(86_400)).await.unwrap();
    assert_eq!(store.stored_response("key:a", &[9; 32], NOW).await.unwrap().unwrap().key, id(3));
    assert_eq!(store.delete_responses(NOW.plus_seconds(86_399)).await.unwrap(), 0);
    assert_eq!(store.delete_responses(NOW.plus_seconds(86_400)).await.unwrap(), 1);
}

pub async fn lists_are_complete_in_every_order(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    for n in 1..=9 {
        let at = |seconds: i64| Some(NOW.plus_seconds(seconds));
        let mut key = key(n);
        key.name = ["b", "A", "a", "Ä", "a", "", "b%", "B", "z"][usize::from(n) - 1].into();
        key.expires_at = [at(5), None, at(1), at(5), None, at(9), at(2), at(3), at(4)][usize::from(n) - 1];
        insert(store.as_ref(), &key).await;
    }
    for order in [KeyOrder::Created, KeyOrder::Name, KeyOrder::Expiry, KeyOrder::LastUse] {
        for is_descending in [false, true] {
            let whole = store.keys(&KeyFilter { order, is_descending, ..all() }).await.unwrap();
            assert_eq!(whole.len(), 10);
            let value = |key: &ApiKey| match order {
                KeyOrder::Created => (String::new(), key.created_at.as_millis()),
                KeyOrder::Name => (key.name.to_lowercase(), 0),
                KeyOrder::Expiry => (String::new(), key.expires_at.map_or(i64::MAX, Timestamp::as_millis)),
                KeyOrder::LastUse => (String::new(), 0),
            };
            let placed: Vec<_> = whole.iter().map(|key| (value(key), key.id)).collect();
            assert!(placed.is_sorted_by(|a, b| if is_descending { a > b } else { a < b }), "{order:?} {is_descending}");
            for limit in [1, 3] {
                let (mut paged, mut after) = (Vec::new(), None);
                loop {
                    let page = store.keys(&KeyFilter { order, is_descending, limit, after, ..all() }).await.unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some(order.cursor(last));
                    paged.extend(page);
                }
                assert_eq!(paged, whole, "{order:?} {is_descending} {limit}");
            }
        }
    }
}

pub async fn actor_must_have_the_expected_version(store: Arc<Store>) {
    let boss = create_organization(store.as_ref()).await.owner.0;
    let ada = member("ada", Role::Admin);
    add(store.as_ref(), &ada).await;
    insert(store.as_ref(), &key(1)).await;
    let make = async |n: u8, actor: String, version: u64| {
        let row = AuditEntry { actor, expected_version: Some(version.into()), ..entry(action::KEY_CREATE, id(n)) };
        store.insert_key(&key(n), Limits::default(), &row, None, None).await
    };
    let is_superseded = |made: Result<_, WriteError>| matches!(made, Err(WriteError::Store(StoreError::Superseded)));
    let (by_key, by_ada) = (format!("key:{}", id(1)), format!("member:{}", ada.id));
    make(2, by_key.clone(), key(1).rights_version()).await.unwrap();
    make(3, by_ada.clone(), 1).await.unwrap();
    for other in [0, 1, 3] {
        assert!(is_superseded(make(4, by_key.clone(), other).await), "another generation or secret version: {other}");
    }
    assert!(is_superseded(make(4, by_ada.clone(), 2).await), "another version");

    // With a grace period the generation stays, but the caller's secret is no longer the current one.
    let rotated = ApiKey { secret_version: 2, ..next(&key(1)) };
    store.update_key(&rotated, None, &entry(action::KEY_ROTATE, id(1)), None, None).await.outcome().unwrap();
    assert!(is_superseded(make(4, by_key.clone(), key(1).rights_version()).await), "the previous secret");

    let ended = rotated.disable(NOW).unwrap();
    store.update_key(&ended, None, &entry(action::KEY_DISABLE, id(1)), None, None).await.outcome().unwrap();
    for any in 1..5 {
        assert!(is_superseded(make(4, by_key.clone(), any).await), "a disabled key: {any}");
    }
    let row = entry(action::MEMBER_REMOVE, &ada.id);
    store.remove_member(&ada, &|_| None, &row).await.outcome().unwrap();
    assert!(is_superseded(make(4, by_ada.clone(), 1).await) && is_superseded(make(4, by_ada, 2).await));
    assert_eq!(store.key(&id(4)).await.unwrap(), None);
    make(4, format!("member:{}", boss.id), 1).await.unwrap();
}
