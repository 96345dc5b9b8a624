//! Events: content, filters, signatures.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Server, eventually};
use crate::webhooks::{Receiver, await_all, await_delivery, deliveries, hook, place, test};

#[test]
fn every_change_has_one_signed_event() {
    let (receiver, server) = (Receiver::start(), place().start());
    let hook = hook(&server, &receiver.url_of("/in?token=abc"), &["key.*", "token.*", "signing_key.*"]);
    let key = server.make(&json!({ "name": "original" }));
    for (method, rest, body) in [
        ("PATCH", "", json!({ "name": "renamed" })),
        ("POST", "/disable", json!({})),
        ("POST", "/enable", json!({})),
        ("POST", "/rotate", json!({ "grace_seconds": 60 })),
    ] {
        server.change(method, &format!("{}{rest}", key.id), &body);
    }
    let token = server.token(&key, &[]);
    let revoke = server.request("POST", "/oauth/revoke").basic(&key.id, &key.text).form(&[("token", &token)]);
    revoke.send().expect(200);
    server.change("POST", &format!("{}/revoke", key.id), &json!({ "reason": "over" }));
    // A repeated change has no event.
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    server.api("POST", "signing-keys/rotate").json(&json!({})).send().expect(201);

    let received = receiver.await_count(8);
    let mut events: Vec<String> = received.iter().map(|request| request.event()).collect();
    events.sort();
    let mut expected = [
        "key.created",
        "key.updated",
        "key.disabled",
        "key.enabled",
        "key.rotated",
        "token.revoked",
        "key.revoked",
        "signing_key.created",
    ];
    expected.sort_unstable();
    assert_eq!(events, expected);
    for request in &received {
        let body = request.verified(&hook.secret);
        assert_eq!(request.target, "/in?token=abc");
        assert_eq!((&body["data"]["organization"], &body["data"]["address"]), (&json!("default"), &json!("127.0.0.1")));
        let text = String::from_utf8(request.body.clone()).unwrap();
        assert!(!text.contains(key.secret()) && !text.contains(&token) && !text.contains("argon2"), "{text}");
        body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    let of = |event: &str| received.iter().find(|request| request.event() == event).unwrap().json()["data"].clone();
    let created = of("key.created");
    assert_eq!((&created["subject"], &created["old"]), (&json!(key.id), &json!(null)));
    assert_eq!(created["actor"], format!("key:{}", server.key.id));
    assert_eq!(created["new"]["name"], "original");
    let renamed = of("key.updated");
    assert_eq!((&renamed["old"]["name"], &renamed["new"]["name"]), (&json!("original"), &json!("renamed")));
    assert_eq!(of("key.revoked")["new"]["revoked_reason"], "over");
    let ids: BTreeSet<&str> = received.iter().map(|request| request.id()).collect();
    assert_eq!(ids.len(), 8);

    let deliveries = await_all(&server, &hook.id, "delivered");
    assert_eq!(deliveries.iter().map(|delivery| delivery["id"].as_str().unwrap()).collect::<BTreeSet<_>>(), ids);
    assert!(deliveries.iter().all(|delivery| delivery["attempts"] == 1 && delivery["last_status"] == 204));
    assert!(
        deliveries.iter().all(|delivery| delivery["next_attempt_at"].is_null() && delivery["last_error"].is_null())
    );
    assert_eq!(receiver.received().len(), 8, "each once");
}

#[test]
fn grace_periods_have_events() {
    let (receiver, server) = (Receiver::start(), place().start());
    let hook = hook(&server, &receiver.url(), &["key.grace_ended", "key.grace_extended"]);
    let key = server.make(&json!({}));
    let change = |rest: &str, body: &serde_json::Value| server.change("POST", &format!("{}/{rest}", key.id), body);
    change("rotate", &json!({ "grace_seconds": 60 }));
    change("extend-grace", &json!({ "grace_seconds": 600 }));
    for _ in 0..2 {
        change("end-grace", &json!({}));
    }
    await_all(&server, &hook.id, "delivered");
    let received = receiver.received();
    assert_eq!(received.iter().map(|request| request.event()).collect::<BTreeSet<_>>().len(), 2);
    assert_eq!(received.len(), 2, "a repeated change has no event");
    let ended = received.iter().find(|request| request.event() == "key.grace_ended").unwrap().json();
    assert!(ended["data"]["old"]["previous_secret_until"].is_string());
    assert!(ended["data"]["new"]["previous_secret_until"].is_null());
}

#[test]
fn webhook_receives_only_matching_events() {
    let (all, some, server) = (Receiver::start(), Receiver::start(), place().start());
    let everything = hook(&server, &all.url(), &[]);
    let revocations = hook(&server, &some.url(), &["key.revoked", "policy.*"]);
    let key = server.make(&json!({}));
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    let sent: Vec<String> = all.await_count(4).iter().map(|request| request.event()).collect();
    for event in ["webhook.created", "key.created", "key.revoked"] {
        assert!(sent.iter().any(|sent| sent == event), "{event}: {sent:?}");
    }
    some.await_count(1);
    await_all(&server, &everything.id, "delivered");
    await_all(&server, &revocations.id, "delivered");
    assert_eq!(some.received().iter().map(|request| request.event()).collect::<Vec<_>>(), ["key.revoked"]);
    assert!(some.received()[0].is_signed_with(&revocations.secret));
    assert!(!some.received()[0].is_signed_with(&everything.secret), "each has its own secret");
}

#[test]
fn test_event_ignores_the_filter() {
    let (one, other, server) = (Receiver::start(), Receiver::start(), place().start());
    let tried = hook(&server, &one.url(), &["policy.changed"]);
    let bystander = hook(&server, &other.url(), &["webhook.*"]);
    let id = test(&server, &tried.id);
    let received = one.await_count(1);
    assert_eq!(received[0].id(), id);
    let body = received[0].verified(&tried.secret);
    assert_eq!((&body["type"], &body["data"]["subject"]), (&json!("webhook.test"), &json!(tried.id)));
    await_delivery(&server, &tried.id, &id, "delivered");
    assert_eq!(await_all(&server, &bystander.id, "delivered").len(), 1, "webhook.created alone");
    assert_eq!(other.received()[0].event(), "webhook.created");
}

#[test]
fn disabled_webhook_receives_nothing() {
    let (receiver, server) = (Receiver::start(), place().start());
    let hook = hook(&server, &receiver.url(), &["key.*"]);
    let set = |state: &str| {
        server.api("PATCH", &format!("webhooks/{}", hook.id)).json(&json!({ "state": state })).send().expect(200)
    };
    assert_eq!(set("disabled")["state"], "disabled");
    server.make(&json!({}));
    assert_eq!(deliveries(&server, &hook.id).len(), 0);
    let refused = server.api("POST", &format!("webhooks/{}/test", hook.id)).json(&json!({})).send();
    crate::support::check::problem(&refused, 409, "CONFLICT");
    set("enabled");
    let key = server.make(&json!({}));
    await_all(&server, &hook.id, "delivered");
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].json()["data"]["subject"], key.id);
}

