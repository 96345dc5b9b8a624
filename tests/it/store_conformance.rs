//! What every store must do, whatever is behind it: one suite a trait, run over every backend.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use keyturn::domain::api_key::{ApiKey, FastVerifier, Lifecycle, PreviousSecret, SecretVerifier, Status};
use keyturn::domain::key_text::{KeyId, KeyPrefix};
use keyturn::domain::member::{Member, MemberId, Role};
use keyturn::domain::networks::Networks;
use keyturn::domain::organization::Organization;
use keyturn::domain::policy::Policy;
use keyturn::domain::scope::ScopeSet;
use keyturn::domain::sealed::Sealed;
use keyturn::domain::slug::Slug;
use keyturn::domain::timestamp::Timestamp;
use keyturn::domain::usage::{KeyUsage, LastUse, UsageOutcome};
use keyturn::store::{
    AuditEntry, Founding, KeyFilter, Limits, Refused, RevokedToken, SqlStore, Store, StoredSigningKey, action,
};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Runs a suite on a fresh store of every backend.
fn on_every_backend<F: Future<Output = ()>>(suite: impl Fn(Arc<dyn Store>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = SqlStore::open(&folder.path().join("keyturn.db"), 4).await.unwrap();
        let backends: Vec<Arc<dyn Store>> = vec![Arc::new(sqlite)];
        for store in backends {
            assert_eq!(
                store.found(&founding("default"), &entry(action::ORGANIZATION_CREATE, "default")).await.unwrap(),
                Ok(1)
            );
            suite(store.clone()).await;
            store.close().await;
        }
    });
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn entry(action: &'static str, subject: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "keyturn".into(),
        address: Some("192.0.2.1".into()),
        action,
        subject: subject.into(),
        old: Some(serde_json::json!({ "a": 1 })),
        new: None,
    }
}

fn key(number: u128) -> ApiKey {
    ApiKey {
        id: KeyId::from_random(number.to_be_bytes()),
        organization: slug("default"),
        prefix: KeyPrefix::default(),
        name: format!("key {number}"),
        description: "first\nsecond".into(),
        owner: None,
        scopes: ScopeSet::parse("read:a/# *:keyturn/*").unwrap(),
        networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32"]).unwrap(),
        expires_at: Some(NOW.plus_seconds(1000)),
        lifecycle: Lifecycle::Active,
        generation: 1,
        version: 1,
        secret: SecretVerifier {
            phc: format!("phc {number}"),
            fast: Some(FastVerifier { pepper: "p".into(), digest: [7; 32] }),
        },
        previous: None,
        hint: "kt_...abcd".into(),
        created_at: NOW.plus_seconds(i64::try_from(number % 1000).unwrap()),
        created_by: "keyturn".into(),
        rotated_at: None,
        last_used_at: None,
        last_used_ip: None,
    }
}

fn founding(organization: &str) -> Founding {
    let slug = slug(organization);
    let mut first = key(u128::MAX - u128::from(organization.as_bytes()[0]));
    first.organization = slug.clone();
    first.expires_at = None;
    first.created_at = NOW;
    let owner = Member {
        id: MemberId(format!("owner of {organization}")),
        organization: slug.clone(),
        email: "owner@example.org".into(),
        role: Role::Owner,
        created_at: NOW,
    };
    Founding {
        organization: Organization { slug: slug.clone(), policy: Policy::default(), created_at: NOW },
        signing_key: signing_key(organization, &format!("first of {organization}"), NOW),
        owner: (owner, "phc".into()),
        key: first,
    }
}

fn signing_key(organization: &str, kid: &str, created_at: Timestamp) -> StoredSigningKey {
    StoredSigningKey {
        kid: kid.into(),
        organization: slug(organization),
        algorithm: "ES256".into(),
        sealed: Sealed { master_key: "m".into(), bytes: vec![0, 1, 255] },
        created_at,
        active_from: created_at.plus_seconds(900),
    }
}

