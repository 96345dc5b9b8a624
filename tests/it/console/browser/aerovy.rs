//! Aerovy's steps on the pages: named keys with scopes as rows and networks, edited after a look at what that would
//! have refused, explained, and revoked for good.

use serde_json::json;

use super::{at_the_console, go, id_of, is_gone, sign_in, take_secret, works};
use crate::products::{told, under};
use crate::support::browser::Key;
use crate::support::{Browser, Person, eventually, jwt};

#[test]
fn a_key_has_scopes_as_rows_and_networks_that_are_checked_while_they_are_typed() {
    let (server, owner) = under("aerovy");
    let browser = at_the_console(&server, &owner);
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    dialog.fill("Name", "ingest");

    // 1. Scopes are required, a row each; a filter is told in words while it is typed.
    dialog.click("Create API key");
    browser.see("This needs another look:");
    let dialog = browser.within("Create API key");
    dialog.see("at least one scope");
    assert_eq!(dialog.value("Name"), "ingest");
    dialog.fill("Resource filter of scope 1", "sites//berlin");
    dialog.choose("Action of scope 1", "read");
    dialog.see("segment 2 of the resource filter is empty");
    dialog.fill("Resource filter of scope 1", "sites/berlin/#");
    dialog.see("One resource for each value of #.");
    dialog.fill("Resource filter of scope 2", "*");
    dialog.see("Every resource, but for Keyturn’s own management API.");

    // 2. Rows are added and taken away; those that stay keep what is in them.
    let rows = || browser.within("Create API key").names("textbox");
    let count = rows().iter().filter(|name| name.starts_with("Resource filter")).count();
    dialog.click("Add a scope");
    assert_eq!(browser.focused(), format!("Action of scope {}", count + 1), "the new row");
    dialog.click("Remove scope 2");
    assert_eq!(browser.focused(), "Action of scope 2", "where one was");
    dialog.click("Remove scope 2");
    dialog.click("Add a scope");
    dialog.click("Remove scope 3");
    let names = rows();
    let left: Vec<_> = names.iter().filter(|name| name.starts_with("Resource filter")).collect();
    assert_eq!(left.len(), count - 1);
    assert_eq!(left.last().unwrap().as_str(), format!("Resource filter of scope {}", count - 1));
    assert_eq!(dialog.value("Resource filter of scope 1"), "sites/berlin/#");
    dialog.choose("Action of scope 2", "write");
    dialog.fill("Resource filter of scope 2", "sites/berlin/chargers/*");

    // 3. Networks: what is wrong is told with its place, a wildcard is warned about.
    let networks = |text: &str, said: &str| {
        browser.within("Create API key").fill("Allowed networks", text);
        browser.within("Create API key").see(said);
    };
    networks("10.0.0.0/8\n10.0.0.1/8", "Entry 2: 10.0.0.1/8 has bits set beyond /8");
    networks("*", "A wildcard lets every address in.");
    networks("0.0.0.0/0", "A wildcard lets every address in.");
    networks("10.0.0.0/8, 127.0.0.1 2001:db8::/32", "3 networks: 10.0.0.0/8, 127.0.0.1/32, 2001:db8::/32");
    browser.click("Create API key");
    let secret = take_secret(&browser);
    browser.see("write:sites/berlin/chargers/*");
    browser.see("2001:db8::/32");
    works(&server, &secret);
    told(&server.exchange(&secret, &[("scope", "read:sites/paris/x")]), 400, "INSUFFICIENT_SCOPE");
    is_gone(&browser, &server, &secret, &[]);
    let key = owner.api("GET", &format!("keys/{}", id_of(&secret))).send().expect(200);
    assert_eq!(
        key["scopes"],
        json!([{ "action": "read", "resource": "sites/berlin/#" },
               { "action": "write", "resource": "sites/berlin/chargers/*" }])
    );

    // 4. Everything from everywhere is possible, and is warned about where it is made and where it is.
    go(&browser, &server, "/keys");
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    dialog.fill("Name", "all");
    dialog.choose("Action of scope 1", "* (any action)");
    dialog.fill("Resource filter of scope 1", "*");
    dialog.fill("Allowed networks", "*");
    dialog.click("Create API key");
    browser.see("Copy the key now");
    let warned = browser.within("Copy the key now").text().to_lowercase();
    assert!(warned.contains("wildcard") || warned.contains("every address"), "{warned}");
    take_secret(&browser);
    browser.finish();
}

