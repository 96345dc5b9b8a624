//! Aerovy's workflow: named keys with scopes and networks, reviewed before they are restricted, explained and revoked.

use serde_json::json;

use super::{at_the_console, create_for_any_network, go, id_of, is_gone, sign_in, take_secret, url, works};
use crate::products::{assert_error, under};
use crate::support::browser::Key;
use crate::support::{Browser, Person, database, eventually, jwt};

#[test]
fn scope_rows_and_live_checks() {
    let (server, owner) = under("aerovy");
    let browser = at_the_console(&server, &owner);
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    dialog.fill("Name", "ingest");

    // 1. Networks and scopes are required; resource patterns are described while typing.
    dialog.click("Create API key");
    browser.see("Fix this problem:");
    let dialog = browser.within("Create API key");
    dialog.see("Enter an address or range, or choose “Any network”.");
    dialog.fill("Allowed networks", "10.0.0.0/8");
    dialog.click("Create API key");
    browser.see("Add at least one scope.");
    let dialog = browser.within("Create API key");
    assert_eq!(dialog.value("Name"), "ingest");
    dialog.fill("Resource pattern for scope 1", "sites//berlin");
    dialog.choose("Action for scope 1", "read");
    dialog.see("Segment 2 is empty.");
    dialog.fill("Resource pattern for scope 1", "sites/berlin/#");
    dialog.see("# matches any single segment.");
    dialog.click("Add scope");
    dialog.click("Add scope");
    dialog.fill("Resource pattern for scope 2", "keyturn/keys");
    dialog.see("Keyturn management API. Matches only keyturn/keys.");
    dialog.fill("Resource pattern for scope 2", "*");
    dialog.see("Matches every resource except the Keyturn management API.");

    // 2. Rows are added and removed; the others keep their values.
    let rows = || browser.within("Create API key").names("textbox");
    let count = rows().iter().filter(|name| name.starts_with("Resource pattern")).count();
    dialog.click("Add scope");
    assert_eq!(browser.focused(), format!("Action for scope {}", count + 1), "the new row");
    dialog.click("Remove scope 2");
    assert_eq!(browser.focused(), "Action for scope 2", "where one was");
    dialog.click("Remove scope 2");
    dialog.click("Add scope");
    dialog.click("Remove scope 3");
    let names = rows();
    let left: Vec<_> = names.iter().filter(|name| name.starts_with("Resource pattern")).collect();
    assert_eq!(left.len(), count - 1);
    assert_eq!(left.last().unwrap().as_str(), format!("Resource pattern for scope {}", count - 1));
    assert_eq!(dialog.value("Resource pattern for scope 1"), "sites/berlin/#");
    dialog.choose("Action for scope 2", "write");
    dialog.fill("Resource pattern for scope 2", "sites/berlin/chargers/*");

    // 3. Invalid networks are reported by line; wildcards cause a warning.
    let networks = |text: &str, said: &str| {
        browser.within("Create API key").fill("Allowed networks", text);
        browser.within("Create API key").see(said);
    };
    networks("10.0.0.0/8\n10.0.0.1/8", "Line 2: 10.0.0.1/8 has host bits set.");
    networks("10.0.0.1/8\n::1\nx", "Line 3: ");
    networks("*", "This allows any address.");
    networks("0.0.0.0/0", "This allows any address.");
    networks("10.0.0.0/8, 127.0.0.1 2001:db8::/32", "3 networks: 10.0.0.0/8, 127.0.0.1/32, 2001:db8::/32");
    browser.click("Create API key");
    let secret = take_secret(&browser);
    browser.see("write:sites/berlin/chargers/*");
    browser.see("2001:db8::/32");
    works(&server, &secret);
    assert_error(&server.exchange(&secret, &[("scope", "read:sites/paris/x")]), 400, "INSUFFICIENT_SCOPE");
    is_gone(&browser, &server, &secret, &[]);
    let key = owner.api("GET", &format!("keys/{}", id_of(&secret))).send().expect(200);
    assert_eq!(
        key["scopes"],
        json!([{ "action": "read", "resource": "sites/berlin/#" },
               { "action": "write", "resource": "sites/berlin/chargers/*" }])
    );

    // 4. Full access from any network is possible, with warnings.
    go(&browser, &server, "/keys");
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    dialog.fill("Name", "all");
    dialog.choose("Action for scope 1", "Any action (*)");
    dialog.fill("Resource pattern for scope 1", "*");
    dialog.see("Full access, no network yet, expires on");
    dialog.fill("Allowed networks", "*");
    dialog.see("Full access, from any network, expires on");
    dialog.click("Create API key");
    let review = browser.within("Review API key");
    review.see("This key has full access (*:*).");
    review.see("This key can be used from any address.");
    review.click("Create API key");
    browser.see("Save your secret");
    let warned = browser.within("Save your secret").text().to_lowercase();
    assert!(
        warned.contains("wildcard") || warned.contains("any address") || warned.contains("every address"),
        "{warned}"
    );
    take_secret(&browser);
    browser.finish();
}

