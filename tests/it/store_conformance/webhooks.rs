//! Webhooks and the outbox: queueing with a change, claims, and retention.

use std::collections::BTreeSet;

use keyturn::domain::delivery_attempt::{MAX_BODY, ResponseExcerpt};
use keyturn::domain::delivery_error::DeliveryError;
use keyturn::domain::event::EventFilter;
use keyturn::domain::webhook::{
    Delivery, DeliveryId, DeliveryState, SealedHeaders, SealedUrl, Webhook, WebhookId, WebhookState,
};
use keyturn::store::{
    ATTEMPTS_OF_DELIVERY, AfterAttempt, Attempt, Backlog, ClaimTerms, DeliveryBacklog, DeliveryFilter,
    RESPONSES_OF_WEBHOOK, WebhookSeal,
};
use serde_json::Value;

use super::*;

fn webhook_id(n: u8) -> WebhookId {
    WebhookId::parse(&format!("webhook-{n:014}")).unwrap()
}

fn url(origin: &str, n: u8) -> SealedUrl {
    let sealed = Sealed { master_key: "url-master".into(), bytes: vec![255, 0, n] };
    SealedUrl { origin: origin.into(), digest: format!("{n:016x}"), sealed }
}

pub(super) fn webhook(n: u8) -> Webhook {
    Webhook {
        id: webhook_id(n),
        organization: slug("acme"),
        url: url("https://hooks.example", n),
        headers: Some(SealedHeaders {
            names: vec!["authorization".into(), "x-token".into()],
            sealed: Sealed { master_key: "headers-master".into(), bytes: vec![0, 255, n] },
        }),
        description: "two\nlines \u{1f511}".into(),
        events: EventFilter::default(),
        state: WebhookState::Enabled,
        sealed: Sealed { master_key: "master".into(), bytes: vec![n, 0, 255] },
        previous_until: None,
        created_at: NOW.plus_seconds(i64::from(n)),
        created_by: "key:x".into(),
        version: 1,
    }
}

fn wanting(n: u8, events: &[&str]) -> Webhook {
    Webhook { events: EventFilter::parse(events).unwrap(), ..webhook(n) }
}

async fn add(store: &Store, webhook: &Webhook) {
    let entry = entry(action::WEBHOOK_CREATE, &webhook.id);
    store.insert_webhook(webhook, 20, &entry).await.outcome().unwrap();
}

async fn update(store: &Store, webhook: &Webhook) -> Result<(), Refused> {
    store.update_webhook(webhook, &entry(action::WEBHOOK_EDIT, &webhook.id)).await.outcome()
}

fn to(webhook: &Webhook) -> DeliveryFilter {
    DeliveryFilter { webhook: webhook.id.clone(), state: None, after: None, limit: 1000 }
}

async fn deliveries(store: &Store, webhook: &Webhook) -> Vec<Delivery> {
    store.deliveries(&to(webhook)).await.unwrap()
}

async fn events(store: &Store, webhook: &Webhook) -> Vec<String> {
    let mut events: Vec<_> = deliveries(store, webhook).await.into_iter().map(|delivery| delivery.event).collect();
    events.sort();
    events
}

async fn claim(store: &Store, webhook: &Webhook, by: &str, now: i64, limit: u32) -> Vec<Delivery> {
    let now = NOW.plus_seconds(now);
    let terms = ClaimTerms { by, now, until: now.plus_seconds(30), limit };
    store.claim_deliveries(&webhook.id, terms).await.unwrap()
}

async fn due(store: &Store, at: i64) -> Vec<Webhook> {
    let due = store.due_webhooks(NOW.plus_seconds(at), 4).await.unwrap();
    due.into_iter().map(|due| due.webhook).collect()
}

fn attempt(at: i64, then: AfterAttempt) -> Attempt {
    let (at, error) = (NOW.plus_seconds(at), Some(DeliveryError::Status(500)));
    Attempt { at, started_at: at, duration_ms: 12, status: Some(500), error, response: None, then }
}

