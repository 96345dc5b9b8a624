//! The console without JavaScript: everything works except copy buttons.

use serde_json::json;

use super::{create_for_any_network, go, id_of, read_secret, sign_in, url, works};
use crate::support::person::start;
use crate::support::{Browser, Person, Server};

/// Opens a browser without JavaScript and signs the owner in.
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
fn key_lifecycle() {
    let (server, owner, browser) = begin();

    // 1. Create a key with more scopes than rows, one of them removed again.
    browser.click("Create API key");
    browser.see("Empty rows are ignored");
    assert!(!browser.dialog_is_open());
    browser.fill("Name", "nightly");
    let rows = browser.page().names("textbox").iter().filter(|name| name.starts_with("Resource pattern")).count();
    for row in 1..=rows {
        browser.choose(&format!("Action for scope {row}"), "read");
        browser.fill(&format!("Resource pattern for scope {row}"), &format!("projects/{row}"));
    }
    browser.click("Add scope");
    let added = rows + 1;
    browser.see("Create API key");
    browser.choose(&format!("Action for scope {added}"), "write");
    browser.fill(&format!("Resource pattern for scope {added}"), "projects/added/*");
    browser.click("Add scope");
    browser.see("Create API key");
    browser.choose(&format!("Action for scope {}", added + 1), "read");
    browser.fill(&format!("Resource pattern for scope {}", added + 1), "projects/3");
    browser.click("Remove scope 2");
    assert_eq!(
        (browser.value("Name"), browser.value("Resource pattern for scope 2")),
        ("nightly".into(), "projects/3".into())
    );
    browser.fill("Allowed networks", "10.0.0.1/8");
    browser.choose("Expiry", "30 days");
    browser.click("Create API key");
    browser.see("has host bits set");
    assert_eq!(browser.value("Resource pattern for scope 1"), "projects/1", "what was typed is still there");
    browser.fill("Allowed networks", "127.0.0.0/8");
    browser.click("Create API key");

    // 2. The secret: the browser requires the checkbox. There is no copy button.
    let secret = read_secret(&browser, "kt");
    assert!(!browser.offers("Copy"));
    browser.click("Python");
    assert!(browser.text().matches(&secret).count() >= 2, "the snippets hold it");
    browser.click("Continue");
    assert!(browser.text().contains("Save your secret"), "not before it is said that it is copied");
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Client ID");
    works(&server, &secret);
    assert!(!browser.source().contains(&secret));
    let id = id_of(&secret).to_owned();
    let key = owner.api("GET", &format!("keys/{id}")).send().expect(200);
    let scope = |action: &str, resource: &str| json!({ "action": action, "resource": resource });
    let scopes = [scope("read", "projects/1"), scope("read", "projects/3")];
    assert_eq!(key["scopes"], json!(scopes));

    // 3. Edit after a review.
    browser.click("Edit");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.click("Save changes");
    browser.see("Change access of “nightly”?");
    assert_eq!(
        browser.table("Changes").rows,
        [["Allowed networks", "127.0.0.0/8", "10.0.0.0/8", "Widened and restricted"]]
    );
    works(&server, &secret);
    browser.click("Apply changes");
    browser.see("Key updated. Tokens issued earlier no longer work.");
    refused(&server, &secret);
    browser.click("Why was a request denied?");
    browser.fill("Client IP address", "127.0.0.1");
    browser.click("Run checks");
    browser.see("Denied. Failed: network.");
    browser.click("nightly");
    browser.click("Edit");
    browser.fill("Allowed networks", "");
    browser.choose("Network access", "Any network");
    browser.click("Save changes");
    browser.see("Widen access of “nightly”?");
    browser.see("This key can be used from any address.");
    browser.click("Back to the form");
    browser.fill("Name", "nightly, turned");
    browser.click("Save changes");
    browser.click("Widen access");
    browser.see("Key updated.");

    // 4. Rotate with 24 hours, which is preselected; both secrets work until the grace period is ended.
    browser.click("Rotate");
    browser.click("Rotate key");
    let new = read_secret(&browser, "kt");
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Rotation in progress");
    works(&server, &secret);
    works(&server, &new);
    assert_eq!(browser.table("Secrets").column("Secret"), ["Current", "Previous"]);
    browser.click("Extend");
    browser.click("Cancel");
    browser.click("End grace period now");
    browser.see("End the grace period of “nightly, turned”?");
    browser.click("End grace period");
    browser.see("Grace period ended.");
    refused(&server, &secret);
    works(&server, &new);

    // 5. Disable, enable and revoke, each after a confirmation.
    for (change, confirm, said, is_good) in [
        ("Disable", "Disable key", "Key disabled.", false),
        ("Enable", "Enable key", "Key enabled.", true),
        ("Revoke", "Revoke key", "Key revoked.", false),
    ] {
        browser.click(change);
        browser.see(&format!("{change} “nightly, turned”?"));
        browser.click("Cancel");
        browser.see("Client ID");
        browser.click(change);
        if browser.text().contains("to confirm.") {
            browser.fill("Confirmation", "nightly, turned");
        }
        browser.click(confirm);
        browser.see(said);
        assert_eq!(server.exchange(&new, &[]).status == 200, is_good, "{change}");
    }
    browser.finish();
}

