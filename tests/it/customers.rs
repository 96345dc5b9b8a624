//! Customers: whom keys are given to.

use serde_json::{Value, json};

use crate::cli::{json_lines, json_object, run};
use crate::nodes::{Two, is_good};
use crate::support::check::{oauth_error, problem, wrong_field};
use crate::support::server::{Key, Server, scope_list, unique};
use crate::support::{Answer, eventually, field};

/// Creates a customer and returns its ID.
pub fn new_customer(server: &Server) -> String {
    id_of(&create(server, &json!({ "external_id": unique() })).expect(201))
}

/// A valid body for a new customer.
pub fn body() -> Value {
    json!({ "external_id": unique() })
}

fn create(server: &Server, body: &Value) -> Answer {
    server.api("POST", "customers").json(body).send()
}

fn id_of(customer: &Value) -> String {
    customer["id"].as_str().unwrap().to_owned()
}

fn change(server: &Server, id: &str, what: &str) -> Value {
    server.api("POST", &format!("customers/{id}/{what}")).json(&json!({})).send().expect(200)
}

fn key_of(server: &Server, customer: &str) -> Key {
    server.make(&json!({ "customer": customer, "scopes": scope_list("read:*") }))
}

fn is_active(server: &Server, text: &str) -> Value {
    server.request("POST", "/oauth/introspect").bearer(&server.key.text).form(&[("token", text)]).send().expect(200)
}

#[test]
fn customer_is_created_listed_edited_and_removed() {
    let server = Server::start();
    let made = create(
        &server,
        &json!({ "external_id": "user_1", "name": "Acme Rockets", "metadata": { "plan": "pro" }, "max_keys": 3 }),
    );
    let body = made.expect(201);
    let id = id_of(&body);
    assert!(made.header("location").unwrap().ends_with(&format!("/organizations/default/customers/{id}")));
    assert_eq!((&body["external_id"], &body["keys"], &body["max_keys"]), (&json!("user_1"), &json!(0), &json!(3)));
    let shown = server.api("GET", &format!("customers/{id}")).send();
    assert_eq!((shown.expect(200), shown.header("etag")), (body, Some("\"1\"")));
    wrong_field(&create(&server, &json!({ "external_id": "user_1" })), "external_id");

    let other = id_of(&create(&server, &json!({ "external_id": "tenant/2", "name": "Beta" })).expect(201));
    change(&server, &other, "suspend");
    let listed = |query: &str| {
        let list = server.api("GET", &format!("customers{query}")).send().expect(200);
        field(&list["items"], "external_id").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(listed(""), ["tenant/2", "user_1"], "newest first");
    for (query, expected) in [
        ("?search=ROCKETS", "user_1"),
        ("?search=ant%2F", "tenant/2"),
        ("?external_id=user_1", "user_1"),
        ("?suspended=true", "tenant/2"),
        ("?suspended=false", "user_1"),
        (&format!("?search={id}"), "user_1"),
    ] {
        assert_eq!(listed(query), [expected], "{query}");
    }
    assert_eq!(listed("?external_id=USER_1"), [""; 0]);
    let first = server.api("GET", "customers?limit=1").send().expect(200);
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(listed(&format!("?limit=1&cursor={next}")), ["user_1"]);

    let patch = |tag: &str, body: &Value| {
        server.api("PATCH", &format!("customers/{id}")).header("If-Match", tag).json(body).send()
    };
    let edited = patch("\"1\"", &json!({ "metadata": { "seats": "5" }, "max_keys": null })).expect(200);
    assert_eq!((&edited["metadata"], &edited["max_keys"]), (&json!({ "seats": "5" }), &Value::Null));
    problem(&patch("\"1\"", &json!({ "name": "A" })), 412, "PRECONDITION_FAILED");
    wrong_field(&patch("\"2\"", &json!({ "external_id": "tenant/2" })), "external_id");

    let removed = server.api("DELETE", &format!("customers/{id}")).send().expect(200);
    assert_eq!(removed, json!({ "revoked_keys": 0 }));
    problem(&server.api("DELETE", &format!("customers/{id}")).send(), 404, "NOT_FOUND");
    problem(&server.api("GET", &format!("customers/{id}")).send(), 404, "NOT_FOUND");
    create(&server, &json!({ "external_id": "user_1" })).expect(201);
    let log = server.api("GET", &format!("audit?subject={id}")).send().expect(200);
    assert_eq!(field(&log["items"], "action"), ["customer.remove", "customer.edit", "customer.create"]);
}

#[test]
fn invalid_fields_are_named() {
    let server = Server::start();
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("n{n}"), json!("v"))).collect();
    for (more, wrong) in [
        (json!({ "external_id": "" }), "external_id"),
        (json!({ "external_id": "two words" }), "external_id"),
        (json!({ "external_id": "x".repeat(256) }), "external_id"),
        (json!({ "name": " a" }), "name"),
        (json!({ "metadata": { "a b": "c" } }), "metadata"),
        (json!({ "metadata": { "a": "x".repeat(4096) } }), "metadata"),
        (json!({ "metadata": many }), "metadata"),
        (json!({ "max_keys": 1_000_001 }), "max_keys"),
    ] {
        let mut body = body();
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        wrong_field(&create(&server, &body), wrong);
    }
    wrong_field(&server.api("GET", "customers?suspended=maybe").send(), "suspended");
    wrong_field(&server.api("GET", "customers?cursor=x").send(), "cursor");
}