pub async fn webhook_fields_round_trip(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    assert_eq!(store.webhooks(&slug("acme")).await.unwrap(), []);
    let (one, two) = (webhook(1), wanting(2, &["key.*", "policy.changed"]));
    add(store.as_ref(), &two).await;
    add(store.as_ref(), &one).await;
    assert_eq!(store.webhooks(&slug("acme")).await.unwrap(), [one.clone(), two.clone()], "oldest first");
    assert_eq!(store.webhook(&slug("acme"), &one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.webhook(&slug("other"), &one.id).await.unwrap(), None);
    assert_eq!(store.webhook(&slug("acme"), &webhook_id(9)).await.unwrap(), None);
    let next = Webhook {
        url: url("https://other.example:8443", 99),
        description: String::new(),
        events: EventFilter::parse(&["token.revoked"]).unwrap(),
        state: WebhookState::Disabled { reason: Some("gone".into()) },
        sealed: Sealed { master_key: "new".into(), bytes: vec![7; 90] },
        previous_until: Some(NOW.plus_seconds(5)),
        version: 2,
        ..one.clone()
    };
    assert_eq!(update(store.as_ref(), &next).await, Ok(()));
    assert_eq!(store.webhook(&slug("acme"), &one.id).await.unwrap(), Some(next.clone()));
    for stale in [next.clone(), Webhook { version: 9, ..next.clone() }] {
        assert_eq!(update(store.as_ref(), &stale).await, Err(Refused::VersionConflict));
    }
    let audited = audit_actions(store.as_ref()).await;
    assert_eq!(audited[1..], [action::WEBHOOK_CREATE, action::WEBHOOK_CREATE, action::WEBHOOK_EDIT]);
}

pub async fn webhook_limit_holds_under_concurrent_inserts(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let inserts: Vec<_> = (1..=20)
        .map(|n| {
            let (store, webhook) = (store.clone(), webhook(n));
            async move {
                let entry = entry(action::WEBHOOK_CREATE, &webhook.id);
                store.insert_webhook(&webhook, 3, &entry).await.outcome()
            }
        })
        .collect();
    let mut made = 0;
    for outcome in concurrently(inserts).await {
        match outcome {
            Ok(()) => made += 1,
            Err(refused) => assert_eq!(refused, Refused::LimitReached),
        }
    }
    assert_eq!((made, store.webhooks(&slug("acme")).await.unwrap().len()), (3, 3));
}

pub async fn deleting_a_webhook_deletes_its_deliveries(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (one, other) = (webhook(1), webhook(2));
    add(store.as_ref(), &one).await;
    add(store.as_ref(), &other).await;
    let gone = entry(action::WEBHOOK_DELETE, &one.id);
    let stale = Webhook { version: 2, ..one.clone() };
    assert_eq!(store.delete_webhook(&stale, &gone).await.outcome(), Err(Refused::VersionConflict));
    assert_eq!(store.delete_webhook(&one, &gone).await.outcome(), Ok(()));
    assert_eq!(store.delete_webhook(&one, &gone).await.outcome(), Err(Refused::VersionConflict));
    assert_eq!(store.webhook(&slug("acme"), &one.id).await.unwrap(), None);
    assert_eq!(deliveries(store.as_ref(), &one).await, []);
    assert_eq!(events(store.as_ref(), &other).await, ["webhook.created", "webhook.deleted"]);
}

pub async fn event_is_queued_with_its_change(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 50), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    let (keys, tokens, off) = (wanting(1, &["key.*"]), wanting(2, &["token.revoked"]), wanting(3, &["key.*"]));
    let elsewhere = Webhook { organization: slug("other"), ..wanting(4, &["key.*"]) };
    for webhook in [&keys, &tokens, &off, &elsewhere] {
        add(store.as_ref(), webhook).await;
    }
    let disabled = Webhook { state: WebhookState::Disabled { reason: None }, version: 2, ..off };
    assert_eq!(update(store.as_ref(), &disabled).await, Ok(()));

    // One change succeeded, and three were rejected.
    let row = AuditEntry { address: Some("2001:db8::1".into()), ..entry(action::KEY_CREATE, id(1)) };
    store.insert_key(&key(1), Limits::default(), &row, None, None).await.outcome().unwrap();
    store.insert_key(&key(1), Limits::default(), &row, None, None).await.outcome().unwrap_err();
    let none = Limits { organization: Some(0), owner: None, policy_version: None };
    store.insert_key(&key(2), none, &row, None, None).await.outcome().unwrap_err();
    store.update_key(&key(1), None, &row, None, None).await.outcome().unwrap_err();

    let queued = deliveries(store.as_ref(), &keys).await;
    let [delivery] = queued.as_slice() else { panic!("{queued:?}") };
    assert_eq!(
        (delivery.event.as_str(), delivery.state, delivery.attempts),
        ("key.created", DeliveryState::Pending, 0)
    );
    assert_eq!((delivery.due_at, delivery.created_at), (NOW, NOW));
    let message: Value = serde_json::from_str(&delivery.payload).unwrap();
    let expected = json!({
        "type": "key.created", "timestamp": "2027-01-15T08:00:00.123Z",
        "data": {
            "organization": "acme", "subject": id(1).to_string(), "actor": "keyturn", "address": "2001:db8::1",
            "old": null, "new": { "n": 1 },
        },
    });
    assert_eq!(message, expected);
    assert_eq!(store.delivery(&keys.id, &delivery.id).await.unwrap().as_ref(), Some(delivery));
    assert_eq!(store.delivery(&tokens.id, &delivery.id).await.unwrap(), None);
    for webhook in [&tokens, &disabled, &elsewhere] {
        assert_eq!(deliveries(store.as_ref(), webhook).await, [], "{:?}", webhook.id);
    }
}

