//! Callers cannot grant more than they have.

use serde_json::{Value, json};

use crate::support::check::problem;
use crate::support::server::scope_list;
use crate::support::{Key, Place, Server, eventually};

/// A manager of keys: may write keys, read `a/*` for as long as the key lives, from this machine.
fn manager(server: &Server) -> Key {
    server.make(&json!({
        "scopes": scope_list("write:keyturn/keys read:keyturn/keys read:a/*"),
        "allowed_cidrs": ["127.0.0.0/8"], "expires_at": "2040-01-01T00:00:00Z",
    }))
}

/// As much as a manager holds.
fn all_of_it() -> Value {
    json!({
        "scopes": scope_list("read:a/* write:keyturn/keys"),
        "allowed_cidrs": ["127.0.0.0/8"], "expires_at": "2040-01-01T00:00:00Z",
    })
}

/// More than a manager holds, in one thing each.
fn beyond() -> Vec<(&'static str, Value)> {
    vec![
        ("scopes", scope_list("read:a/* write:a/b")),
        ("scopes", scope_list("read:*")),
        ("scopes", scope_list("*:a/*")),
        ("scopes", scope_list("admin:keyturn/*")),
        ("scopes", scope_list("read:keyturn/signing-keys")),
        ("allowed_cidrs", json!(["*"])),
        ("allowed_cidrs", json!([])),
        ("allowed_cidrs", json!(["127.0.0.0/7", "126.0.0.0/8"][1..])),
        ("allowed_cidrs", json!(["127.0.0.1", "::1"])),
        ("expires_at", json!("2040-01-01T00:00:01Z")),
        ("expires_at", json!(null)),
    ]
}

#[test]
fn a_new_key_is_at_most_what_its_maker_holds() {
    let server = Server::start();
    let manager = manager(&server);
    let token = server.token(&manager, &[]);
    for credential in [&manager.text, &token] {
        let make = |body: &Value| server.api_as(credential, "POST", "keys").json(body).send();
        make(&all_of_it()).expect(201);
        for (name, value) in beyond() {
            let mut body = all_of_it();
            body[name] = value;
            problem(&make(&body), 403, "INSUFFICIENT_SCOPE");
        }
        let mut body = all_of_it();
        body.as_object_mut().unwrap().remove("allowed_cidrs");
        problem(&make(&body), 403, "INSUFFICIENT_SCOPE");
    }
}

#[test]
fn tokens_grant_only_their_own_scopes() {
    let server = Server::start();
    let manager = manager(&server);
    let token = server.token(&manager, &[("scope", "write:keyturn/keys read:a/b")]);
    let make = |scopes: &str| {
        let mut body = all_of_it();
        body["scopes"] = scope_list(scopes);
        server.api_as(&token, "POST", "keys").json(&body).send()
    };
    make("read:a/b").expect(201);
    problem(&make("read:a/*"), 403, "INSUFFICIENT_SCOPE");
    problem(&make("read:keyturn/keys"), 403, "INSUFFICIENT_SCOPE");
}

#[test]
fn an_edit_widens_no_further_than_its_editor_holds() {
    let server = Server::start();
    let manager = manager(&server);
    let weak = server.make(&json!({
        "scopes": scope_list("read:a/b"), "allowed_cidrs": ["127.0.0.1"], "expires_at": "2030-01-01T00:00:00Z",
    }));
    let edit = |body: &Value| server.api_as(&manager.text, "PATCH", &format!("keys/{}", weak.id)).json(body).send();
    for (name, value) in beyond() {
        problem(&edit(&json!({ name: value })), 403, "INSUFFICIENT_SCOPE");
    }
    edit(&all_of_it()).expect(200);
}

