//! Administration with and without JavaScript: members, policy, signing keys, webhooks, organizations, the audit log and
//! the first steps.

use serde_json::json;

use super::{at_the_console, go, read_secret, sign_in, url, works};
use crate::console::browser::take_secret;
use crate::support::person::{start, try_sign_in};
use crate::support::{Browser, Person, Server};

/// Runs a walk in a browser with and one without JavaScript, each with its own server and signed-in owner.
#[track_caller]
fn in_both(walk: impl Fn(&Server, &Person, &Browser)) {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start();
        sign_in(&browser, &server, &owner);
        walk(&server, &owner, &browser);
        browser.finish();
    }
}

/// Returns the password or secret on a page that shows it once, and continues to the next page.
#[track_caller]
fn take(browser: &Browser, heading: &str, is_it: impl Fn(&str) -> bool) -> String {
    browser.see(heading);
    // Ignores the page below a dialog.
    let shown = "return (document.querySelector('dialog[open]') ?? document.querySelector('main')).innerText";
    let text = browser.run(shown, &[]);
    let text = text.as_str().unwrap();
    let found = text.split_whitespace().find(|word| is_it(word)).unwrap_or_else(|| panic!("nothing in {text}"));
    browser.click("Continue");
    assert!(browser.text().contains(found), "the checkbox is required");
    let saved = if is_password(found) { "I saved this password" } else { "I saved this secret" };
    browser.check(saved);
    browser.click("Continue");
    browser.do_not_see(saved);
    assert!(!browser.source().contains(found));
    found.to_owned()
}

/// Whether a word looks like a generated password.
fn is_password(word: &str) -> bool {
    word.len() == 22 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

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
        assert_eq!(owner.api("GET", "policy").send().expect(200)["key_prefix"], "acme");
    });
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
        browser.within("Gateways").click("nginx");
        browser.see("Your values");
        browser.fill("Your API", "10.1.2.3:8080");
        browser.click("Update configuration");
        browser.see("10.1.2.3:8080");
    });
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
        browser.see("Test event sent.");
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
        browser.fill("Slug", "Not a slug");
        browser.fill("Owner’s email", "f@fleet.example");
        browser.within("Create organization").click("Create organization");
        browser.see("Fix th");
        browser.fill("Slug", "fleet");
        browser.within("Create organization").click("Create organization");
        let password = take(browser, "shown only once", is_password);
        browser.see("Organization created.");
        browser.see("/o/fleet");
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
        browser.see("You can change it at any time on your account page");
        browser.click("Create signing key");
        browser.see("Signing key created.");
        go(browser, server, "/signing-keys");
        assert!(!browser.offers("Create signing key"), "it is made once");
        go(browser, server, "/welcome");
        browser.click("Create API key");
        browser.fill("Name", "first");
        browser.click("Create API key");
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
    let copied = || try_sign_in(&server, "default", "eli@example.org", &browser.clipboard()).status == 201;
    browser.wait("the password in the clipboard", copied);
    browser.check("I saved this password");
    browser.click("Continue");
    browser.see("Member added.");

    // The same for a key created from Getting started.
    browser.open(&url(&server, "/welcome"));
    browser.click("Create API key");
    browser.click("Create API key");
    works(&server, &take_secret(&browser));
    browser.finish();
}

/// Waits for a button whose name starts with `begins` and presses the last one.
#[track_caller]
fn confirm(browser: &Browser, begins: &str) {
    let found = || browser.page().names("button").into_iter().rfind(|name| name.starts_with(begins));
    browser.wait(&format!("a button {begins}…"), || found().is_some());
    browser.page().click(&found().unwrap());
}
