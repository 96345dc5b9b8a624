//! Conformance of profiles and named networks, and of the keys that refer to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyturn::domain::api_key::{ApiKey, Edit, Lifecycle, Status};
use keyturn::domain::apis::{Api, ApiId};
use keyturn::domain::authority::ActorVersion;
use keyturn::domain::choices::Algorithm;
use keyturn::domain::grants::{Grant, Grants};
use keyturn::domain::key_view::{BrokenRules, KeyView};
use keyturn::domain::networks::Networks;
use keyturn::domain::policy::Policy;
use keyturn::domain::profile::{NamedNetwork, Profile, SharedAccess, SharedVersion};
use keyturn::domain::scope::{Action, Scope, ScopeSet};
use keyturn::store::{
    AuditEntry, KeyFilter, Limits, Refused, SharingKeys, Store, StoreError, TenantRecord, WriteError, action,
};

use super::{NOW, WriteOutcome as _, create_organization, entry, id, insert, key, slug};

fn profile(name: &str) -> Profile {
    Profile {
        organization: slug("acme"),
        name: slug(name),
        description: "Gr\u{fc}\u{df}e".into(),
        grants: Grants::of_default(ScopeSet::parse("read:a write").unwrap()),
        networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32"]).unwrap(),
        named_networks: Vec::new(),
        token_ttl_seconds: Some(60),
        version: 1,
        created_at: NOW,
    }
}

fn network(name: &str) -> NamedNetwork {
    NamedNetwork {
        organization: slug("acme"),
        name: slug(name),
        description: String::new(),
        cidrs: Networks::parse(&["10.0.0.0/8"]).unwrap(),
        excluded: vec!["10.0.0.1/32".parse().unwrap()],
        version: 1,
        created_at: NOW,
    }
}

async fn acme(store: &Store) -> TenantRecord {
    store.tenant(&slug("acme")).await.unwrap().unwrap()
}

async fn seen(store: &Store) -> u64 {
    store.organization_seq(&slug("acme")).await.unwrap().unwrap()
}

async fn add(store: &Store, profile: &Profile) -> Result<u64, Refused> {
    let seen = seen(store).await;
    store.insert_profile(profile, seen, &entry(action::PROFILE_CREATE, &profile.name)).await.outcome()
}

async fn add_network(store: &Store, network: &NamedNetwork) -> Result<u64, Refused> {
    store.insert_network(network, &entry(action::NETWORK_CREATE, &network.name)).await.outcome()
}

async fn try_insert(store: &Store, key: &ApiKey) -> Result<u64, Refused> {
    store.insert_key(key, Limits::default(), &entry(action::KEY_CREATE, key.id), None, None).await.outcome()
}

fn with_profile(n: u8, name: &str) -> ApiKey {
    ApiKey { profile: Some(slug(name)), ..key(n) }
}

pub async fn profile_fields_round_trip(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (office, lab) = (network("office"), network("lab"));
    add_network(&store, &office).await.unwrap();
    add_network(&store, &lab).await.unwrap();
    assert_eq!(add_network(&store, &lab).await, Err(Refused::AlreadyExists));
    let one = Profile { named_networks: vec![slug("office"), slug("lab")], ..profile("one") };
    let seq = add(&store, &one).await.unwrap();
    assert_eq!(add(&store, &one).await, Err(Refused::AlreadyExists));
    assert_eq!(acme(&store).await.profiles, std::slice::from_ref(&one));
    let mut networks = acme(&store).await.networks;
    networks.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(networks, [lab.clone(), office]);
    assert_eq!(acme(&store).await.profiles.len(), 1);
    assert_eq!(seen(&store).await, seq, "nodes load the organization again");

    let next = Profile { token_ttl_seconds: None, named_networks: Vec::new(), version: 2, ..one.clone() };
    let update = async |profile: &Profile, seen| {
        store.update_profile(profile, seen, &entry(action::PROFILE_EDIT, &profile.name)).await.outcome()
    };
    assert_eq!(update(&next, seq - 1).await, Err(Refused::VersionConflict), "something else was changed");
    let seq = update(&next, seq).await.unwrap();
    assert_eq!(update(&next, seq).await, Err(Refused::VersionConflict));
    assert_eq!(acme(&store).await.profiles, [next]);
    let next = NamedNetwork { excluded: Vec::new(), version: 2, ..lab };
    let written = store.update_network(&next, seq, &entry(action::NETWORK_EDIT, "lab")).await.outcome();
    assert_eq!(written.map(|written| written > seq), Ok(true));
    assert!(acme(&store).await.networks.contains(&next));
}

