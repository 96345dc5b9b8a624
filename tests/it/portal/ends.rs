//! What ends a session, on every node.

use serde_json::{Value, json};

use super::{create, create_key, customer_in_portal, full, open, path_of};
use crate::customers::new_customer;
use crate::nodes::Two;
use crate::support::console::Visitor;
use crate::support::{Key, Place, Server};

/// A key that can create sessions.
fn creator(server: &Server) -> Key {
    server.make_with("write:keyturn/customers write:keyturn/keys read:*")
}

#[track_caller]
fn open_as(server: &Server, creator: &Key, customer: &str) -> Visitor {
    let path = format!("customers/{customer}/portal-sessions");
    open(server, &server.api_as(&creator.text, "POST", &path).json(&full()).send().expect(201))
}

fn is_open(browser: &Visitor) -> bool {
    match browser.get("/keys").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn suspension_and_removal_of_the_customer() {
    let server = Server::start();
    let (customer, browser) = customer_in_portal(&server);
    let unopened = create(&server, &customer, &full());
    let change = |what: &str| server.api("POST", &format!("customers/{customer}/{what}")).json(&json!({})).send();
    change("suspend").expect(200);
    assert!(!is_open(&browser));
    assert_eq!(Visitor::in_portal(&server, "default").get(&path_of(&unopened)).status, 410);
    crate::support::check::problem(&super::try_create(&server, &customer, &full()), 409, "CONFLICT");
    change("reinstate").expect(200);
    assert!(!is_open(&browser), "an ended session stays ended");

    let browser = open(&server, &create(&server, &customer, &full()));
    server.api("DELETE", &format!("customers/{customer}?revoke_keys=true")).send().expect(200);
    assert!(!is_open(&browser));
}

#[test]
fn every_change_that_takes_rights_from_the_creator() {
    let server = Server::start();
    let customer = new_customer(&server);
    for (change, body) in [
        ("revoke", json!({})),
        ("disable", json!({})),
        ("rotate", json!({ "grace_seconds": 0 })),
        ("rotate", json!({ "grace_seconds": 60 })),
    ] {
        let creator = creator(&server);
        let browser = open_as(&server, &creator, &customer);
        server.change("POST", &format!("{}/{change}", creator.id), &body);
        assert!(!is_open(&browser), "{change}");
    }
    let creator = creator(&server);
    let browser = open_as(&server, &creator, &customer);
    server.change("PATCH", &creator.id, &json!({ "name": "renamed" }));
    assert!(is_open(&browser), "a new name takes nothing away");
    server.change("PATCH", &creator.id, &json!({ "scopes": ["write:keyturn/customers"] }));
    assert!(!is_open(&browser));
}

#[test]
fn narrower_profile_or_network_of_the_creator() {
    let server = Server::start();
    let customer = new_customer(&server);
    let scopes = json!(["write:keyturn/customers", "write:keyturn/keys", "read:*"]);
    let change = |path: &str, body: Value| server.api("PATCH", path).json(&body).send().expect(200);
    for (name, path, narrower, wider) in [
        (
            "scopes",
            "profiles/scopes",
            json!({ "scopes": ["write:keyturn/customers", "read:a"] }),
            json!({ "scopes": scopes }),
        ),
        ("cidrs", "profiles/cidrs", json!({ "allowed_cidrs": ["127.0.0.0/8"] }), json!({ "allowed_cidrs": [] })),
        ("office", "networks/office", json!({ "cidrs": ["127.0.0.0/8"] }), json!({ "cidrs": ["*"] })),
    ] {
        let network = json!({ "name": "office", "cidrs": ["*"] });
        let networks = if name == "office" { json!(["office"]) } else { json!([]) };
        if name == "office" {
            server.api("POST", "networks").json(&network).send().expect(201);
        }
        let profile = json!({ "name": name, "scopes": scopes, "networks": networks });
        server.api("POST", "profiles").json(&profile).send().expect(201);
        let made = server.api("POST", "keys").json(&json!({ "name": "k", "profile": name })).send().expect(201);
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        let creator = Key { id: text("id"), text: text("secret") };
        let browser = open_as(&server, &creator, &customer);
        assert!(is_open(&browser));
        create_key(&browser, "before");
        change(path, narrower);
        assert!(!is_open(&browser), "{name}");
        let sessions = format!("customers/{customer}/portal-sessions");
        assert_eq!(server.api("GET", &sessions).send().expect(200)["items"], json!([]), "{name}");
        change(path, json!({ "description": "x" }));
        change(path, wider);
        assert!(is_open(&browser), "{name}: the creator has it again");
        change(path, json!({ "description": "y" }));
        create_key(&browser, "after");
        let all = server.api("GET", &sessions).send().expect(200);
        let id = all["items"][0]["id"].as_str().unwrap();
        assert_eq!(server.api("DELETE", &format!("{sessions}/{id}")).send().status, 204);
    }
}

#[test]
fn suspension_of_the_organization() {
    let place = Place::new();
    let boss = place.init(&[]).key;
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.serve(boss);
    let of_acme = |method: &str, path: &str| {
        server.request(method, &format!("/api/v1/organizations/acme/{path}")).bearer(&acme.text)
    };
    let customer = of_acme("POST", "customers").json(&json!({ "external_id": "u" })).send().expect(201);
    let path = format!("customers/{}/portal-sessions", customer["id"].as_str().unwrap());
    let session = of_acme("POST", &path).json(&full()).send().expect(201);
    let mut browser = Visitor::in_portal(&server, "acme");
    let answer = browser.submit(&path_of(&session), "/open", &[]);
    browser.keep_cookies(&answer);
    assert!(is_open(&browser));
    let mut here = Visitor::in_portal(&server, "default");
    here.jar = browser.jar.clone();
    assert!(!is_open(&here), "the session of one organization is none in another");
    server
        .request("POST", "/api/v1/organizations/acme/suspend")
        .bearer(&server.key.text)
        .json(&json!({}))
        .send()
        .expect(200);
    assert!(!is_open(&browser));
}

#[test]
fn lifetime_ends_the_url_and_the_session() {
    let place = Place::on_sqlite();
    let path = place.database();
    let server = place.start();
    let customer = new_customer(&server);
    let expire = || crate::support::database::execute(&path, "UPDATE portal_sessions SET ends_at = 1");
    let session = create(&server, &customer, &full());
    expire();
    assert_eq!(Visitor::in_portal(&server, "default").get(&path_of(&session)).status, 410);
    let browser = open(&server, &create(&server, &customer, &full()));
    assert!(is_open(&browser));
    expire();
    assert!(!is_open(&browser));
}

#[test]
fn customer_ends_its_own_session() {
    let server = Server::start();
    let (_, mut browser) = customer_in_portal(&server);
    let stolen = browser.clone();
    let answer = browser.submit("/keys", "/sign-out", &[]);
    assert_eq!(browser.led_to(&answer), "/ended");
    browser.keep_cookies(&answer);
    assert!(browser.jar.is_empty() && browser.read("/ended").contains("Session ended"));
    assert!(!is_open(&stolen), "not only the cookie is gone");
}

/// S1: what one node has answered holds on the other from then on.
#[test]
fn ends_hold_on_every_node_at_once() {
    let two = Two::embedded();
    for (n, end) in ["session", "customer", "creator"].into_iter().enumerate() {
        let (a, b) = two.turn(n);
        let (customer, creator) = (new_customer(a), creator(a));
        let browser = open_as(b, &creator, &customer);
        let key = create_key(&browser, "mine").0;
        let page = browser.page(&format!("/keys/{key}/rotate"));
        let list = a.api("GET", &format!("customers/{customer}/portal-sessions")).send().expect(200);
        let session = list["items"][0]["id"].as_str().unwrap().to_owned();
        match end {
            "session" => {
                let path = format!("customers/{customer}/portal-sessions/{session}");
                assert_eq!(a.api("DELETE", &path).send().status, 204);
            }
            "customer" => {
                a.api("POST", &format!("customers/{customer}/suspend")).json(&json!({})).send().expect(200);
            }
            _ => drop(a.change("POST", &format!("{}/revoke", creator.id), &json!({}))),
        }
        assert!(!is_open(&browser), "{end}");
        let action = format!("/keys/{key}/rotate");
        let form = crate::support::console::filled(&page, &browser.link(&action), &[]);
        assert_eq!(browser.post(&action).form_text(form).send().status, 401, "{end}");
        let shown: Value = a.api("GET", &format!("keys/{key}")).send().expect(200);
        assert_eq!(shown["rotated_at"], Value::Null, "{end}");
    }
}
