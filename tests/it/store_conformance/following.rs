//! Conformance of the change log for other nodes.

use std::sync::Arc;

use keyturn::domain::api_key::{ApiKey, Lifecycle};
use keyturn::domain::timestamp::Timestamp;
use keyturn::store::{KeyChange, Limits, NodeId, RegisteredNode, Store, action};

use super::{
    NOW, WriteOutcome as _, create_organization, entry, id, insert, key, new_organization, next, signing_key, slug,
};

fn node(name: &str) -> NodeId {
    NodeId::from(name.to_owned())
}

/// Returns the changes of keys and tokens after a number.
pub async fn changes_after(store: &Store, seq: u64, limit: u32) -> Vec<KeyChange> {
    store.follow(seq, &node("nobody"), limit).await.unwrap().changes
}

pub async fn new_key_is_followed(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let before = store.last_seq().await.unwrap();
    insert(store.as_ref(), &key(1)).await;
    let changes = changes_after(store.as_ref(), before, 10).await;
    assert_eq!(changes.iter().map(|change| (change.seq, change.key)).collect::<Vec<_>>(), [(before + 1, id(1))]);
}

pub async fn follower_gets_exactly_the_missed_changes(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store.join(&node("a"), NOW).await.unwrap();
    for n in 1..=5 {
        insert(store.as_ref(), &key(n)).await;
    }
    let all = store.follow(0, &node("a"), 100).await.unwrap();
    assert!(all.is_member && all.is_complete);
    assert_eq!((all.last_seq, all.changes.len()), (6, 5));
    let part = store.follow(0, &node("a"), 3).await.unwrap();
    assert!(!part.is_complete);
    assert_eq!(part.changes, all.changes[..3]);
    let rest = store.follow(part.changes[2].seq, &node("a"), 3).await.unwrap();
    assert!(rest.is_complete);
    assert_eq!(rest.changes, all.changes[3..]);
    let none = store.follow(6, &node("a"), 3).await.unwrap();
    assert!(none.is_complete && none.changes.is_empty());
    assert_eq!(none.last_seq, 6);
}

pub async fn pruned_log_is_reported(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    let late = ApiKey { generation: 2, ..next(&key(1)) };
    let mut row = entry(action::KEY_EDIT, id(1));
    row.at = NOW.plus_seconds(100);
    let seq = store.update_key(&late, None, &row, None, None).await.outcome().unwrap();
    store.prune_changes(NOW).await.unwrap();
    let news = store.follow(0, &node("a"), 10).await.unwrap();
    assert_eq!((news.pruned_seq, news.changes.len()), (0, 2), "nothing is older than that");
    store.prune_changes(NOW.plus_seconds(50)).await.unwrap();
    let news = store.follow(0, &node("a"), 10).await.unwrap();
    assert_eq!(news.changes.iter().map(|change| change.seq).collect::<Vec<_>>(), [seq]);
    assert_eq!(news.pruned_seq, seq - 1, "nodes before this number have missed a change");
    store.prune_changes(NOW.plus_seconds(50)).await.unwrap();
    assert_eq!(store.follow(0, &node("a"), 10).await.unwrap().pruned_seq, seq - 1);
}

pub async fn organizations_and_signing_keys_are_followed(store: Arc<Store>) {
    let tenants_seq = async || store.follow(0, &node("a"), 10).await.unwrap().tenants_seq;
    assert_eq!(tenants_seq().await, 0);
    create_organization(store.as_ref()).await;
    let founded = tenants_seq().await;
    assert!(founded > 0);
    insert(store.as_ref(), &key(1)).await;
    assert_eq!(tenants_seq().await, founded, "a key is none of that");
    let made = entry(action::SIGNING_KEY_CREATE, "second");
    let second = signing_key("second", "acme", 100);
    let seq = store.insert_signing_key(&second, Some("kid-acme"), &made).await.outcome().unwrap();
    assert_eq!(tenants_seq().await, seq);
    store
        .delete_signing_key(&slug("acme"), "kid-acme", None, &entry(action::SIGNING_KEY_DELETE, "kid-acme"))
        .await
        .unwrap();
    assert!(tenants_seq().await > seq);
    let before = tenants_seq().await;
    store
        .create_organization(&new_organization("other", 9), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    assert!(tenants_seq().await > before);
}

pub async fn node_is_registered_removed_and_unregistered(store: Arc<Store>) {
    let is_member = async |name: &str| store.follow(0, &node(name), 10).await.unwrap().is_member;
    assert_eq!(store.nodes().await.unwrap(), []);
    assert!(!is_member("a").await);
    store.join(&node("a"), NOW).await.unwrap();
    store.join(&node("b"), NOW.plus_seconds(1)).await.unwrap();
    assert!(is_member("a").await && is_member("b").await && !is_member("c").await);
    let member = |name: &str, seen_at, applied| RegisteredNode { id: node(name), seen_at, applied, is_removed: false };
    let (a, b) = (member("a", NOW, 0), member("b", NOW.plus_seconds(1), 0));
    assert_eq!(store.nodes().await.unwrap(), [a, b.clone()]);

    // Reported numbers only increase.
    store.report(&node("a"), 7, NOW.plus_seconds(10)).await.unwrap();
    store.report(&node("a"), 6, NOW.plus_seconds(11)).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), [member("a", NOW.plus_seconds(10), 7), b.clone()]);

    // Only a silent node is removed; a removed one stays listed and is informed.
    assert!(!store.remove_silent_node(&node("a"), NOW.plus_seconds(10)).await.unwrap());
    assert!(is_member("a").await);
    assert!(store.remove_silent_node(&node("a"), NOW.plus_seconds(11)).await.unwrap());
    assert!(!store.remove_silent_node(&node("a"), NOW.plus_seconds(11)).await.unwrap(), "once");
    assert!(!is_member("a").await && is_member("b").await);
    let struck = RegisteredNode { is_removed: true, ..member("a", NOW.plus_seconds(10), 7) };
    assert_eq!(store.nodes().await.unwrap(), [struck, b.clone()]);

    store.leave(&node("a")).await.unwrap();
    store.leave(&node("a")).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), [b]);
}

pub async fn deployment_keeps_its_first_name(store: Arc<Store>) {
    assert_eq!(store.deployment("first").await.unwrap(), "first");
    assert_eq!(store.deployment("second").await.unwrap(), "first");
}

pub async fn recently_changed_keys_are_found(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    for n in 1..=3 {
        insert(store.as_ref(), &key(n)).await;
    }
    let at = |seconds: i64| Timestamp::from_millis(NOW.as_millis() + seconds * 1000);
    let change = async |n: u8, seconds| {
        let changed = ApiKey { lifecycle: Lifecycle::Disabled { at: at(seconds) }, generation: 2, ..next(&key(n)) };
        let mut row = entry(action::KEY_DISABLE, id(n));
        row.at = at(seconds);
        store.update_key(&changed, Some(Limits::default()), &row, None, None).await.outcome().unwrap();
        changed
    };
    change(1, 10).await;
    let second = change(2, 20).await;
    assert_eq!(store.changed_keys(at(15)).await.unwrap(), [second]);
    assert_eq!(store.changed_keys(NOW).await.unwrap().len(), 2, "a key that was only made is not changed");
}
