//! Nobody gets more rights by a profile or a network than they hold.

use std::thread;

use serde_json::{Value, json};

use super::{create, create_network, edit, introspect, key_with, name_of, new_network, new_profile, scope_of};
use crate::support::Answer;
use crate::support::check::problem;
use crate::support::server::{Key, Server, scope_list, unique};

fn profile(server: &Server, more: &Value) -> String {
    let mut body = json!({ "name": unique() });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    name_of(&create(server, &body).expect(201))
}

fn call(server: &Server, by: &Key, method: &str, path: &str, body: &Value) -> Answer {
    server.api_as(&by.text, method, path).json(body).send()
}

#[track_caller]
fn refused(answer: &Answer) {
    problem(answer, 403, "INSUFFICIENT_SCOPE");
}

#[test]
fn nobody_grants_more_than_they_hold_by_a_profile() {
    let server = Server::start();
    let strong = name_of(&create(&server, &json!({ "name": unique(), "scopes": ["read", "admin"] })).expect(201));
    let scopes = scope_list("read:* write:keyturn/keys admin:keyturn/profiles");
    let limited = server.make(&json!({ "scopes": scopes, "allowed_cidrs": ["127.0.0.0/8"] }));
    let call = |method: &str, path: &str, body: &Value| server.api_as(&limited.text, method, path).json(body).send();
    let within = json!({ "allowed_cidrs": ["127.0.0.1"] });
    let post = |path: &str, more: Value| {
        let mut body = within.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call("POST", path, &body)
    };
    for (path, more) in [
        ("keys", json!({ "profile": strong })),
        ("profiles", json!({ "name": unique(), "scopes": ["admin"] })),
        ("profiles", json!({ "name": unique(), "allowed_cidrs": [] })),
    ] {
        problem(&post(path, more), 403, "INSUFFICIENT_SCOPE");
    }
    let own = name_of(&post("profiles", json!({ "name": unique(), "scopes": ["read:a"] })).expect(201));
    post("keys", json!({ "profile": own })).expect(201);
    problem(&call("PATCH", &format!("profiles/{own}"), &json!({ "scopes": ["admin"] })), 403, "INSUFFICIENT_SCOPE");
    problem(&call("PATCH", &format!("profiles/{own}"), &json!({ "allowed_cidrs": [] })), 403, "INSUFFICIENT_SCOPE");
    let network = name_of(&create_network(&server, &json!({ "name": unique(), "cidrs": ["127.0.0.1"] })).expect(201));
    problem(&call("PATCH", &format!("networks/{network}"), &json!({ "cidrs": ["*"] })), 403, "INSUFFICIENT_SCOPE");
    call("PATCH", &format!("networks/{network}"), &json!({ "cidrs": ["127.0.0.2"] })).expect(200);

    // A key with a profile has no more rights than the profile, also as a caller.
    let manager =
        name_of(&create(&server, &json!({ "name": unique(), "scopes": ["read:a", "write:keyturn/keys"] })).expect(201));
    let caller =
        key_with(&server, &json!({ "name": "caller", "profile": manager, "scopes": ["*:*", "write:keyturn/keys"] }));
    let grant = |scope: &str| {
        server.api_as(&caller.text, "POST", "keys").json(&json!({ "name": "k", "scopes": [scope] })).send()
    };
    grant("read:a").expect(201);
    problem(&grant("read:b"), 403, "INSUFFICIENT_SCOPE");
    edit(&server, &format!("profiles/{manager}"), &json!({ "scopes": ["read:a"] }));
    problem(&grant("read:a"), 403, "INSUFFICIENT_SCOPE");
}