#[test]
fn stronger_keys_can_only_be_disabled_or_revoked() {
    let server = Server::start();
    let manager = manager(&server);
    for strong in [
        json!({ "scopes": scope_list("write:a"), "allowed_cidrs": ["127.0.0.1"], "expires_at": "2030-01-01T00:00:00Z" }),
        json!({ "scopes": scope_list("read:a/b"), "expires_at": "2030-01-01T00:00:00Z" }),
        json!({ "scopes": scope_list("read:a/b"), "allowed_cidrs": ["127.0.0.1"] }),
    ] {
        let key = server.make(&strong);
        let call = |method: &str, rest: &str, body: &Value| {
            server.api_as(&manager.text, method, &format!("keys/{}{rest}", key.id)).json(body).send()
        };
        problem(&call("POST", "/rotate", &json!({})), 403, "INSUFFICIENT_SCOPE");
        problem(&call("POST", "/rotate", &json!({ "grace_seconds": 60 })), 403, "INSUFFICIENT_SCOPE");
        let widened = json!({ "scopes": scope_list("write:a read:a/b read:a/c") });
        problem(&call("PATCH", "", &widened), 403, "INSUFFICIENT_SCOPE");
        call("POST", "/disable", &json!({})).expect(200);
        problem(&call("POST", "/enable", &json!({})), 403, "INSUFFICIENT_SCOPE");
        // Restricted to the manager's rights, it could be rotated, and the manager could act as that key. If only
        // the expiry exceeds the manager's, the key can be edited.
        if strong["scopes"] != scope_list("read:a/b") || strong.get("allowed_cidrs").is_none() {
            problem(&call("PATCH", "", &json!({ "scopes": [] })), 403, "INSUFFICIENT_SCOPE");
        }
        call("POST", "/revoke", &json!({})).expect(200);
    }
    problem(
        &server.api_as(&manager.text, "POST", &format!("keys/{}/rotate", server.key.id)).json(&json!({})).send(),
        403,
        "INSUFFICIENT_SCOPE",
    );
}

#[test]
fn a_rotation_hands_out_no_longer_life_than_its_maker_has() {
    let server = Server::start();
    let manager = manager(&server);
    let weak = server.make(&json!({
        "scopes": scope_list("read:a/b"), "allowed_cidrs": ["127.0.0.1"], "expires_at": "2030-01-01T00:00:00Z",
    }));
    let rotate =
        |body: &Value| server.api_as(&manager.text, "POST", &format!("keys/{}/rotate", weak.id)).json(body).send();
    problem(&rotate(&json!({ "expires_at": null })), 403, "INSUFFICIENT_SCOPE");
    problem(&rotate(&json!({ "expires_at": "2041-01-01T00:00:00Z" })), 403, "INSUFFICIENT_SCOPE");
    rotate(&json!({ "expires_at": "2039-01-01T00:00:00Z" })).expect(200);
    let own = server.api_as(&manager.text, "POST", &format!("keys/{}/rotate", manager.id)).json(&json!({})).send();
    own.expect(200);
}

#[test]
fn a_key_that_is_revoked_finishes_nothing_that_it_has_begun() {
    let place = Place::new();
    let server = place.start();
    let manager = manager(&server);
    let made_by_it = || {
        let list = server.api("GET", "keys?limit=200").send().expect(200);
        let by = format!("key:{}", manager.id);
        list["items"].as_array().unwrap().iter().filter(|key| key["created_by"] == by.as_str()).count()
    };
    let (after, answers) = std::thread::scope(|scope| {
        // Each goes on until it is refused, so that some are under way at any moment.
        let create = || {
            loop {
                let status = server.api_as(&manager.text, "POST", "keys").json(&all_of_it()).send().status;
                if status != 201 {
                    return status;
                }
            }
        };
        let begun: Vec<_> = (0..16).map(|_| scope.spawn(create)).collect();
        eventually("the first of them", || (made_by_it() > 0).then_some(()));
        server.change("POST", &format!("{}/revoke", manager.id), &json!({}));
        let after = made_by_it();
        (after, begun.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>())
    });
    assert_eq!(made_by_it(), after, "no key is created after the revocation: {answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 401 | 409)), "{answers:?}");
}
