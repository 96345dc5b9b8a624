//! The customer portal: its sessions, its pages, and attacks on both.

mod attacks;
mod browser;
mod ends;
mod pages;
mod sessions;
mod settings;

use serde_json::{Value, json};

use crate::customers;
use crate::support::console::Visitor;
use crate::support::{Answer, Server};

/// A valid body for a new session that cannot change anything.
pub fn body() -> Value {
    json!({ "capabilities": ["read"] })
}

/// Creates a session of a customer and returns its ID.
pub fn new_session(server: &Server, customer: &str) -> String {
    create(server, customer, &body())["id"].as_str().unwrap().to_owned()
}

/// Creates a session that can create keys with `read:*`.
fn full() -> Value {
    json!({ "scopes": ["read:*"] })
}

fn try_create(server: &Server, customer: &str, body: &Value) -> Answer {
    server.api("POST", &format!("customers/{customer}/portal-sessions")).json(body).send()
}

#[track_caller]
fn create(server: &Server, customer: &str, body: &Value) -> Value {
    try_create(server, customer, body).expect(201)
}

/// The path of a session's URL below the portal.
fn path_of(session: &Value) -> String {
    let url = session["url"].as_str().unwrap();
    format!("/open/{}", url.rsplit_once("/open/").unwrap().1)
}

/// Opens the URL of a session in a new browser.
#[track_caller]
pub fn open(server: &Server, session: &Value) -> Visitor {
    let mut browser = Visitor::in_portal(server, "default");
    let answer = browser.submit(&path_of(session), "/open", &[]);
    assert_eq!(browser.led_to(&answer), "/keys");
    browser.keep_cookies(&answer);
    browser
}

/// A customer with a browser in its portal.
#[track_caller]
fn customer_in_portal(server: &Server) -> (String, Visitor) {
    let customer = customers::new_customer(server);
    let browser = open(server, &create(server, &customer, &full()));
    (customer, browser)
}

/// Creates a key in the portal. Returns its ID and its secret.
#[track_caller]
fn create_key(browser: &Visitor, name: &str) -> (String, String) {
    let page = browser.submit("/keys/new", "/keys/new", &[("name", name)]);
    assert_eq!(page.status, 200, "{}", page.text());
    shown_secret(&page.text())
}

/// Reads the ID and the secret of a page that shows them.
#[track_caller]
fn shown_secret(html: &str) -> (String, String) {
    let of = |id: &str| {
        let (_, rest) = html.split_once(&format!("<code id=\"{id}\">")).unwrap_or_else(|| panic!("no {id}: {html}"));
        rest.split('<').next().unwrap().to_owned()
    };
    (of("client-id"), of("secret"))
}
