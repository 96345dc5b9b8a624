//! Conformance of customers and of their keys.

use std::sync::Arc;

use keyturn::domain::api_key::ApiKey;
use keyturn::domain::authority::ActorVersion;
use keyturn::domain::customer::{Customer, CustomerEdit, CustomerId, ExternalId};
use keyturn::domain::metadata::Metadata;
use keyturn::store::{AuditEntry, CustomerFilter, Limits, Refused, Store, action};

use super::following::changes_after;
use super::{NOW, WriteOutcome as _, create_organization, entry, insert, key, next, slug};

pub(super) fn customer(n: u8) -> Customer {
    Customer {
        id: CustomerId::from_random([n; 16]),
        organization: slug("acme"),
        external_id: ExternalId::parse(&format!("User_{n}")).unwrap(),
        name: format!("Customer {n} 100%"),
        metadata: Metadata::new([("plan".into(), "pr\u{f6}".into())]).unwrap(),
        max_keys: Some(2),
        suspended_at: None,
        removed_at: None,
        generation: 1,
        version: 1,
        created_at: NOW.plus_seconds(i64::from(n)),
        created_by: "keyturn".into(),
    }
}

pub(super) async fn add(store: &Store, customer: &Customer) -> Result<u64, Refused> {
    store.insert_customer(customer, &entry(action::CUSTOMER_CREATE, customer.id)).await.outcome()
}

pub(super) async fn update(store: &Store, customer: &Customer) -> Result<u64, Refused> {
    store.update_customer(customer, &entry(action::CUSTOMER_EDIT, customer.id)).await.outcome()
}

fn owned(n: u8, customer: &Customer) -> ApiKey {
    ApiKey { customer: Some(customer.id), ..key(n) }
}

