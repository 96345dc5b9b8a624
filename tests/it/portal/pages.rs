//! The pages, without JavaScript.

use serde_json::json;

use super::{create, create_key, customer_in_portal, full, open, shown_secret};
use crate::customers::new_customer;
use crate::support::console::text;
use crate::support::{Server, field};

#[test]
fn customer_creates_rotates_and_revokes_a_key() {
    let server = Server::start();
    let (customer, browser) = customer_in_portal(&server);
    assert!(browser.read("/keys").contains("No API keys yet."));
    let (id, secret) = create_key(&browser, "orders-worker");
    let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!((&shown["customer"], &shown["owner"]), (&json!(customer), &json!(null)));
    assert_eq!(shown["scopes"], json!([{ "action": "read", "resource": "*" }]));
    assert!(shown["created_by"].as_str().unwrap().starts_with("portal:"));
    server.exchange(&secret, &[]).expect(200);
    let listed = browser.read("/keys");
    assert!(listed.contains("orders-worker") && listed.contains(&secret[secret.len() - 4..]), "{listed}");
    assert!(!listed.contains(&secret));

    let rotate = format!("/keys/{id}/rotate");
    let (_, second) = shown_secret(&browser.submit(&rotate, &rotate, &[]).text());
    for text in [&secret, &second] {
        server.exchange(text, &[]).expect(200);
    }
    assert!(browser.read(&format!("/keys/{id}")).contains("The previous secret works until"));
    let asked = browser.submit(&rotate, &rotate, &[]);
    assert!(text(&asked.text()).contains("immediately?"), "{}", text(&asked.text()));
    let form = crate::support::console::filled(&asked.text(), &browser.link(&rotate), &[]);
    let (_, third) = shown_secret(&browser.post(&rotate).form_text(form).send().text());
    assert_eq!((server.exchange(&second, &[]).status, server.exchange(&third, &[]).status), (401, 200));

    let revoke = format!("/keys/{id}/revoke");
    assert!(browser.done(&revoke, &revoke, &[]).contains("Revoked"));
    assert_eq!(server.exchange(&third, &[]).status, 401);
    let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!(shown["revoked_reason"], "revoked by the customer");
    let log = server.api("GET", &format!("audit?subject={id}")).send().expect(200);
    assert_eq!(field(&log["items"], "action"), ["key.revoke", "key.rotate", "key.rotate", "key.create"]);
    assert!(field(&log["items"], "actor").iter().all(|actor| actor.starts_with("portal:")));
    assert!(!log.to_string().contains(&third) && !server.stderr().contains(&third));
}

#[test]
fn key_page_shows_the_access_in_effect() {
    let server = Server::start();
    let (customer, browser) = customer_in_portal(&server);
    let profile = json!({ "name": "readers", "scopes": ["read:orders/*"], "allowed_cidrs": ["192.0.2.0/24"] });
    server.api("POST", "profiles").json(&profile).send().expect(201);
    let body = json!({ "name": "k", "customer": customer, "profile": "readers" });
    let made = server.api("POST", "keys").json(&body).send().expect(201);
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    let shown = browser.read(&path);
    assert!(shown.contains("read:orders/*") && shown.contains("192.0.2.0/24"), "{shown}");
    server.change("PATCH", made["id"].as_str().unwrap(), &json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
    let shown = browser.read(&path);
    assert!(shown.contains("Allowed networks None"), "{shown}");
}

#[test]
fn repeated_form_creates_no_second_key_and_shows_no_secret() {
    let server = Server::start();
    let (_, browser) = customer_in_portal(&server);
    let form = crate::support::console::filled(
        &browser.page("/keys/new"),
        &browser.link("/keys/new"),
        &[("name", "only-once")],
    );
    let send = || browser.post("/keys/new").form_text(&form).send().text();
    let (_, secret) = shown_secret(&send());
    let again = send();
    assert!(text(&again).contains("Already submitted") && !again.contains(&secret));
    assert_eq!(server.api("GET", "keys?search=only-once").send().expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn policy_and_limits_apply() {
    let server = Server::start();
    let policy = json!({
        "name_required": true,
        "expiration_choices": { "days": [30], "none": false },
        "max_grace_seconds": 3600,
        "max_keys_per_user": 1,
    });
    server.api("PUT", "policy").json(&policy).send().expect(200);
    let customer = new_customer(&server);
    let browser = open(&server, &create(&server, &customer, &json!({ "scopes": ["read:a", "write:a"] })));
    let submit = |fields: &[(&str, &str)]| browser.submit("/keys/new", "/keys/new", fields);
    let refused = |fields: &[(&str, &str)], said: &str| {
        let answer = submit(fields);
        assert_eq!(answer.status, 422, "{}", text(&answer.text()));
        assert!(text(&answer.text()).contains(said), "{}", text(&answer.text()));
    };
    refused(&[("name", ""), ("grant", "0")], "Name");
    refused(&[("name", "k")], "Choose what the key can do");
    refused(&[("name", "k"), ("grant", "7")], "Choose again what the key can do");
    refused(&[("name", "k"), ("grant", "0"), ("expiry", "none")], "Expiry");
    refused(&[("name", "k"), ("grant", "0"), ("allowed_cidrs", "10.0.0.1/8")], "10.0.0.0/8");
    let (id, _) = shown_secret(&submit(&[("name", "k"), ("grant", "1"), ("allowed_cidrs", "10.0.0.0/8")]).text());
    let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!(shown["scopes"], json!([{ "action": "write", "resource": "a" }]));
    assert_eq!(shown["allowed_cidrs"], json!(["10.0.0.0/8"]));
    refused(&[("name", "k"), ("grant", "0")], "as many keys as you can have");
    let rotate = format!("/keys/{id}/rotate");
    let answer = browser.submit(&rotate, &rotate, &[("grace_seconds", "7200")]);
    assert_eq!(answer.status, 422);
}

#[test]
fn changes_are_limited_for_the_session_and_for_the_customer() {
    let place = crate::support::Place::new().set("KEYTURN_LIMITS__CHANGES_PER_MINUTE", "4");
    let server = place.start();
    let customer = new_customer(&server);
    let first = open(&server, &create(&server, &customer, &full()));
    let second = open(&server, &create(&server, &customer, &full()));
    for browser in [&first, &first, &second, &second] {
        create_key(browser, "k");
    }
    for browser in [&first, &second] {
        assert_eq!(browser.submit("/keys/new", "/keys/new", &[]).status, 429);
    }
}

#[test]
fn usage_is_that_of_the_customer() {
    let server = Server::start();
    let (_, browser) = customer_in_portal(&server);
    let (id, secret) = create_key(&browser, "k");
    server.exchange(&secret, &[]).expect(200);
    for path in ["/keys?range=24h".to_owned(), format!("/keys/{id}?range=24h")] {
        crate::support::eventually("the count", || browser.read(&path).contains("1 token request").then_some(()));
    }
}