#[test]
fn suspension_denies_keys_and_tokens_and_earlier_tokens_stay_invalid() {
    let server = Server::start();
    let customer = new_customer(&server);
    let key = key_of(&server, &customer);
    let token = server.token(&key, &[]);
    assert_eq!(is_active(&server, &token)["customer"], customer.as_str());
    let unrelated = server.token(&server.make(&json!({})), &[]);

    let found = |text: &str| server.api("POST", "keys/lookup").json(&json!({ "text": text })).send().expect(200);
    assert!(found(&token).to_string().contains(r#""valid""#), "{}", found(&token));
    let suspended = change(&server, &customer, "suspend");
    assert!(suspended["suspended_at"].is_string());
    assert!(found(&token).to_string().contains(r#""key_changed""#), "{}", found(&token));
    assert_eq!(change(&server, &customer, "suspend"), suspended, "suspending is idempotent");
    let error = server.exchange(&key.text, &[]);
    let text = oauth_error(&error, 403, "unauthorized_client", "CUSTOMER_SUSPENDED");
    assert_eq!(text, "the customer of the API key is suspended");
    for credential in [&key.text, &token] {
        problem(&server.me(credential), 403, "CUSTOMER_SUSPENDED");
        assert_eq!(is_active(&server, credential), json!({ "active": false }));
        assert_eq!(server.get("/verify").bearer(credential).send().status, 403);
    }
    let wrong = format!("{}0", &key.text[..key.text.len() - 1]);
    assert_ne!(server.exchange(&wrong, &[]).json()["code"], "CUSTOMER_SUSPENDED", "only the bearer learns of it");
    assert_eq!(server.get("/verify").bearer(&unrelated).send().status, 200);
    let question = json!({ "address": "127.0.0.1", "action": "read", "resource": "a" });
    let explained = server.api("POST", &format!("keys/{}/explain", key.id)).json(&question).send().expect(200);
    assert_eq!(explained["responses"]["token_request"]["body"]["code"], "CUSTOMER_SUSPENDED");
    let denials = eventually("the denial", || {
        let list = server.api("GET", &format!("denials?key={}", key.id)).send().expect(200);
        list["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(list)
    });
    assert_eq!(denials["items"][0]["code"], "CUSTOMER_SUSPENDED");

    let reinstated = change(&server, &customer, "reinstate");
    assert_eq!(reinstated["suspended_at"], Value::Null);
    assert_eq!(change(&server, &customer, "reinstate"), reinstated, "reinstating is idempotent");
    assert_eq!(is_active(&server, &token), json!({ "active": false }));
    assert_eq!(server.get("/verify").bearer(&token).send().status, 401);
    let fresh = server.token(&key, &[]);
    assert_eq!(is_active(&server, &fresh)["active"], true);
    assert_eq!(server.claims(&fresh)["customer_gen"], 2);
}

#[test]
fn suspension_and_removal_are_effective_on_the_other_node() {
    let two = Two::embedded();
    for n in 0..8 {
        let (one, other) = two.turn(n);
        let customer = new_customer(one);
        let key = key_of(one, &customer);
        let token = other.token(&key, &[]);
        assert!(is_good(one, &token) && is_good(other, &token));
        let (status, code) = match n % 4 {
            0 | 1 => {
                change(one, &customer, "suspend");
                (403, "CUSTOMER_SUSPENDED")
            }
            2 => {
                one.api("DELETE", &format!("customers/{customer}?revoke_keys=true")).send().expect(200);
                (401, "API_KEY_INVALID")
            }
            _ => {
                one.change("PATCH", &key.id, &json!({ "customer": new_customer(one) }));
                (200, "")
            }
        };
        let after = other.exchange(&key.text, &[]);
        assert_eq!((after.status, after.json()["code"].as_str().unwrap_or_default()), (status, code), "change {n}");
        assert!(!is_good(other, &token) && !is_good(one, &token), "change {n}");
        if n % 4 < 2 {
            change(one, &customer, "reinstate");
            assert_eq!(other.exchange(&key.text, &[]).status, 200);
            assert!(!is_good(other, &token));
        }
    }
}

#[test]
fn key_belongs_to_a_member_or_to_a_customer() {
    let server = Server::start();
    let (customer, other) = (new_customer(&server), new_customer(&server));
    let member = crate::support::server::new_member(&server);
    let post = |body: Value| server.api("POST", "keys").json(&body).send();
    wrong_field(&post(json!({ "name": "k", "scopes": [], "customer": customer, "owner": member })), "customer");
    for unknown in ["0000000000000000", "short"] {
        assert_eq!(
            wrong_field(&post(json!({ "name": "k", "scopes": [], "customer": unknown })), "customer"),
            "no such customer"
        );
    }
    let key = key_of(&server, &customer);
    let token = server.token(&key, &[]);
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!((&shown["customer"], &shown["owner"]), (&json!(customer), &Value::Null));
    let listed = server.api("GET", &format!("keys?customer={customer}")).send().expect(200);
    assert_eq!(field(&listed["items"], "id"), [&key.id]);
    assert_eq!(server.api("GET", &format!("customers/{customer}")).send().expect(200)["keys"], 1);

    let edit = |body: Value| server.api("PATCH", &format!("keys/{}", key.id)).json(&body).send();
    wrong_field(&edit(json!({ "owner": member })), "customer");
    edit(json!({ "customer": other })).expect(200);
    assert_eq!(is_active(&server, &token), json!({ "active": false }), "the token was given to another customer");
    edit(json!({ "customer": null, "owner": member })).expect(200);
    wrong_field(&edit(json!({ "customer": customer })), "customer");
    let listed = server.api("GET", &format!("keys?customer={customer}")).send().expect(200);
    assert_eq!(listed["items"], json!([]));
}

#[test]
fn removal_requires_or_revokes_keys() {
    let server = Server::start();
    let customer = new_customer(&server);
    let (key, other) = (key_of(&server, &customer), key_of(&server, &customer));
    let token = server.token(&key, &[]);
    let remove = |query: &str| server.api("DELETE", &format!("customers/{customer}{query}")).send();
    problem(&remove(""), 409, "CONFLICT");
    assert_eq!(is_active(&server, &token)["active"], true, "nothing was changed");
    let limited = server.make(&json!({ "scopes": ["write:keyturn/customers"] }));
    let denied = server.api_as(&limited.text, "DELETE", &format!("customers/{customer}?revoke_keys=true")).send();
    problem(&denied, 403, "INSUFFICIENT_SCOPE");
    let removed = remove("?revoke_keys=true").expect(200);
    assert_eq!(removed["revoked_keys"], 2);
    assert_eq!(is_active(&server, &token), json!({ "active": false }));
    oauth_error(&server.exchange(&other.text, &[]), 401, "invalid_client", "API_KEY_INVALID");
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!((&shown["status"], &shown["revoked_reason"]), (&json!("revoked"), &json!("its customer was removed")));
    let body = json!({ "name": "k", "scopes": [], "customer": customer });
    wrong_field(&server.api("POST", "keys").json(&body).send(), "customer");
    problem(&server.api("POST", &format!("customers/{customer}/suspend")).json(&json!({})).send(), 404, "NOT_FOUND");
}

#[test]
fn keys_of_a_customer_are_limited() {
    let server = Server::start();
    server.api("PUT", "policy").json(&json!({ "max_keys_per_user": 1 })).send().expect(200);
    let (one, two) = (new_customer(&server), new_customer(&server));
    let make = |customer: &str| {
        server.api("POST", "keys").json(&json!({ "name": "k", "scopes": [], "customer": customer })).send()
    };
    let first = make(&one).expect(201);
    problem(&make(&one), 409, "KEY_LIMIT_REACHED");
    let id = make(&two).expect(201)["id"].as_str().unwrap().to_owned();
    problem(
        &server.api("PATCH", &format!("keys/{id}")).json(&json!({ "customer": one })).send(),
        409,
        "KEY_LIMIT_REACHED",
    );
    server.api("PATCH", &format!("customers/{one}")).json(&json!({ "max_keys": 2 })).send().expect(200);
    make(&one).expect(201);
    problem(&make(&one), 409, "KEY_LIMIT_REACHED");
    server.change("POST", &format!("{}/revoke", first["id"].as_str().unwrap()), &json!({}));
    make(&one).expect(201);
}

#[test]
fn gateways_and_introspection_get_the_external_id() {
    let server = Server::start();
    let header = |credential: &str| {
        let verified = server.get("/verify").header("X-Keyturn-External-Id", "forged").bearer(credential).send();
        assert_eq!(verified.status, 200, "{}", verified.text());
        verified.header("x-keyturn-external-id").unwrap().to_owned()
    };
    assert_eq!(header(&server.key.text), "", "never that of the client");
    let customer = id_of(&create(&server, &json!({ "external_id": "k\u{e4}ufer%1" })).expect(201));
    let key = key_of(&server, &customer);
    let token = server.token(&key, &[]);
    assert_eq!((header(&key.text), header(&token)), ("k%C3%A4ufer%251".into(), "k%C3%A4ufer%251".into()));
    let inspected = is_active(&server, &token);
    assert_eq!((&inspected["external_id"], &inspected["customer_gen"]), (&json!("k\u{e4}ufer%1"), &json!(1)));
    let claims = server.claims(&token);
    assert_eq!((&claims["customer"], &claims["customer_gen"]), (&json!(customer), &json!(1)));
    // A new external ID is effective at once, and the token stays valid.
    server.api("PATCH", &format!("customers/{customer}")).json(&json!({ "external_id": "user_9" })).send().expect(200);
    assert_eq!(header(&token), "user_9");
}

#[test]
fn usage_and_audit_of_a_customer_are_those_of_its_keys() {
    let server = Server::start();
    let customer = new_customer(&server);
    let keys = [key_of(&server, &customer), key_of(&server, &customer)];
    for key in &keys {
        server.token(key, &[]);
    }
    server.token(&server.make(&json!({})), &[]);
    for interval in ["hour", "day"] {
        eventually("the counts", || {
            let path = format!("customers/{customer}/usage?interval={interval}");
            let usage = server.api("GET", &path).send().expect(200);
            (usage["totals"]["exchanges"] == 2).then_some(())
        });
    }
    let log = server.api("GET", &format!("audit?customer={customer}")).send().expect(200);
    assert_eq!(field(&log["items"], "action"), ["key.create", "key.create", "customer.create"]);
}

#[test]
fn cli_manages_customers() {
    let server = Server::start();
    let create = ["customers", "create", "user_1", "--name", "Acme", "--metadata", "plan=pro", "--max-keys", "2"];
    let created = json_object(&server, &create);
    assert_eq!((&created["metadata"], &created["max_keys"]), (&json!({ "plan": "pro" }), &json!(2)));
    let id = id_of(&created);
    let key = json_object(&server, &["keys", "create", "--name", "k", "--scope", "read:a", "--customer", "user_1"]);
    assert_eq!(key["customer"], id.as_str());
    for named in ["user_1", &id] {
        let listed = json_lines(&server, &["keys", "list", "--customer", named]);
        assert_eq!(listed.len(), 1, "{named}");
        assert_eq!(id_of(&json_object(&server, &["customers", "show", named])), id);
    }
    let edited = json_object(&server, &["customers", "edit", "user_1", "--no-metadata", "--no-max-keys"]);
    assert_eq!((&edited["metadata"], &edited["max_keys"]), (&json!({}), &Value::Null));
    assert!(json_object(&server, &["customers", "suspend", "user_1"])["suspended_at"].is_string());
    assert_eq!(json_lines(&server, &["customers", "list", "--suspended", "true"]).len(), 1);
    assert_eq!(json_object(&server, &["customers", "reinstate", "user_1"])["suspended_at"], Value::Null);
    assert!(run(&server, &["customers", "remove", "user_1"]).refused(1).contains("409 CONFLICT"));
    let removed = run(&server, &["customers", "remove", "user_1", "--revoke-keys"]).stdout;
    assert_eq!(removed, "Removed customer user_1. Revoked keys: 1\n");
    assert!(run(&server, &["customers", "show", "user_1"]).refused(1).contains("no customer has"));
    assert_eq!(run(&server, &["customers", "update", "user_1"]).code, 2, "nothing to change");
}