#[test]
fn restrictions_are_reviewed_first() {
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

    // 1. The review comes first; Escape changes nothing.
    open("Edit");
    browser.see("takes effect immediately");
    assert!(
        !browser.within("Edit “Berlin ingest”").text().contains("Allowed networks"),
        "the list is hidden while any network is allowed"
    );
    browser.choose("Network access", "Only these addresses");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.within("Edit “Berlin ingest”").click("Save changes");
    let review = browser.within("Restrict “Berlin ingest”?");
    assert_eq!(review.table("Changes").rows, [["Allowed networks", "any network", "10.0.0.0/8", "Restricted"]]);
    review.see("At least 4 requests.");
    assert_eq!(review.table("By IP address").rows, [["127.0.0.1", "4"]]);
    assert_eq!(browser.focused(), "Restrict “Berlin ingest”?", "no key that is pressed too soon narrows it");
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Edit");
    works(&server, secret);

    // 2. The change is applied after the review and explains the denial.
    open("Edit");
    browser.choose("Network access", "Only these addresses");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.within("Edit “Berlin ingest”").click("Save changes");
    browser.click("Apply restrictions");
    browser.see("Key updated. Tokens issued earlier no longer work.");
    assert_error(&server.exchange(secret, &[]), 403, "API_KEY_IP_NOT_ALLOWED");
    browser.click("Why was a request denied?");
    browser.fill("Client IP address", "127.0.0.1");
    browser.click("Run checks");
    browser.see("Denied. Failed: network.");
    let checks = browser.table("Checks, in order");
    assert_eq!(checks.row("Network")[1], "Failed");
    browser.fill("Client IP address", "10.1.2.3");
    browser.click("Run checks");
    browser.see("Incomplete. No check failed, but some were skipped.");

    // 3. Widening is reviewed as well; a new name is not.
    open("Edit");
    browser.choose("Network access", "Any network");
    browser.within("Edit “Berlin ingest”").click("Save changes");
    let review = browser.within("Widen access of “Berlin ingest”?");
    assert_eq!(review.table("Changes").rows, [["Allowed networks", "10.0.0.0/8", "any network", "Widened"]]);
    review.see("This key can be used from any address.");
    review.click("Widen access");
    browser.see("Warning: it can now be used from any network.");
    open("Edit");
    browser.fill("Name", "Berlin");
    browser.within("Edit “Berlin ingest”").click("Save changes");
    browser.see("Key updated.");
    browser.see("Any network");
    works(&server, secret);

    // 4. Revocation is permanent.
    browser.click("Revoke");
    browser.within("Revoke “Berlin”?").see("You can’t undo this");
    browser.click("Revoke key");
    assert!(browser.dialog_is_open() && browser.focused() == "Confirmation", "the key is in use");
    browser.type_text("Berlin");
    browser.click("Revoke key");
    browser.see("This can’t be undone.");
    assert_error(&server.exchange(secret, &[]), 401, "API_KEY_INVALID");
    for change in ["Edit", "Rotate", "Disable", "Enable", "Revoke"] {
        assert!(!browser.offers(change), "{change}");
    }
    browser.finish();
}

#[test]
fn list_is_searched_by_name() {
    let (server, owner) = under("aerovy");
    let named = |name: &str| owner.make(&json!({ "name": name }))["id"].as_str().unwrap().to_owned();
    let (_, _, old) = (named("Berlin ingest"), named("Paris ingest"), named("Berlin export"));
    owner.api("POST", &format!("keys/{old}/revoke")).send().expect(200);
    let browser = at_the_console(&server, &owner);
    let shown = || -> Vec<String> {
        let table = browser.table("API keys");
        table.column("Name and owner").iter().map(|name| name.split(" kt_").next().unwrap().to_owned()).collect()
    };
    browser.click("Filters");
    assert_eq!(browser.value("Status"), "Active");
    assert_eq!(shown(), ["Paris ingest", "Berlin ingest", "first key"]);
    let search = |status: &str, text: &str| {
        browser.open(&url(&server, "/keys"));
        browser.click("Filters");
        browser.choose("Status", status);
        browser.fill("Search", text);
        browser.press(Key::Enter);
        browser.wait("the address", || browser.url().contains('?'));
    };
    search("All", "BERLIN");
    browser.wait("the list", || shown() == ["Berlin export", "Berlin ingest"]);
    search("Revoked", "");
    browser.wait("the list", || shown() == ["Berlin export"]);
    search("Active", "nothing like it");
    browser.see("No keys match these filters.");
    browser.click("Show all keys");
    browser.wait("the list", || shown().len() == 4);
    browser.finish();
}

#[test]
fn missing_signing_key_is_explained() {
    let (server, owner) = under("aerovy");
    let body = json!({ "slug": "fleet", "owner_email": "f@fleet.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    // As an earlier version created organizations.
    let (place, key) = {
        let key = server.key.clone();
        (server.stop(), key)
    };
    database::execute(&place.database(), "DELETE FROM signing_keys WHERE organization = 'fleet'");
    let server = place.serve(key);
    let fleet = Person::sign_in(&server, "fleet", "f@fleet.example", made["owner"]["password"].as_str().unwrap());
    let browser = Browser::new();
    sign_in(&browser, &server, &fleet);
    browser.see("Your applications exchange an API key");
    browser.within("Keys").click("Create API key");
    browser.see("organization has no signing key");
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    browser.click("Signing keys");
    browser.see("No signing key");
    browser.click("Create signing key");
    browser.see("Signing key created.");
    assert!(!browser.offers("Create signing key"), "once");
    assert_eq!(browser.table("Signing keys, newest first").rows.len(), 1);
    browser.click("API keys");
    browser.within("Keys").click("Create API key");
    browser.within("Create API key").fill("Name", "ingest");
    browser.do_not_see("organization has no signing key");
    create_for_any_network(&browser);
    let secret = take_secret(&browser);
    let answer = server.exchange(&secret, &[]).expect(200);
    let jwks = server.get("/o/fleet/.well-known/jwks.json").send().expect(200);
    let (_, claims) = jwt::verify(answer["access_token"].as_str().unwrap(), &jwks);
    assert_eq!(claims["org"], "fleet");
    browser.finish();
}