#[test]
fn what_narrows_a_key_is_shown_first_with_what_it_would_have_refused() {
    let (server, owner) = under("aerovy");
    let made = owner.make(&json!({ "name": "Berlin ingest" }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    for _ in 0..4 {
        server.exchange(secret, &[("scope", "read:sites/berlin")]).expect(200);
    }
    eventually("the use is counted", || {
        let usage = owner.api("GET", &format!("keys/{id}/usage")).send().expect(200);
        (usage["totals"]["exchanges"] == 4).then_some(())
    });
    let browser = at_the_console(&server, &owner);
    let open = |what: &str| {
        go(&browser, &server, &format!("/keys/{id}"));
        browser.click(what);
    };

    // 1. Shown first; with Escape nothing is changed.
    open("Edit");
    browser.see("calls may break at once");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.within("Edit this key").click("Save");
    let review = browser.within("Narrow this key?");
    assert_eq!(review.table("What changes").rows, [["Allowed networks", "everywhere", "10.0.0.0/8"]]);
    review.see("4 uses, at least.");
    assert_eq!(review.table("From addresses").rows, [["127.0.0.1", "4"]]);
    assert_eq!(browser.focused(), "Narrow this key?", "no key that is pressed too soon narrows it");
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Edit");
    works(&server, secret);

    // 2. Done after the look, and explained afterwards.
    open("Edit");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.within("Edit this key").click("Save");
    browser.click("Narrow key");
    browser.see("The key is narrower. Tokens from before are refused from now on.");
    told(&server.exchange(secret, &[]), 403, "API_KEY_IP_NOT_ALLOWED");
    browser.click("Explain a refusal");
    browser.fill("Caller’s address", "127.0.0.1");
    browser.click("Explain");
    browser.see("Refused. The first check that fails says why.");
    let checks = browser.table("Checks, in the order in which they are made");
    assert_eq!(checks.row("Network")[1], "Failed");
    browser.fill("Caller’s address", "10.1.2.3");
    browser.click("Explain");
    browser.see("Allowed: no check refuses it.");

    // 3. Another name asks nothing.
    open("Edit");
    browser.fill("Name", "Berlin");
    browser.fill("Allowed networks", "");
    browser.within("Edit this key").click("Save");
    browser.see("The key is changed.");
    browser.see("Everywhere");
    works(&server, secret);

    // 4. Revoked for good.
    browser.click("Revoke");
    browser.within("Revoke this key?").see("This cannot be undone");
    browser.click("Revoke key");
    browser.see("A revoked key never works again.");
    told(&server.exchange(secret, &[]), 401, "API_KEY_INVALID");
    for change in ["Edit", "Rotate", "Disable", "Enable", "Revoke"] {
        assert!(!browser.offers(change), "{change}");
    }
    browser.finish();
}

#[test]
fn the_list_shows_active_keys_first_and_is_searched_by_name() {
    let (server, owner) = under("aerovy");
    let named = |name: &str| owner.make(&json!({ "name": name }))["id"].as_str().unwrap().to_owned();
    let (_, _, old) = (named("Berlin ingest"), named("Paris ingest"), named("Berlin export"));
    owner.api("POST", &format!("keys/{old}/revoke")).send().expect(200);
    let browser = at_the_console(&server, &owner);
    let shown = || -> Vec<String> {
        let table = browser.table("API keys");
        table.rows.iter().map(|row| row[0].split(" kt_").next().unwrap().to_owned()).collect()
    };
    assert_eq!(browser.value("Status"), "Active");
    assert_eq!(shown(), ["Paris ingest", "Berlin ingest", "first key"]);
    let search = |status: &str, text: &str| {
        browser.choose("Status", status);
        browser.fill("Search by name", text);
        browser.press(Key::Enter);
        browser.wait("the address", || browser.url().contains("search="));
        browser.wait("the field", || browser.value("Search by name") == text);
    };
    search("All", "BERLIN");
    browser.wait("the list", || shown() == ["Berlin export", "Berlin ingest"]);
    search("Revoked", "");
    browser.wait("the list", || shown() == ["Berlin export"]);
    search("Active", "nothing like it");
    browser.see("No key is like that.");
    browser.click("Show all keys");
    browser.wait("the list", || shown().len() == 4);
    browser.finish();
}

#[test]
fn an_organization_without_a_signing_key_is_told_how_to_begin() {
    let (server, owner) = under("aerovy");
    let body = json!({ "slug": "fleet", "owner_email": "f@fleet.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let fleet = Person::sign_in(&server, "fleet", "f@fleet.example", made["owner"]["password"].as_str().unwrap());
    let browser = Browser::new();
    sign_in(&browser, &server, &fleet);
    browser.see("An API key is what a program of yours keeps.");
    browser.within("Keys").click("Create API key");
    browser.see("has no signing key yet");
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    browser.click("Signing keys");
    browser.see("There is no signing key yet");
    browser.click("Make the first signing key");
    browser.see("The signing key is made.");
    assert!(!browser.offers("Make the first signing key"), "once");
    assert_eq!(browser.table("Signing keys, newest first").rows.len(), 1);
    browser.click("API keys");
    browser.within("Keys").click("Create API key");
    browser.within("Create API key").fill("Name", "ingest");
    browser.do_not_see("has no signing key yet");
    browser.within("Create API key").click("Create API key");
    let secret = take_secret(&browser);
    let answer = server.exchange(&secret, &[]).expect(200);
    let jwks = server.get("/o/fleet/.well-known/jwks.json").send().expect(200);
    let (_, claims) = jwt::verify(answer["access_token"].as_str().unwrap(), &jwks);
    assert_eq!(claims["org"], "fleet");
    browser.finish();
}
