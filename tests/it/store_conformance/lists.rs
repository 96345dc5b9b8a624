//! Lists of keys by filter: the statements select exactly what the rules of `domain` say.

use keyturn::domain::key_view::{BrokenRules, DAY, EXPIRING_DAYS, KeyView, UNUSED_DAYS};
use keyturn::domain::scope::{Action, Scope};

use super::*;

/// Keys with every combination of the fields that views and rules look at.
async fn insert_all(store: &Store) -> Vec<ApiKey> {
    let mut keys = Vec::new();
    let at = |days: i64| NOW.plus_seconds(days * DAY);
    for n in 1..=120_u8 {
        let pick = |list: &[&'static str], by: u8| list[usize::from(n / by) % list.len()];
        let scopes = pick(&["read:a", "", "*:*", "write:a/b fly:a", "read:keyturn/keys", "*", "read:#/b", "read"], 1);
        let networks: &[&str] = [
            &[][..],
            &["10.0.0.0/8"],
            &["0.0.0.0/0"],
            &["10.1.0.0/16", "2001:db8::/32"],
            &["0.0.0.0/1", "128.0.0.0/1"],
        ][usize::from(n / 3) % 5];
        let mut key = ApiKey {
            name: pick(&["plain", "", " "], 2).into(),
            grants: Grants::of_default(ScopeSet::parse(scopes).unwrap()),
            networks: Networks::parse(networks).unwrap(),
            expires_at: [None, Some(at(3)), Some(at(40)), Some(at(400)), Some(at(-1))][usize::from(n) % 5],
            created_at: at([-200, -10][usize::from(n / 5) % 2]).plus_seconds(i64::from(n)),
            rotated_at: [None, Some(at(-100)), Some(at(-5))][usize::from(n / 7) % 3],
            prefix: KeyPrefix::parse(pick(&["kt", "old"], 11)).unwrap(),
            lifecycle: [Lifecycle::Active, Lifecycle::Disabled { at: NOW }, Lifecycle::Active][usize::from(n / 4) % 3]
                .clone(),
            previous: (n % 6 == 0)
                .then(|| PreviousSecret::new(verifier(200), "kt_...prev".into(), at([1, -1][usize::from(n / 6) % 2]))),
            ..key(n)
        };
        if n % 17 == 0 {
            key.lifecycle = Lifecycle::Revoked { at: NOW, reason: None };
        }
        insert(store, &key).await;
        keys.push(store.key(&key.id).await.unwrap().unwrap());
    }
    keys
}

async fn found(store: &Store, filter: KeyFilter) -> Vec<KeyId> {
    let filter = KeyFilter { limit: 1_000, ..filter };
    let keys = store.keys(&filter).await.unwrap();
    assert_eq!(store.count_keys(&filter).await.unwrap(), keys.len() as u64);
    let mut ids: Vec<KeyId> = keys.iter().map(|key| key.id).collect();
    ids.sort_unstable();
    ids
}

fn expected(keys: &[ApiKey], matches: impl Fn(&ApiKey) -> bool) -> Vec<KeyId> {
    let mut ids: Vec<KeyId> = keys.iter().filter(|key| matches(key)).map(|key| key.id).collect();
    ids.sort_unstable();
    ids
}

fn is_in(view: KeyView, key: &ApiKey) -> bool {
    let at = |days: i64| NOW.plus_seconds(days * DAY);
    match view {
        KeyView::Expiring => key.expires_at.is_some_and(|end| end <= at(EXPIRING_DAYS)),
        KeyView::Unused => key.idle_since() < at(-UNUSED_DAYS),
        KeyView::NeverUsed => key.last_used_at.is_none(),
        KeyView::NoExpiry => key.expires_at.is_none(),
        KeyView::AnyNetwork => key.networks.is_open(),
        KeyView::FullAccess => key.grants.is_full_access(),
        KeyView::Rotating => key.previous.as_ref().is_some_and(|previous| previous.until > NOW),
    }
}

pub async fn views_select_what_the_rules_say(store: Arc<Store>) {
    let founding = create_organization(store.as_ref()).await;
    let mut keys = insert_all(store.as_ref()).await;
    keys.extend(founding.key);
    for view in KeyView::ALL {
        let filter = KeyFilter { view: Some(view), ..all() };
        let wanted = expected(&keys, |key| key.counts(NOW) && is_in(view, key));
        assert!(!wanted.is_empty(), "{view:?}");
        assert_eq!(found(store.as_ref(), filter.clone()).await, wanted, "{view:?}");
        let active = expected(&keys, |key| key.status(NOW) == Status::Active && is_in(view, key));
        assert_eq!(found(store.as_ref(), KeyFilter { status: Some(Status::Active), ..filter }).await, active);
        let attention = store.attention(&slug("acme"), None, NOW).await.unwrap();
        let counted = match view {
            KeyView::Expiring => attention.expiring,
            KeyView::Unused => attention.unused,
            KeyView::NeverUsed => attention.never_used,
            KeyView::NoExpiry => attention.no_expiry,
            KeyView::AnyNetwork => attention.any_network,
            KeyView::FullAccess => attention.full_access,
            KeyView::Rotating => attention.rotating,
        };
        assert_eq!(counted, active.len() as u64, "{view:?}");
    }
    let nobody = store.attention(&slug("acme"), Some(&MemberId("nobody".into())), NOW).await.unwrap();
    assert_eq!(nobody, keyturn::store::Attention::default());
}

pub async fn rules_select_what_the_policy_says(store: Arc<Store>) {
    let founding = create_organization(store.as_ref()).await;
    let mut keys = insert_all(store.as_ref()).await;
    keys.extend(founding.key);
    let strict = Policy {
        name_required: true,
        scopes_required: true,
        expiry_required: true,
        max_lifetime_days: Some(90),
        grantable_scopes: Some(vec![Scope::parse("read:*").unwrap()]),
        actions: vec![Action::parse("read").unwrap(), Action::parse("write").unwrap()],
        stale_after_days: Some(30),
        disable_when_stale: true,
        ..Policy::default()
    };
    for policy in [Policy::default(), strict] {
        let settings = ["any"].into_iter().chain(keyturn::domain::key_view::RuleBroken::ALL.map(|rule| rule.setting()));
        for name in settings {
            let broken = BrokenRules::parse(name, &policy);
            assert!(broken.is_some(), "{name}");
            let breaks = |key: &ApiKey| {
                let violated = policy.violated_settings(key, NOW);
                violated
                    .iter()
                    .any(|(setting, _)| *setting == name || (name == "any" && *setting != "disable_when_stale"))
            };
            let wanted = expected(&keys, |key| key.counts(NOW) && breaks(key));
            assert_eq!(found(store.as_ref(), KeyFilter { broken, ..all() }).await, wanted, "{name} {policy:?}");
        }
    }
    assert!(BrokenRules::parse("max_keys", &Policy::default()).is_none());
}

pub async fn grants_follow_the_key(store: Arc<Store>) {
    let founding = create_organization(store.as_ref()).await;
    let mut keys = insert_all(store.as_ref()).await;
    keys.extend(founding.key);
    for text in ["read:a", "write:a/b", "read:x/b", "read:keyturn/keys", "*:*", "delete:q"] {
        let scope = Scope::parse(text).unwrap();
        let wanted = expected(&keys, |key| key.grants.of_default_api().contains(&scope));
        assert_eq!(found(store.as_ref(), KeyFilter { scope: Some(scope), ..all() }).await, wanted, "{text}");
    }
    for text in ["10.1.2.3/32", "10.1.0.0/16", "10.0.0.0/7", "2001:db8::1/128", "192.0.2.0/24"] {
        let network: ipnet::IpNet = text.parse().unwrap();
        let wanted = expected(&keys, |key| key.networks.iter().any(|each| each.contains(&network)));
        assert_eq!(found(store.as_ref(), KeyFilter { network: Some(network), ..all() }).await, wanted, "{text}");
    }

    // An edit replaces them.
    let before = keys.iter().find(|key| key.id == id(1)).unwrap();
    let after = ApiKey { grants: Grants::of_default(ScopeSet::parse("launch:rockets").unwrap()), ..next(before) };
    store.update_key(&after, None, &entry(action::KEY_EDIT, id(1)), None, None).await.outcome().unwrap();
    let scope = Scope::parse("launch:rockets").unwrap();
    let wanted = expected(&keys, |key| key.id == id(1) || key.grants.of_default_api().contains(&scope));
    assert_eq!(found(store.as_ref(), KeyFilter { scope: Some(scope), ..all() }).await, wanted);
    let scope = Some(Scope::parse("write:a/b").unwrap());
    assert!(!found(store.as_ref(), KeyFilter { scope, ..all() }).await.contains(&id(1)));
}

pub async fn pages_by_offset_are_complete(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert_all(store.as_ref()).await;
    let filter = KeyFilter { order: KeyOrder::Name, is_descending: false, limit: 1_000, ..all() };
    let whole = store.keys(&filter).await.unwrap();
    let mut paged = Vec::new();
    for page in 0..13 {
        paged.extend(store.keys(&KeyFilter { limit: 10, offset: page * 10, ..filter.clone() }).await.unwrap());
    }
    assert_eq!(paged, whole);
    let by_id = store.keys_by_id(&slug("acme"), &[id(5), id(250), id(2)]).await.unwrap();
    assert_eq!(by_id.iter().map(|key| key.id).collect::<Vec<_>>(), [id(5), id(2)]);
    assert!(store.keys_by_id(&slug("other"), &[id(5)]).await.unwrap().is_empty());
}
