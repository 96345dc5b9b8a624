//! The previous secret of a rotated key, and tokens of it: what they can do until the grace period ends.

use serde_json::{Value, json};

use crate::support::check::problem;
use crate::support::server::scope_list;
use crate::support::{Key, Place, Server, database, eventually, jwt, now};

const MANAGER: &str = "*:keyturn/* read:*";

fn rotate(server: &Server, key: &Key, body: &Value) -> Key {
    let rotated = server.change("POST", &format!("{}/rotate", key.id), body);
    Key { id: key.id.clone(), text: rotated["secret"].as_str().unwrap().to_owned() }
}

fn verified(server: &Server, credential: &str) -> u16 {
    server.get("/verify").bearer(credential).send().status
}

fn introspected(server: &Server, token: &str) -> Value {
    let request = server.request("POST", "/oauth/introspect").api_key(&server.key.text).form(&[("token", token)]);
    request.send().expect(200)
}

/// Calls that change something, and whose effect would outlast a grace period.
fn changes(server: &Server, own: &str) -> Vec<(&'static str, String, Value)> {
    let other = server.make(&json!({}));
    let soon = json!({ "name": "short", "scopes": scope_list("read:a"), "expires_in_seconds": 5 });
    vec![
        ("POST", "organizations/default/keys".into(), json!({ "name": "new", "scopes": scope_list("read:a") })),
        ("POST", "organizations/default/keys".into(), soon),
        ("PATCH", format!("organizations/default/keys/{}", other.id), json!({ "name": "renamed" })),
        ("POST", format!("organizations/default/keys/{own}/rotate"), json!({})),
        ("POST", format!("organizations/default/keys/{own}/end-grace"), json!({})),
        ("POST", format!("organizations/default/keys/{own}/extend-grace"), json!({ "grace_seconds": 900 })),
        ("POST", format!("organizations/default/keys/{}/rotate", other.id), json!({})),
        ("POST", format!("organizations/default/keys/{}/disable", other.id), json!({})),
        ("POST", format!("organizations/default/keys/{}/enable", other.id), json!({})),
        ("POST", format!("organizations/default/keys/{}/revoke", other.id), json!({})),
        ("DELETE", format!("organizations/default/keys/{}", other.id), json!({})),
        ("POST", "organizations/default/webhooks".into(), json!({ "url": "https://example.org/hook" })),
        ("POST", "organizations/default/members".into(), json!({ "email": "x@example.org", "role": "viewer" })),
        ("PUT", "organizations/default/policy".into(), json!({ "max_grace_seconds": 5 })),
        ("POST", "organizations/default/signing-keys/rotate".into(), json!({})),
        ("POST", "organizations".into(), json!({ "slug": "acme", "owner_email": "o@example.org" })),
    ]
}

#[test]
fn neither_it_nor_its_tokens_change_anything() {
    let server = Server::start();
    let key = server.make_with(MANAGER);
    let before = server.token(&key, &[]);
    let new = rotate(&server, &key, &json!({ "grace_seconds": 600 }));
    let after = server.token(&key, &[]);
    let list = || server.api("GET", "keys").send().expect(200);
    for (method, path, body) in changes(&server, &key.id) {
        let call =
            |credential: &str| server.request(method, &format!("/api/v1/{path}")).bearer(credential).json(&body).send();
        let keys = list();
        for credential in [&key.text, &before, &after] {
            problem(&call(credential), 403, "PREVIOUS_SECRET");
        }
        assert_eq!(list(), keys, "{method} {path} changed nothing");
    }
    let created = server.api_as(&server.token(&new, &[]), "POST", "keys").json(&json!({ "name": "new" })).send();
    created.expect(201);
}

#[test]
fn it_reads_and_its_tokens_do_not() {
    let server = Server::start();
    let key = server.make_with(MANAGER);
    let before = server.token(&key, &[]);
    let new = rotate(&server, &key, &json!({ "grace_seconds": 600 }));
    let tokens = [before, server.token(&key, &[])];
    let id = &key.id;
    let explain = format!("keys/{id}/explain");
    for (method, rest) in
        [("GET", "keys"), ("GET", "audit"), ("GET", "policy"), ("GET", "webhooks"), ("POST", explain.as_str())]
    {
        let call = |credential: &str| server.api_as(credential, method, rest).json(&json!({})).send();
        call(&key.text).expect(200);
        call(&new.text).expect(200);
        for token in &tokens {
            let body = problem(&call(token), 403, "PREVIOUS_SECRET");
            assert!(body["detail"].as_str().unwrap().contains("current secret"), "{body}");
        }
    }
    let me = server.me(&key.text).expect(200);
    assert!(me["expires_at"].is_string(), "its end is shown: {me}");
    problem(&server.me(&tokens[0]), 403, "PREVIOUS_SECRET");
    server.me(&server.token(&new, &[])).expect(200);
}

