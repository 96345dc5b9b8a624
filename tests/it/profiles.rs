//! Access profiles and named networks: access that is written once and applies to every key that refers to it.

mod rights;
mod rules;

use serde_json::{Value, json};

use crate::cli::{json_lines, json_object, run};
use crate::nodes::{Two, is_good};
use crate::support::check::{oauth_error, problem, wrong_field};
use crate::support::server::{Key, Server, scope_list, unique};
use crate::support::{Answer, eventually, field};

/// Creates a profile with a scope and returns its name.
pub fn new_profile(server: &Server) -> String {
    name_of(&create(server, &body()).expect(201))
}

/// Creates a profile that grants nothing and returns its name.
pub fn new_empty_profile(server: &Server) -> String {
    name_of(&create(server, &json!({ "name": unique() })).expect(201))
}

/// Creates a network and returns its name.
pub fn new_network(server: &Server) -> String {
    name_of(&create_network(server, &network_body()).expect(201))
}

/// A valid body for a new profile.
pub fn body() -> Value {
    json!({ "name": unique(), "scopes": scope_list("read:*") })
}

/// A valid body for a new network.
pub fn network_body() -> Value {
    json!({ "name": unique(), "cidrs": ["127.0.0.0/8", "192.0.2.0/24"] })
}

fn create(server: &Server, body: &Value) -> Answer {
    server.api("POST", "profiles").json(body).send()
}

fn create_network(server: &Server, body: &Value) -> Answer {
    server.api("POST", "networks").json(body).send()
}

fn name_of(object: &Value) -> String {
    object["name"].as_str().unwrap().to_owned()
}

fn edit(server: &Server, path: &str, body: &Value) -> Value {
    server.api("PATCH", path).json(body).send().expect(200)
}

/// Creates a key without scopes of its own.
fn key_with(server: &Server, more: &Value) -> Key {
    let made = server.api("POST", "keys").json(more).send().expect(201);
    Key { id: made["id"].as_str().unwrap().to_owned(), text: made["secret"].as_str().unwrap().to_owned() }
}

fn introspect(server: &Server, text: &str) -> Value {
    server.request("POST", "/oauth/introspect").bearer(&server.key.text).form(&[("token", text)]).send().expect(200)
}

fn scope_of(answer: &Answer) -> String {
    answer.expect(200)["scope"].as_str().unwrap().to_owned()
}

#[test]
fn profile_is_created_listed_edited_and_deleted() {
    let server = Server::start();
    let network = new_network(&server);
    let fields = json!({
        "name": "readers", "description": "Reports", "scopes": ["read:invoices/*"], "allowed_cidrs": ["10.0.0.0/8"],
        "networks": [network], "token_ttl_seconds": 120,
    });
    let made = create(&server, &fields);
    let body = made.expect(201);
    assert!(made.header("location").unwrap().ends_with("/organizations/default/profiles/readers"));
    assert_eq!(
        (&body["networks"], &body["token_ttl_seconds"], &body["keys"]),
        (&json!([network]), &json!(120), &json!(0))
    );
    let shown = server.api("GET", "profiles/readers").send();
    assert_eq!((shown.expect(200), shown.header("etag")), (body, Some("\"1\"")));
    wrong_field(&create(&server, &json!({ "name": "readers" })), "name");
    create(&server, &json!({ "name": "auditors" })).expect(201);
    let listed = server.api("GET", "profiles").send().expect(200);
    assert_eq!(field(&listed["items"], "name"), ["auditors", "readers"]);

    let patch =
        |tag: &str, body: &Value| server.api("PATCH", "profiles/readers").header("If-Match", tag).json(body).send();
    let edited =
        patch("\"1\"", &json!({ "apis": [{ "api": "default", "scopes": ["write:a"] }], "token_ttl_seconds": null }));
    let edited = edited.expect(200);
    assert_eq!((&edited["token_ttl_seconds"], &edited["version"]), (&Value::Null, &json!(2)));
    assert_eq!(edited["apis"], json!([{ "api": "default", "scopes": ["write:a"] }]));
    problem(&patch("\"1\"", &json!({ "description": "x" })), 412, "PRECONDITION_FAILED");

    let delete = || server.api("DELETE", "profiles/readers").send();
    assert_eq!(delete().expect(200), json!({ "changed_keys": 0 }));
    problem(&delete(), 404, "NOT_FOUND");
    problem(&server.api("GET", "profiles/readers").send(), 404, "NOT_FOUND");
    let log = server.api("GET", "audit?subject=readers").send().expect(200);
    assert_eq!(field(&log["items"], "action"), ["profile.delete", "profile.edit", "profile.create"]);
}

