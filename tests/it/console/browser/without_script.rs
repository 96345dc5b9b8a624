//! The whole walk where nobody runs our script: everything can be done but copying by a button.

use serde_json::json;

use super::{go, id_of, read_secret, sign_in, url, works};
use crate::support::person::start;
use crate::support::{Browser, Person, Server};

/// A browser with scripts off, in which the owner has signed in.
#[track_caller]
fn begin() -> (Server, Person, Browser) {
    let (server, owner) = start();
    let browser = Browser::without_javascript();
    sign_in(&browser, &server, &owner);
    (server, owner, browser)
}

#[track_caller]
fn refused(server: &Server, secret: &str) {
    assert_ne!(server.exchange(secret, &[]).status, 200);
}

#[test]
fn a_key_is_made_edited_rotated_disabled_enabled_and_revoked() {
    let (server, owner, browser) = begin();

    // 1. Made, with more scopes than there were rows, one of them taken away again.
    browser.click("Create API key");
    browser.see("Rows that are empty are left out");
    assert!(!browser.dialog_is_open());
    browser.fill("Name", "nightly");
    let rows = browser.page().names("textbox").iter().filter(|name| name.starts_with("Resource filter")).count();
    for row in 1..=rows {
        browser.choose(&format!("Action of scope {row}"), "read");
        browser.fill(&format!("Resource filter of scope {row}"), &format!("projects/{row}"));
    }
    browser.click("Add a scope");
    let added = rows + 1;
    browser.see("Create API key");
    browser.choose(&format!("Action of scope {added}"), "write");
    browser.fill(&format!("Resource filter of scope {added}"), "projects/added/*");
    browser.click("Remove scope 2");
    assert_eq!(
        (browser.value("Name"), browser.value("Resource filter of scope 2")),
        ("nightly".into(), "projects/3".into())
    );
    browser.fill("Allowed networks", "10.0.0.1/8");
    browser.choose("Expiry", "30 days");
    browser.click("Create API key");
    browser.see("has bits set beyond /8");
    assert_eq!(browser.value("Resource filter of scope 1"), "projects/1", "what was typed is still there");
    browser.fill("Allowed networks", "127.0.0.0/8");
    browser.click("Create API key");

    // 2. The secret, once: the browser itself waits for the tick. There is no button that could not copy.
    let secret = read_secret(&browser, "kt");
    assert!(!browser.offers("Copy"));
    browser.click("Python");
    assert!(browser.text().matches(&secret).count() >= 2, "the snippets hold it");
    browser.click("Continue");
    assert!(browser.text().contains("Copy the key now"), "not before it is said that it is copied");
    browser.check("I have copied it");
    browser.click("Continue");
    browser.see("Client id");
    works(&server, &secret);
    assert!(!browser.source().contains(&secret));
    let id = id_of(&secret).to_owned();
    let key = owner.api("GET", &format!("keys/{id}")).send().expect(200);
    let scope = |action: &str, resource: &str| json!({ "action": action, "resource": resource });
    let scopes = [scope("read", "projects/1"), scope("read", "projects/3"), scope("write", "projects/added/*")];
    assert_eq!(key["scopes"], json!(scopes));

    // 3. Edited, after a look at what would have been refused.
    browser.click("Edit");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.click("Save");
    browser.see("Narrow this key?");
    assert_eq!(browser.table("What changes").rows, [["Allowed networks", "127.0.0.0/8", "10.0.0.0/8"]]);
    works(&server, &secret);
    browser.click("Narrow key");
    browser.see("The key is narrower.");
    refused(&server, &secret);
    browser.click("Explain a refusal");
    browser.fill("Caller’s address", "127.0.0.1");
    browser.click("Explain");
    browser.see("Refused. The first check that fails says why.");
    browser.click("nightly");
    browser.click("Edit");
    browser.fill("Allowed networks", "");
    browser.click("Save");
    browser.see("The key is changed.");

    // 4. Rotated: the old one ends at once.
    browser.click("Rotate");
    browser.fill("Name", "nightly, turned");
    browser.click("Rotate key");
    let new = read_secret(&browser, "kt");
    browser.check("I have copied it");
    browser.click("Continue");
    browser.see("nightly, turned");
    refused(&server, &secret);
    works(&server, &new);

    // 5. Disabled, enabled, revoked, each after a page that asks.
    for (change, confirm, said, is_good) in [
        ("Disable", "Disable key", "The key is disabled.", false),
        ("Enable", "Enable key", "The key is enabled.", true),
        ("Revoke", "Revoke key", "The key is revoked.", false),
    ] {
        browser.click(change);
        browser.see(&format!("{change} this key?"));
        browser.click("Cancel");
        browser.see("Client id");
        browser.click(change);
        browser.click(confirm);
        browser.see(said);
        assert_eq!(server.exchange(&new, &[]).status == 200, is_good, "{change}");
    }
    browser.finish();
}

