//! Conformance of the audit log.

use std::sync::Arc;

use keyturn::domain::audit_chain::{AuditHead, AuditRow};
use keyturn::domain::timestamp::Timestamp;
use keyturn::store::{AuditDirection, AuditEntry, AuditFilter, AuditFrom, Limits, Store, action};
use serde_json::json;

use super::{
    NOW, WriteOutcome as _, audit, concurrently, create_organization, entry, id, insert, key, new_organization, slug,
};

/// Verifies an organization's chain with the program's own check.
async fn verified(store: &Store, organization: &str) -> AuditHead {
    let verdict = keyturn::testing::audit::verify(store, organization, &[]).await.unwrap();
    verdict.end.unwrap_or_else(|fault| panic!("{organization}: {fault}"))
}

fn filter() -> AuditFilter {
    AuditFilter::new(slug("acme"), 1000)
}

async fn ids(store: &Store, filter: &AuditFilter) -> Vec<i64> {
    store.audit_rows(filter).await.unwrap().into_iter().map(|row| row.id).collect()
}

pub async fn each_log_is_a_chain_with_a_recorded_end(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 50), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    for n in 1..=5 {
        insert(store.as_ref(), &key(n)).await;
    }
    let (acme, other) = (audit(store.as_ref(), "acme").await, audit(store.as_ref(), "other").await);
    assert_eq!(acme.iter().map(|row| row.position).collect::<Vec<_>>(), (1..=6).map(Some).collect::<Vec<_>>());
    assert_eq!(other.iter().map(|row| row.position).collect::<Vec<_>>(), [Some(1)]);
    assert_eq!(acme.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7]);
    for (organization, rows) in [("acme", acme), ("other", other)] {
        let head = verified(store.as_ref(), organization).await;
        let last = rows.last().unwrap();
        assert_eq!((head.id, head.rows, Some(head.hash)), (last.id, rows.len() as i64, last.hash));
        assert_eq!(store.audit_head(organization).await.unwrap(), Some(head));
    }
    assert_eq!(store.audited_organizations().await.unwrap(), ["acme", "other"]);
    assert_eq!(store.audit_head("nobody").await.unwrap(), None);
}

pub async fn concurrent_changes_keep_a_valid_chain(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 200), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    let inserting = store.clone();
    let inserts = tokio::spawn(concurrently((1..=100).map(move |n| {
        let store = inserting.clone();
        let organization = if n % 3 == 0 { "other" } else { "acme" };
        let key = keyturn::domain::api_key::ApiKey { organization: slug(organization), ..key(n) };
        async move { insert(store.as_ref(), &key).await }
    })));
    // A concurrent verification finds a valid log too.
    for _ in 0..10 {
        verified(store.as_ref(), "acme").await;
    }
    inserts.await.unwrap();
    assert_eq!(verified(store.as_ref(), "acme").await.rows, 1 + 67);
    assert_eq!(verified(store.as_ref(), "other").await.rows, 1 + 33);
}

pub async fn rejected_change_leaves_the_chain_unchanged(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let before = verified(store.as_ref(), "acme").await;
    let none = Limits { organization: Some(0), owner: None, policy_version: None };
    store.insert_key(&key(1), none, &entry(action::KEY_CREATE, id(1)), None, None).await.outcome().unwrap_err();
    store
        .insert_key(&key(0), Limits::default(), &entry(action::KEY_CREATE, id(0)), None, None)
        .await
        .outcome()
        .unwrap_err();
    assert_eq!(verified(store.as_ref(), "acme").await, before);
    insert(store.as_ref(), &key(1)).await;
    assert_eq!(verified(store.as_ref(), "acme").await.rows, 2);
}

/// Writes entries at these seconds and returns them.
async fn rows_at(store: &Store, seconds: &[i64]) -> Vec<AuditRow> {
    create_organization(store).await;
    for (n, seconds) in seconds.iter().enumerate() {
        let n = n as u8 + 1;
        let row = AuditEntry { at: NOW.plus_seconds(*seconds), ..entry(action::KEY_CREATE, id(n)) };
        store.insert_key(&key(n), Limits::default(), &row, None, None).await.outcome().unwrap();
    }
    audit(store, "acme").await
}

pub async fn entries_are_listed_newest_first(store: Arc<Store>) {
    // Clocks of nodes differ, and several entries have the same time.
    let mut rows = rows_at(store.as_ref(), &[5, 3, 3, 3, 9, 1, 9, 20]).await;
    let written: Vec<i64> = rows.iter().map(|row| row.id).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    for limit in 1..=10 {
        let (mut paged, mut from) = (Vec::new(), AuditFrom::Newest);
        loop {
            let page = store.audit_rows(&AuditFilter { from, limit, ..filter() }).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            from = AuditFrom::Before(last.at, last.id);
            paged.extend(page);
        }
        assert_eq!(paged, rows, "{limit}");
    }
    assert_eq!(ids(store.as_ref(), &AuditFilter { from: AuditFrom::After(i64::MIN), ..filter() }).await, written);
    let rest = AuditFilter { from: AuditFrom::After(written[3]), limit: 2, ..filter() };
    assert_eq!(ids(store.as_ref(), &rest).await, written[4..6]);
}