#[test]
fn network_is_created_listed_edited_and_deleted() {
    let server = Server::start();
    let fields = json!({ "name": "office", "cidrs": ["192.0.2.0/24"], "excluded_cidrs": ["192.0.2.7"] });
    let made = create_network(&server, &fields);
    let body = made.expect(201);
    assert!(made.header("location").unwrap().ends_with("/organizations/default/networks/office"));
    assert_eq!(body["excluded_cidrs"], json!(["192.0.2.7/32"]));
    assert_eq!(server.api("GET", "networks/office").send().expect(200), body);
    wrong_field(&create_network(&server, &fields), "name");
    let edited = edit(&server, "networks/office", &json!({ "cidrs": ["*"], "excluded_cidrs": [] }));
    assert_eq!((&edited["cidrs"], &edited["excluded_cidrs"]), (&json!(["0.0.0.0/0", "::/0"]), &json!([])));
    create(&server, &json!({ "name": "p", "networks": ["office"] })).expect(201);
    assert_eq!(server.api("GET", "networks").send().expect(200)["items"][0]["profiles"], json!(["p"]));
    let delete = || server.api("DELETE", "networks/office").send();
    problem(&delete(), 409, "CONFLICT");
    edit(&server, "profiles/p", &json!({ "networks": [] }));
    let key = key_with(&server, &json!({ "name": "k", "networks": ["office"] }));
    problem(&delete(), 409, "CONFLICT");
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    assert_eq!(delete().status, 204);
    problem(&delete(), 404, "NOT_FOUND");
    let log = server.api("GET", "audit?subject=office").send().expect(200);
    assert_eq!(field(&log["items"], "action"), ["network.delete", "network.edit", "network.create"]);
}

#[test]
fn invalid_fields_are_named() {
    let server = Server::start();
    for (more, wrong) in [
        (json!({ "name": "No" }), "name"),
        (json!({ "scopes": ["read:a b"] }), "scopes[0]"),
        (json!({ "scopes": ["fly:a"] }), "scopes[0].action"),
        (json!({ "apis": [{ "api": "nothing", "scopes": [] }] }), "apis[0].api"),
        (json!({ "allowed_cidrs": ["10.0.0.1/8"] }), "allowed_cidrs[0]"),
        (json!({ "networks": ["nowhere"] }), "networks[0]"),
        (json!({ "token_ttl_seconds": 59 }), "token_ttl_seconds"),
        (json!({ "description": "x".repeat(501) }), "description"),
    ] {
        let mut body = json!({ "name": unique() });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        wrong_field(&create(&server, &body), wrong);
    }
    for (more, wrong) in [
        (json!({ "cidrs": [] }), "cidrs"),
        (json!({ "cidrs": ["10.0.0.1/8"] }), "cidrs[0]"),
        (json!({ "excluded_cidrs": ["127.0.0.1/8"] }), "excluded_cidrs[0]"),
        (json!({ "excluded_cidrs": ["*"] }), "excluded_cidrs"),
        (
            json!({ "cidrs": ["::/0"], "excluded_cidrs": ["2001:db8::1", "2001:db9::1", "2001:dba::1"] }),
            "excluded_cidrs",
        ),
    ] {
        let mut body = network_body();
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        wrong_field(&create_network(&server, &body), wrong);
    }
    for (body, wrong) in [(json!({ "profile": "none" }), "profile"), (json!({ "networks": ["none"] }), "networks[0]")] {
        wrong_field(&server.api("POST", "keys").json(&body).send(), wrong);
        let key = server.make(&json!({}));
        wrong_field(&server.api("PATCH", &format!("keys/{}", key.id)).json(&body).send(), wrong);
    }
}