pub async fn deliveries_are_listed_newest_first(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    for n in 1..=9 {
        // 1 to 4 have the same time.
        let at = if n <= 4 { NOW } else { NOW.plus_seconds(i64::from(n)) };
        let row = AuditEntry { at, ..entry(action::KEY_CREATE, id(n)) };
        store.insert_key(&key(n), Limits::default(), &row, None, None).await.outcome().unwrap();
    }
    let everything = deliveries(store.as_ref(), &webhook).await;
    assert_eq!(everything.len(), 9);
    assert!(everything.is_sorted_by(|a, b| (a.created_at, &a.id) > (b.created_at, &b.id)));
    for limit in 1..=9 {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = store.deliveries(&DeliveryFilter { limit, after, ..to(&webhook) }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.id.clone()));
            paged.extend(page);
        }
        assert_eq!(paged, everything, "{limit}");
    }
    let claimed = claim(store.as_ref(), &webhook, "a", 0, 2).await;
    for (delivery, then) in claimed.iter().zip([AfterAttempt::Delivered, AfterAttempt::Dead]) {
        assert!(store.finish_attempt(&delivery.id, "a", &attempt(1, then)).await.unwrap());
    }
    for (state, count) in [(DeliveryState::Pending, 7), (DeliveryState::Delivered, 1), (DeliveryState::Dead, 1)] {
        let found = store.deliveries(&DeliveryFilter { state: Some(state), ..to(&webhook) }).await.unwrap();
        assert!(found.len() == count && found.iter().all(|delivery| delivery.state == state));
    }
}

