//! Bindplane's steps on the pages: a description and any date, deleted after a question, both in the audit log.

use serde_json::json;

use super::{at_the_console, go, id_of, is_gone, take_secret, url, works};
use crate::products::{told, under};

#[test]
fn a_person_makes_a_key_with_a_description_and_a_date_and_deletes_it_after_a_question() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);

    // 1. Name and description may be left out, and the expiry is any date.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert_eq!(dialog.options("Expiry").first().map(String::as_str), Some("No expiry"));
    assert_eq!(dialog.options("Expiry").last().map(String::as_str), Some("On a date"));
    assert!(!dialog.text().contains("Ends on (UTC)"), "a date is asked for where it is chosen");
    dialog.fill("Description", "Terraform, nightly");
    dialog.choose("Expiry", "On a date");
    dialog.see("Ends on (UTC)");
    dialog.fill("Ends on (UTC)", "2020-01-01T00:00");
    dialog.click("Create API key");
    browser.see("must be in the future");
    let dialog = browser.within("Create API key");
    assert_eq!(dialog.value("Description"), "Terraform, nightly", "what was typed is still there");
    assert_eq!(dialog.value("Ends on (UTC)"), "2020-01-01T00:00");
    dialog.fill("Ends on (UTC)", "2041-05-06T07:08");
    dialog.click("Create API key");
    let secret = take_secret(&browser);
    browser.see("Terraform, nightly");
    works(&server, &secret);
    is_gone(&browser, &server, &secret, &[]);
    let id = id_of(&secret);
    let key = dana.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!(key["expires_at"], "2041-05-06T07:08:00Z");

    // 2. Nothing has to be typed at all.
    go(&browser, &server, "/keys");
    browser.click("Create API key");
    browser.within("Create API key").click("Create API key");
    let plain = take_secret(&browser);
    browser.see(&format!("Unnamed key {}", id_of(&plain)));
    works(&server, &plain);

    // 3. Deleted once it is confirmed which key is meant.
    go(&browser, &server, &format!("/keys/{id}"));
    browser.click("Revoke");
    let dialog = browser.within("Revoke this key?");
    dialog.see(&format!("Unnamed key {id}"));
    assert_eq!(browser.focused(), "Reason");
    dialog.click("Revoke key");
    browser.see("The key is revoked. It and its tokens are refused from now on.");
    told(&server.exchange(&secret, &[]), 401, "API_KEY_INVALID");
    works(&server, &plain);

    // 4. The audit log tells of both, to those who may read it.
    assert!(!browser.offers("Audit log"), "a developer may not");
    let admin = at_the_console(&server, &owner);
    admin.click("Audit log");
    let log = admin.table("Audit log, newest first");
    let of_keys = |row: &&Vec<String>| row[2].ends_with(" key") && row[1].contains(&dana.email);
    let what: Vec<&str> = log.rows.iter().filter(of_keys).map(|row| row[2].as_str()).collect();
    assert_eq!(what, ["revoked key", "created key", "created key"]);
    assert!(!admin.source().contains(&secret));
    go(&admin, &server, &format!("/audit?subject={id}"));
    let trail = admin.table("Audit log, newest first");
    assert_eq!(trail.column("What"), ["revoked key", "created key"]);
    admin.finish();
    browser.finish();
}

#[test]
fn the_twenty_sixth_key_is_refused_where_it_was_typed() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    for number in 0..25 {
        dana.make(&json!({ "name": format!("key {number:02}") }));
    }
    let browser = at_the_console(&server, &dana);
    browser.click("Create API key");
    browser.within("Create API key").fill("Description", "one too many");
    browser.within("Create API key").click("Create API key");
    browser.see("a member may have 25 keys");
    assert_eq!(browser.within("Create API key").value("Description"), "one too many");

    // They are shown on two pages, in the order that was chosen.
    assert_eq!(browser.open(&url(&server, "/keys")), 200);
    browser.choose("Owner", "You");
    browser.choose("Order", "Name, A to Z");
    browser.click("Show");
    browser.see("key 00");
    let names = |table: crate::support::browser::Table| -> Vec<String> {
        table.rows.iter().map(|row| row[0].chars().take(6).collect()).collect()
    };
    let first = names(browser.table("API keys"));
    assert_eq!((first.len(), first[0].as_str(), first[24].as_str()), (25, "key 00", "key 24"));
    browser.choose("Owner", "Anybody");
    browser.click("Show");
    browser.click("Next page");
    browser.see("First page");
    assert_eq!(browser.table("API keys").rows.len(), 1, "there is the first key of all too");
    browser.click("First page");
    browser.see("key 00");
    browser.finish();
}