fn filter() -> KeyFilter {
    KeyFilter {
        organization: slug("default"),
        status: None,
        now: NOW,
        search: None,
        owner: None,
        after: None,
        limit: 100,
    }
}

async fn insert(store: &dyn Store, key: &ApiKey) {
    assert!(
        store.insert_key(key, Limits::default(), &entry(action::KEY_CREATE, key.id.as_str())).await.unwrap().is_ok()
    );
}

#[test]
fn an_organization_is_founded_once_and_whole() {
    on_every_backend(async |store| {
        let before = (
            store.organizations().await.unwrap(),
            store.signing_keys().await.unwrap(),
            store.last_seq().await.unwrap(),
        );
        let again = store.found(&founding("default"), &entry(action::ORGANIZATION_CREATE, "default")).await.unwrap();
        assert_eq!(again, Err(Refused::AlreadyExists));
        let after = (
            store.organizations().await.unwrap(),
            store.signing_keys().await.unwrap(),
            store.last_seq().await.unwrap(),
        );
        assert_eq!(before, after, "nothing changed");
        assert_eq!(before.0, [founding("default").organization]);
        assert_eq!(before.1, [founding("default").signing_key]);
        assert_eq!(store.key(&founding("default").key.id).await.unwrap(), Some(founding("default").key));
        let owner = store.member_by_email(&slug("default"), "owner@example.org").await.unwrap();
        assert_eq!(owner, Some(founding("default").owner.0));
        assert_eq!(store.member_by_email(&slug("acme"), "owner@example.org").await.unwrap(), None);
    });
}

#[test]
fn every_field_of_a_key_is_kept() {
    on_every_backend(async |store| {
        let mut subject = key(1);
        insert(store.as_ref(), &subject).await;
        assert_eq!(store.key(&subject.id).await.unwrap().as_ref(), Some(&subject));
        let states = [
            Lifecycle::Disabled { at: NOW },
            Lifecycle::Revoked { at: NOW, reason: Some("\"><script>\u{202e}".into()) },
            Lifecycle::Revoked { at: NOW, reason: None },
            Lifecycle::Active,
        ];
        for lifecycle in states {
            subject.version += 1;
            subject.generation += 1;
            subject.lifecycle = lifecycle;
            subject.name = "\u{e9}\u{1f511}".into();
            subject.networks = Networks::all();
            subject.scopes = ScopeSet::default();
            subject.expires_at = None;
            subject.rotated_at = Some(NOW);
            subject.secret.fast = None;
            let secret =
                SecretVerifier { phc: "old".into(), fast: Some(FastVerifier { pepper: "q".into(), digest: [9; 32] }) };
            subject.previous = Some(PreviousSecret { secret, until: NOW });
            assert!(store.update_key(&subject, None, &entry(action::KEY_EDIT, "k")).await.unwrap().is_ok());
            assert_eq!(store.key(&subject.id).await.unwrap().as_ref(), Some(&subject));
        }
        assert_eq!(store.key(&KeyId::from_random([1; 16])).await.unwrap(), None);
        assert_eq!(
            store.insert_key(&subject, Limits::default(), &entry(action::KEY_CREATE, "k")).await.unwrap(),
            Err(Refused::AlreadyExists)
        );
    });
}

#[test]
fn a_change_of_another_version_is_refused_and_leaves_no_trace() {
    on_every_backend(async |store| {
        let mut subject = key(1);
        insert(store.as_ref(), &subject).await;
        let (seq, rows) = (store.last_seq().await.unwrap(), store.audit_after(&slug("default"), 0, 100).await.unwrap());
        for version in [1, 3, 99] {
            subject.version = version;
            subject.name = "changed".into();
            assert_eq!(
                store.update_key(&subject, None, &entry(action::KEY_EDIT, "k")).await.unwrap(),
                Err(Refused::VersionConflict)
            );
        }
        assert_eq!(store.key(&subject.id).await.unwrap(), Some(key(1)));
        assert_eq!(store.last_seq().await.unwrap(), seq);
        assert_eq!(store.audit_after(&slug("default"), 0, 100).await.unwrap(), rows);
    });
}

