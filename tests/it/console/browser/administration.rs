//! Administration with and without JavaScript: members, policy, signing keys, webhooks, organizations, the audit log and
//! the first steps.

use serde_json::json;

use super::walk::{confirm, in_both, is_password, take};
use super::{at_the_console, create_for_any_network, go, read_secret, sign_in, take_secret, url, works};
use crate::support::person::{start, start_in, try_sign_in};
use crate::support::{Browser, Place};

#[test]
fn members() {
    in_both(|server, owner, browser| {
        browser.click("Members");
        browser.see("You’re the only member.");
        browser.click("Add member");
        browser.fill("Email", "grace@example.org");
        browser.choose("Role", &role(browser, "admin"));
        browser.within("Add member").click("Add member");
        let password = take(browser, "shown only once", is_password);
        browser.see("Member added.");
        assert_eq!(try_sign_in(server, "default", "grace@example.org", &password).status, 201);

        browser.fill("Search by email", "grace");
        browser.click("Search");
        browser.wait("one row", || browser.table("Members").rows.len() == 1);
        browser.click("grace@example.org");
        browser.choose("Role", &role(browser, "viewer"));
        browser.click("Save changes");
        browser.see("Member updated.");
        browser.click("Reset password");
        browser.within("Reset password for grace@example.org?").click("Reset password");
        let new = take(browser, "shown only once", is_password);
        assert_eq!(try_sign_in(server, "default", "grace@example.org", &password).status, 401);
        assert_eq!(try_sign_in(server, "default", "grace@example.org", &new).status, 201);
        browser.click("Remove member");
        let page = browser.within("Remove grace@example.org?");
        page.see("You can’t undo this");
        page.click("Remove member");
        browser.see("Member removed.");
        browser.do_not_see("grace@example.org");

        browser.click("Audit log");
        browser.see("Audit log");
        let log = browser.table("Audit entries, newest first");
        assert!(log.rows.len() >= 5 && !browser.source().contains(&new), "{log:?}");
        browser.fill("Actor", &owner.email);
        browser.click("Apply");
        browser.see("Clear filters");
    });
}

/// Returns the option of the role select box for a role.
#[track_caller]
fn role(browser: &Browser, name: &str) -> String {
    let begins = |option: &String| option.starts_with(&format!("{name}:"));
    browser.page().options("Role").into_iter().find(begins).unwrap()
}

#[test]
fn policy() {
    in_both(|_, owner, browser| {
        owner.make(&json!({ "name": "without an end" }));
        browser.click("Policy");
        browser.click("Edit policy");
        browser.fill("Secret prefix", "NOT A PREFIX");
        browser.click("Review changes");
        browser.see("Fix th");
        assert_eq!(browser.value("Secret prefix"), "NOT A PREFIX");
        browser.fill("Token lifetime", "300");
        browser.fill("Mark as stale after", "a while");
        browser.click("Review changes");
        browser.see("Fix these 3 problems");
        browser.see("Add a unit, for example 300 minutes");
        browser.fill("Token lifetime", "5 minutes");
        browser.fill("Mark as stale after", "");
        browser.fill("Secret prefix", "acme");
        browser.click("Review changes");
        browser.see("Review policy changes");
        let changes = browser.table("Settings that change");
        assert_eq!(changes.row("Secret prefix")[2], "New secrets start with acme_", "{changes:?}");
        browser.click("Back to editing");
        assert_eq!(browser.value("Secret prefix"), "acme");
        browser.click("Review changes");
        browser.click("Apply policy");
        browser.see("Policy updated.");
        let policy = owner.api("GET", "policy").send().expect(200);
        assert_eq!((&policy["key_prefix"], &policy["token_ttl_seconds"]), (&json!("acme"), &json!(300)));
    });
}

/// Fields that do not apply are hidden or disabled by the script.
#[test]
fn policy_fields_that_do_not_apply() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    go(&browser, &server, "/policy/change");
    browser.do_not_see("Allowed lifetimes");
    browser.choose("Expiry choices", "Only these lifetimes");
    browser.see("Allowed lifetimes");
    let disabled = "return document.getElementById('disable_when_stale').disabled";
    assert_eq!(browser.run(disabled, &[]), true);
    browser.fill("Mark as stale after", "90 days");
    assert_eq!(browser.run(disabled, &[]), false);
    browser.finish();
}

#[test]
fn signing_keys() {
    in_both(|server, _, browser| {
        browser.click("Signing keys");
        assert_eq!(browser.table("Signing keys, newest first").rows.len(), 1);
        browser.click("Rotate signing key");
        let page = browser.within("Rotate signing key");
        page.see("Creates a new signing key");
        page.choose("When to start using the new key", "Immediately");
        page.click("Rotate signing key");
        browser.see("Signing key rotated.");
        assert_eq!(browser.table("Signing keys, newest first").rows.len(), 2);
        assert_eq!(server.get("/.well-known/jwks.json").send().expect(200)["keys"].as_array().unwrap().len(), 2);
        browser.within("Console").click("Gateways");
        browser.click("nginx");
        browser.see("Your values");
        browser.fill("Your API", "10.1.2.3:8080");
        browser.click("Show configuration");
        browser.see("10.1.2.3:8080");
        // The values are kept for the other method.
        browser.click("Change values");
        browser.click("Verify and cache");
        browser.see("Your values");
        assert_eq!(browser.value("Your API"), "10.1.2.3:8080");
        browser.click("Show configuration");
        browser.see("proxy_cache_path");
        browser.see("10.1.2.3:8080");
        browser.within("Console").click("Gateways");
        browser.click("Envoy");
        browser.fill("Your API", "10.1.2.3:8080");
        browser.click("Show configuration");
        browser.see("Configuration: ");
        assert!(browser.offers("Download ext_authz.yaml"));
    });
}

