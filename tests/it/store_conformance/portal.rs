//! Conformance of the portal: its settings and its sessions.

use std::sync::Arc;

use keyturn::domain::api_key::ApiKey;
use keyturn::domain::apis::ApiId;
use keyturn::domain::authority::{ActorVersion, Authority, OtherApis};
use keyturn::domain::customer::Customer;
use keyturn::domain::grants::{Grant, Grants};
use keyturn::domain::networks::Networks;
use keyturn::domain::portal::{Capabilities, Capability, PortalSession, PortalSettings, RawPortalSettings, WebUrl};
use keyturn::domain::profile::SharedVersion;
use keyturn::domain::scope::ScopeSet;
use keyturn::domain::timestamp::Timestamp;
use keyturn::store::{AuditEntry, Limits, Refused, Store, StoreError, WriteError, action};

use super::customers::{add, customer, update};
use super::{NOW, WriteOutcome as _, create_organization, entry, insert, key, next, slug};

const CODE: [u8; 32] = [1; 32];
const SECRET: [u8; 32] = [2; 32];

/// A session of a customer that a key has created.
fn session(customer: &Customer, creator: &ApiKey) -> PortalSession {
    let orders = Grant { api: ApiId::from_random([9; 16]), scopes: ScopeSet::parse("read:orders/*").unwrap() };
    let grants = Grants::of_default(ScopeSet::parse("read:a write:b/*").unwrap()).with(orders.api, Some(orders.scopes));
    PortalSession {
        id: "session-1".into(),
        organization: customer.organization.clone(),
        customer: customer.id,
        customer_generation: customer.generation,
        user: Some("ada@customer.example".into()),
        capabilities: Capabilities::new([Capability::Create, Capability::Rotate]),
        bounds: Authority {
            scopes: grants.of_default_api().clone(),
            other_apis: OtherApis::Granted(grants.clone()),
            networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32"]).unwrap(),
            not_after: Some(NOW.plus_seconds(500)),
        },
        grants,
        return_url: WebUrl::parse("https://app.example/back"),
        created_at: NOW,
        created_by: format!("key:{}", creator.id),
        creator_version: creator.rights_version().into(),
        redeemed_at: None,
        ends_at: NOW.plus_seconds(900),
        address: None,
    }
}

async fn create(store: &Store, session: &PortalSession) -> Result<u64, Refused> {
    let row = entry(action::PORTAL_SESSION_CREATE, session.customer);
    store.insert_portal_session(session, &CODE, &row).await.outcome()
}

/// The entry of a change by a session.
fn by(session: &PortalSession, action: &'static str) -> AuditEntry {
    let (actor, expected_version) = (session.actor(), Some(session.creator_version));
    AuditEntry { actor, expected_version, ..entry(action, session.customer) }
}

async fn redeem(store: &Store, session: &PortalSession) -> Result<u64, WriteError> {
    store.redeem_portal_session(session, &SECRET, &by(session, action::PORTAL_SESSION_REDEEM)).await
}

fn redeemed(session: &PortalSession) -> PortalSession {
    PortalSession {
        redeemed_at: Some(NOW),
        ends_at: NOW.plus_seconds(3600),
        address: Some("192.0.2.1".into()),
        ..session.clone()
    }
}

/// A customer, and an opened session that a key has created.
async fn opened(store: &Store) -> (Customer, ApiKey, PortalSession) {
    create_organization(store).await;
    let (one, creator) = (customer(1), key(1));
    add(store, &one).await.unwrap();
    insert(store, &creator).await;
    let session = session(&one, &creator);
    create(store, &session).await.unwrap();
    let session = redeemed(&session);
    redeem(store, &session).await.outcome().unwrap();
    (one, creator, session)
}

async fn is_valid(store: &Store, now: Timestamp) -> bool {
    store.portal_session(&SECRET, now).await.unwrap().is_some()
}