pub async fn delivery_is_claimed_by_one_node(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    for n in 1..=40 {
        insert(store.as_ref(), &key(n)).await;
    }
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, webhook) = (store.clone(), webhook.clone());
            tokio::spawn(async move {
                let (mut mine, mut idle) = (Vec::new(), 0);
                while idle < 3 {
                    let claimed = claim(store.as_ref(), &webhook, &format!("node {n}"), 0, 3).await;
                    idle = if claimed.is_empty() { idle + 1 } else { 0 };
                    mine.extend(claimed.into_iter().map(|delivery| delivery.id));
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    assert_eq!(all.len(), 40, "each once");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 40, "all of them");
}

pub async fn claim_expires(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    insert(store.as_ref(), &key(1)).await;
    let due = async |at: i64| due(store.as_ref(), at).await;
    assert_eq!(due(-1).await, [], "not yet");
    assert_eq!(due(0).await, std::slice::from_ref(&webhook));
    let first = claim(store.as_ref(), &webhook, "a", 0, 5).await;
    assert_eq!(first.len(), 1);
    let id = &first[0].id;
    assert_eq!(due(29).await, []);
    assert!(claim(store.as_ref(), &webhook, "b", 29, 5).await.is_empty());
    assert!(!store.finish_attempt(id, "b", &attempt(1, AfterAttempt::Delivered)).await.unwrap(), "not b's");
    assert_eq!(claim(store.as_ref(), &webhook, "b", 30, 5).await.len(), 1);
    assert!(!store.finish_attempt(id, "a", &attempt(31, AfterAttempt::Delivered)).await.unwrap(), "no longer a's");
    let again = AfterAttempt::Retry(NOW.plus_seconds(100));
    assert!(store.finish_attempt(id, "b", &attempt(32, again)).await.unwrap());
    let stored = store.delivery(&webhook.id, id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.attempts, stored.due_at), (DeliveryState::Pending, 1, NOW.plus_seconds(100)));
    assert_eq!((stored.last_status, stored.last_error.as_deref()), (Some(500), Some("HTTP 500")));
    assert_eq!((stored.last_attempt_at, stored.ended_at), (Some(NOW.plus_seconds(32)), None));
    assert!(!store.finish_attempt(id, "b", &attempt(33, AfterAttempt::Dead)).await.unwrap(), "written once");
    assert_eq!(due(99).await, []);

    // Released: one's own claims, and all claims.
    for (by, is_free) in [(Some("x"), false), (Some("c"), true)] {
        claim(store.as_ref(), &webhook, "c", 100, 5).await;
        store.release_claims(by, NOW.plus_seconds(101)).await.unwrap();
        assert_eq!(!due(101).await.is_empty(), is_free, "{by:?}");
    }
    claim(store.as_ref(), &webhook, "d", 101, 5).await;
    store.release_claims(None, NOW.plus_seconds(102)).await.unwrap();
    assert_eq!(claim(store.as_ref(), &webhook, "e", 102, 5).await.len(), 1);
    let taken = Attempt { status: Some(204), error: None, ..attempt(103, AfterAttempt::Delivered) };
    assert!(store.finish_attempt(id, "e", &taken).await.unwrap());
    let stored = store.delivery(&webhook.id, id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.attempts, stored.last_status), (DeliveryState::Delivered, 2, Some(204)));
    assert_eq!((stored.last_error, stored.ended_at), (None, Some(NOW.plus_seconds(103))));
    assert_eq!(stored.payload, first[0].payload, "byte for byte");
}

pub async fn longest_waiting_deliveries_are_first(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (late, early) = (wanting(1, &["token.revoked"]), wanting(2, &["key.*"]));
    add(store.as_ref(), &late).await;
    add(store.as_ref(), &early).await;
    assert_eq!(store.backlog().await.unwrap(), Backlog::default());
    insert(store.as_ref(), &key(1)).await;
    let token = RevokedToken { jti: "one".into(), key: id(1), expires_at: NOW.plus_seconds(99) };
    let row = AuditEntry { at: NOW.plus_seconds(5), ..entry(action::TOKEN_REVOKE, "one") };
    store.revoke_token(&token, &slug("acme"), &row).await.unwrap();
    assert_eq!(due(store.as_ref(), 5).await, [early.clone(), late.clone()]);
    assert_eq!(store.backlog().await.unwrap(), Backlog { pending: 2, oldest: Some(NOW) });
    let off = Webhook { state: WebhookState::Disabled { reason: None }, version: 2, ..early.clone() };
    assert_eq!(update(store.as_ref(), &off).await, Ok(()));
    assert_eq!(due(store.as_ref(), 5).await, [late]);
    assert_eq!(store.backlog().await.unwrap(), Backlog { pending: 1, oldest: Some(NOW.plus_seconds(5)) });
    let on = Webhook { version: 3, ..early };
    assert_eq!(update(store.as_ref(), &on).await, Ok(()));
    assert_eq!(store.backlog().await.unwrap().pending, 2, "it has waited");
}