#[test]
fn a_profile_is_narrowed_only_by_a_caller_that_holds_it() {
    let server = Server::start();
    let root = profile(&server, &json!({ "scopes": ["*:*", "*:keyturn/*"] }));
    let weak = profile(&server, &json!({ "scopes": ["read:a/*"] }));
    let key = key_with(&server, &json!({ "name": "root", "profile": root }));
    let caller = server.make_with("admin:keyturn/profiles write:keyturn/keys read:a/*");
    let by_caller = |method: &str, path: &str, body: Value| call(&server, &caller, method, path, &body);
    let rotate = || by_caller("POST", &format!("keys/{}/rotate", key.id), json!({}));
    refused(&rotate());
    for body in [json!({ "scopes": ["read:a/*"] }), json!({ "description": "x" }), json!({})] {
        refused(&by_caller("PATCH", &format!("profiles/{root}"), body));
    }
    refused(&by_caller("DELETE", &format!("profiles/{root}?move_keys_to={weak}"), json!({})));
    refused(&rotate());
    assert_eq!(scope_of(&server.exchange(&key.text, &[])), "*:* *:keyturn/*", "nothing was changed");
    by_caller("PATCH", &format!("profiles/{weak}"), json!({ "scopes": ["read:a/b"] })).expect(200);

    // Revoking only takes access away.
    by_caller("DELETE", &format!("profiles/{root}?revoke_keys=true"), json!({})).expect(200);
    assert_eq!(server.exchange(&key.text, &[]).status, 401);
}

#[test]
fn a_network_is_narrowed_only_by_a_caller_that_is_allowed_everywhere_in_it() {
    let server = Server::start();
    let network = new_network(&server);
    let key = server.make(&json!({ "networks": [network] }));
    let caller = server.make(&json!({
        "scopes": ["admin:keyturn/profiles", "write:keyturn/keys", "read:*"], "allowed_cidrs": ["127.0.0.1"],
    }));
    let path = format!("networks/{network}");
    refused(&call(&server, &caller, "PATCH", &path, &json!({ "cidrs": ["127.0.0.1"] })));
    refused(&call(&server, &caller, "PATCH", &path, &json!({ "description": "x" })));
    refused(&call(&server, &caller, "POST", &format!("keys/{}/rotate", key.id), &json!({})));
    assert_eq!(server.api("GET", &path).send().expect(200)["version"], 1);
}