#[test]
fn the_secret_is_not_shown_again_by_going_back_or_sending_again() {
    let (server, owner, browser) = begin();
    go(&browser, &server, "/keys/new");
    browser.fill("Name", "once");
    browser.click("Create API key");
    let secret = read_secret(&browser, "kt");
    browser.reload();
    browser.see("Done before");
    browser.click("To the key");
    browser.see("Client id");
    for _ in 0..3 {
        browser.back();
        assert!(!browser.source().contains(&secret), "{}", browser.url());
    }
    let keys = owner.api("GET", "keys?search=once").send().expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    browser.finish();
}

#[test]
fn the_list_is_filtered_and_paged() {
    let (server, owner, browser) = begin();
    for number in 0..27 {
        owner.make(&json!({ "name": format!("page {number:02}") }));
    }
    go(&browser, &server, "/keys");
    browser.choose("Order", "Name, A to Z");
    browser.fill("Search by name", "page");
    browser.click("Show");
    let names = || -> Vec<String> {
        browser.table("API keys").rows.iter().map(|row| row[0].chars().take(7).collect()).collect()
    };
    assert_eq!((names().len(), names()[0].as_str()), (25, "page 00"));
    browser.click("Next page");
    assert_eq!(names(), ["page 25", "page 26"]);
    browser.click("First page");
    browser.see("page 00");
    assert_eq!(browser.value("Search by name"), "page", "the filter holds on the first page again");
    browser.choose("Status", "Revoked");
    browser.click("Show");
    browser.see("No key is like that.");
    browser.click("Usage");
    browser.click("24 hours");
    browser.see("No key was used in this time.");
    browser.finish();
}

#[test]
fn somebody_signs_in_changes_their_password_ends_other_sessions_and_signs_out() {
    let (server, owner) = start();
    let dana = owner.add(&server, "developer");
    let browser = Browser::without_javascript();
    browser.open(&url(&server, "/usage?range=7d"));
    browser.fill("Email", &dana.email);
    browser.fill("Password", "not the password");
    browser.click("Sign in");
    browser.see("Organization, login and password do not go together.");
    assert_eq!(browser.value("Email"), dana.email);
    browser.fill("Password", &dana.password);
    browser.click("Sign in");
    browser.arrive("/console/usage?range=7d");

    // The account: the sessions, the password.
    go(&browser, &server, "/account");
    assert_eq!(browser.table("Sessions").rows.len(), 2, "the API's and this one");
    let buttons = browser.page().names("button");
    browser.click(buttons.iter().find(|name| name.starts_with("End session")).unwrap());
    browser.see("The session has ended.");
    assert!(!dana.is_signed_in());
    browser.fill("Current password", &dana.password);
    browser.fill("New password", "short");
    browser.click("Change password");
    browser.see("This needs another look:");
    browser.fill("Current password", &dana.password);
    browser.fill("New password", "a much better password");
    browser.click("Change password");
    browser.see("Your password is changed.");
    browser.click("Sign out");
    browser.see("Sign in");
    browser.open(&url(&server, "/account"));
    browser.see("Sign in");
    browser.fill("Email", &dana.email);
    browser.fill("Password", "a much better password");
    browser.click("Sign in");
    browser.arrive("/console/account");
    browser.finish();
}