pub async fn organization_is_read_as_of_one_moment(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    add_network(&store, &network("office")).await.unwrap();
    add(&store, &profile("one")).await.unwrap();

    // First the profile, then the network: the network never has a higher version.
    let (editing, done) = (store.clone(), Arc::new(AtomicBool::new(false)));
    let is_done = done.clone();
    let edits = tokio::spawn(async move {
        for version in 2..=80 {
            let next = Profile { version, ..profile("one") };
            let row = entry(action::PROFILE_EDIT, &next.name);
            editing.update_profile(&next, seen(&editing).await, &row).await.outcome().unwrap();
            let next = NamedNetwork { version, ..network("office") };
            let row = entry(action::NETWORK_EDIT, &next.name);
            editing.update_network(&next, seen(&editing).await, &row).await.outcome().unwrap();
        }
        done.store(true, Ordering::Release);
    });
    let mut between = 0;
    let mut last = (0, 0, 0);
    while !is_done.load(Ordering::Acquire) {
        let read = acme(&store).await;
        let (profile, network) = (read.profiles[0].version, read.networks[0].version);
        assert!(profile == network || profile == network + 1, "profile {profile}, network {network}");
        let of = (read.organization.changed_seq, profile, network);
        assert_eq!(of.0 == last.0, of == last, "a change of a part is one of the organization: {last:?}, {of:?}");
        between += usize::from(of != last);
        last = of;
    }
    edits.await.unwrap();
    assert!(between > 10, "{between}");
}

pub async fn restore_repeats_no_version(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    add_network(&store, &network("office")).await.unwrap();
    add(&store, &profile("one")).await.unwrap();
    let epoch = store.begin_epoch(NOW).await.unwrap().unwrap().epoch;
    let read = acme(&store).await;
    assert_eq!((read.profiles[0].version, read.networks[0].version, read.apis[0].version), (epoch, epoch, epoch));
}