#[test]
fn secrets_are_shown_once() {
    let (server, owner, browser) = begin();
    go(&browser, &server, "/keys/new");
    browser.fill("Name", "once");
    create_for_any_network(&browser);
    let secret = read_secret(&browser, "kt");
    browser.reload();
    browser.see("Already submitted");
    browser.click("View key");
    browser.see("Client ID");
    for _ in 0..4 {
        browser.back();
        assert!(!browser.source().contains(&secret), "{}", browser.url());
    }
    let keys = owner.api("GET", "keys?search=once").send().expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    browser.finish();
}

#[test]
fn list_is_filtered_and_paged() {
    let (server, owner, browser) = begin();
    for number in 0..27 {
        owner.make(&json!({ "name": format!("page {number:02}") }));
    }
    go(&browser, &server, "/keys");
    browser.click("Filters");
    browser.choose("Sort by", "Name, A to Z");
    browser.fill("Search", "page");
    browser.click("Apply");
    let names = || -> Vec<String> {
        browser.table("API keys").column("Name and owner").iter().map(|name| name.chars().take(7).collect()).collect()
    };
    assert_eq!((names().len(), names()[0].as_str()), (25, "page 00"));
    browser.click("Next page");
    assert_eq!(names(), ["page 25", "page 26"]);
    browser.click("Previous page");
    browser.see("page 00");
    assert_eq!(browser.value("Search"), "page", "the filter holds on the first page again");
    browser.choose("Status", "Revoked");
    browser.click("Apply");
    browser.see("No keys match these filters.");
    browser.click("Usage");
    browser.click("24 hours");
    browser.see("No requests in this period.");
    browser.finish();
}

#[test]
fn sign_in_and_account() {
    let (server, owner) = start();
    let dana = owner.add(&server, "developer");
    let browser = Browser::without_javascript();
    browser.open(&url(&server, "/usage?range=7d"));
    browser.fill("Email", &dana.email);
    browser.fill("Password", "not the password");
    browser.click("Sign in");
    browser.see("Incorrect email or password.");
    assert_eq!(browser.value("Email"), dana.email);
    browser.fill("Password", &dana.password);
    browser.click("Sign in");
    browser.arrive("/console/welcome?next=%2Fconsole%2Fusage%3Frange%3D7d");
    browser.click("Continue to that page");
    browser.arrive("/console/usage?range=7d");

    // The account: sessions and password.
    go(&browser, &server, "/account");
    assert_eq!(browser.table("Sessions").rows.len(), 2, "the API's and this one");
    let buttons = browser.page().names("button");
    browser.click(buttons.iter().find(|name| name.starts_with("End session")).unwrap());
    browser.see("Session ended.");
    assert!(!dana.is_signed_in());
    browser.fill("Current password", &dana.password);
    browser.fill("New password", "short");
    browser.click("Change password");
    browser.see("Fix this problem:");
    browser.fill("Current password", &dana.password);
    browser.fill("New password", "a much better password");
    browser.click("Change password");
    browser.see("Password changed.");
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
