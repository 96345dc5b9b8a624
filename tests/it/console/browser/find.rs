//! Finding a leaked key and working off violating keys, as a person does it.

use serde_json::json;

use super::{at_the_console, go, is_gone, sign_in};
use crate::support::browser::Key;
use crate::support::person::start;
use crate::support::{Browser, Person, eventually};

/// What the browser sent to Find, as the server would see it: recorded before the page changes.
const RECORD: &str = "addEventListener('submit', event => {
    sessionStorage.setItem('sent', new URLSearchParams(new FormData(event.target)).toString());
});";

fn status(owner: &Person, id: &str) -> String {
    owner.api("GET", &format!("keys/{id}")).send().expect(200)["status"].as_str().unwrap().to_owned()
}

#[test]
fn leaked_key_is_found_by_pasting_it_and_revoked() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "leaked-on-github" }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let browser = at_the_console(&server, &owner);
    browser.run(RECORD, &[]);

    // 1. Paste it into the box of any page, and press Enter.
    browser.run("document.querySelector('#find').focus()", &[]);
    browser.type_text(&format!("KEY={secret}"));
    browser.press(Key::Enter);
    browser.arrive("/console/find");
    browser.see("leaked-on-github");
    browser.see("Treat it as the current secret.");
    let sent = browser.run("return sessionStorage.getItem('sent')", &[]);
    let sent = sent.as_str().unwrap();
    assert!(
        sent.contains("checksum+valid") && !sent.contains(&secret[25..60]),
        "the secret leaves the browser: {sent}"
    );
    assert!(!browser.url().contains('?') && !browser.source().contains(&secret[25..60]));

    // 2. Revoke it, by keyboard.
    browser.run("document.querySelector('main .found .danger').focus()", &[]);
    browser.press(Key::Enter);
    browser.within("Revoke “leaked-on-github”?").click("Revoke key");
    browser.see("Key revoked.");
    assert_eq!(status(&owner, id), "revoked");
    server.exchange(secret, &[]).expect(401);
    is_gone(&browser, &server, secret, &["/find", "/audit"]);
    assert!(!server.stderr().contains(&secret[25..60]), "the log");
    browser.finish();
}

#[test]
fn leaked_key_is_found_and_revoked_without_script() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "leaked-on-github" }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let browser = Browser::without_javascript();
    sign_in(&browser, &server, &owner);
    browser.fill("Find a key: name, ID, or paste a secret or token", secret);
    browser.press(Key::Enter);
    browser.see("This is the current secret, and it works.");
    assert!(browser.url().ends_with("/console/find") && !browser.source().contains(&secret[25..60]));
    browser.click("Revoke key");
    browser.see("You can’t undo this.");
    browser.click("Revoke key");
    browser.see("Key revoked.");
    assert_eq!(status(&owner, id), "revoked");
    assert!(!server.stderr().contains(&secret[25..60]), "the log");
    browser.finish();
}

#[test]
fn one_of_many_keys_is_found_by_everything_known_about_it() {
    let (server, owner) = start();
    for n in 0..40 {
        owner.make(&json!({ "name": format!("service-{n:02}"), "allowed_cidrs": ["192.0.2.0/24"] }));
    }
    let made = owner.make(&json!({
        "name": "orders-worker", "description": "Moves parcels", "scopes": ["write:orders/*"], "allowed_cidrs": ["203.0.113.0/24"],
    }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let browser = at_the_console(&server, &owner);
    for known in ["orders-w", "moves PARCELS", id, &secret[secret.len() - 4..]] {
        go(&browser, &server, "/keys");
        browser.fill("Find a key: name, ID, or paste a secret or token", known);
        browser.press(Key::Enter);
        browser.arrive("/console/find");
        browser.see("orders-worker");
    }
    for (field, known) in [("Grants the scope", "write:orders/7"), ("Allows the network", "203.0.113.9")] {
        go(&browser, &server, "/keys");
        browser.click("Filters");
        browser.fill(field, known);
        browser.click("Apply");
        browser.do_not_see("service-");
        browser.see("orders-worker");
    }
    go(&browser, &server, "/keys?search=service");
    browser.see("1–25 of 40 keys");
    browser.click("Next page");
    browser.see("26–40 of 40 keys");
    browser.click("Previous page");
    browser.see("1–25 of 40 keys");
    browser.click("Name and owner");
    assert_eq!(browser.table("API keys").column("Name and owner").len(), 25);
    browser.finish();
}

#[test]
fn violating_keys_are_worked_off() {
    let (server, owner) = start();
    let made: Vec<String> =
        (0..3).map(|n| owner.make(&json!({ "name": format!("old-{n}") }))["id"].as_str().unwrap().to_owned()).collect();
    let browser = at_the_console(&server, &owner);
    go(&browser, &server, "/policy/change");
    browser.check("Require an expiry");
    browser.click("Review changes");
    browser.see("Effect on existing keys");
    browser.click("Apply policy");
    go(&browser, &server, "/overview");
    browser.click("4 Violating the policy Bring them into line");
    browser.see("4 keys");
    browser.check("Select old-0");
    browser.check("Select old-1");
    browser.see("Change 2 keys");
    browser.choose("Change selected keys", "Set expiry");
    browser.click("Change 2 keys");
    browser.see("Set the expiry of 2 keys?");
    browser.choose("Expiry", "In 30 days");
    browser.click("Set the expiry of 2 keys");
    browser.see("2 keys given a new expiry.");
    browser.click("Back to the list");
    browser.see("2 keys");
    browser.do_not_see("old-1");
    eventually("the expiry", || {
        let key = owner.api("GET", &format!("keys/{}", made[0])).send().expect(200);
        key["expires_at"].is_string().then_some(())
    });
    browser.run_axe();
    browser.finish();
}