#[test]
fn a_limit_holds_under_concurrent_creates() {
    on_every_backend(async |store| {
        for (limits, owner) in [
            (Limits { organization: Some(4), owner: None }, None),
            (Limits { organization: None, owner: Some(3) }, Some(MemberId("owner of default".into()))),
        ] {
            let offset = if owner.is_some() { 1000 } else { 0 };
            let creates: Vec<_> = (0..100)
                .map(|number| {
                    let (store, owner) = (store.clone(), owner.clone());
                    tokio::spawn(async move {
                        let subject = ApiKey { owner, ..key(offset + number) };
                        store.insert_key(&subject, limits, &entry(action::KEY_CREATE, "k")).await.unwrap()
                    })
                })
                .collect();
            let mut made = 0;
            for create in creates {
                match create.await.unwrap() {
                    Ok(_) => made += 1,
                    Err(refused) => assert_eq!(refused, Refused::LimitReached),
                }
            }
            // The organization has its first key already.
            assert_eq!(made, 3, "{limits:?}");
        }
    });
}

#[test]
fn only_keys_that_count_are_counted() {
    on_every_backend(async |store| {
        let limits = Limits { organization: Some(2), owner: None };
        let mut revoked = key(1);
        revoked.lifecycle = Lifecycle::Revoked { at: NOW, reason: None };
        let expired = ApiKey { expires_at: Some(NOW), ..key(2) };
        let mut disabled = key(3);
        disabled.lifecycle = Lifecycle::Disabled { at: NOW };
        for subject in [&revoked, &expired, &disabled] {
            insert(store.as_ref(), subject).await;
        }
        // The first key and the disabled one count.
        let one_more = store.insert_key(&key(4), limits, &entry(action::KEY_CREATE, "k")).await.unwrap();
        assert_eq!(one_more, Err(Refused::LimitReached));
        let alive = ApiKey { version: 2, expires_at: None, ..expired };
        let revived = store.update_key(&alive, Some(limits), &entry(action::KEY_EDIT, "k")).await.unwrap();
        assert_eq!(revived, Err(Refused::LimitReached), "an expired key that is prolonged counts again");
        let same = ApiKey { version: 2, name: "other".into(), ..disabled };
        assert!(
            store.update_key(&same, Some(limits), &entry(action::KEY_EDIT, "k")).await.unwrap().is_ok(),
            "it counts already"
        );
    });
}

#[test]
fn changes_are_numbered_in_the_order_they_become_visible() {
    on_every_backend(async |store| {
        let first = store.last_seq().await.unwrap();
        for number in 0..20 {
            insert(store.as_ref(), &key(number)).await;
        }
        let changes: Vec<_> = (0..20)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let next = ApiKey { version: 2, generation: 2, ..key(number) };
                    store.update_key(&next, None, &entry(action::KEY_EDIT, "k")).await.unwrap().unwrap()
                })
            })
            .collect();
        let (mut seen, mut last) = (Vec::new(), first);
        while seen.len() < 20 {
            for change in store.changes_after(last, 7).await.unwrap() {
                assert!(change.seq > last && change.generation == 2 && change.token.is_none());
                last = change.seq;
                seen.push(change.seq);
            }
            tokio::task::yield_now().await;
        }
        let mut answered = Vec::new();
        for change in changes {
            answered.push(change.await.unwrap());
        }
        answered.sort_unstable();
        assert_eq!(seen, answered, "a reader that follows misses none");
        assert_eq!(store.last_seq().await.unwrap(), last);
    });
}