#[test]
fn change_of_a_profile_applies_to_keys_and_tokens_at_once() {
    let server = Server::start();
    let profile =
        name_of(&create(&server, &json!({ "name": unique(), "scopes": ["read:a/*", "write:a/*"] })).expect(201));
    let path = format!("profiles/{profile}");
    let whole = key_with(&server, &json!({ "name": "whole", "profile": profile }));
    let narrow = key_with(&server, &json!({ "name": "narrow", "profile": profile, "scopes": ["read:a/b", "read:c"] }));
    let unrelated = server.make(&json!({ "scopes": scope_list("read:a/*") }));
    assert_eq!(scope_of(&server.exchange(&whole.text, &[])), "read:a/* write:a/*");
    assert_eq!(scope_of(&server.exchange(&narrow.text, &[])), "read:a/b", "what both grant");
    oauth_error(&server.exchange(&narrow.text, &[("scope", "read:c")]), 400, "invalid_scope", "INSUFFICIENT_SCOPE");
    let (wide, read) = (server.token(&whole, &[]), server.token(&whole, &[("scope", "read:a/b")]));
    let (of_narrow, other) = (server.token(&narrow, &[]), server.token(&unrelated, &[]));

    edit(&server, &path, &json!({ "scopes": ["read:a/*"] }));
    assert_eq!(introspect(&server, &wide), json!({ "active": false }), "it carries a scope that the profile has lost");
    assert_eq!(server.get("/verify").bearer(&wide).send().status, 401);
    for token in [&read, &of_narrow, &other] {
        assert_eq!(introspect(&server, token)["active"], true);
    }
    assert_eq!(scope_of(&server.exchange(&whole.text, &[])), "read:a/*");
    edit(&server, &path, &json!({ "scopes": ["read:a/*", "read:c"] }));
    assert_eq!(scope_of(&server.exchange(&narrow.text, &[])), "read:c read:a/b", "widened as well");
    let verify = |key: &Key, scope: &str| {
        server.get(&format!("/verify?keyturn_require={scope}")).bearer(&key.text).send().status
    };
    assert_eq!((verify(&whole, "read:c"), verify(&whole, "write:a")), (200, 403));

    // Networks.
    let token = server.token(&whole, &[]);
    edit(&server, &path, &json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
    oauth_error(&server.exchange(&whole.text, &[]), 403, "unauthorized_client", "API_KEY_IP_NOT_ALLOWED");
    assert_eq!(server.get("/verify").bearer(&token).send().status, 403);
    assert_eq!(introspect(&server, &token)["cidrs"], json!(["192.0.2.0/24"]));
    edit(&server, &path, &json!({ "allowed_cidrs": ["127.0.0.0/8", "192.0.2.0/24"] }));
    assert_eq!(server.claims(&server.token(&whole, &[]))["cidrs"], json!(["127.0.0.0/8", "192.0.2.0/24"]));

    // Lifetime.
    let token = server.token(&whole, &[]);
    assert_eq!(introspect(&server, &token)["active"], true);
    edit(&server, &path, &json!({ "token_ttl_seconds": 60 }));
    assert_eq!(server.exchange(&whole.text, &[]).expect(200)["expires_in"], 60);
    let issued = server.claims(&token)["iat"].as_i64().unwrap();
    assert_eq!(introspect(&server, &token)["exp"], issued + 60, "a token from before ends earlier too");
    assert_eq!(server.exchange(&unrelated.text, &[]).expect(200)["expires_in"], 600);
}

#[test]
fn change_of_a_network_applies_to_keys_profiles_and_tokens_at_once() {
    let server = Server::start();
    let network = new_network(&server);
    let path = format!("networks/{network}");
    let profile =
        name_of(&create(&server, &json!({ "name": unique(), "scopes": ["read"], "networks": [network] })).expect(201));
    let direct = server.make(&json!({ "networks": [network] }));
    let by_profile = key_with(&server, &json!({ "name": "k", "profile": profile }));
    let tokens = [server.token(&direct, &[]), server.token(&by_profile, &[])];
    let statuses = || tokens.iter().map(|token| server.get("/verify").bearer(token).send().status).collect::<Vec<_>>();
    assert_eq!(statuses(), [200, 200]);
    assert_eq!(introspect(&server, &tokens[0])["cidrs"], json!(["127.0.0.0/8", "192.0.2.0/24"]));
    edit(&server, &path, &json!({ "excluded_cidrs": ["127.0.0.1"] }));
    assert_eq!(statuses(), [403, 403]);
    oauth_error(&server.exchange(&direct.text, &[]), 403, "unauthorized_client", "API_KEY_IP_NOT_ALLOWED");
    // Another entry of the key allows the address; the profile has none. A change of the key's own networks ends its tokens.
    edit(&server, &format!("keys/{}", direct.id), &json!({ "allowed_cidrs": ["127.0.0.1"] }));
    assert_eq!(statuses(), [401, 403]);
    assert_eq!(server.exchange(&direct.text, &[]).status, 200);
    edit(&server, &path, &json!({ "excluded_cidrs": [] }));
    assert_eq!(statuses(), [401, 200]);
}

#[test]
fn changes_are_effective_on_the_other_node() {
    let two = Two::embedded();
    for n in 0..6 {
        let (one, other) = two.turn(n);
        let (profile, network) = (new_profile(one), new_network(one));
        edit(one, &format!("profiles/{profile}"), &json!({ "networks": [network] }));
        let key = key_with(one, &json!({ "name": "k", "profile": profile }));
        let token = other.token(&key, &[]);
        assert!(is_good(one, &token) && is_good(other, &token));
        match n % 3 {
            0 => edit(one, &format!("profiles/{profile}"), &json!({ "scopes": ["write"] })),
            1 => edit(one, &format!("networks/{network}"), &json!({ "cidrs": ["192.0.2.0/24"] })),
            _ => one.api("DELETE", &format!("profiles/{profile}?revoke_keys=true")).send().expect(200),
        };
        let is_verified = |server: &Server| server.get("/verify").bearer(&token).send().status == 200;
        assert!(!is_verified(other) && !is_verified(one), "change {n}");
    }
}

#[test]
fn key_gets_and_loses_a_profile() {
    let server = Server::start();
    let (profile, other) = (new_profile(&server), new_profile(&server));
    let key = server.make(&json!({ "scopes": scope_list("read:a write:b") }));
    let path = format!("keys/{}", key.id);
    let token = server.token(&key, &[]);
    let edited = edit(&server, &path, &json!({ "profile": profile }));
    assert_eq!(edited["profile"], profile.as_str());
    assert_eq!(introspect(&server, &token), json!({ "active": false }));
    assert_eq!(scope_of(&server.exchange(&key.text, &[])), "read:a");
    assert_eq!(server.api("GET", &format!("profiles/{profile}")).send().expect(200)["keys"], 1);
    let listed = server.api("GET", &format!("keys?profile={profile}")).send().expect(200);
    assert_eq!(field(&listed["items"], "id"), [&key.id]);
    edit(&server, &path, &json!({ "apis": [] }));
    assert_eq!(scope_of(&server.exchange(&key.text, &[])), "read:*", "all that the profile grants");
    edit(&server, &path, &json!({ "profile": other }));
    edit(&server, &path, &json!({ "profile": null, "scopes": ["write:b"] }));
    assert_eq!(scope_of(&server.exchange(&key.text, &[])), "write:b");
    let listed = server.api("GET", &format!("keys?profile={profile}")).send().expect(200);
    assert_eq!(listed["items"], json!([]));
}

#[test]
fn deletion_requires_moves_or_revokes_keys() {
    let server = Server::start();
    let (profile, other) = (new_profile(&server), new_profile(&server));
    let keys = [0, 1].map(|n| key_with(&server, &json!({ "name": format!("k{n}"), "profile": profile })));
    let token = server.token(&keys[0], &[]);
    let delete = |name: &str, query: &str| server.api("DELETE", &format!("profiles/{name}{query}")).send();
    problem(&delete(&profile, ""), 409, "CONFLICT");
    assert_eq!(introspect(&server, &token)["active"], true, "nothing was changed");
    for query in
        ["?move_keys_to=none", &format!("?move_keys_to={profile}"), &format!("?move_keys_to={other}&revoke_keys=true")]
    {
        wrong_field(&delete(&profile, query), "move_keys_to");
    }
    let limited = server.make(&json!({ "scopes": scope_list("read:* admin:keyturn/profiles") }));
    let denied = server.api_as(&limited.text, "DELETE", &format!("profiles/{profile}?revoke_keys=true")).send();
    problem(&denied, 403, "INSUFFICIENT_SCOPE");
    assert_eq!(delete(&profile, &format!("?move_keys_to={other}")).expect(200), json!({ "changed_keys": 2 }));
    assert_eq!(introspect(&server, &token), json!({ "active": false }), "it was issued under another profile");
    assert_eq!(scope_of(&server.exchange(&keys[0].text, &[])), "read:*");
    assert_eq!(server.api("GET", &format!("profiles/{other}")).send().expect(200)["keys"], 2);
    assert_eq!(delete(&other, "?revoke_keys=true").expect(200), json!({ "changed_keys": 2 }));
    oauth_error(&server.exchange(&keys[1].text, &[]), 401, "invalid_client", "API_KEY_INVALID");
    let shown = server.api("GET", &format!("keys/{}", keys[1].id)).send().expect(200);
    assert_eq!((&shown["status"], &shown["revoked_reason"]), (&json!("revoked"), &json!("its profile was deleted")));
    create(&server, &json!({ "name": other })).expect(201);
}

#[test]
fn impact_is_known_before_a_change() {
    let server = Server::start();
    let network = new_network(&server);
    let profile = name_of(
        &create(&server, &json!({ "name": unique(), "scopes": ["read", "write"], "networks": [network] })).expect(201),
    );
    let key = key_with(&server, &json!({ "name": "k", "profile": profile }));
    server.token(&key, &[("scope", "write:a")]);
    server.token(&key, &[("scope", "read:a")]);
    let impact = |path: &str, body: Value| server.api("POST", &format!("{path}/impact")).json(&body).send().expect(200);
    let of_profile = format!("profiles/{profile}");
    let change =
        json!({ "scopes": ["read"], "allowed_cidrs": ["10.0.0.0/8"], "networks": [], "token_ttl_seconds": 60 });
    let found = eventually("the counts", || {
        let found = impact(&of_profile, change.clone());
        (found["denied"]["total"]["exchanges"] == 2).then_some(found)
    });
    assert_eq!((&found["keys"], &found["shorter_token_ttl_seconds"]), (&json!(1), &json!(60)));
    assert_eq!(found["lost_scopes"], json!([{ "api": "default", "scope": "write" }]));
    assert_eq!((&found["gained_scopes"], &found["gained_cidrs"]), (&json!([]), &json!(["10.0.0.0/8"])));
    assert_eq!(found["lost_cidrs"], json!(["127.0.0.0/8", "192.0.2.0/24"]));
    assert_eq!(field(&found["denied"]["by_scope"], "scope"), ["write:a"]);
    assert_eq!(field(&found["denied"]["by_address"], "address"), ["127.0.0.1"]);
    let found = impact(&format!("networks/{network}"), json!({ "excluded_cidrs": ["127.0.0.1"] }));
    assert_eq!((&found["keys"], &found["lost_cidrs"]), (&json!(1), &json!(["127.0.0.1/32"])));
    assert_eq!(found["denied"]["total"]["exchanges"], 2);
    let found = impact(&format!("networks/{network}"), json!({ "excluded_cidrs": ["192.0.2.7"] }));
    assert_eq!(found["denied"]["total"]["exchanges"], 0);
    let found = impact(&of_profile, json!({ "token_ttl_seconds": 3600 }));
    assert_eq!(found["shorter_token_ttl_seconds"], Value::Null, "the API allows 600 seconds only");
    assert_eq!(server.api("GET", &of_profile).send().expect(200)["version"], 1, "nothing was changed");
}

#[test]
fn explanation_names_the_profile_or_network_that_denies() {
    let server = Server::start();
    let fields = json!({ "name": "office", "cidrs": ["192.0.2.0/24"], "excluded_cidrs": ["192.0.2.7"] });
    create_network(&server, &fields).expect(201);
    create(&server, &json!({ "name": "readers", "scopes": ["read"], "networks": ["office"] })).expect(201);
    let key = key_with(&server, &json!({ "name": "k", "profile": "readers", "scopes": ["read", "write"] }));
    let details = |address: &str, action: &str| {
        let question = json!({ "address": address, "action": action, "resource": "a" });
        let explained = server.api("POST", &format!("keys/{}/explain", key.id)).json(&question).send().expect(200);
        let of = |name: &str| {
            let check =
                explained["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap().clone();
            check["detail"].as_str().unwrap().to_owned()
        };
        [of("network"), of("scope")]
    };
    assert_eq!(
        details("192.0.2.7", "write"),
        [
            "for the profile readers, 192.0.2.7 is not in the allowed networks: office; the network office excludes it",
            "write:a is not covered by the key's scopes: read; the key has it, but the profile readers does not"
        ]
    );
    assert_eq!(
        details("192.0.2.8", "read")[0],
        "any address is allowed; for the profile readers, 192.0.2.8 is in the network office"
    );
}

#[test]
fn cli_manages_profiles_and_networks() {
    let server = Server::start();
    let made =
        json_object(&server, &["networks", "create", "office", "--cidr", "192.0.2.0/24", "--exclude", "192.0.2.7"]);
    assert_eq!(made["excluded_cidrs"], json!(["192.0.2.7/32"]));
    let made = json_object(
        &server,
        &["profiles", "create", "readers", "--scope", "read:a", "--network", "office", "--token-ttl", "60"],
    );
    assert_eq!((&made["networks"], &made["token_ttl_seconds"]), (&json!(["office"]), &json!(60)));
    let key = json_object(&server, &["keys", "create", "--name", "k", "--profile", "readers", "--network", "office"]);
    assert_eq!((&key["profile"], &key["apis"], &key["networks"]), (&json!("readers"), &json!([]), &json!(["office"])));
    for filter in [["--profile", "readers"], ["--network", "office"]] {
        assert_eq!(json_lines(&server, &["keys", "list", filter[0], filter[1]]).len(), 1);
    }
    let impact = run(&server, &["profiles", "impact", "readers", "--scope", "read:b"]).stdout;
    assert!(impact.contains("default: read:a") && impact.contains("Affects 1 key."), "{impact}");
    let impact = run(&server, &["networks", "impact", "office", "--no-excluded"]).stdout;
    assert!(impact.contains("192.0.2.7/32"), "{impact}");
    let edited = json_object(&server, &["profiles", "edit", "readers", "--no-networks", "--no-token-ttl"]);
    assert_eq!((&edited["networks"], &edited["token_ttl_seconds"]), (&json!([]), &Value::Null));
    assert_eq!(json_object(&server, &["networks", "update", "office", "--no-excluded"])["excluded_cidrs"], json!([]));
    assert!(run(&server, &["networks", "delete", "office"]).refused(1).contains("409 CONFLICT"));
    let id = key["id"].as_str().unwrap();
    let edited = json_object(&server, &["keys", "update", id, "--no-profile", "--no-networks"]);
    assert_eq!((&edited["profile"], &edited["networks"]), (&Value::Null, &json!([])));
    assert_eq!(run(&server, &["networks", "delete", "office"]).stdout, "Deleted network office.\n");
    assert_eq!(
        run(&server, &["profiles", "delete", "readers"]).stdout,
        "Deleted profile readers. Keys moved or revoked: 0\n"
    );
    assert_eq!(run(&server, &["profiles", "update", "readers"]).code, 2, "nothing to change");
    assert_eq!(json_lines(&server, &["profiles", "list"]).len() + json_lines(&server, &["networks", "list"]).len(), 0);
}
