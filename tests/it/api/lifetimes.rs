//! The life of a secret: limits are measured from its creation, whatever is asked for later.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::{Answer, Key, Place, Server, database, eventually, now};

const DAY: i64 = 86_400;

fn with_policy(changes: &str) -> Server {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    database::execute(&place.database(), &format!("UPDATE organizations SET policy = json_set(policy, {changes})"));
    place.serve(founded.key)
}

/// Moves a key's creation, or its last rotation, and its expiry into the past.
fn age(server: &Server, key: &Key, column: &str, days: i64, expires_in: i64) {
    let (since, end) = ((now() - days * DAY) * 1000, (now() + expires_in) * 1000);
    let statement = format!("UPDATE api_keys SET {column} = {since}, expires_at = {end} WHERE id = '{}'", key.id);
    database::execute(&server.database(), &statement);
}

fn patch(server: &Server, key: &Key, body: &Value) -> Answer {
    server.api("PATCH", &format!("keys/{}", key.id)).json(body).send()
}

fn rotate(server: &Server, key: &Key, body: &Value) -> Answer {
    server.api("POST", &format!("keys/{}/rotate", key.id)).json(body).send()
}

fn at(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

#[test]
fn an_edit_never_renews_beyond_the_longest_life() {
    let server = with_policy("'$.max_lifetime_days', 30, '$.expiry_required', json('true')");
    let body = json!({ "expires_in_seconds": 30 * DAY });
    for column in ["created_at", "rotated_at"] {
        let key = server.make(&body);
        age(&server, &key, column, 29, DAY);
        for renewal in [body.clone(), json!({ "expires_in_seconds": DAY + 3600 }), json!({ "expires_at": null })] {
            let message = wrong_field(&patch(&server, &key, &renewal), "expires_at");
            assert!(message.contains("required") || message.contains("maximum lifetime is 30 days from"), "{message}");
        }
        patch(&server, &key, &json!({ "expires_in_seconds": DAY - 3600 })).expect(200);
        patch(&server, &key, &json!({ "name": "renamed" })).expect(200);
        // A rotation starts a new life.
        rotate(&server, &key, &body).expect(200);
        patch(&server, &key, &json!({ "expires_in_seconds": 29 * DAY })).expect(200);
    }
}

#[test]
fn choices_are_counted_from_the_creation_of_the_secret() {
    let server = with_policy("'$.expiration_choices', json('{\"days\":[30,90],\"none\":false}')");
    let key = server.make(&json!({ "expires_in_seconds": 30 * DAY }));
    age(&server, &key, "created_at", 20, 10 * DAY);
    let message = wrong_field(&patch(&server, &key, &json!({ "expires_in_seconds": 90 * DAY })), "expires_at");
    assert!(message.contains("30, 90 days from the key's creation or last rotation"), "{message}");
    patch(&server, &key, &json!({ "expires_at": at(now() + 70 * DAY) })).expect(200);
    patch(&server, &key, &json!({ "expires_at": at(now() + 10 * DAY) })).expect(200);
}

#[test]
fn an_expired_key_comes_back_by_rotation_only() {
    let server = Server::start();
    let key = server.make(&json!({ "expires_in_seconds": 1 }));
    let token = server.token(&server.make(&json!({})), &[]);
    let status = || server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["status"].clone();
    eventually("the expiry", || (status() == "expired").then_some(()));
    for body in [json!({ "expires_at": null }), json!({ "expires_in_seconds": 60 })] {
        let detail = problem(&patch(&server, &key, &body), 409, "CONFLICT")["detail"].clone();
        assert!(detail.as_str().unwrap().contains("rotate it with a new expiry"), "{detail}");
    }
    let post = |rest: &str| server.api("POST", &format!("keys/{}/{rest}", key.id)).json(&json!({})).send();
    problem(&post("enable"), 409, "CONFLICT");
    post("disable").expect(200);
    problem(&post("enable"), 409, "CONFLICT");
    patch(&server, &key, &json!({ "name": "renamed" })).expect(200);
    server.exchange(&key.text, &[]).expect(401);

    // A rotation needs the new expiry, and never brings the old secret back.
    let message = wrong_field(&rotate(&server, &key, &json!({ "grace_seconds": 60 })), "expires_at");
    assert!(message.contains("the key has expired"), "{message}");
    let renewed = rotate(&server, &key, &json!({ "expires_at": null, "grace_seconds": 60 })).expect(200);
    assert!(renewed["previous_secret_until"].is_null(), "{renewed}");
    post("enable").expect(200);
    server.exchange(&key.text, &[]).expect(401);
    server.exchange(renewed["secret"].as_str().unwrap(), &[]).expect(200);
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
}

#[test]
fn a_grace_period_does_not_extend_the_old_expiry() {
    let server = Server::start();
    let key = server.make(&json!({ "expires_in_seconds": 3 }));
    let rotated = rotate(&server, &key, &json!({ "expires_at": null, "grace_seconds": 600 })).expect(200);
    let until: jiff::Timestamp = rotated["previous_secret_until"].as_str().unwrap().parse().unwrap();
    assert!(until.as_second() <= now() + 3, "{rotated}");
    assert!(server.exchange(&key.text, &[]).expect(200)["expires_in"].as_i64().unwrap() <= 3);
    eventually("the old expiry", || (server.exchange(&key.text, &[]).status == 401).then_some(()));
    server.exchange(rotated["secret"].as_str().unwrap(), &[]).expect(200);
}

#[test]
fn a_rotation_keeps_no_expiry_beyond_the_policy() {
    let server = with_policy("'$.max_grace_seconds', 60");
    let (endless, long) = (server.make(&json!({})), server.make(&json!({ "expires_in_seconds": 90 * DAY })));
    let short = server.make(&json!({ "expires_in_seconds": 10 * DAY }));
    server.api("PUT", "policy").json(&json!({ "max_lifetime_days": 30 })).send().expect(200);
    for key in [&endless, &long] {
        for body in [json!({}), json!({ "grace_seconds": 60 })] {
            let message = wrong_field(&rotate(&server, key, &body), "expires_at");
            assert!(message.contains("maximum lifetime is 30 days; set a new expiry"), "{message}");
        }
        rotate(&server, key, &json!({ "expires_in_seconds": 30 * DAY })).expect(200);
    }
    rotate(&server, &short, &json!({})).expect(200);
}

#[test]
fn repeated_rotations_do_not_extend_a_grace_period() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let first = rotate(&server, &key, &json!({ "grace_seconds": 2 })).expect(200);
    problem(&rotate(&server, &key, &json!({ "grace_seconds": 600 })), 409, "CONFLICT");
    patch(&server, &key, &json!({ "expires_in_seconds": DAY })).expect(200);
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!(shown["previous_secret_until"], first["previous_secret_until"]);
    eventually("the end of the grace period", || (server.exchange(&key.text, &[]).status == 401).then_some(()));
}