#[test]
fn every_change_has_its_row_in_the_audit_log() {
    on_every_backend(async |store| {
        let subject = key(1);
        insert(store.as_ref(), &subject).await;
        let next = ApiKey { version: 2, ..key(1) };
        store.update_key(&next, None, &entry(action::KEY_EDIT, subject.id.as_str())).await.unwrap().unwrap();
        let rows = store.audit_after(&slug("default"), 0, 100).await.unwrap();
        let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(actions, [action::ORGANIZATION_CREATE, action::KEY_CREATE, action::KEY_EDIT]);
        let last = rows.last().unwrap();
        assert_eq!((last.subject.as_str(), last.actor.as_str(), last.at), (subject.id.as_str(), "keyturn", NOW));
        assert_eq!(
            (last.address.as_deref(), &last.old, &last.new),
            (Some("192.0.2.1"), &Some(serde_json::json!({ "a": 1 })), &None)
        );
        assert_eq!(store.audit_after(&slug("default"), rows[0].id, 1).await.unwrap(), rows[1..2]);
        assert!(store.audit_after(&slug("acme"), 0, 100).await.unwrap().is_empty());
    });
}

#[test]
fn lists_filter_search_and_page_without_loss_or_repeat() {
    on_every_backend(async |store| {
        let names = ["100%", "100_", "a\\b", "Billing", "billing two", "O'Brien"];
        for (number, name) in names.iter().enumerate() {
            insert(store.as_ref(), &ApiKey { name: (*name).into(), ..key(number as u128) }).await;
        }
        let found = async |search: &str| {
            let filter = KeyFilter { search: Some(search.into()), ..filter() };
            let mut names: Vec<_> = store.keys(&filter).await.unwrap().into_iter().map(|key| key.name).collect();
            names.sort();
            names
        };
        for (search, expected) in [
            ("%", vec!["100%"]),
            ("_", vec!["100_"]),
            ("\\", vec!["a\\b"]),
            ("BILL", vec!["Billing", "billing two"]),
            ("'", vec!["O'Brien"]),
            ("nothing", vec![]),
        ] {
            assert_eq!(found(search).await, expected, "{search}");
        }
        let mut revoked = ApiKey { version: 2, ..key(0) };
        revoked.name = "100%".into();
        revoked.lifecycle = Lifecycle::Revoked { at: NOW, reason: None };
        store.update_key(&revoked, None, &entry(action::KEY_REVOKE, "k")).await.unwrap().unwrap();
        let count = async |status, now| store.keys(&KeyFilter { status, now, ..filter() }).await.unwrap().len();
        assert_eq!(count(None, NOW).await, 7);
        assert_eq!(count(Some(Status::Revoked), NOW).await, 1);
        assert_eq!(count(Some(Status::Active), NOW).await, 6);
        assert_eq!(count(Some(Status::Expired), NOW.plus_seconds(1000)).await, 5);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.keys(&KeyFilter { after, limit: 2, ..filter() }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.id));
            seen.extend(page.iter().map(|key| (key.created_at, key.id)));
        }
        let mut expected = seen.clone();
        expected.sort_by(|a, b| b.cmp(a));
        expected.dedup();
        assert_eq!((seen.len(), &seen), (7, &expected), "newest first");
        let owned = KeyFilter { owner: Some(MemberId("nobody".into())), ..filter() };
        assert!(store.keys(&owned).await.unwrap().is_empty());
    });
}

#[test]
fn a_fast_verifier_is_refreshed_only_where_its_secret_is_still_the_one() {
    on_every_backend(async |store| {
        insert(store.as_ref(), &key(1)).await;
        let fast = FastVerifier { pepper: "new".into(), digest: [3; 32] };
        let seq = store.last_seq().await.unwrap();
        store.refresh_fast_verifier(&key(1).id, "another phc", &fast).await.unwrap();
        assert_eq!(store.key(&key(1).id).await.unwrap(), Some(key(1)));
        store.refresh_fast_verifier(&key(1).id, "phc 1", &fast).await.unwrap();
        assert_eq!(store.key(&key(1).id).await.unwrap().unwrap().secret.fast, Some(fast));
        assert_eq!(store.last_seq().await.unwrap(), seq, "it is no change");
    });
}

