//! BillaBear's workflow: developers create keys with a name and an expiry, watch usage and disable unused keys.

use super::{at_the_console, create_for_any_network, go, id_of, is_gone, take_secret, url, works};
use crate::products::{assert_error, under};
use crate::support::{Browser, eventually};

#[test]
fn viewers_cannot_create_keys() {
    let (server, owner) = under("billabear");
    let viewer = owner.add(&server, "viewer");
    let browser = at_the_console(&server, &viewer);
    assert!(!browser.offers("Create API key"));
    assert_eq!(browser.open(&url(&server, "/keys/new")), 403);
    browser.see("You don’t have permission");
    browser.see("need the developer role or higher");
    browser.click("Go to API keys");
    browser.arrive("/console/keys");
    browser.finish();
}

#[test]
fn usage_is_shown_and_unused_keys_are_disabled() {
    let (server, owner) = under("billabear");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);
    let (used, unused) = make_two(&browser, &server);

    // 1. Usage appears in the list, on the key's page and on the Usage page.
    for _ in 0..3 {
        works(&server, &used);
    }
    assert_error(&server.exchange(&used, &[("scope", "write:invoices/1")]), 400, "INSUFFICIENT_SCOPE");
    eventually("the use is counted", || {
        let usage = dana.api("GET", &format!("keys/{}/usage", id_of(&used))).send().expect(200);
        (usage["totals"]["exchanges"] == 3 && usage["totals"]["denials"]["scope"] == 1).then_some(())
    });
    go(&browser, &server, &format!("/keys/{}", id_of(&used)));
    browser.within("Usage").see("Token requests 3");
    assert_eq!(browser.table("Denied requests by reason").rows, [["Scope not granted", "1"]]);
    browser.click("24 hours");
    browser.see("Requests, last 24 hours");
    browser.click("View as table");
    let hours = browser.table("Requests, last 24 hours");
    assert_eq!(hours.rows.len(), 24);
    let exchanges: u32 = hours.column("Token requests").iter().map(|count| count.parse::<u32>().unwrap()).sum();
    assert_eq!(exchanges, 3);
    browser.click("Usage");
    let busiest = browser.table("Top keys");
    assert_eq!(busiest.row("invoices")[1..4], ["3", "0", "1"]);

    // 2. Unused keys are found and disabled, and can be enabled again.
    browser.click("API keys");
    browser.click("Filters");
    browser.choose("Sort by", "Least recently used");
    browser.click("Apply");
    browser.see("reports");
    let table = browser.table("API keys");
    assert!(table.column("Name and owner")[0].starts_with("reports"), "what was never used comes first: {table:?}");
    let last_used = table.column("Last used");
    assert!(last_used[0] == "Never" && last_used[1..].iter().all(|at| *at != "Never"), "{table:?}");
    browser.click("reports");
    browser.click("Disable");
    let dialog = browser.within("Disable “reports”?");
    dialog.see("You can enable the key again");
    assert_eq!(browser.focused(), "Disable “reports”?", "no key that is pressed too soon disables it");
    dialog.click("Disable key");
    browser.see("Key disabled.");
    assert_error(&server.exchange(&unused, &[]), 403, "API_KEY_DISABLED");
    works(&server, &used);
    go(&browser, &server, "/keys");
    browser.do_not_see("reports");
    browser.click("Filters");
    browser.choose("Status", "Disabled");
    browser.click("Apply");
    browser.click("reports");
    browser.click("Enable");
    browser.within("Enable “reports”?").click("Enable key");
    browser.see("Key enabled.");
    works(&server, &unused);
    is_gone(&browser, &server, &used, &[]);
    browser.finish();
}

/// Creates the keys `invoices` and `reports`, after attempts without a name.
#[track_caller]
fn make_two(browser: &Browser, server: &crate::support::Server) -> (String, String) {
    // The browser requires a name.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert!(!dialog.options("Expiry").contains(&"No expiry".to_owned()), "there is an end");
    dialog.click("Create API key");
    assert_eq!(browser.focused(), "Name");
    assert!(browser.dialog_is_open());
    // The server rejects a blank name.
    dialog.fill("Name", "  ");
    dialog.choose("Network access", "Any network");
    dialog.click("Create API key");
    browser.see("Fix this problem:");
    assert_eq!(browser.run("return document.activeElement.role", &[]), "alert", "what was wrong is read aloud");
    let secrets = ["invoices", "reports"].map(|name| {
        if !browser.dialog_is_open() {
            go(browser, server, "/keys");
            browser.click("Create API key");
        }
        let dialog = browser.within("Create API key");
        dialog.fill("Name", name);
        dialog.choose("Action for scope 1", "read");
        dialog.fill("Resource pattern for scope 1", "invoices/*");
        dialog.see("Matches everything under invoices/.");
        dialog.choose("Expiry", "Custom date…");
        dialog.fill("Expiry date (UTC)", "2041-01-01T00:00");
        create_for_any_network(browser);
        take_secret(browser)
    });
    let [used, unused] = secrets;
    (used, unused)
}