pub async fn portal_session_round_trips_and_is_opened_once(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (one, creator) = (customer(1), key(1));
    add(&store, &one).await.unwrap();
    insert(store.as_ref(), &creator).await;
    let session = session(&one, &creator);
    create(&store, &session).await.unwrap();
    assert_eq!(store.portal_session_of_code(&CODE, NOW).await.unwrap(), Some(session.clone()));
    assert_eq!(store.portal_session_of_code(&CODE, session.ends_at).await.unwrap(), None, "expired");
    assert_eq!(store.portal_session(&CODE, NOW).await.unwrap(), None);
    let opened = redeemed(&session);
    let (first, second) = tokio::join!(redeem(&store, &opened), redeem(&store, &opened));
    let outcomes = [first.outcome(), second.outcome()];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(store.portal_session(&SECRET, NOW).await.unwrap(), Some(redeemed(&session)));
    assert_eq!(store.portal_session_of_code(&CODE, NOW).await.unwrap(), None);
    assert!(store.is_code_of_portal_session(&session.id, &CODE).await.unwrap());
    assert!(!store.is_code_of_portal_session(&session.id, &SECRET).await.unwrap());
    assert_eq!(store.portal_sessions(&one.id, NOW).await.unwrap(), [redeemed(&session)]);
    assert!(store.portal_sessions(&customer(2).id, NOW).await.unwrap().is_empty());
    assert_eq!(store.forget_portal_sessions(NOW).await.unwrap(), 0);
    assert!(!is_valid(&store, NOW.plus_seconds(3600)).await);
    assert_eq!(store.forget_portal_sessions(NOW.plus_seconds(3600)).await.unwrap(), 1);
}

pub async fn portal_session_of_a_changed_customer_or_creator_is_not_created(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (one, creator) = (customer(1), key(1));
    add(&store, &one).await.unwrap();
    insert(store.as_ref(), &creator).await;
    let good = session(&one, &creator);
    let stale = PortalSession { customer_generation: 0, ..good.clone() };
    assert_eq!(create(&store, &stale).await, Err(Refused::VersionConflict));
    let stale = PortalSession { creator_version: (creator.rights_version() + 1).into(), ..good.clone() };
    assert_eq!(create(&store, &stale).await, Err(Refused::VersionConflict));
    update(&store, &one.suspend(NOW).unwrap()).await.unwrap();
    assert_eq!(create(&store, &good).await, Err(Refused::VersionConflict));
    assert_eq!(store.portal_session_of_code(&CODE, NOW).await.unwrap(), None);
}

pub async fn portal_session_ends_with_its_customer_and_its_creator(store: Arc<Store>) {
    let (one, creator, session) = opened(&store).await;
    assert!(is_valid(&store, NOW).await);

    // 1. The customer. A reinstated one has another generation.
    let suspended = one.suspend(NOW).unwrap();
    update(&store, &suspended).await.unwrap();
    assert!(!is_valid(&store, NOW).await);
    let reinstated = suspended.reinstate().unwrap();
    update(&store, &reinstated).await.unwrap();
    assert!(!is_valid(&store, NOW).await);

    // 2. The creator: a new name changes nothing, a new generation ends the session.
    let again = PortalSession { id: "session-2".into(), ..session.clone() };
    let again = PortalSession { customer_generation: reinstated.generation, ..again };
    let row = entry(action::PORTAL_SESSION_CREATE, again.customer);
    store.insert_portal_session(&again, &[3; 32], &row).await.outcome().unwrap();
    let row = by(&again, action::PORTAL_SESSION_REDEEM);
    store.redeem_portal_session(&again, &[4; 32], &row).await.outcome().unwrap();
    let is_again_valid = async || store.portal_session(&[4; 32], NOW).await.unwrap().is_some();
    let renamed = ApiKey { name: "renamed".into(), ..next(&creator) };
    store.update_key(&renamed, None, &entry(action::KEY_EDIT, renamed.id), None, None).await.outcome().unwrap();
    assert!(is_again_valid().await);
    let narrowed = ApiKey { generation: 2, ..next(&renamed) };
    store.update_key(&narrowed, None, &entry(action::KEY_EDIT, narrowed.id), None, None).await.outcome().unwrap();
    assert!(!is_again_valid().await);
}

