//! Revoking, disabling, enabling and narrowing: each takes effect before the response.

use serde_json::{Value, json};

use crate::support::check::problem;
use crate::support::server::scope_list;
use crate::support::{Key, Place, Server, database, jwt};

/// A change to a key, as a call.
fn call(server: &Server, key: &Key, method: &str, rest: &str, body: &Value) -> u16 {
    server.api(method, &format!("keys/{}{rest}", key.id)).json(body).send().status
}

#[test]
fn revocation_takes_effect_before_the_response() {
    let server = Server::start();
    for (method, rest) in [("POST", "/revoke"), ("DELETE", "")] {
        let key = server.make(&json!({}));
        let token = server.token(&key, &[]);
        server.me(&token).expect(200);
        let revoked = server.api(method, &format!("keys/{}{rest}", key.id)).send().expect(200);
        problem(&server.me(&token), 401, "API_KEY_INVALID");
        problem(&server.me(&key.text), 401, "API_KEY_INVALID");
        server.exchange(&key.text, &[]).expect(401);
        assert_eq!(revoked["status"], "revoked");
        assert!(revoked["revoked_at"].is_string());
    }
}

#[test]
fn revoking_is_idempotent_and_keeps_its_first_reason() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let first = server.change("POST", &format!("{}/revoke", key.id), &json!({ "reason": "leaked" }));
    assert_eq!(first["revoked_reason"], "leaked");
    assert_eq!(server.change("POST", &format!("{}/revoke", key.id), &json!({ "reason": "again" })), first);
    assert_eq!(server.api("DELETE", &format!("keys/{}", key.id)).send().expect(200), first);
}

#[test]
fn a_revoked_key_never_changes_again() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let revoked = server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    for (method, rest, body) in [
        ("PATCH", "", json!({ "name": "x" })),
        ("POST", "/rotate", json!({})),
        ("POST", "/disable", json!({})),
        ("POST", "/enable", json!({})),
    ] {
        let answer = server.api(method, &format!("keys/{}{rest}", key.id)).json(&body).send();
        problem(&answer, 409, "CONFLICT");
    }
    assert_eq!(server.api("GET", &format!("keys/{}", key.id)).send().expect(200), revoked);
}

#[test]
fn tokens_stay_invalid_after_disable_and_enable() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let token = server.token(&key, &[]);
    let disabled = server.change("POST", &format!("{}/disable", key.id), &json!({}));
    assert_eq!(disabled["status"], "disabled");
    assert!(matches!(server.me(&token).status, 401 | 403));
    problem(&server.me(&key.text), 403, "API_KEY_DISABLED");
    assert_eq!(server.change("POST", &format!("{}/disable", key.id), &json!({})), disabled, "idempotent");

    let enabled = server.change("POST", &format!("{}/enable", key.id), &json!({}));
    assert_eq!(enabled["status"], "active");
    assert_eq!(server.change("POST", &format!("{}/enable", key.id), &json!({})), enabled, "idempotent");
    problem(&server.me(&token), 401, "API_KEY_INVALID");
    server.me(&key.text).expect(200);
    server.me(&server.token(&key, &[])).expect(200);
}

#[test]
fn narrowing_kills_tokens_at_once_and_widening_does_not() {
    let server = Server::start();
    for (edit, dies) in [
        (json!({ "scopes": scope_list("read:a/b") }), true),
        (json!({ "scopes": scope_list("read:a/* write:a/*") }), false),
        (json!({ "scopes": scope_list("*:a/*") }), false),
        (json!({ "scopes": [] }), true),
        (json!({ "allowed_cidrs": ["127.0.0.1"] }), true),
        (json!({ "allowed_cidrs": ["*"] }), false),
        (json!({ "allowed_cidrs": [] }), false),
        (json!({ "expires_in_seconds": 60 }), true),
        (json!({ "expires_at": null }), false),
        (json!({ "expires_at": "2050-01-01T00:00:00Z" }), false),
        (json!({ "name": "other", "description": "other" }), false),
    ] {
        let key = server.make(&json!({
            "scopes": scope_list("read:a/*"), "allowed_cidrs": ["127.0.0.0/8"], "expires_at": "2040-01-01T00:00:00Z",
        }));
        let token = server.token(&key, &[]);
        server.me(&token).expect(200);
        server.change("PATCH", &key.id, &edit);
        let after = server.me(&token);
        assert_eq!(after.status, if dies { 401 } else { 200 }, "{edit}: {}", after.text());
        server.me(&server.token(&key, &[])).expect(200);
    }
}

