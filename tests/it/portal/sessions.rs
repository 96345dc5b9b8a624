//! Creating, listing and ending sessions through the API.

use serde_json::{Value, json};

use super::{body, create, create_key, full, new_session, open, path_of, try_create};
use crate::customers::new_customer;
use crate::support::check::{problem, wrong_field};
use crate::support::console::Visitor;
use crate::support::{Person, Server, eventually, field};
use crate::webhooks;

#[test]
fn session_is_created_listed_opened_and_ended() {
    let server = Server::start();
    let customer = new_customer(&server);
    let list = || server.api("GET", &format!("customers/{customer}/portal-sessions")).send().expect(200);
    let made = create(&server, &customer, &json!({ "scopes": ["read:orders/*"], "user": "ada@customer.example" }));
    let id = made["id"].as_str().unwrap();
    assert!(made["url"].as_str().unwrap().starts_with(&format!("{}/portal/default/open/", server.public_url)));
    assert_eq!(made["capabilities"], json!(["read", "create", "rotate", "revoke"]));
    assert_eq!(made["apis"], json!([{ "api": "default", "scopes": ["read:orders/*"] }]));
    assert_eq!((&made["user"], &made["opened_at"]), (&json!("ada@customer.example"), &Value::Null));
    assert_eq!(made["created_by"], format!("key:{}", server.key.id));
    let listed = &list()["items"][0];
    assert_eq!((&listed["id"], &listed["url"]), (&made["id"], &Value::Null), "the URL is shown once");

    let browser = open(&server, &made);
    let listed = &list()["items"][0];
    assert_eq!((listed["opened_at"].is_string(), &listed["opened_from"]), (true, &json!("127.0.0.1")));
    assert_eq!(browser.get("/keys").status, 200);

    let end = format!("customers/{customer}/portal-sessions/{id}");
    assert_eq!(server.api("DELETE", &end).send().status, 204);
    assert_eq!(browser.get("/keys").status, 401);
    problem(&server.api("DELETE", &end).send(), 404, "NOT_FOUND");
    assert_eq!(list()["items"], json!([]));
    let log = server.api("GET", &format!("audit?customer={customer}")).send().expect(200);
    let actions = ["portal-session.end", "portal-session.redeem", "portal-session.create", "customer.create"];
    assert_eq!(field(&log["items"], "action"), actions);
    assert_eq!(log["items"][1]["actor"], format!("portal:{id}"));
    assert_eq!(log["items"][2]["new"]["user"], "ada@customer.example");
    let code = path_of(&made).replace("/open/", "");
    assert!(!log.to_string().contains(&code) && !server.stderr().contains(&code), "the code is a secret");
}

#[test]
fn invalid_fields_are_named() {
    let server = Server::start();
    let customer = new_customer(&server);
    for (body, wrong) in [
        (json!({ "capabilities": ["read", "sudo"] }), "capabilities[1]"),
        (json!({ "capabilities": ["read"], "scopes": ["read:a"] }), "capabilities"),
        (json!({ "scopes": ["read:keyturn/keys"] }), "scopes"),
        (json!({ "scopes": ["deploy:a"] }), "scopes[0].action"),
        (json!({ "apis": [{ "api": "nothing", "scopes": [] }] }), "apis[0].api"),
        (json!({ "capabilities": ["read"], "user": "x".repeat(256) }), "user"),
        (json!({ "capabilities": ["read"], "user": "a\u{202e}" }), "user"),
        (json!({ "capabilities": ["read"], "return_url": "javascript:alert(1)" }), "return_url"),
        (json!({ "capabilities": ["read"], "return_url": "https://app.example" }), "return_url"),
        (json!({ "capability": ["read"] }), "capability"),
        (json!({}), "scopes"),
    ] {
        wrong_field(&try_create(&server, &customer, &body), wrong);
    }
    problem(&try_create(&server, "0000000000000000", &body()), 404, "NOT_FOUND");
}

#[test]
fn scopes_of_the_policy_are_the_default() {
    let server = Server::start();
    let customer = new_customer(&server);
    let policy = json!({ "grantable_scopes": ["read:orders/*", "write:keyturn/keys"] });
    server.api("PUT", "policy").json(&policy).send().expect(200);
    let made = create(&server, &customer, &json!({}));
    assert_eq!(made["apis"], json!([{ "api": "default", "scopes": ["read:orders/*"] }]), "never those of management");
    wrong_field(&try_create(&server, &customer, &json!({ "scopes": ["write:orders/1"] })), "scopes[0]");
}

