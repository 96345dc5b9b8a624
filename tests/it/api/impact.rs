//! The impact of restricting a key, and the last use of the previous secret.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Key, Place, Server, eventually};

fn impact(server: &Server, key: &Key, body: &Value) -> Value {
    server.api("POST", &format!("keys/{}/impact", key.id)).json(body).send().expect(200)
}

fn exchange_from(server: &Server, key: &Key, address: &str, more: &[(&str, &str)]) -> u16 {
    let form = [&[("grant_type", "client_credentials"), ("client_secret", key.text.as_str())], more].concat();
    server.token_request().form(&form).header("X-Forwarded-For", address).send().status
}

#[test]
fn impact_lists_denied_addresses_and_scopes() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let key = server.make(&json!({ "scopes": scope_list("read:* write:*") }));
    for _ in 0..3 {
        assert_eq!(exchange_from(&server, &key, "203.0.113.7", &[]), 200);
    }
    assert_eq!(exchange_from(&server, &key, "10.0.0.1", &[("scope", "write:a")]), 200);
    let verify = |require: &str, address: &str| {
        let request = server.get(&format!("/verify?keyturn_require={require}")).bearer(&key.text);
        request.header("X-Forwarded-For", address).send().status
    };
    assert_eq!(verify("read:b", "10.0.0.1"), 200);
    assert_eq!(verify("write:b", "2001:db8::1"), 200);
    // Denied requests are not counted.
    assert_eq!(verify("admin:b", "198.51.100.1"), 403);
    assert_eq!(exchange_from(&server, &key, "198.51.100.1", &[("scope", "admin:a")]), 400);

    let narrow = json!({ "allowed_cidrs": ["10.0.0.0/8"] });
    let by_address = eventually("the counts", || {
        let found = impact(&server, &key, &narrow);
        (found["total"] == json!({ "exchanges": 3, "verifications": 1 })).then_some(found)
    });
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    assert_eq!(
        by_address["by_address"],
        json!([
            { "address": "203.0.113.7", "exchanges": 3, "verifications": 0, "last_seen": today },
            { "address": "2001:db8::1", "exchanges": 0, "verifications": 1, "last_seen": today },
        ])
    );
    assert_eq!(by_address["by_scope"], json!([]));
    let nothing = json!({ "exchanges": 0, "verifications": 0 });
    assert_eq!(by_address["uncounted"], json!({ "by_address": nothing, "by_scope": nothing }));

    let found = impact(&server, &key, &json!({ "scopes": scope_list("read:*") }));
    assert_eq!(found["total"], json!({ "exchanges": 1, "verifications": 1 }));
    let scopes: Vec<&str> = crate::support::field(&found["by_scope"], "scope");
    assert_eq!(scopes, ["write:a", "write:b"]);
    // The prediction comes true.
    server.change("PATCH", &key.id, &narrow);
    assert_eq!(exchange_from(&server, &key, "203.0.113.7", &[]), 403);
    assert_eq!(exchange_from(&server, &key, "10.0.0.1", &[]), 200);
    assert_eq!(impact(&server, &key, &json!({}))["total"], nothing);
}

#[test]
fn excess_addresses_are_reported_as_uncounted() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let key = server.make(&json!({}));
    for n in 0..70 {
        assert_eq!(exchange_from(&server, &key, &format!("203.0.113.{n}"), &[]), 200);
    }
    eventually("the counts", || {
        let found = impact(&server, &key, &json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
        let uncounted = found["uncounted"]["by_address"]["exchanges"] == 6;
        (uncounted && found["total"]["exchanges"] == 64).then_some(())
    });
}

#[test]
fn impact_validates_like_an_edit() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for (body, field) in [
        (json!({ "allowed_cidrs": ["10.0.0.1/8"] }), "allowed_cidrs[0]"),
        (json!({ "allowed_cidrs": "10.0.0.0/8" }), "allowed_cidrs"),
        (json!({ "scopes": [{ "action": "read", "resource": "a//b" }] }), "scopes[0].resource"),
        (json!({ "scopes": [{ "action": "read" }] }), "scopes[0]"),
        (json!({ "name": "x" }), "name"),
    ] {
        let edit = server.api("PATCH", &format!("keys/{}", key.id)).json(&body).send();
        let answer = server.api("POST", &format!("keys/{}/impact", key.id)).json(&body).send();
        wrong_field(&answer, field);
        assert!(field == "name" || edit.status == 422);
    }
    problem(&server.api("POST", "keys/0000000000000000/impact").json(&json!({})).send(), 404, "NOT_FOUND");
}

#[test]
fn last_use_of_the_previous_secret_is_shown() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let rotated = server.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 600 }));
    let text = rotated["secret"].as_str().unwrap();
    let shown = || server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    server.exchange(text, &[]).expect(200);
    eventually("its use", || shown()["last_used_at"].is_string().then_some(()));
    assert_eq!(shown()["previous_secret_last_used_at"], Value::Null, "the new secret is not the old one");
    server.exchange(&key.text, &[]).expect(200);
    let used = eventually("the use of the old secret", || {
        let key = shown();
        key["previous_secret_last_used_at"].is_string().then_some(key)
    });
    assert_eq!(used["previous_secret_last_used_ip"], "127.0.0.1");
    let ended = server.change("POST", &format!("{}/rotate", key.id), &json!({}));
    assert_eq!((&ended["previous_secret_last_used_at"], &ended["previous_secret_until"]), (&Value::Null, &Value::Null));
}