#[test]
fn a_token_has_the_generation_of_its_key() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let generation = || jwt::part(&server.token(&key, &[]), 1)["gen"].as_u64().unwrap();
    let first = generation();
    call(&server, &key, "PATCH", "", &json!({ "name": "x" }));
    assert_eq!(generation(), first);
    call(&server, &key, "PATCH", "", &json!({ "allowed_cidrs": ["127.0.0.1"] }));
    assert!(generation() > first);
}

#[test]
fn no_exchange_succeeds_after_a_revocation_under_load() {
    let server = Server::start();
    for _ in 0..5 {
        let key = server.make(&json!({}));
        let revoked = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let after = revoked.load(std::sync::atomic::Ordering::SeqCst);
                        let answer = server.exchange(&key.text, &[]);
                        assert!(!(after && answer.status == 200), "a token from a revoked key");
                        if after {
                            break;
                        }
                        if answer.status == 200 {
                            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
                            let after = revoked.load(std::sync::atomic::Ordering::SeqCst);
                            assert!(!(after && server.me(&token).status == 200), "a token of a revoked key is good");
                        }
                    }
                });
            }
            server.change("POST", &format!("{}/revoke", key.id), &json!({}));
            revoked.store(true, std::sync::atomic::Ordering::SeqCst);
        });
    }
}

#[test]
fn what_was_answered_outlives_a_kill() {
    let server = Server::start();
    let (revoked, disabled, rotated) = (server.make(&json!({})), server.make(&json!({})), server.make(&json!({})));
    let token = server.token(&rotated, &[]);
    server.change("POST", &format!("{}/revoke", revoked.id), &json!({}));
    server.change("POST", &format!("{}/disable", disabled.id), &json!({}));
    let text =
        server.change("POST", &format!("{}/rotate", rotated.id), &json!({}))["secret"].as_str().unwrap().to_owned();
    let first = server.key.clone();
    // The same port again, for the public URL is the audience of the token.
    let (listen, place) = (server.address.to_string(), server.kill());
    let server = place.set("KEYTURN_SERVER__LISTEN", listen).serve(first);
    server.exchange(&revoked.text, &[]).expect(401);
    server.exchange(&disabled.text, &[]).expect(403);
    server.exchange(&rotated.text, &[]).expect(401);
    server.exchange(&text, &[]).expect(200);
    problem(&server.me(&token), 401, "API_KEY_INVALID");
}

#[test]
fn every_change_leaves_one_audit_row_without_a_secret() {
    let server = Place::on_sqlite().start();
    let key = server.make(&json!({ "name": "audited" }));
    let path = |rest: &str| format!("{}{rest}", key.id);
    server.change("PATCH", &path(""), &json!({ "name": "renamed" }));
    server.change("PATCH", &path(""), &json!({ "name": "renamed" }));
    server.change("POST", &path("/disable"), &json!({}));
    server.change("POST", &path("/enable"), &json!({}));
    server.change("POST", &path("/rotate"), &json!({}));
    server.change("POST", &path("/revoke"), &json!({ "reason": "over" }));
    server.change("POST", &path("/revoke"), &json!({}));
    let actor = format!("key:{}", server.key.id);
    let place: Place = server.stop();
    let rows = |what: &str| {
        database::column(
            &place.database(),
            &format!("SELECT {what} FROM audit WHERE subject = '{}' ORDER BY id", key.id),
        )
    };
    let actions = ["key.create", "key.edit", "key.disable", "key.enable", "key.rotate", "key.revoke"];
    assert_eq!(rows("action"), actions);
    assert!(rows("actor").iter().all(|found| *found == actor));
    assert!(rows("address").iter().all(|found| found == "127.0.0.1"));
    let (old, new) = (rows("coalesce(old_value, '')"), rows("new_value"));
    assert_eq!(old[0], "");
    assert!(old[1].contains("audited") && new[1].contains("renamed"));
    assert!(new[5].contains("over"));
    assert!(old.iter().chain(&new).all(|text| !text.contains(key.secret()) && !text.contains("argon2")));
}