#[test]
fn session_grants_no_more_than_its_creator_has() {
    let server = Server::start();
    let customer = new_customer(&server);
    let as_key = |scopes: &str, body: &Value| {
        let key = server.make_with(scopes);
        let path = format!("customers/{customer}/portal-sessions");
        server.api_as(&key.text, "POST", &path).json(body).send()
    };
    let customers = "write:keyturn/customers";
    problem(&as_key(customers, &body()), 403, "INSUFFICIENT_SCOPE");
    as_key(&format!("{customers} read:keyturn/keys"), &body()).expect(201);
    problem(&as_key(&format!("{customers} read:keyturn/keys read:*"), &full()), 403, "INSUFFICIENT_SCOPE");
    problem(&as_key(&format!("{customers} write:keyturn/keys read:a/*"), &full()), 403, "INSUFFICIENT_SCOPE");
    problem(&as_key("write:keyturn/keys read:*", &full()), 403, "INSUFFICIENT_SCOPE");
    as_key(&format!("{customers} write:keyturn/keys read:*"), &full()).expect(201);
}

#[test]
fn networks_and_expiry_of_the_creator_bound_new_keys() {
    let server = Server::start();
    let customer = new_customer(&server);
    let creator = server.make(&json!({
        "scopes": ["write:keyturn/customers", "write:keyturn/keys", "read:*"],
        "allowed_cidrs": ["127.0.0.0/8"],
        "expires_in_seconds": 40 * 86_400,
    }));
    let path = format!("customers/{customer}/portal-sessions");
    let browser = open(&server, &server.api_as(&creator.text, "POST", &path).json(&full()).send().expect(201));
    let submit = |fields: &[(&str, &str)]| browser.submit("/keys/new", "/keys/new", fields);
    assert_eq!(submit(&[("expiry", "30"), ("allowed_cidrs", "")]).status, 422);
    assert_eq!(submit(&[("expiry", "30"), ("allowed_cidrs", "10.0.0.0/8")]).status, 422);
    assert_eq!(submit(&[("expiry", "60")]).status, 422);
    assert_eq!(submit(&[("expiry", "30")]).status, 200, "the form has the creator's networks");
}

#[test]
fn events_tell_of_sessions() {
    let receiver = webhooks::receiver::Receiver::start();
    let server = webhooks::place().start();
    webhooks::hook(&server, &receiver.url(), &["portal_session.*", "portal.changed", "key.created"]);
    let customer = new_customer(&server);
    let made = create(&server, &customer, &full());
    let browser = open(&server, &made);
    create_key(&browser, "mine");
    new_session(&server, &customer);
    let id = made["id"].as_str().unwrap();
    server.api("DELETE", &format!("customers/{customer}/portal-sessions/{id}")).send();
    server.api("PUT", "portal").json(&json!({ "name": "Acme" })).send().expect(200);
    let bodies: Vec<Value> = eventually("the events", || {
        let all = receiver.received();
        (all.len() == 6).then(|| all.iter().map(|one| serde_json::from_slice(&one.body).unwrap()).collect())
    });
    let mut events: Vec<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    events.sort_unstable();
    let created = "portal_session.created";
    let expected =
        ["key.created", "portal.changed", created, created, "portal_session.ended", "portal_session.redeemed"];
    assert_eq!(events, expected);
}

#[test]
fn member_of_a_lower_role_creates_no_session() {
    let (server, owner) = crate::support::person::start();
    let customer = new_customer(&server);
    let path = format!("customers/{customer}/portal-sessions");
    let ask = |person: &Person| person.api("POST", &path).json(&full()).send();
    problem(&ask(&owner.add(&server, "developer")), 403, "ROLE_REQUIRED");
    let admin = owner.add(&server, "admin");
    let browser: Visitor = open(&server, &ask(&admin).expect(201));
    assert_eq!(browser.get("/keys").status, 200);
    server.api("PATCH", &format!("members/{}", admin.id)).json(&json!({ "role": "viewer" })).send().expect(200);
    assert_eq!(browser.get("/keys").status, 401, "a session ends with the rights of its creator");
}