pub async fn keys_refer_only_to_what_exists(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let with_network = |n| ApiKey { named_networks: vec![slug("office")], ..key(n) };
    assert_eq!(try_insert(&store, &with_profile(1, "one")).await, Err(Refused::ReferencesChanged));
    assert_eq!(try_insert(&store, &with_network(2)).await, Err(Refused::ReferencesChanged));
    add(&store, &profile("one")).await.unwrap();
    add_network(&store, &network("office")).await.unwrap();
    let (one, two) = (with_profile(1, "one"), with_network(2));
    insert(store.as_ref(), &one).await;
    insert(store.as_ref(), &two).await;
    assert_eq!(store.key(&one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.key(&two.id).await.unwrap(), Some(two.clone()));
    let edit = Edit { profile: Some(Some(slug("gone"))), ..Edit::default() };
    let lost = two.clone().edit(edit, NOW).unwrap();
    let written = store.update_key(&lost, None, &entry(action::KEY_EDIT, lost.id), None, None).await.outcome();
    assert_eq!(written, Err(Refused::ReferencesChanged));

    // Neither is deleted while a key that is not revoked refers to it.
    let delete = async || store.delete_profile(&profile("one"), &entry(action::PROFILE_DELETE, "one")).await.outcome();
    let delete_network =
        async || store.delete_network(&network("office"), &entry(action::NETWORK_DELETE, "office")).await.outcome();
    assert_eq!((delete().await, delete_network().await), (Err(Refused::HasKeys), Err(Refused::HasKeys)));
    for key in [one, two] {
        let revoked = key.revoke(NOW, None).unwrap();
        store.update_key(&revoked, None, &entry(action::KEY_REVOKE, revoked.id), None, None).await.outcome().unwrap();
    }
    let referring = Profile { named_networks: vec![slug("office")], ..profile("two") };
    add(&store, &referring).await.unwrap();
    assert_eq!(delete_network().await, Err(Refused::HasProfiles));
    store.delete_profile(&referring, &entry(action::PROFILE_DELETE, "two")).await.outcome().unwrap();
    delete().await.unwrap();
    delete_network().await.unwrap();
    assert_eq!(delete().await, Err(Refused::VersionConflict));
    assert!(acme(&store).await.profiles.is_empty() && acme(&store).await.networks.is_empty());
}

pub async fn keys_are_counted_found_and_changed_by_profile(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    add_network(&store, &network("office")).await.unwrap();
    for name in ["one", "two"] {
        add(&store, &profile(name)).await.unwrap();
    }
    for n in 1..=3 {
        insert(store.as_ref(), &with_profile(n, "one")).await;
    }
    insert(store.as_ref(), &ApiKey { named_networks: vec![slug("office")], ..with_profile(4, "two") }).await;
    insert(store.as_ref(), &key(5)).await;
    let revoked = with_profile(3, "one").revoke(NOW, None).unwrap();
    store.update_key(&revoked, None, &entry(action::KEY_REVOKE, revoked.id), None, None).await.outcome().unwrap();

    let mut counts = store.keys_of_profiles(&slug("acme")).await.unwrap();
    counts.sort();
    assert_eq!(counts, [(slug("one"), 2), (slug("two"), 1)]);
    assert_eq!(store.keys_of_profile(&slug("acme"), &slug("one")).await.unwrap(), 2);
    assert_eq!(store.keys_of_networks(&slug("acme")).await.unwrap(), [(slug("office"), 1)]);
    let listed = async |filter: KeyFilter| store.keys(&filter).await.unwrap().len();
    let all = KeyFilter::new(slug("acme"), NOW);
    assert_eq!(listed(KeyFilter { profile: Some(slug("one")), ..all.clone() }).await, 3);
    assert_eq!(listed(KeyFilter { named_network: Some(slug("office")), ..all }).await, 1);
    let sharing = |profiles: &[&str], network: Option<&str>| SharingKeys {
        organization: slug("acme"),
        profiles: profiles.iter().map(|name| slug(name)).collect(),
        network: network.map(slug),
    };
    for (keys, expected) in [
        (sharing(&["one"], None), 2),
        (sharing(&["one"], Some("office")), 3),
        (sharing(&["two"], Some("office")), 1),
        (sharing(&[], None), 0),
    ] {
        assert_eq!(store.count_sharing(&keys).await.unwrap(), expected, "{keys:?}");
        assert!(store.usage_of_sharing(&keys, 0).await.unwrap().is_empty());
    }

    let to = |key: ApiKey| {
        let edit = Edit { profile: Some(Some(slug("two"))), ..Edit::default() };
        let next = key.edit(edit, NOW).ok()?;
        Some((next.clone(), entry(action::KEY_EDIT, next.id)))
    };
    let by = entry(action::KEY_EDIT, "one");
    let (_, moved) = store.end_keys_with_profile(&slug("acme"), &slug("one"), None, &by, &to).await.outcome().unwrap();
    assert_eq!(moved.iter().map(|key| key.generation).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(store.keys_of_profiles(&slug("acme")).await.unwrap(), [(slug("two"), 3)]);
}

/// A key with a network of its own, and a profile that refers to another one.
async fn with_both(store: &Store) -> ApiKey {
    create_organization(store).await;
    for name in ["office", "lab"] {
        add_network(store, &network(name)).await.unwrap();
    }
    add(store, &Profile { named_networks: vec![slug("lab")], ..profile("one") }).await.unwrap();
    let key = ApiKey { named_networks: vec![slug("office")], ..with_profile(1, "one") };
    insert(store, &key).await;
    key
}

async fn shared(store: &Store) -> SharedAccess {
    let read = acme(store).await;
    SharedAccess::new(read.profiles, read.networks)
}

pub async fn actor_loses_rights_with_its_profile_and_networks(store: Arc<Store>) {
    let actor = with_both(&store).await;
    let version = async || ActorVersion {
        own: actor.rights_version(),
        customer: None,
        shared: shared(&store).await.version_of(&actor),
    };
    let make = async |n: u8, expected: ActorVersion| {
        let row = AuditEntry {
            actor: format!("key:{}", actor.id),
            expected_version: Some(expected),
            ..entry(action::KEY_CREATE, id(n))
        };
        match store.insert_key(&key(n), Limits::default(), &row, None, None).await {
            Ok(_) => true,
            Err(WriteError::Store(StoreError::Superseded)) => false,
            other => panic!("{other:?}"),
        }
    };
    let first = version().await;
    assert_eq!(first.shared, Some(SharedVersion { profile: Some(1), networks: 2 }));
    assert!(make(2, first).await);

    // Changes of others leave the rights as they are.
    add(&store, &profile("two")).await.unwrap();
    add_network(&store, &network("home")).await.unwrap();
    assert!(make(3, first).await);

    let update = async |next: &NamedNetwork| {
        let row = entry(action::NETWORK_EDIT, &next.name);
        store.update_network(next, seen(&store).await, &row).await.outcome().unwrap();
    };
    for (n, changed) in [(4, "office"), (5, "lab")] {
        let before = version().await;
        update(&NamedNetwork { version: 2, ..network(changed) }).await;
        assert!(!make(n, before).await, "{changed}");
        assert!(make(n, version().await).await, "{changed}");
    }
    let before = version().await;
    let next = Profile { version: 2, ..profile("one") };
    let row = entry(action::PROFILE_EDIT, &next.name);
    store.update_profile(&next, seen(&store).await, &row).await.outcome().unwrap();
    assert!(!make(6, before).await && !make(6, first).await, "the profile");
    assert!(make(6, version().await).await);
}

pub async fn keys_with_references_are_written_as_they_were_checked(store: Arc<Store>) {
    let stored = with_both(&store).await;
    let checked = seen(&store).await;
    let make = async |key: &ApiKey, seen| {
        store.insert_key(key, Limits::default(), &entry(action::KEY_CREATE, key.id), None, Some(seen)).await.outcome()
    };
    make(&with_profile(2, "one"), checked).await.unwrap();

    // The network is not the one that was checked.
    let home = |cidrs: &str| NamedNetwork { cidrs: Networks::parse(&[cidrs]).unwrap(), ..network("home") };
    add_network(&store, &home("10.0.0.0/30")).await.unwrap();
    let checked = seen(&store).await;
    store.delete_network(&home("10.0.0.0/30"), &entry(action::NETWORK_DELETE, "home")).await.outcome().unwrap();
    add_network(&store, &home("0.0.0.0/0")).await.unwrap();
    let at_home = ApiKey { named_networks: vec![slug("home")], ..key(3) };
    assert_eq!(make(&at_home, checked).await, Err(Refused::ReferencesChanged));
    make(&at_home, seen(&store).await).await.unwrap();
    make(&key(4), checked).await.unwrap();
    let update = async |key: &ApiKey, seen| {
        store.update_key(key, None, &entry(action::KEY_EDIT, key.id), None, seen).await.outcome()
    };
    let renamed = stored.edit(Edit { name: Some("n".into()), ..Edit::default() }, NOW).unwrap();
    assert_eq!(update(&renamed, Some(checked)).await, Err(Refused::ReferencesChanged));
    update(&renamed, Some(seen(&store).await)).await.unwrap();
    let revoked = renamed.revoke(NOW, None).unwrap();
    update(&revoked, Some(checked)).await.unwrap();
}

pub async fn keys_move_only_to_a_profile_that_exists(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    add(&store, &profile("one")).await.unwrap();
    add(&store, &profile("two")).await.unwrap();
    let own = Grants::of_default(ScopeSet::parse("read:a").unwrap());
    for n in 1..=3 {
        insert(store.as_ref(), &ApiKey { grants: Grants::default(), ..with_profile(n, "one") }).await;
    }
    insert(store.as_ref(), &ApiKey { grants: own.clone(), ..with_profile(4, "one") }).await;
    let different = store.keys_of_profile_by_grants(&slug("acme"), &slug("one")).await.unwrap();
    assert_eq!(different.len(), 2);
    assert!(different.iter().any(|key| key.grants == own) && different.iter().any(|key| key.grants.is_empty()));

    let checked = seen(&store).await;
    let move_to = async |to: &str, seen| {
        let next = |key: ApiKey| {
            let next = key.edit(Edit { profile: Some(Some(slug(to))), ..Edit::default() }, NOW).ok()?;
            Some((next.clone(), entry(action::KEY_EDIT, next.id)))
        };
        let by = entry(action::KEY_EDIT, "one");
        let moved = store.end_keys_with_profile(&slug("acme"), &slug("one"), seen, &by, &next).await;
        moved.outcome().map(|(_, keys)| keys.len())
    };
    store.delete_profile(&profile("two"), &entry(action::PROFILE_DELETE, "two")).await.outcome().unwrap();
    assert_eq!(move_to("two", None).await, Err(Refused::ReferencesChanged));
    add(&store, &profile("two")).await.unwrap();
    assert_eq!(move_to("two", Some(checked)).await, Err(Refused::VersionConflict), "another profile with that name");
    assert_eq!(store.keys_of_profiles(&slug("acme")).await.unwrap(), [(slug("one"), 4)]);
    assert_eq!(move_to("two", Some(seen(&store).await)).await, Ok(4));
}

pub async fn keys_of_an_api_are_those_that_have_it_in_effect(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let [photos, orders] = [1, 2].map(|n| ApiId::from_random([n; 16]));
    let grants = |apis: &[ApiId]| {
        Grants::new(apis.iter().map(|api| Grant { api: *api, scopes: ScopeSet::parse("read:a").unwrap() }))
    };
    add(&store, &Profile { grants: grants(&[photos]), ..profile("photos") }).await.unwrap();
    add(&store, &Profile { grants: grants(&[orders]), ..profile("orders") }).await.unwrap();
    let with = |n, name: &str, own: &[ApiId]| ApiKey { grants: grants(own), ..with_profile(n, name) };
    for key in [
        ApiKey { grants: grants(&[photos, orders]), ..key(1) },
        with(2, "photos", &[]),
        with(3, "photos", &[photos, orders]),
        with(4, "photos", &[orders]),
        with(5, "orders", &[photos]),
    ] {
        insert(store.as_ref(), &key).await;
    }
    let shared = shared(&store).await;
    let counted = store.keys_of_apis(&slug("acme"), &shared).await.unwrap();
    // The organization's first key has the default API.
    let mut expected = [(ApiId::DEFAULT, 1), (photos, 3), (orders, 1)];
    expected.sort_by_key(|(api, _)| *api);
    assert_eq!(counted, expected);
    let api = Api { id: photos, ..Api::default_of(slug("acme"), Algorithm::Es256, NOW) };
    let mut keys: Vec<_> = store.keys_of_api(&api, &shared, 0).await.unwrap().iter().map(|key| key.id).collect();
    keys.sort();
    let mut expected = [id(1), id(2), id(3)];
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(store.grants_of_api(&api, &shared).await.unwrap().len(), 3);
    assert!(store.requested_of_api(&api, &shared, 0).await.unwrap().is_empty());
}

/// Keys with every combination of a profile, named networks and settings of their own.
async fn insert_combinations(store: &Store) -> Vec<ApiKey> {
    let scopes = ["", "read:a", "*:*", "read:keyturn/keys fly:x", "write:a/b"];
    let lists: [&[&str]; 4] = [&[], &["10.0.0.0/8"], &["0.0.0.0/0"], &["192.0.2.0/24"]];
    for (name, cidrs, excluded) in [("all", "0.0.0.0/0", None), ("hole", "10.0.0.0/8", Some("10.1.0.0/16"))] {
        let excluded = excluded.iter().map(|text: &&str| text.parse().unwrap()).collect();
        let cidrs = Networks::parse(&[cidrs]).unwrap();
        add_network(store, &NamedNetwork { cidrs, excluded, ..network(name) }).await.unwrap();
    }
    for (number, grants) in ["", "read:a", "*:*", "read:* fly:x", "*:keyturn/*"].into_iter().enumerate() {
        let grants = if number == 0 { Grants::default() } else { Grants::of_default(ScopeSet::parse(grants).unwrap()) };
        let named_networks = [vec![], vec![slug("hole")], vec![slug("all")]][number % 3].clone();
        let networks = Networks::parse(lists[number % 2]).unwrap();
        let made = Profile { grants, named_networks, networks, ..profile(&format!("p{number}")) };
        add(store, &made).await.unwrap();
    }
    let mut keys = Vec::new();
    for n in 1..=180_u8 {
        let (profile, own) = (usize::from(n) % 6, usize::from(n / 6) % 6);
        let mut made = ApiKey {
            profile: (profile < 5).then(|| slug(&format!("p{profile}"))),
            grants: match own {
                5 => Grants::default(),
                own => Grants::of_default(ScopeSet::parse(scopes[own]).unwrap()),
            },
            networks: Networks::parse(lists[usize::from(n / 5) % 4]).unwrap(),
            named_networks: [vec![], vec![slug("hole")], vec![slug("all"), slug("hole")]][usize::from(n / 7) % 3]
                .clone(),
            ..key(n)
        };
        if n % 19 == 0 {
            made.lifecycle = Lifecycle::Disabled { at: NOW };
        }
        insert(store, &made).await;
        keys.push(store.key(&made.id).await.unwrap().unwrap());
    }
    keys
}

pub async fn keys_are_found_by_their_access_in_effect(store: Arc<Store>) {
    let store = store.as_ref();
    create_organization(store).await;
    let mut keys = insert_combinations(store).await;
    let organization = slug("acme");
    let everything = KeyFilter { limit: 1_000, ..KeyFilter::new(organization.clone(), NOW) };
    // The first key of the organization.
    let inserted: Vec<_> = keys.iter().map(|key| key.id).collect();
    keys.extend(store.keys(&everything).await.unwrap().into_iter().filter(|key| !inserted.contains(&key.id)));
    let tenant = acme(store).await;
    let shared = SharedAccess::new(tenant.profiles, tenant.networks);
    let check = async |filter: KeyFilter, matches: &dyn Fn(&ApiKey) -> bool| {
        let held = keys.iter().map(|key| shared.effective(key));
        let mut wanted: Vec<_> = held.filter(|key| matches(key)).map(|key| key.id).collect();
        let mut found: Vec<_> = store.keys(&filter).await.unwrap().into_iter().map(|key| key.id).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        assert!(!wanted.is_empty() && wanted.len() < keys.len(), "{filter:?}");
        assert_eq!(found, wanted, "{filter:?}");
        assert_eq!(store.count_keys(&filter).await.unwrap(), wanted.len() as u64);
        wanted.len() as u64
    };

    let view = |view| KeyFilter { view: Some(view), ..everything.clone() };
    check(view(KeyView::AnyNetwork), &|key| key.networks.is_open()).await;
    check(view(KeyView::FullAccess), &|key| key.grants.is_full_access()).await;
    let active = |view| KeyFilter { status: Some(Status::Active), view: Some(view), ..everything.clone() };
    let is_active = |key: &ApiKey| key.status(NOW) == Status::Active;
    let open = check(active(KeyView::AnyNetwork), &|key| is_active(key) && key.networks.is_open()).await;
    let full = check(active(KeyView::FullAccess), &|key| is_active(key) && key.grants.is_full_access()).await;
    let attention = store.attention(&organization, None, NOW).await.unwrap();
    assert_eq!((attention.any_network, attention.full_access), (open, full));

    for text in ["read:a", "write:a/b", "read:keyturn/keys", "fly:x"] {
        let scope = Scope::parse(text).unwrap();
        let filter = KeyFilter { scope: Some(scope.clone()), ..everything.clone() };
        check(filter, &|key| key.grants.of_default_api().contains(&scope)).await;
    }
    let filter = KeyFilter { api: Some(ApiId::DEFAULT), ..everything.clone() };
    let granted = check(filter, &|key| key.grants.get(ApiId::DEFAULT).is_some()).await;
    assert_eq!(store.keys_of_apis(&organization, &shared).await.unwrap(), [(ApiId::DEFAULT, granted)]);
    for text in ["10.0.0.1/32", "10.1.0.1/32", "192.0.2.0/24"] {
        let wanted: ipnet::IpNet = text.parse().unwrap();
        let filter = KeyFilter { network: Some(wanted), ..everything.clone() };
        check(filter, &|key| !key.networks.is_none() && key.networks.iter().any(|one| one.contains(&wanted))).await;
    }

    let policy = Policy {
        scopes_required: true,
        actions: ["read", "write"].map(|action| Action::parse(action).unwrap()).to_vec(),
        grantable_scopes: Some(vec![Scope::parse("read:a").unwrap()]),
        ..Policy::default()
    };
    for setting in ["scopes_required", "actions", "grantable_scopes"] {
        let broken = BrokenRules::parse(setting, &policy);
        let breaks = |key: &ApiKey| policy.violated_settings(key, NOW).iter().any(|(name, _)| *name == setting);
        check(KeyFilter { broken, ..everything.clone() }, &breaks).await;
    }
}