#[test]
fn tokens_of_it_end_with_the_grace_period() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let before = server.token(&key, &[]);
    let end = now() + 4;
    let new = rotate(&server, &key, &json!({ "grace_seconds": 3 }));
    let (of_previous, of_current) = (server.token(&key, &[]), server.token(&new, &[]));
    let version = |token: &str| jwt::part(token, 1)["sv"].clone();
    assert_eq!([version(&before), version(&of_previous), version(&of_current)], [1, 1, 2]);
    assert!(jwt::part(&before, 1)["exp"].as_i64().unwrap() > end, "this token was minted for longer");
    for token in [&before, &of_previous] {
        let said = introspected(&server, token);
        assert!(said["active"] == true && said["exp"].as_i64().unwrap() <= end && said["sv"] == 1, "{said}");
        assert_eq!(verified(&server, token), 200);
    }
    assert_eq!(introspected(&server, &of_current)["sv"], 2);
    eventually("the end of the grace period", || (verified(&server, &key.text) == 401).then_some(()));
    for token in [&before, &of_previous] {
        assert_eq!(verified(&server, token), 401);
        assert_eq!(introspected(&server, token), json!({ "active": false }));
        problem(&server.me(token), 401, "API_KEY_INVALID");
    }
    assert_eq!(verified(&server, &of_current), 200);
}

#[test]
fn tokens_of_it_end_when_the_grace_period_is_ended() {
    let server = Server::start();
    for ending in ["rotate", "revoke", "disable"] {
        let key = server.make(&json!({}));
        let before = server.token(&key, &[]);
        rotate(&server, &key, &json!({ "grace_seconds": 600 }));
        let after = server.token(&key, &[]);
        assert_eq!((verified(&server, &before), verified(&server, &after)), (200, 200));
        server.change("POST", &format!("{}/{ending}", key.id), &json!({}));
        for token in [&before, &after] {
            assert_ne!(verified(&server, token), 200, "{ending}");
            assert_eq!(introspected(&server, token), json!({ "active": false }), "{ending}");
        }
    }
}

#[test]
fn token_from_two_rotations_ago_is_invalid() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let first = server.token(&key, &[]);
    let second_key = rotate(&server, &key, &json!({ "grace_seconds": 1 }));
    let second = server.token(&second_key, &[]);
    eventually("the end of the first grace period", || (verified(&server, &key.text) == 401).then_some(()));
    let third_key = rotate(&server, &second_key, &json!({ "grace_seconds": 600 }));
    let third = server.token(&third_key, &[]);
    assert_eq!([&first, &second, &third].map(|token| verified(&server, token)), [401, 200, 200]);
    problem(&server.me(&first), 401, "API_KEY_INVALID");
    problem(&server.me(&second), 403, "PREVIOUS_SECRET");
    server.me(&third).expect(200);
}

#[test]
fn slow_change_fails_after_a_rotation() {
    // Slow hashing: requests wait behind each other between authentication and their write.
    let place = Place::new()
        .set("KEYTURN_ARGON2__ITERATIONS", 10)
        .set("KEYTURN_ARGON2__MEMORY_KIB", 16_384)
        .set("KEYTURN_ARGON2__THREADS", 1);
    let server = place.start();
    let manager = server.make_with(MANAGER);
    let by = format!("key:{}", manager.id);
    let made = || {
        let list = server.api("GET", "keys?limit=200").send().expect(200);
        list["items"].as_array().unwrap().iter().filter(|key| key["created_by"] == by.as_str()).count()
    };
    let (statuses, answered) = std::thread::scope(|scope| {
        // They go on until they are refused, so some requests are always between authentication and their write.
        let create = || {
            let one = || server.api_as(&manager.text, "POST", "keys").json(&json!({ "name": "new" })).send().status;
            std::iter::repeat_with(one).find(|status| *status != 201)
        };
        let begun: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        eventually("the first key", || (made() > 0).then_some(()));
        rotate(&server, &manager, &json!({ "grace_seconds": 600 }));
        let answered = made();
        (begun.into_iter().filter_map(|one| one.join().unwrap()).collect::<Vec<u16>>(), answered)
    });
    assert_eq!(made(), answered, "nothing is created after the rotation: {statuses:?}");
    assert!(statuses.contains(&409), "some requests were under way: {statuses:?}");
    assert!(statuses.iter().all(|status| [403, 409].contains(status)), "{statuses:?}");
}

#[test]
fn a_token_never_has_more_than_its_key() {
    let server = Place::on_sqlite().start();
    let key = server.make_with("read:* *:keyturn/*");
    let (wide, narrow) = (server.token(&key, &[]), server.token(&key, &[("scope", "read:a/b")]));
    assert_eq!((verified(&server, &wide), verified(&server, &narrow)), (200, 200));
    // The record changes without a new generation, as if somebody who has the signing key had added scopes to a token.
    let statement =
        format!("UPDATE api_keys SET grants = REPLACE(grants, 'read:*', 'read:a/*') WHERE id = '{}'", key.id);
    database::execute(&server.database(), &statement);
    for name in ["one", "two"] {
        server.change("PATCH", &key.id, &json!({ "name": name }));
        assert_eq!((verified(&server, &wide), verified(&server, &narrow)), (401, 200), "{name}");
        assert_eq!(introspected(&server, &wide), json!({ "active": false }));
        problem(&server.api_as(&wide, "GET", "audit").send(), 401, "API_KEY_INVALID");
    }
}