pub async fn only_dead_letters_can_be_retried(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (webhook, other) = (wanting(1, &["key.*"]), wanting(2, &["policy.changed"]));
    add(store.as_ref(), &webhook).await;
    add(store.as_ref(), &other).await;
    let test = Delivery {
        id: DeliveryId::of_random(&other.id, "random"),
        webhook: other.id.clone(),
        event: "webhook.test".into(),
        payload: "{}".into(),
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: NOW,
        created_at: NOW,
        last_attempt_at: None,
        last_status: None,
        last_error: None,
        ended_at: None,
    };
    store.queue_delivery(&slug("acme"), &test, &entry(action::WEBHOOK_TEST, &other.id)).await.unwrap();
    assert_eq!(deliveries(store.as_ref(), &other).await, std::slice::from_ref(&test));
    assert_eq!(deliveries(store.as_ref(), &webhook).await, []);

    let row = AuditEntry { at: NOW.plus_seconds(9), ..entry(action::WEBHOOK_RETRY, &other.id) };
    let revive =
        async |webhook: &WebhookId| store.retry_delivery(&slug("acme"), (webhook, &test.id), &row).await.outcome();
    assert_eq!(revive(&other.id).await, Err(Refused::VersionConflict), "it is due");
    claim(store.as_ref(), &other, "a", 0, 1).await;
    assert_eq!(revive(&other.id).await, Err(Refused::VersionConflict), "it is being attempted");
    assert!(store.finish_attempt(&test.id, "a", &attempt(1, AfterAttempt::Dead)).await.unwrap());
    assert_eq!(revive(&webhook.id).await, Err(Refused::VersionConflict), "it is another's");
    assert_eq!(revive(&other.id).await, Ok(()));
    assert_eq!(revive(&other.id).await, Err(Refused::VersionConflict), "it is pending again");
    let stored = store.delivery(&other.id, &test.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.attempts, stored.due_at), (DeliveryState::Pending, 0, NOW.plus_seconds(9)));
    let audited = audit_actions(store.as_ref()).await;
    assert_eq!(audited[3..], [action::WEBHOOK_TEST, action::WEBHOOK_RETRY], "each once");
}

/// An attempt with a response of the largest size.
fn answered(at: i64, then: AfterAttempt) -> Attempt {
    let response = ResponseExcerpt {
        headers: vec![("content-type".into(), "text/plain; charset=utf-8".into()), ("x-colon".into(), "a: b".into())],
        body: Some("ä\n".repeat(MAX_BODY / 3)),
        bytes: 70_000,
        is_cut: true,
    };
    Attempt { response: Some(response), ..attempt(at, then) }
}

pub async fn attempts_are_kept_within_bounds(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    for n in 1..=6 {
        insert(store.as_ref(), &key(n)).await;
    }
    // Each delivery is attempted more often than attempts are kept, all of them more often than responses are kept.
    let mut at = 0;
    let often = ATTEMPTS_OF_DELIVERY + 3;
    for _ in 0..often {
        at += 1;
        for delivery in claim(store.as_ref(), &webhook, "a", at, 10).await {
            let tried = answered(at, AfterAttempt::Retry(NOW.plus_seconds(at)));
            assert!(store.finish_attempt(&delivery.id, "a", &tried).await.unwrap());
        }
    }
    let mut with_response = 0;
    for delivery in deliveries(store.as_ref(), &webhook).await {
        let attempts = store.attempts(&delivery.id).await.unwrap();
        assert_eq!(attempts.len() as i64, ATTEMPTS_OF_DELIVERY);
        let numbers: Vec<i64> = attempts.iter().map(|attempt| attempt.number.into()).collect();
        assert_eq!((numbers[0], *numbers.last().unwrap()), (often, often - ATTEMPTS_OF_DELIVERY + 1), "the latest");
        let newest = answered(at, AfterAttempt::Dead);
        assert_eq!(attempts[0].response, newest.response, "it round-trips");
        assert_eq!((attempts[0].at, attempts[0].duration_ms), (newest.started_at, 12));
        assert_eq!((attempts[0].status, attempts[0].error.as_deref()), (Some(500), Some("HTTP 500")));
        let stored = attempts.iter().filter(|attempt| attempt.response.is_some()).count();
        assert!(attempts[..stored].iter().all(|attempt| attempt.response.is_some()), "the oldest responses go first");
        with_response += stored as i64;
    }
    assert_eq!(with_response, RESPONSES_OF_WEBHOOK);
    // They are deleted with their delivery.
    let one = deliveries(store.as_ref(), &webhook).await.remove(0);
    store.delete_webhook(&webhook, &entry(action::WEBHOOK_DELETE, &webhook.id)).await.outcome().unwrap();
    assert_eq!(store.attempts(&one.id).await.unwrap(), []);
}

