//! Explaining: what each check says, and that it says what an exchange would.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Key, Server};

fn explain(server: &Server, key: &Key, body: &Value) -> Value {
    server.api("POST", &format!("keys/{}/explain", key.id)).json(body).send().expect(200)
}

fn outcomes(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    answer["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            assert!(!check["detail"].as_str().unwrap().is_empty());
            (text(&check["check"]), text(&check["outcome"]))
        })
        .collect()
}

fn outcome(answer: &Value, check: &str) -> String {
    outcomes(answer).into_iter().find(|(name, _)| name == check).unwrap().1
}

#[test]
fn every_check_is_listed_also_after_a_failure() {
    let server = Server::start();
    let key = server.make(&json!({ "scopes": scope_list("read:projects/*"), "allowed_cidrs": ["203.0.113.0/24"] }));
    let answer =
        explain(&server, &key, &json!({ "address": "203.0.113.7", "action": "read", "resource": "projects/acme/db" }));
    assert_eq!(answer["verdict"], "allowed");
    assert_eq!(answer["responses"], Value::Null);
    let names: Vec<String> = outcomes(&answer).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "secret",
            "revoked",
            "expired",
            "disabled",
            "customer",
            "organization",
            "generation",
            "secret_version",
            "lifetime",
            "network",
            "scope"
        ]
    );
    assert_eq!(answer["checks"][9]["detail"], "203.0.113.7 is in 203.0.113.0/24");
    assert_eq!(answer["checks"][10]["detail"], "read:projects/acme/db is covered by read:projects/*");
    assert_eq!((outcome(&answer, "secret"), outcome(&answer, "generation")), ("not_asked".into(), "not_asked".into()));

    let wrong = explain(&server, &key, &json!({ "address": "198.51.100.1", "action": "read", "resource": "x" }));
    assert_eq!(wrong["verdict"], "denied");
    assert_eq!((outcome(&wrong, "network"), outcome(&wrong, "scope")), ("failed".into(), "failed".into()));
    let wrong =
        explain(&server, &key, &json!({ "address": "203.0.113.7", "action": "write", "resource": "projects/a" }));
    assert_eq!((outcome(&wrong, "network"), outcome(&wrong, "scope")), ("passed".into(), "failed".into()));
    let nothing = explain(&server, &key, &json!({}));
    assert_eq!(nothing["verdict"], "incomplete");
    assert_eq!((outcome(&nothing, "network"), outcome(&nothing, "scope")), ("not_asked".into(), "not_asked".into()));
}

#[test]
fn the_state_of_a_key_is_explained_as_an_exchange_meets_it() {
    let server = Server::start();
    let key = server.make(&json!({ "expires_in_seconds": 3600 }));
    let ask = json!({ "address": "127.0.0.1", "action": "read", "resource": "a" });
    let agree = |allowed: bool| {
        let answer = explain(&server, &key, &ask);
        assert_eq!(answer["verdict"], if allowed { "allowed" } else { "denied" });
        let exchanged = server.exchange(&key.text, &[("scope", "read:a")]);
        assert_eq!(exchanged.status == 200, allowed);
        if !allowed {
            // What the client sees, word for word.
            let shown = &answer["responses"]["token_request"];
            assert_eq!((&shown["status"], &shown["body"]), (&json!(exchanged.status), &exchanged.json()));
            let verified = server.get("/verify").bearer(&key.text).send();
            let shown = &answer["responses"]["verification"];
            assert_eq!((&shown["status"], &shown["body"]), (&json!(verified.status), &verified.json()));
        }
    };
    agree(true);
    let later = json!({ "address": "127.0.0.1", "at": "2999-01-01T00:00:00Z" });
    assert_eq!(outcome(&explain(&server, &key, &later), "expired"), "failed");
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    agree(false);
    assert_eq!(outcome(&explain(&server, &key, &ask), "disabled"), "failed");
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    agree(false);
    assert_eq!(outcome(&explain(&server, &key, &ask), "revoked"), "failed");
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_field() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let call = |body: Value| server.api("POST", &format!("keys/{}/explain", key.id)).json(&body).send();
    for (body, field) in [
        (json!({ "address": "10.0.0.0/8" }), "address"),
        (json!({ "address": "localhost" }), "address"),
        (json!({ "address": "10.0.0.1\u{0}" }), "address"),
        (json!({ "address": 7 }), "address"),
        (json!({ "action": "read" }), "resource"),
        (json!({ "resource": "a" }), "action"),
        (json!({ "action": "Read", "resource": "a" }), "action"),
        (json!({ "action": "read", "resource": "a//b" }), "resource"),
        (json!({ "action": "read", "resource": "a".repeat(257) }), "resource"),
        (json!({ "at": "yesterday" }), "at"),
        (json!({ "at": "1969-12-31T23:59:59Z" }), "at"),
        (json!({ "at": -1 }), "at"),
        (json!({ "secret": "x" }), "secret"),
    ] {
        wrong_field(&call(body), field);
    }
    let unknown = server.api("POST", "keys/0000000000000000/explain").json(&json!({})).send();
    problem(&unknown, 404, "NOT_FOUND");
}

/// A wildcard does not reach an action that the organization does not define, here as in a token request.
#[test]
fn undefined_action_fails_the_check_of_the_scope() {
    let server = Server::start();
    let key = server.make_with("*:*");
    let ask = |action: &str| explain(&server, &key, &json!({ "action": action, "resource": "orders/1" }));
    let answer = ask("raed");
    assert_eq!((answer["verdict"].as_str(), outcome(&answer, "scope")), (Some("denied"), "failed".into()));
    let check = answer["checks"].as_array().unwrap().iter().find(|check| check["check"] == "scope").unwrap();
    assert_eq!(
        check["detail"],
        "the organization defines no action raed; allowed actions are read, write, admin and *"
    );
    server.exchange(&key.text, &[("scope", "raed:orders/1")]).expect(400);
    assert_eq!(ask("read")["verdict"], "incomplete");
    server.exchange(&key.text, &[("scope", "read:orders/1")]).expect(200);

    // Both failures are explained, and the client sees the earlier one.
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    let answer = ask("raed");
    assert_eq!((outcome(&answer, "disabled"), outcome(&answer, "scope")), ("failed".into(), "failed".into()));
    assert_eq!(answer["responses"]["token_request"]["body"]["code"], "API_KEY_DISABLED");
}