pub async fn entries_are_filtered(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 50), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    let mut expected = Vec::new();
    for (n, actor, subject, seconds) in
        [(1, "key:a", "s", 10), (2, "key:b", "s", 20), (3, "key:a", "t", 30), (4, "key:a'b\"%_", "t", 40)]
    {
        let row = AuditEntry {
            at: NOW.plus_seconds(seconds),
            actor: actor.into(),
            ..entry(if n % 2 == 0 { action::KEY_EDIT } else { action::KEY_CREATE }, subject)
        };
        store.insert_key(&key(n), Limits::default(), &row, None, None).await.outcome().unwrap();
        expected.push(audit(store.as_ref(), "acme").await.last().unwrap().id);
    }
    let text = |text: &str| Some(text.to_owned());
    let at = |seconds: i64| Some(Timestamp::from_millis(NOW.as_millis() + seconds * 1000));
    let (since, until) = (at(20), at(30));
    for (filter, wanted) in [
        (AuditFilter { action: text("key.edit"), ..filter() }, &[4, 2][..]),
        (AuditFilter { actor: text("key:a"), ..filter() }, &[3, 1]),
        (AuditFilter { actor: text("key:a'b\"%_"), ..filter() }, &[4]),
        (AuditFilter { actor: text("key:%"), ..filter() }, &[]),
        (AuditFilter { subject: text("t"), ..filter() }, &[4, 3]),
        (AuditFilter { subject: text("t"), actor: text("key:a"), ..filter() }, &[3]),
        (AuditFilter { subject: text("s"), action: text("key.edit"), ..filter() }, &[2]),
        (AuditFilter { actor: text("key:a"), action: text("key.create"), ..filter() }, &[3, 1]),
        (AuditFilter { actor: text("key:a"), action: text("key.edit"), ..filter() }, &[]),
        (AuditFilter { since, ..filter() }, &[4, 3, 2]),
        (AuditFilter { since, until, ..filter() }, &[2]),
        (AuditFilter { since, actor: text("key:a"), ..filter() }, &[3]),
        (AuditFilter { since, subject: text("s"), action: text("key.edit"), limit: 1, ..filter() }, &[2]),
    ] {
        let wanted: Vec<i64> = wanted.iter().map(|n: &usize| expected[n - 1]).collect();
        assert_eq!(ids(store.as_ref(), &filter).await, wanted, "{filter:?}");
        let written: Vec<i64> = wanted.into_iter().rev().collect();
        let oldest = AuditFilter { from: AuditFrom::After(0), ..filter };
        assert_eq!(ids(store.as_ref(), &oldest).await, written, "{oldest:?}");
    }
    // By what was changed.
    let change = |n: i64, old, new| AuditEntry {
        at: NOW.plus_seconds(100 + n),
        old: Some(old),
        new: Some(new),
        ..entry(action::KEY_EDIT, "u")
    };
    let open = json!({ "allowed_cidrs": [], "a_b": 1 });
    let (narrow, renamed) =
        (json!({ "allowed_cidrs": ["10.0.0.0/8"], "a_b": 1 }), json!({ "allowed_cidrs": [], "axb": 1 }));
    let edits = [(narrow.clone(), open.clone()), (open.clone(), narrow), (open, renamed)];
    let mut changed = Vec::new();
    for (n, (old, new)) in (10_i64..).zip(edits) {
        let n = u8::try_from(n).unwrap();
        store.insert_key(&key(n), Limits::default(), &change(n.into(), old, new), None, None).await.outcome().unwrap();
        changed.push(audit(store.as_ref(), "acme").await.last().unwrap().id);
    }
    let (widened, restricted) = (Some(AuditDirection::Widened), Some(AuditDirection::Restricted));
    for (filter, wanted) in [
        (AuditFilter { direction: widened, ..filter() }, &[1][..]),
        (AuditFilter { direction: restricted, ..filter() }, &[2]),
        (AuditFilter { field: text("allowed_cidrs"), ..filter() }, &[2, 1]),
        (AuditFilter { field: text("allowed_cidrs"), direction: widened, ..filter() }, &[1]),
        (AuditFilter { field: text("a_b"), ..filter() }, &[3]),
        (AuditFilter { field: text("a"), ..filter() }, &[]),
        (AuditFilter { subjects: vec!["u".into(), "none".into()], ..filter() }, &[3, 2, 1]),
    ] {
        let wanted: Vec<i64> = wanted.iter().map(|n: &usize| changed[n - 1]).collect();
        assert_eq!(ids(store.as_ref(), &filter).await, wanted, "{filter:?}");
    }
    verified(store.as_ref(), "acme").await;

    let others = AuditFilter { organization: slug("other"), ..filter() };
    assert_eq!(ids(store.as_ref(), &others).await.len(), 1);
}

pub async fn entries_round_trip(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let text = "Grüße \u{1f511} <b>'\"%_\\ \u{301}\n\t\u{feff} e\u{301} é  ";
    let row = AuditEntry {
        at: NOW,
        actor: text.into(),
        address: Some("2001:db8::1".into()),
        action: action::KEY_CREATE,
        subject: text.into(),
        old: Some(json!({ "z": text, "a": [1, -5, null, true, 18_446_744_073_709_551_615u64], "": {} })),
        new: Some(json!(null)),
        expected_version: None,
    };
    store.insert_key(&key(1), Limits::default(), &row, None, None).await.outcome().unwrap();
    let read = audit(store.as_ref(), "acme").await.pop().unwrap();
    assert_eq!((read.actor.as_str(), read.subject.as_str(), read.at), (text, text, NOW));
    assert_eq!(read.old, row.old.map(|value| value.to_string()));
    assert_eq!(read.new, None, "null is nothing");
    verified(store.as_ref(), "acme").await;
}