pub async fn waiting_delivery_can_be_made_due(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    insert(store.as_ref(), &key(1)).await;
    let delivery = claim(store.as_ref(), &webhook, "a", 0, 1).await.remove(0);
    let again = attempt(1, AfterAttempt::Retry(NOW.plus_seconds(500)));
    assert!(store.finish_attempt(&delivery.id, "a", &again).await.unwrap());
    let row = AuditEntry { at: NOW.plus_seconds(9), ..entry(action::WEBHOOK_RETRY, &webhook.id) };
    store.retry_delivery(&slug("acme"), (&webhook.id, &delivery.id), &row).await.outcome().unwrap();
    let stored = store.delivery(&webhook.id, &delivery.id).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.due_at), (DeliveryState::Pending, NOW.plus_seconds(9)));
    assert_eq!(stored.attempts, 1, "it keeps its place in the schedule");
}

pub async fn undelivered_events_are_counted_by_webhook(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (subscribed, quiet) = (wanting(1, &["key.*"]), wanting(2, &["policy.changed"]));
    add(store.as_ref(), &subscribed).await;
    add(store.as_ref(), &quiet).await;
    let undelivered = async |organization: &str| store.undelivered(&slug(organization)).await.unwrap();
    assert_eq!(undelivered("acme").await, []);
    for n in 1..=4 {
        insert(store.as_ref(), &key(n)).await;
    }
    let claimed = claim(store.as_ref(), &subscribed, "a", 0, 2).await;
    for (delivery, then) in claimed.iter().zip([AfterAttempt::Delivered, AfterAttempt::Dead]) {
        store.finish_attempt(&delivery.id, "a", &attempt(1, then)).await.unwrap();
    }
    assert_eq!(undelivered("acme").await, [DeliveryBacklog { webhook: subscribed.id, pending: 2, dead: 1 }]);
    assert_eq!(undelivered("other").await, [], "they are another organization's");
}

pub async fn ended_deliveries_are_deleted_after_their_retention(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    for n in 1..=3 {
        insert(store.as_ref(), &key(n)).await;
    }
    let claimed = claim(store.as_ref(), &webhook, "a", 0, 2).await;
    for (delivery, then) in claimed.iter().zip([AfterAttempt::Delivered, AfterAttempt::Dead]) {
        store.finish_attempt(&delivery.id, "a", &attempt(10, then)).await.unwrap();
    }
    let forget = async |taken: i64, dead: i64| {
        let before = (NOW.plus_seconds(taken), NOW.plus_seconds(dead));
        store.forget_deliveries(before, NOW.plus_seconds(50)).await.unwrap();
        let mut states: Vec<_> = deliveries(store.as_ref(), &webhook).await.iter().map(|d| d.state.as_str()).collect();
        states.sort_unstable();
        states
    };
    assert_eq!(forget(10, 10).await, ["dead", "delivered", "pending"]);
    assert_eq!(forget(11, 10).await, ["dead", "pending"]);
    assert_eq!(forget(11, 11).await, ["pending"]);
    let off = Webhook { state: WebhookState::Disabled { reason: None }, version: 2, ..webhook.clone() };
    assert_eq!(update(store.as_ref(), &off).await, Ok(()));
    assert_eq!(forget(0, 0).await, ["pending"]);
    assert_eq!(forget(0, 1).await, ["dead"], "nobody has enabled it in all that time");
    let given_up = &deliveries(store.as_ref(), &webhook).await[0];
    assert_eq!(given_up.ended_at, Some(NOW.plus_seconds(50)));
}

pub async fn webhooks_are_resealed_with_the_signing_keys(store: Arc<Store>) {
    store.set_master_key("master").await.unwrap();
    create_organization(store.as_ref()).await;
    let (one, raced) = (webhook(1), Webhook { headers: None, ..webhook(2) });
    add(store.as_ref(), &one).await;
    add(store.as_ref(), &raced).await;
    let seal = |webhook: &Webhook| WebhookSeal {
        webhook: webhook.id.clone(),
        version: webhook.version,
        sealed: webhook.sealed.clone(),
        url: webhook.url.sealed.clone(),
        headers: webhook.headers.as_ref().map(|headers| headers.sealed.clone()),
    };
    let seals = store.webhook_seals().await.unwrap();
    assert_eq!(seals, [seal(&one), seal(&raced)]);
    let changed = Webhook { version: 2, ..raced };
    assert_eq!(update(store.as_ref(), &changed).await, Ok(()));
    let sealed = Sealed { master_key: "new".into(), bytes: vec![9; 40] };
    let resealed_url = Sealed { master_key: "new".into(), bytes: vec![8; 40] };
    let resealed_headers = Sealed { master_key: "new".into(), bytes: vec![7; 40] };
    let resealed: Vec<_> = seals
        .into_iter()
        .map(|seal| WebhookSeal {
            sealed: sealed.clone(),
            url: resealed_url.clone(),
            headers: seal.headers.is_some().then(|| resealed_headers.clone()),
            ..seal
        })
        .collect();
    store.reseal(&[], &resealed, "new", &entry(action::MASTER_KEY_ROTATE, "new")).await.unwrap();
    let found = store.webhooks(&slug("acme")).await.unwrap();
    let url = SealedUrl { sealed: resealed_url, ..one.url.clone() };
    let names = one.headers.as_ref().unwrap().names.clone();
    let headers = Some(SealedHeaders { names, sealed: resealed_headers });
    assert_eq!(found, [Webhook { sealed, url, headers, ..one }, changed], "what was changed meanwhile keeps its seal");
}