pub async fn portal_session_makes_only_changes_of_keys_while_it_is_valid(store: Arc<Store>) {
    let (one, _, session) = opened(&store).await;
    let make = async |n: u8, action| {
        let made = ApiKey { customer: Some(one.id), ..key(n) };
        store.insert_key(&made, Limits::default(), &by(&session, action), None, None).await
    };
    make(2, action::KEY_CREATE).await.outcome().unwrap();
    for other in [action::KEY_EDIT, action::KEY_ENABLE, action::MEMBER_CREATE, action::POLICY_CHANGE] {
        let refused = make(3, other).await;
        assert!(matches!(refused, Err(WriteError::Store(StoreError::Superseded))), "{other}");
    }
    let (acme, row) = (slug("acme"), by(&session, action::PORTAL_SESSION_END));
    assert_eq!(store.end_portal_session(&acme, &customer(2).id, &session.id, &row).await.unwrap(), None);
    assert!(store.end_portal_session(&acme, &one.id, &session.id, &row).await.unwrap().is_some());
    assert!(!is_valid(&store, NOW).await);
    let refused = make(4, action::KEY_CREATE).await;
    assert!(matches!(refused, Err(WriteError::Store(StoreError::Superseded))));
}

pub async fn portal_session_changes_keys_while_its_creator_shares_the_same_access(store: Arc<Store>) {
    let (one, _, session) = opened(&store).await;
    // The creator refers to nothing, so the sum of versions is 0.
    let make = async |n: u8, networks: u64| {
        let shared = Some(SharedVersion { profile: None, networks });
        let creator_version = ActorVersion { shared, ..session.creator_version };
        let session = PortalSession { creator_version, ..session.clone() };
        let made = ApiKey { customer: Some(one.id), ..key(n) };
        store.insert_key(&made, Limits::default(), &by(&session, action::KEY_CREATE), None, None).await
    };
    make(2, 0).await.outcome().unwrap();
    assert!(matches!(make(3, 1).await, Err(WriteError::Store(StoreError::Superseded))));
}

pub async fn portal_settings_are_replaced_once_per_version(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let acme = slug("acme");
    assert_eq!(store.portal_settings(&acme).await.unwrap(), (PortalSettings::default(), 0));
    let raw = RawPortalSettings { name: "Gr\u{fc}n".into(), color: "#0a66c2".into(), ..RawPortalSettings::default() };
    let settings = raw.parse().unwrap();
    let write = async |version| {
        store.write_portal_settings(&acme, &settings, version, &entry(action::PORTAL_CHANGE, &acme)).await.outcome()
    };
    assert_eq!(write(2).await, Err(Refused::VersionConflict));
    write(1).await.unwrap();
    assert_eq!(write(1).await, Err(Refused::VersionConflict));
    write(2).await.unwrap();
    assert_eq!(store.portal_settings(&acme).await.unwrap(), (settings.clone(), 2));
    assert_eq!(store.portal_settings(&slug("other")).await.unwrap().1, 0);
}

pub async fn restore_ends_portal_sessions_and_repeats_no_version(store: Arc<Store>) {
    let (one, _, _) = opened(&store).await;
    let acme = slug("acme");
    let row = entry(action::PORTAL_CHANGE, &acme);
    store.write_portal_settings(&acme, &PortalSettings::default(), 1, &row).await.outcome().unwrap();
    let restored = store.begin_epoch(NOW).await.unwrap().unwrap();
    assert!(!is_valid(&store, NOW).await);
    assert!(store.portal_sessions(&one.id, NOW).await.unwrap().is_empty());
    assert_eq!(store.portal_settings(&acme).await.unwrap().1, restored.epoch);
}