#[test]
fn last_two_secrets_verify_after_a_rotation() {
    let (receiver, server) = (Receiver::start(), place().start());
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let mut secrets = vec![hook.secret.clone()];
    let shown = server.api("GET", &format!("webhooks/{}", hook.id)).send().expect(200);
    assert!(shown.get("secret").is_none() && shown["previous_secret_until"].is_null(), "{shown}");
    for version in [2, 3] {
        let call = server.api("POST", &format!("webhooks/{}/rotate-secret", hook.id)).json(&json!({}));
        let rotated = call.send().expect(200);
        assert_eq!(rotated["version"], version);
        let until: jiff::Timestamp = rotated["previous_secret_until"].as_str().unwrap().parse().unwrap();
        assert!((until.as_second() - crate::support::now() - 86_400).abs() < 60, "a day");
        secrets.push(rotated["secret"].as_str().unwrap().to_owned());
    }
    test(&server, &hook.id);
    let received = &receiver.await_count(1)[0];
    let signed: Vec<bool> = secrets.iter().map(|secret| received.is_signed_with(secret)).collect();
    assert_eq!(signed, [false, true, true]);
    assert_eq!(received.headers["webhook-signature"].split(' ').count(), 2);
}

#[test]
fn deliveries_are_counted() {
    let (receiver, server) = (Receiver::start(), place().start());
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    test(&server, &hook.id);
    await_all(&server, &hook.id, "delivered");
    let metric = |name: &str, server: &Server| {
        let text = server.get("/metrics").send().text();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
    };
    eventually("the counts", || {
        let delivered = metric("keyturn_webhook_attempts_total{outcome=\"delivered\"}", &server);
        let waiting =
            (metric("keyturn_webhook_pending", &server), metric("keyturn_webhook_oldest_pending_seconds", &server));
        (delivered.as_deref() == Some("1") && waiting == (Some("0".into()), Some("0".into()))).then_some(())
    });
}
