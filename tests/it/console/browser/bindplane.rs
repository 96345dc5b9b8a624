//! Bindplane's workflow: keys with a description and any expiry date, revoked after a confirmation, all in the audit log.

use serde_json::json;

use super::{at_the_console, create_for_any_network, go, id_of, is_gone, take_secret, url, works};
use crate::products::{assert_error, under};

#[test]
fn keys_have_descriptions_and_dates() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);

    // 1. The description is optional, and the expiry can be any date.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert_eq!(dialog.options("Expiry")[5..], ["Custom date…", "No expiry"]);
    assert!(dialog.value("Expiry").starts_with("90 days (20"), "{}", dialog.value("Expiry"));
    assert!(!dialog.text().contains("Expiry date (UTC)"), "a date is asked for where it is chosen");
    dialog.fill("Name", "terraform");
    dialog.choose("Network access", "Any network");
    dialog.fill("Description", "Terraform, nightly");
    dialog.choose("Expiry", "Custom date…");
    dialog.see("Expiry date (UTC)");
    dialog.fill("Expiry date (UTC)", "2020-01-01T00:00");
    dialog.click("Create API key");
    browser.see("Must be in the future.");
    let dialog = browser.within("Create API key");
    assert_eq!(dialog.value("Description"), "Terraform, nightly", "what was typed is still there");
    assert_eq!(dialog.value("Expiry date (UTC)"), "2020-01-01T00:00");
    dialog.fill("Expiry date (UTC)", "2041-05-06T07:08");
    create_for_any_network(&browser);
    let secret = take_secret(&browser);
    browser.see("Terraform, nightly");
    works(&server, &secret);
    is_gone(&browser, &server, &secret, &[]);
    let id = id_of(&secret);
    let key = dana.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!(key["expires_at"], "2041-05-06T07:08:00Z");

    // 2. The form needs a name, but existing keys may have none.
    go(&browser, &server, "/keys");
    browser.click("Create API key");
    browser.within("Create API key").click("Create API key");
    assert_eq!(browser.focused(), "Name");
    assert!(browser.dialog_is_open());
    let plain = dana.api("POST", "keys").json(&json!({})).send().expect(201);
    let plain = plain["secret"].as_str().unwrap();
    go(&browser, &server, &format!("/keys/{}", id_of(plain)));
    browser.see(&format!("Unnamed ({})", id_of(plain)));
    works(&server, plain);

    // 3. Revocation needs a confirmation that names the key.
    go(&browser, &server, &format!("/keys/{id}"));
    browser.click("Revoke");
    let dialog = browser.within("Revoke “terraform”?");
    dialog.see("Disable it first");
    assert_eq!(browser.focused(), "Reason");
    dialog.fill("Confirmation", "terraform");
    dialog.click("Revoke key");
    browser.see("Key revoked. The key and its tokens no longer work.");
    assert_error(&server.exchange(&secret, &[]), 401, "API_KEY_INVALID");
    works(&server, plain);

    // 4. The audit log has both changes, for members who can read it.
    assert!(!browser.offers("Audit log"), "a developer may not");
    let admin = at_the_console(&server, &owner);
    admin.click("Audit log");
    let log = admin.table("Audit entries, newest first");
    let of_keys = |row: &&Vec<String>| row[2].contains(" key") && row[1].contains(&dana.email);
    let what: Vec<&str> = log.rows.iter().filter(of_keys).map(|row| row[2].as_str()).collect();
    assert_eq!(what, ["revoked key Restricted", "created key", "created key"]);
    assert!(!admin.source().contains(&secret));
    go(&admin, &server, &format!("/audit?subject={id}"));
    let trail = admin.table("Audit entries, newest first");
    assert_eq!(trail.column("Action"), ["revoked key Restricted", "created key"]);
    admin.finish();
    browser.finish();
}

#[test]
fn key_limit_keeps_the_form() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    for number in 0..25 {
        dana.make(&json!({ "name": format!("key {number:02}") }));
    }
    let browser = at_the_console(&server, &dana);
    browser.click("Create API key");
    browser.within("Create API key").fill("Name", "more");
    browser.within("Create API key").fill("Description", "one too many");
    create_for_any_network(&browser);
    browser.see("each member and each customer can have 25 keys");
    assert_eq!(browser.within("Create API key").value("Description"), "one too many");

    // The list has two pages, in the chosen order.
    assert_eq!(browser.open(&url(&server, "/keys")), 200);
    browser.click("Filters");
    browser.choose("Owner", "You");
    browser.choose("Sort by", "Name, A to Z");
    browser.click("Apply");
    browser.see("key 00");
    let names = |table: crate::support::browser::Table| -> Vec<String> {
        table.column("Name and owner").iter().map(|name| name.chars().take(6).collect()).collect()
    };
    let first = names(browser.table("API keys"));
    assert_eq!((first.len(), first[0].as_str(), first[24].as_str()), (25, "key 00", "key 24"));
    browser.click("Filters");
    browser.choose("Owner", "Any owner");
    browser.click("Apply");
    browser.click("Next page");
    browser.see("Previous page");
    assert_eq!(browser.table("API keys").rows.len(), 1, "there is the first key of all too");
    browser.click("Previous page");
    browser.see("key 00");
    browser.finish();
}