pub async fn due_deliveries_are_counted_up_to_a_limit(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let (many, one) = (wanting(1, &["key.*"]), wanting(2, &["token.revoked"]));
    add(store.as_ref(), &many).await;
    add(store.as_ref(), &one).await;
    for n in 1..=6 {
        insert(store.as_ref(), &key(n)).await;
    }
    let token = RevokedToken { jti: "one".into(), key: id(1), expires_at: NOW.plus_seconds(99) };
    store.revoke_token(&token, &slug("acme"), &entry(action::TOKEN_REVOKE, "one")).await.unwrap();
    let counts = async |most: u32| {
        let due = store.due_webhooks(NOW, most).await.unwrap();
        due.into_iter().map(|due| (due.webhook.id, due.due)).collect::<BTreeSet<_>>()
    };
    assert_eq!(counts(4).await, BTreeSet::from([(many.id.clone(), 4), (one.id.clone(), 1)]));
    claim(store.as_ref(), &many, "a", 0, 3).await;
    assert_eq!(counts(4).await, BTreeSet::from([(many.id, 3), (one.id, 1)]));
}

pub async fn deliveries_scheduled_by_a_clock_ahead_are_rescheduled(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let webhook = wanting(1, &["key.*"]);
    add(store.as_ref(), &webhook).await;
    let (now, ahead) = (0, 7200);
    for n in 1..=4 {
        // The last one is queued while the clock is two hours ahead.
        let at = NOW.plus_seconds(if n == 4 { ahead } else { now });
        let row = AuditEntry { at, ..entry(action::KEY_CREATE, id(n)) };
        store.insert_key(&key(n), Limits::default(), &row, None, None).await.outcome().unwrap();
    }
    // One is claimed and one is rescheduled by a minute by the clock that is ahead; one is rescheduled by the correct
    // clock.
    let claimed = claim(store.as_ref(), &webhook, "a", ahead, 2).await;
    let put_off = |at: i64| attempt(at, AfterAttempt::Retry(NOW.plus_seconds(at + 60)));
    assert!(store.finish_attempt(&claimed[1].id, "a", &put_off(ahead)).await.unwrap());
    let right = claim(store.as_ref(), &webhook, "a", now, 1).await;
    assert!(store.finish_attempt(&right[0].id, "a", &put_off(now)).await.unwrap());

    let due_in = async || {
        let found = deliveries(store.as_ref(), &webhook).await;
        let mut due: Vec<i64> = found.iter().map(|delivery| delivery.due_at.millis_since(NOW) / 1000).collect();
        due.sort_unstable();
        due
    };
    assert_eq!(due_in().await, [60, ahead, ahead + 30, ahead + 60]);
    assert_eq!(store.reschedule_deliveries(NOW.plus_seconds(ahead - 2), 2).await.unwrap(), 0, "within tolerance");
    assert_eq!(store.reschedule_deliveries(NOW, 2).await.unwrap(), 3);
    assert_eq!(due_in().await, [0, 30, 60, 60], "each keeps its pause");
    assert_eq!(store.reschedule_deliveries(NOW, 2).await.unwrap(), 0);
    // The claiming node can still complete it.
    let delivered = Attempt { status: Some(204), error: None, ..attempt(1, AfterAttempt::Delivered) };
    assert!(store.finish_attempt(&claimed[0].id, "a", &delivered).await.unwrap());
}