/// A signing key leaked: its tokens are denied right after it is revoked.
#[test]
fn leaked_signing_key() {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start_in(Place::on_sqlite());
        sign_in(&browser, &server, &owner);
        let token = server.token(&server.key, &[]);
        let kid = owner.api("GET", "signing-keys").send().expect(200)["items"][0]["kid"].as_str().unwrap().to_owned();
        browser.click("Signing keys");
        browser.click("Rotate signing key");
        browser.see("Rotation alone is not enough");
        browser.click("Rotate and revoke the current key");
        let page = browser.within("Rotate and revoke the current signing key?");
        page.see("issued in the last 10 minutes will stop working immediately");
        page.fill("Confirm", "nothing");
        page.click("Rotate and revoke");
        browser.see("Fix this problem");
        assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
        let page = browser.within("Rotate and revoke the current signing key?");
        page.fill("Confirm", &kid[..8]);
        page.click("Rotate and revoke");
        browser.see("Signing key revoked.");
        assert_eq!(server.get("/verify").bearer(&token).send().status, 401);
        browser.see("After a leak");
        browser.do_not_see(&kid);
        assert_eq!(server.get("/verify").bearer(&server.token(&server.key, &[])).send().status, 200);
        browser.finish();
    }
}

#[test]
fn webhooks() {
    in_both(|_, _, browser| {
        browser.click("Webhooks");
        browser.see("No webhooks");
        browser.click("Add webhook");
        browser.fill("URL", "ftp://nowhere.example");
        browser.check("All events");
        browser.click("Add webhook");
        browser.see("Fix th");
        browser.fill("URL", "https://hooks.example.org/keyturn");
        browser.fill("Description", "tells the team");
        browser.click("Add webhook");
        let is_secret = |word: &str| word.starts_with("whsec_") && word.len() > 20;
        let first = take(browser, "Copy the secret now.", is_secret);
        browser.see("tells the team");
        browser.click("Send test event");
        browser.see("Test event queued.");
        browser.see("Delivery of webhook.test");
        browser.click("https://hooks.example.org");
        browser.click("Edit");
        browser.fill("Description", "tells them all");
        browser.click("Save changes");
        browser.see("Webhook updated.");
        browser.see("tells them all");
        browser.click("Disable");
        browser.see("Webhook disabled.");
        browser.click("Enable");
        browser.see("Webhook enabled.");
        browser.click("Rotate secret");
        confirm(browser, "Rotate");
        assert_ne!(take(browser, "Secret rotated.", is_secret), first);
        browser.click("Delete");
        confirm(browser, "Delete");
        browser.see("Webhook deleted");
        browser.see("No webhooks");
    });
}

#[test]
fn organizations_and_first_steps() {
    in_both(|server, _, browser| {
        browser.click("Organizations");
        browser.click("Create organization");
        browser.fill("Name", "The fleet");
        browser.fill("Slug", "Not a slug");
        browser.fill("Owner’s email", "f@fleet.example");
        browser.within("Create organization").click("Create organization");
        browser.see("Fix th");
        browser.fill("Slug", "fleet");
        browser.within("Create organization").click("Create organization");
        let password = take(browser, "shown only once", is_password);
        browser.see("Organization created.");
        browser.see("The fleet");
        browser.click("Sign out");
        browser.see("Sign in");

        // Members with a temporary password land on Getting started.
        browser.fill("Organization", "fleet");
        browser.fill("Email", "f@fleet.example");
        browser.fill("Password", &password);
        browser.click("Sign in");
        browser.arrive("/console/welcome");
        browser.see("Change your temporary password");
        browser.fill("Temporary password", &password);
        browser.fill("New password", "a password of my own");
        browser.click("Change password");
        browser.see("Password changed.");
        browser.see("Create a signing key");
        assert!(!browser.offers("Create signing key"), "it was created with the organization");
        browser.click("Create API key");
        browser.fill("Name", "first");
        create_for_any_network(browser);
        let secret = read_secret(browser, "kt");
        browser.check("I saved this secret");
        browser.click("Continue");
        browser.see("Client ID");
        works(server, &secret);
        go(browser, server, "/welcome");
        browser.see("Request a token");
    });
}

#[test]
fn escape_does_not_close_a_secret() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    go(&browser, &server, "/members");
    browser.click("Add member");
    browser.wait("the focus on the first field", || browser.focused() == "Email");
    browser.type_text("eli@example.org");
    browser.press(crate::support::browser::Key::Enter);
    browser.see("shown only once");
    browser.wait("the focus", || browser.focused() == "Copy password");
    for _ in 0..3 {
        browser.press(crate::support::browser::Key::Escape);
    }
    assert!(browser.dialog_is_open());
    browser.click("Copy password");
    browser.see("Copied");
    // Once: each failed attempt counts towards the limit of the login.
    try_sign_in(&server, "default", "eli@example.org", &browser.clipboard()).expect(201);
    browser.check("I saved this password");
    browser.click("Continue");
    browser.see("Member added.");

    // The same for a key created from Getting started.
    browser.open(&url(&server, "/welcome"));
    browser.click("Create API key");
    browser.within("Create API key").fill("Name", "first");
    create_for_any_network(&browser);
    works(&server, &take_secret(&browser));
    browser.finish();
}