#[test]
fn signing_keys_are_rotated_one_at_a_time_and_resealed_together() {
    on_every_backend(async |store| {
        let next = signing_key("default", "second", NOW.plus_seconds(1));
        let stale =
            store.insert_signing_key(&next, Some("unknown"), &entry(action::SIGNING_KEY_CREATE, "s")).await.unwrap();
        assert_eq!(stale, Err(Refused::VersionConflict));
        let newest = Some("first of default");
        assert_eq!(
            store.insert_signing_key(&next, newest, &entry(action::SIGNING_KEY_CREATE, "s")).await.unwrap(),
            Ok(())
        );
        assert_eq!(store.signing_keys().await.unwrap(), [founding("default").signing_key, next.clone()]);
        assert_eq!(store.master_key().await.unwrap(), None);
        store.set_master_key("m").await.unwrap();
        let sealed = Sealed { master_key: "n".into(), bytes: vec![9] };
        store.reseal(&[("second".into(), sealed.clone())], "n").await.unwrap();
        assert_eq!(store.master_key().await.unwrap().as_deref(), Some("n"));
        assert_eq!(store.signing_keys().await.unwrap()[1].sealed, sealed);
        store.delete_signing_key("second", &entry(action::SIGNING_KEY_DELETE, "second")).await.unwrap();
        store.delete_signing_key("second", &entry(action::SIGNING_KEY_DELETE, "second")).await.unwrap();
        assert_eq!(store.signing_keys().await.unwrap().len(), 1);
        let rows = store.audit_after(&slug("default"), 0, 100).await.unwrap();
        assert_eq!(rows.iter().filter(|row| row.action == action::SIGNING_KEY_DELETE).count(), 1);
    });
}

#[test]
fn revoked_tokens_are_kept_until_they_are_dead_anyway() {
    on_every_backend(async |store| {
        insert(store.as_ref(), &key(1)).await;
        let token = RevokedToken { jti: "j".into(), key: key(1).id, expires_at: NOW.plus_seconds(10) };
        let revoke =
            async || store.revoke_token(&token, &slug("default"), &entry(action::TOKEN_REVOKE, "j")).await.unwrap();
        let seq = revoke().await;
        assert_eq!(revoke().await, seq, "a second time is no change");
        assert_eq!(store.last_seq().await.unwrap(), seq);
        let change = store.changes_after(seq - 1, 10).await.unwrap().remove(0);
        assert_eq!((change.token.as_deref(), change.key, change.generation), (Some("j"), key(1).id, 1));
        assert_eq!(store.revoked_tokens(NOW).await.unwrap(), std::slice::from_ref(&token));
        assert_eq!(store.forget_revoked_tokens(NOW.plus_seconds(9)).await.unwrap(), 0);
        assert_eq!(store.forget_revoked_tokens(NOW.plus_seconds(10)).await.unwrap(), 1);
        assert!(store.revoked_tokens(NOW).await.unwrap().is_empty());
    });
}

#[test]
fn counts_of_use_add_up() {
    on_every_backend(async |store| {
        insert(store.as_ref(), &key(1)).await;
        let address: IpAddr = "192.0.2.9".parse().unwrap();
        let usage = |at: i64, address| KeyUsage {
            key: key(1).id,
            counts: vec![(1, UsageOutcome::Exchanged, 2), (1, UsageOutcome::DeniedScope, 1)],
            last_used: Some(LastUse { at: Timestamp::from_seconds(at), address }),
        };
        store.add_usage(&[usage(100, Some(address))]).await.unwrap();
        store.add_usage(&[usage(50, None), usage(60, None)]).await.unwrap();
        let shown = store.key(&key(1).id).await.unwrap().unwrap();
        assert_eq!(
            shown.last_used_at,
            Some(Timestamp::from_seconds(100)),
            "an earlier use does not replace a later one"
        );
        assert_eq!(shown.last_used_ip.as_deref(), Some("192.0.2.9"));
        assert_eq!(shown.version, 1);
    });
}
