//! A leak by keyboard alone and without JavaScript, the menu of organizations, and the command palette.

use serde_json::json;

use super::{at_the_console, go, is_gone, sign_in};
use crate::support::browser::Key;
use crate::support::person::start;
use crate::support::{Browser, Person};

fn status(owner: &Person, id: &str) -> String {
    owner.api("GET", &format!("keys/{id}")).send().expect(200)["status"].as_str().unwrap().to_owned()
}

/// Presses Tab until the element with that name is focused.
#[track_caller]
fn tab_to(browser: &Browser, name: &str) {
    for _ in 0..80 {
        if browser.focused() == name {
            return;
        }
        browser.press(Key::Tab);
    }
    panic!("{name} is not reached; the focus is on {}", browser.focused());
}

#[test]
fn leak_is_stopped_by_keyboard_alone() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "leaked-in-a-log" }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let browser = at_the_console(&server, &owner);
    tab_to(&browser, "Emergency");
    browser.press(Key::Enter);
    browser.arrive("/console/emergency");
    tab_to(&browser, "Stop the key");
    browser.press(Key::Enter);
    browser.arrive("/console/emergency/secret");
    tab_to(&browser, "What leaked");
    browser.type_text(&format!("token={secret}"));
    browser.press(Key::Tab);
    browser.press(Key::Enter);
    browser.arrive(&format!("/console/emergency/secret/{id}"));
    browser.see("leaked-in-a-log");
    tab_to(&browser, "Disable now");
    browser.press(Key::Enter);
    browser.see("Key disabled.");
    browser.see("Its secrets and tokens are denied on every node.");
    assert_eq!(status(&owner, id), "disabled");
    server.exchange(secret, &[]).expect(403);
    // Enter in the confirmation does not revoke, the button does.
    tab_to(&browser, "Confirm");
    browser.type_text(&secret[secret.len() - 4..]);
    browser.press(Key::Enter);
    assert_eq!(status(&owner, id), "disabled");
    browser.press(Key::Tab);
    assert_eq!(browser.focused(), "Revoke now");
    browser.press(Key::Enter);
    browser.see("Key revoked.");
    assert_eq!(status(&owner, id), "revoked");
    is_gone(&browser, &server, secret, &["/emergency/secret", "/audit"]);
    assert!(!server.stderr().contains(&secret[25..60]), "the log");
    browser.finish();
}

#[test]
fn leak_is_stopped_without_script() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "leaked-in-a-log" }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let browser = Browser::without_javascript();
    sign_in(&browser, &server, &owner);
    browser.click("Emergency");
    browser.click("Stop the key");
    browser.fill("What leaked", secret);
    browser.click("Find the key");
    browser.see("leaked-in-a-log");
    assert!(browser.url().ends_with(&format!("/console/emergency/secret/{id}")));
    browser.fill("Confirm", &secret[secret.len() - 4..]);
    browser.click("Revoke now");
    browser.see("Key revoked.");
    assert_eq!(status(&owner, id), "revoked");
    browser.finish();
}

#[test]
fn organizations_are_switched_by_keyboard_and_without_script() {
    for script in [true, false] {
        let (server, owner) = start();
        let body = json!({ "slug": "acme", "name": "Acme Rockets", "owner_email": owner.email });
        let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
        let browser = if script { Browser::new() } else { Browser::without_javascript() };
        sign_in(&browser, &server, &owner);
        browser.click("Organization: default");
        browser.click("Sign in to another organization");
        browser.see("You are signed in to default.");
        browser.fill("Organization", "acme");
        browser.fill("Password", made["owner"]["password"].as_str().unwrap());
        browser.click("Sign in");
        browser.see("Change your temporary password");
        go(&browser, &server, "/keys");
        if script {
            tab_to(&browser, "Organization: Acme Rockets");
            browser.press(Key::Enter);
            tab_to(&browser, "default");
            browser.press(Key::Enter);
        } else {
            browser.click("Organization: Acme Rockets");
            browser.click("default");
        }
        browser.see("You are now in default.");
        if script {
            // The menu closes with Escape, and the focus returns.
            tab_to(&browser, "Organization: default");
            browser.press(Key::Enter);
            browser.see("Switch to");
            browser.press(Key::Escape);
            browser.wait("the menu to close", || !browser.text().contains("Switch to"));
            assert_eq!(browser.focused(), "Organization: default");
        }
        browser.finish();
    }
}

#[test]
fn palette_leads_to_pages_and_finds_keys() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "orders-worker" }));
    let secret = made["secret"].as_str().unwrap();
    let browser = at_the_console(&server, &owner);
    let open = || {
        go(&browser, &server, "/keys");
        browser.press(Key::Tab);
        browser.type_text("/");
        browser.wait("the palette", || browser.dialog_is_open());
    };
    open();
    browser.type_text("sign");
    browser.press(Key::Enter);
    browser.arrive("/console/signing-keys");
    open();
    browser.type_text("orders-w");
    browser.press(Key::Enter);
    browser.arrive("/console/find");
    browser.see("orders-worker");
    // A pasted secret is shortened before it is sent, and is in no address.
    open();
    browser.type_text(secret);
    browser.press(Key::Enter);
    browser.arrive("/console/find");
    browser.see("orders-worker");
    assert!(!browser.source().contains(&secret[25..60]));
    // Escape closes it, and / in a field is a character.
    open();
    browser.press(Key::Escape);
    browser.wait("the palette to close", || !browser.dialog_is_open());
    browser.run("document.querySelector('#find').focus()", &[]);
    browser.type_text("a/b");
    assert!(!browser.dialog_is_open());
    browser.finish();
}