#[test]
fn a_key_that_no_address_may_use_is_inactive() {
    let server = Server::start();
    let of_profile = profile(&server, &json!({ "scopes": ["read"], "allowed_cidrs": ["127.0.0.0/8"] }));
    let fields = json!({ "name": "k", "profile": of_profile, "allowed_cidrs": ["127.0.0.1", "192.0.2.0/24"] });
    let key = key_with(&server, &fields);
    let token = server.token(&key, &[]);
    assert_eq!(introspect(&server, &token)["cidrs"], json!(["127.0.0.1/32"]));
    edit(&server, &format!("profiles/{of_profile}"), &json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
    for credential in [&token, &key.text] {
        assert_eq!(introspect(&server, credential), json!({ "active": false }));
        assert_eq!(server.get("/verify").bearer(credential).send().status, 403);
    }
    let ask = |what: &str| server.api("POST", &format!("keys/{}/{what}", key.id)).json(&json!({})).send().expect(200);
    let preview = ask("token-preview");
    assert_eq!(preview["refusal"]["code"], "API_KEY_IP_NOT_ALLOWED", "{preview}");
    let explained = ask("explain");
    let checks = explained["checks"].as_array().unwrap();
    let network = checks.iter().find(|check| check["check"] == "network").unwrap();
    assert_eq!(network["detail"], "the networks of the key and those of its profile have no address in common");
    let everything = [introspect(&server, &token), preview, explained].map(|shown| shown.to_string()).concat();
    assert!(!everything.contains("ffff"), "other software reads it as all of IPv4: {everything}");
    edit(&server, &format!("profiles/{of_profile}"), &json!({ "allowed_cidrs": [] }));
    assert_eq!(introspect(&server, &token)["cidrs"], json!(["127.0.0.1/32", "192.0.2.0/24"]));
}

#[test]
fn own_access_and_profile_are_each_within_the_rights_of_the_caller() {
    let server = Server::start();
    let root = profile(&server, &json!({ "scopes": ["*:*"] }));
    let narrow = profile(&server, &json!({ "scopes": ["read:a/*"], "allowed_cidrs": ["127.0.0.0/8"] }));
    let caller = server.make_with("read:* write:keyturn/keys");
    let local = server.make(&json!({ "scopes": ["read:*", "write:keyturn/keys"], "allowed_cidrs": ["127.0.0.0/8"] }));
    let make = |by: &Key, more: Value| {
        let mut body = json!({ "name": "k", "profile": narrow });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call(&server, by, "POST", "keys", &body)
    };
    // What the profile hides now would be the key's without it.
    refused(&make(&caller, json!({ "scopes": ["*:*"] })));
    refused(&make(&local, json!({ "allowed_cidrs": ["127.0.0.1", "192.0.2.0/24"] })));
    refused(&make(&local, json!({ "scopes": ["read:a/b"] })));
    // The converse: the key's own scopes hide what the profile grants.
    refused(&make(&caller, json!({ "profile": root, "scopes": ["read:a"] })));
    make(&local, json!({})).expect(201);
    make(&local, json!({ "scopes": ["read:a/b"], "allowed_cidrs": ["127.0.0.1"] })).expect(201);
    let id = make(&caller, json!({ "scopes": ["read:a/b", "read:c"] })).expect(201)["id"].as_str().unwrap().to_owned();
    let edit = |body: Value| call(&server, &caller, "PATCH", &format!("keys/{id}"), &body);
    refused(&edit(json!({ "scopes": ["read:a/b", "*:*"] })));
    refused(&edit(json!({ "profile": root })));
    edit(json!({ "scopes": ["read:a/b"] })).expect(200);
    edit(json!({ "profile": null })).expect(200);
}

#[test]
fn a_caller_with_an_expiry_does_not_widen_what_keys_share() {
    let server = Server::start();
    let network = new_network(&server);
    let shared = profile(&server, &json!({ "scopes": ["read:a/*"] }));
    let wider = profile(&server, &json!({ "scopes": ["read:*"] }));
    let narrower = profile(&server, &json!({ "scopes": ["read:a/b"] }));
    key_with(&server, &json!({ "name": "k", "profile": shared }));
    let caller = server.make(&json!({
        "scopes": ["admin:keyturn/profiles", "write:keyturn/keys", "read:*"], "expires_in_seconds": 3600,
    }));
    let by_caller = |method: &str, path: &str, body: Value| call(&server, &caller, method, path, &body);
    refused(&by_caller("PATCH", &format!("profiles/{shared}"), json!({ "scopes": ["read:*"] })));
    refused(&by_caller("PATCH", &format!("networks/{network}"), json!({ "cidrs": ["*"] })));
    refused(&by_caller("DELETE", &format!("profiles/{shared}?move_keys_to={wider}"), json!({})));
    by_caller("PATCH", &format!("profiles/{wider}"), json!({ "scopes": ["read:a/b"] })).expect(200);
    by_caller("PATCH", &format!("networks/{network}"), json!({ "cidrs": ["127.0.0.1"] })).expect(200);
    by_caller("DELETE", &format!("profiles/{shared}?move_keys_to={narrower}"), json!({})).expect(200);
}

#[test]
fn keys_with_a_profile_are_written_while_the_organization_changes() {
    let server = Server::start();
    let (of_keys, other) = (new_profile(&server), new_profile(&server));
    thread::scope(|scope| {
        let edits = scope.spawn(|| {
            for ttl in 60..80 {
                edit(&server, &format!("profiles/{other}"), &json!({ "token_ttl_seconds": ttl }));
            }
        });
        while !edits.is_finished() {
            let key = key_with(&server, &json!({ "name": "k", "profile": of_keys }));
            server.change("PATCH", &key.id, &json!({ "scopes": scope_list("read:a") }));
            server.change("POST", &format!("{}/rotate", key.id), &json!({}));
        }
        edits.join().unwrap();
    });
}
