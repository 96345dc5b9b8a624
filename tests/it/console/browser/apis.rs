//! APIs in Chromium, with and without JavaScript: create one, grant it, request a token, restrict it, delete it.

use super::{go, read_secret, sign_in, submit};
use crate::support::person::start;
use crate::support::{Browser, Person, Server};

const ORDERS: &str = "https://orders.example.com";

fn token(server: &Server, secret: &str) -> u16 {
    server.exchange(secret, &[("resource", ORDERS)]).status
}

/// Runs the walk. With JavaScript, forms are dialogs.
fn walk(browser: &Browser, server: &Server, owner: &Person, has_script: bool) {
    sign_in(browser, server, owner);
    browser.click("APIs");
    browser.see("An access token is for an API");
    browser.click("Create API");
    browser.see("One scope per line");
    assert_eq!(browser.dialog_is_open(), has_script);
    let form = browser.page();
    form.fill("Name", "orders");
    form.fill("Audience", "not an audience");
    form.fill("Scopes", "orders.read See orders\norders.write Change orders");
    submit(browser, "Create API", has_script);
    browser.see("printable ASCII");
    browser.fill("Audience", ORDERS);
    submit(browser, "Create API", has_script);
    browser.see("API created.");
    browser.see("No key is granted this API yet.");
    assert_eq!(browser.table("Scopes of orders").column("Scope"), ["orders.read", "orders.write"]);

    // A key for this API only.
    go(browser, server, "/keys/new");
    browser.see("Other APIs");
    assert!(!browser.offers("orders.read"), "the scopes of an API that is not granted are hidden");
    browser.fill("Name", "shop");
    browser.check("orders");
    browser.check("orders.read");
    browser.fill("Allowed networks", "127.0.0.0/8");
    if has_script {
        browser.see("1 scope, from 1 network");
        browser.check("orders.write");
        browser.see("2 scopes, from 1 network");
    } else {
        browser.check("orders.write");
    }
    browser.click("Create API key");
    let secret = read_secret(browser, "kt");
    let body = server.exchange(&secret, &[]).expect(200);
    assert_eq!(body["scope"], "orders.read orders.write", "it is the key's only API");
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Client ID");

    // Restrict the API, after a review.
    go(browser, server, "/apis");
    browser.click("orders");
    browser.see("Request a token");
    browser.click("Edit");
    browser.see("you review the change first");
    browser.fill("Scopes", "orders.read See orders");
    browser.click("Save changes");
    browser.see("1 key loses a scope");
    browser.see("orders.write");
    assert_eq!(server.exchange(&secret, &[("scope", "orders.write")]).status, 200, "not yet");
    browser.click("Apply restrictions");
    browser.see("API updated.");
    assert_eq!(server.exchange(&secret, &[("scope", "orders.write")]).status, 400);

    // The keys of the API.
    go(browser, server, "/keys?api=orders");
    browser.see("API: orders");
    browser.click("shop");
    browser.see("no effect: not a scope of the API");

    // Delete it, with its name.
    go(browser, server, "/apis");
    browser.click("orders");
    browser.see("Request a token");
    browser.click("Delete");
    browser.see("1 key is granted this API");
    browser.fill("Confirm", "order");
    browser.click("Delete API");
    browser.see("Enter orders.");
    browser.fill("Confirm", "orders");
    assert_eq!(token(server, &secret), 200);
    browser.click("Delete API");
    browser.see("API deleted.");
    assert_eq!(token(server, &secret), 400);
}

#[test]
fn walked_with_javascript() {
    let (server, owner) = start();
    let browser = Browser::new();
    walk(&browser, &server, &owner, true);
    browser.finish();
}

#[test]
fn walked_without_javascript() {
    let (server, owner) = start();
    let browser = Browser::without_javascript();
    walk(&browser, &server, &owner, false);
    browser.finish();
}