pub async fn customer_fields_round_trip(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let one = customer(1);
    add(&store, &one).await.unwrap();
    assert_eq!(store.customer(&one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.customer(&customer(2).id).await.unwrap(), None);
    let same = Customer { external_id: one.external_id.clone(), ..customer(2) };
    assert_eq!(add(&store, &same).await, Err(Refused::AlreadyExists));

    let before = store.last_seq().await.unwrap();
    let suspended = one.clone().suspend(NOW).unwrap();
    update(&store, &suspended).await.unwrap();
    assert_eq!(update(&store, &suspended).await, Err(Refused::VersionConflict));
    assert_eq!(store.customer(&one.id).await.unwrap(), Some(suspended.clone()));
    let changes = changes_after(&store, before, 10).await;
    assert_eq!(
        changes.iter().map(|change| (change.customer, change.generation)).collect::<Vec<_>>(),
        [(Some(one.id), 2)]
    );
    assert_eq!(store.changed_customers(NOW).await.unwrap(), std::slice::from_ref(&suspended));
    assert_eq!(store.changed_customers(NOW.plus_seconds(1)).await.unwrap(), []);

    add(&store, &customer(3)).await.unwrap();
    let edit = CustomerEdit { external_id: Some(customer(3).external_id), ..CustomerEdit::default() };
    assert_eq!(update(&store, &suspended.edit(edit).unwrap()).await, Err(Refused::AlreadyExists));
}

pub async fn customers_are_filtered_and_paginated(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    for n in 1..=3 {
        add(&store, &customer(n)).await.unwrap();
    }
    update(&store, &customer(2).suspend(NOW).unwrap()).await.unwrap();
    let all = || CustomerFilter::new(slug("acme"), 10);
    let listed = async |filter: CustomerFilter| {
        let found = store.customers(&filter).await.unwrap();
        found.iter().map(|customer| customer.external_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(all()).await, ["User_3", "User_2", "User_1"]);
    assert_eq!(listed(CustomerFilter { is_suspended: Some(true), ..all() }).await, ["User_2"]);
    assert_eq!(listed(CustomerFilter { is_suspended: Some(false), ..all() }).await, ["User_3", "User_1"]);
    assert_eq!(listed(CustomerFilter { external_id: Some(customer(1).external_id), ..all() }).await, ["User_1"]);
    let search = |text: &str| CustomerFilter { search: Some(text.to_owned()), ..all() };
    assert_eq!(listed(search("CUSTOMER 3")).await, ["User_3"]);
    assert_eq!(listed(search("r_2")).await, ["User_2"]);
    assert_eq!(listed(search("0%")).await.len(), 3);
    assert_eq!(listed(search("1%0")).await, [""; 0]);
    assert_eq!(listed(search(customer(1).id.as_str())).await, ["User_1"]);
    let first = store.customers(&CustomerFilter { limit: 2, ..all() }).await.unwrap();
    let after = first.last().map(|last| (last.created_at, last.id));
    assert_eq!(listed(CustomerFilter { after, ..all() }).await, ["User_1"]);
    assert_eq!(listed(CustomerFilter::new(slug("other"), 10)).await, [""; 0]);
}

pub async fn customer_limit_counts_its_keys(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (one, two) = (customer(1), Customer { max_keys: None, ..customer(2) });
    add(&store, &one).await.unwrap();
    add(&store, &two).await.unwrap();
    let make = async |key: ApiKey| {
        let limits = Limits { owner: Some(1), ..Limits::default() };
        store.insert_key(&key, limits, &entry(action::KEY_CREATE, key.id), None, None).await.outcome().map(drop)
    };
    assert_eq!(make(owned(1, &one)).await, Ok(()));
    assert_eq!(make(owned(2, &one)).await, Ok(()), "its own limit replaces that of the policy");
    assert_eq!(make(owned(3, &one)).await, Err(Refused::LimitReached));
    assert_eq!(make(owned(4, &two)).await, Ok(()));
    assert_eq!(make(owned(5, &two)).await, Err(Refused::LimitReached));
    assert_eq!(make(owned(6, &customer(9))).await, Err(Refused::CustomerGone));
    assert_eq!(store.key(&key(4).id).await.unwrap().unwrap().customer, Some(two.id));
    let counts = store.keys_of_customers(&[one.id, two.id, customer(3).id], NOW).await.unwrap();
    assert_eq!((counts.get(&one.id), counts.get(&two.id), counts.len()), (Some(&2), Some(&1), 2));
}

pub async fn removing_a_customer_ends_its_keys(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let one = customer(1);
    add(&store, &one).await.unwrap();
    for n in 1..=2 {
        insert(store.as_ref(), &owned(n, &one)).await;
    }
    insert(store.as_ref(), &key(3)).await;
    let removed = one.clone().remove(NOW);
    let end = |key: ApiKey| -> Option<(ApiKey, AuditEntry)> {
        let ended = key.revoke(NOW, Some("gone".into())).ok()?;
        let row = entry(action::KEY_REVOKE, ended.id);
        Some((ended, row))
    };
    let row = entry(action::CUSTOMER_REMOVE, one.id);
    let remove = async |may_have_keys| store.remove_customer(&removed, may_have_keys, &row).await.outcome();
    assert_eq!(remove(false).await, Err(Refused::HasKeys));
    assert_eq!(store.customer(&one.id).await.unwrap(), Some(one.clone()));
    let before = store.last_seq().await.unwrap();
    let end_keys = async || store.end_keys_of_removed_customer(&one.id, &end).await.unwrap().1.len();
    assert_eq!(end_keys().await, 0, "the customer is not removed");
    assert!(remove(true).await.unwrap() > before);
    assert_eq!((end_keys().await, end_keys().await), (2, 0));
    assert!(store.customer(&one.id).await.unwrap().unwrap().removed_at.is_some());
    assert_eq!(store.key(&key(3).id).await.unwrap(), Some(key(3)));
    assert_eq!(remove(true).await, Err(Refused::VersionConflict));
    assert_eq!(store.customers(&CustomerFilter::new(slug("acme"), 9)).await.unwrap(), []);
    // The external ID can be used again.
    let again = Customer { external_id: one.external_id, ..customer(2) };
    add(&store, &again).await.unwrap();
    let moved = ApiKey { customer: Some(one.id), ..next(&key(3)) };
    let row = entry(action::KEY_EDIT, moved.id);
    assert_eq!(
        store.update_key(&moved, Some(Limits::default()), &row, None, None).await.outcome(),
        Err(Refused::CustomerGone)
    );
}

pub async fn actor_of_a_suspended_customer_is_superseded(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let one = customer(1);
    add(&store, &one).await.unwrap();
    insert(store.as_ref(), &owned(1, &one)).await;
    let own = key(1).rights_version();
    let version = |own: u64, customer: u64| ActorVersion { own, customer: Some(customer), shared: None };
    let make = async |n: u8, expected_version: ActorVersion| {
        let row = AuditEntry {
            actor: format!("key:{}", key(1).id),
            expected_version: Some(expected_version),
            ..entry(action::KEY_CREATE, key(n).id)
        };
        store.insert_key(&key(n), Limits::default(), &row, None, None).await.is_ok()
    };
    assert!(make(2, version(own, 1)).await);
    assert!(!make(3, version(own, 0)).await, "an earlier generation of the customer");
    // The parts are compared, not their sum.
    assert!(!make(3, version(own + 1, 0)).await && !make(3, (own + 1).into()).await);
    let suspended = one.suspend(NOW).unwrap();
    update(&store, &suspended).await.unwrap();
    assert!(!make(4, version(own, 1)).await && !make(4, version(own, 2)).await);
    update(&store, &suspended.reinstate().unwrap()).await.unwrap();
    assert!(!make(5, version(own, 1)).await, "the caller authenticated before the suspension");
    assert!(make(6, version(own, 2)).await);

    // A key that is narrowed while it leaves its customer.
    let alone = ApiKey { customer: None, generation: 2, ..next(&owned(1, &customer(1))) };
    store.update_key(&alone, None, &entry(action::KEY_EDIT, alone.id), None, None).await.outcome().unwrap();
    assert!(!make(7, version(own, 2)).await && !make(7, version(own + 1, 2)).await);
    assert!(make(7, (own + 1).into()).await);
}
