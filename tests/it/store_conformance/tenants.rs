//! Organizations: change numbers, and the epoch after a restore.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyturn::domain::policy::Policy;
use keyturn::store::{NodeId, Store, StoreError, Tenants, action};

use super::*;

pub async fn organization_has_the_number_of_its_last_change(store: Arc<Store>) {
    store
        .create_organization(&new_organization("acme", 1), &entry(action::ORGANIZATION_CREATE, "acme"))
        .await
        .outcome()
        .unwrap();
    store
        .create_organization(&new_organization("other", 2), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    let (acme, other) = (slug("acme"), slug("other"));
    let seq_of = async |of: &Slug| store.organization_seq(of).await.unwrap().unwrap();
    let changed_after = async |seq| {
        let tenants = store.tenants(Tenants::ChangedAfter(seq)).await.unwrap();
        tenants.into_iter().map(|tenant| tenant.organization.slug.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(changed_after(0).await, ["acme", "other"]);
    let others = seq_of(&other).await;
    assert!(seq_of(&acme).await < others);
    assert_eq!(changed_after(others).await, [""; 0]);

    // Each kind of change.
    let mut organization = store.organization(&acme).await.unwrap().unwrap();
    organization.policy = Policy { max_keys: Some(7), ..Policy::default() };
    organization.policy_version = 2;
    let seq = store.update_policy(&organization, &entry(action::POLICY_CHANGE, "acme")).await.outcome().unwrap();
    assert_eq!((seq_of(&acme).await, changed_after(others).await), (seq, vec!["acme".to_owned()]));
    let suspend = entry(action::ORGANIZATION_SUSPEND, "acme");
    let suspended = store.suspend_organization(&acme, Some(NOW), &suspend).await.unwrap();
    assert_eq!(suspended, Some(seq_of(&acme).await));
    assert_eq!(store.suspend_organization(&acme, Some(NOW), &suspend).await.unwrap(), None, "suspended already");
    assert_eq!(store.organization(&acme).await.unwrap().unwrap().suspended_at, Some(NOW));
    let resumed = store.suspend_organization(&acme, None, &entry(action::ORGANIZATION_RESUME, "acme")).await.unwrap();
    assert!(resumed > suspended);
    let key = signing_key("next", "acme", 100);
    let created = entry(action::SIGNING_KEY_CREATE, "next");
    let seq = store.insert_signing_key(&key, Some("kid-acme"), &created).await.outcome().unwrap();
    assert_eq!((seq_of(&acme).await, seq_of(&other).await), (seq, others));

    assert_eq!(store.organization(&slug("nobody")).await.unwrap(), None);
    assert_eq!(store.organization_seq(&slug("nobody")).await.unwrap(), None);
    assert_eq!(store.suspend_organization(&slug("nobody"), Some(NOW), &suspend).await.unwrap(), None);
}

pub async fn new_epoch_invalidates_tokens_and_sessions(store: Arc<Store>) {
    store
        .create_organization(&new_organization("acme", 1), &entry(action::ORGANIZATION_CREATE, "acme"))
        .await
        .outcome()
        .unwrap();
    let node = NodeId::from("node".to_owned());
    store.join(&node, NOW).await.unwrap();
    let before = store.last_seq().await.unwrap();
    let (key, organization) = (id(1), slug("acme"));

    // A restore without running nodes.
    let restored = store.begin_epoch(NOW).await.unwrap().unwrap();
    let epoch = NOW.as_millis() as u64;
    assert_eq!((restored.epoch, restored.keys), (epoch, 1));
    assert!(store.last_seq().await.unwrap() >= epoch);
    assert_eq!(store.nodes().await.unwrap(), []);
    assert!(before < store.follow(before, &node, 10).await.unwrap().pruned_seq, "a node that has followed starts over");
    let stored = store.key(&key).await.unwrap().unwrap();
    assert_eq!((stored.generation, stored.secret_version, stored.version), (epoch, epoch, epoch));
    assert_eq!(store.organization(&organization).await.unwrap().unwrap().policy_version, epoch);
    assert_eq!(store.organization_seq(&organization).await.unwrap(), Some(epoch));
    assert_eq!(audit_actions(store.as_ref()).await.last().unwrap(), action::STORE_RESTORE);

    // Changes that a running node has seen are lost: nothing is decided or changed until it starts an epoch.
    store.join(&node, NOW).await.unwrap();
    assert_eq!(store.begin_epoch(NOW).await.unwrap().map(|again| again.epoch), None, "no change was lost");
    let seen = store.last_seq().await.unwrap() + 5;
    store.saw(seen);
    assert!(store.follow(epoch, &node, 10).await.unwrap().has_lost_changes);
    let change = next(&stored);
    let refused = store.update_key(&change, None, &entry(action::KEY_EDIT, key), None, None).await;
    assert!(matches!(refused, Err(WriteError::Store(StoreError::LostChanges))), "{refused:?}");
    assert!(matches!(store.last_seq().await, Err(StoreError::LostChanges)));
    assert!(matches!(store.read_current(store.key(&key)).await, Err(StoreError::LostChanges)));
    let restored = store.begin_epoch(NOW.plus_seconds(-3600)).await.unwrap().unwrap();
    assert!(restored.epoch > seen, "although the clock has gone back");
    let read = store.read_current(store.key(&key)).await;
    assert!(matches!(read, Err(StoreError::LostChanges)), "the read may have begun before the epoch: {read:?}");

    // Once, even if several nodes notice it.
    assert_eq!(store.begin_epoch(NOW.plus_seconds(9)).await.unwrap(), None);
    let news = store.follow(seen, &node, 10).await.unwrap();
    assert!(news.is_member && !news.has_lost_changes && seen < news.pruned_seq);
    let stored = store.read_current(store.key(&key)).await.unwrap().unwrap();
    assert_eq!(stored.generation, restored.epoch);
    store.update_key(&next(&stored), None, &entry(action::KEY_EDIT, key), None, None).await.outcome().unwrap();
}

pub async fn later_change_of_another_task_is_no_lost_change(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let node = NodeId::from("node".to_owned());
    store.join(&node, NOW).await.unwrap();
    let (changing, ended) = (store.clone(), Arc::new(AtomicBool::new(false)));
    let is_ended = ended.clone();
    let changes = tokio::spawn(async move {
        for n in 1..=100 {
            insert(changing.as_ref(), &key(n)).await;
            let news = changing.follow(0, &NodeId::from("node".to_owned()), 1).await.unwrap();
            assert!(!news.has_lost_changes);
        }
        ended.store(true, Ordering::Release);
    });
    let reads = (0..3).map(|_| {
        let (store, node, is_ended) = (store.clone(), node.clone(), is_ended.clone());
        async move {
            while !is_ended.load(Ordering::Acquire) {
                store.last_seq().await.unwrap();
                store.read_current(store.key(&id(1))).await.unwrap();
                assert!(!store.follow(0, &node, 1).await.unwrap().has_lost_changes);
            }
        }
    });
    concurrently(reads).await;
    changes.await.unwrap();
}
