//! BillaBear's steps on the pages: developers make keys with a name and an end, watch their use, and disable what is
//! not used.

use super::{at_the_console, go, id_of, is_gone, take_secret, url, works};
use crate::products::{told, under};
use crate::support::{Browser, eventually};

#[test]
fn a_viewer_makes_no_key_and_is_not_offered_to() {
    let (server, owner) = under("billabear");
    let viewer = owner.add(&server, "viewer");
    let browser = at_the_console(&server, &viewer);
    assert!(!browser.offers("Create API key"));
    assert_eq!(browser.open(&url(&server, "/keys/new")), 403);
    browser.see("Not with your role");
    browser.see("takes the role developer or a higher one");
    browser.click("To the API keys");
    browser.arrive("/console/keys");
    browser.finish();
}

#[test]
fn a_key_has_a_name_and_an_end_its_use_is_seen_and_the_unused_one_is_disabled() {
    let (server, owner) = under("billabear");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);
    let (used, unused) = make_two(&browser, &server);

    // 1. What is used is seen: in the list, on its own page, and in the organization's use.
    for _ in 0..3 {
        works(&server, &used);
    }
    told(&server.exchange(&used, &[("scope", "write:invoices/1")]), 400, "INSUFFICIENT_SCOPE");
    eventually("the use is counted", || {
        let usage = dana.api("GET", &format!("keys/{}/usage", id_of(&used))).send().expect(200);
        (usage["totals"]["exchanges"] == 3 && usage["totals"]["denials"]["scope"] == 1).then_some(())
    });
    go(&browser, &server, &format!("/keys/{}", id_of(&used)));
    browser.within("Usage").see("Exchanges 3");
    assert_eq!(browser.table("Denials by reason").rows, [["Scope not held", "1"]]);
    browser.click("24 hours");
    browser.see("Use of this key, 24 hours");
    browser.click("The numbers as a table");
    let hours = browser.table("Use of this key, 24 hours");
    assert_eq!(hours.rows.len(), 24);
    let exchanges: u32 = hours.column("Exchanges").iter().map(|count| count.parse::<u32>().unwrap()).sum();
    assert_eq!(exchanges, 3);
    browser.click("Usage");
    let busiest = browser.table("Busiest keys");
    assert_eq!(busiest.row("invoices")[1..4], ["3", "0", "1"]);

    // 2. What is not used is found and disabled, and can be enabled again.
    browser.click("API keys");
    browser.choose("Order", "Longest unused first");
    browser.click("Show");
    browser.see("reports");
    let table = browser.table("API keys");
    let names: Vec<_> = table.rows.iter().map(|row| row[0].split(' ').next().unwrap()).collect();
    assert_eq!(names[0], "reports", "what was never used comes first");
    assert!(table.rows[0][4] == "Never" && table.rows[1..].iter().all(|row| row[4] != "Never"), "{table:?}");
    browser.click("reports");
    browser.click("Disable");
    let dialog = browser.within("Disable this key?");
    dialog.see("You can enable the key again");
    assert_eq!(browser.focused(), "Disable this key?", "no key that is pressed too soon disables it");
    dialog.click("Disable key");
    browser.see("The key is disabled.");
    told(&server.exchange(&unused, &[]), 403, "API_KEY_DISABLED");
    works(&server, &used);
    go(&browser, &server, "/keys");
    browser.do_not_see("reports");
    browser.choose("Status", "Disabled");
    browser.click("Show");
    browser.click("reports");
    browser.click("Enable");
    browser.within("Enable this key?").click("Enable key");
    browser.see("The key is enabled.");
    works(&server, &unused);
    is_gone(&browser, &server, &used, &[]);
    browser.finish();
}

/// Makes the keys `invoices` and `reports`, each after what is missing was refused.
#[track_caller]
fn make_two(browser: &Browser, server: &crate::support::Server) -> (String, String) {
    // A name is required: the browser itself says so.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert!(!dialog.options("Expiry").contains(&"No expiry".to_owned()), "there is an end");
    dialog.click("Create API key");
    assert_eq!(browser.focused(), "Name");
    assert!(browser.dialog_is_open());
    // Blanks are none: the server says so.
    dialog.fill("Name", "  ");
    dialog.click("Create API key");
    browser.see("This needs another look:");
    assert_eq!(browser.run("return document.activeElement.role", &[]), "alert", "what was wrong is read aloud");
    let secrets = ["invoices", "reports"].map(|name| {
        if !browser.dialog_is_open() {
            go(browser, server, "/keys");
            browser.click("Create API key");
        }
        let dialog = browser.within("Create API key");
        dialog.fill("Name", name);
        dialog.choose("Action of scope 1", "read");
        dialog.fill("Resource filter of scope 1", "invoices/*");
        dialog.see("Everything below invoices.");
        dialog.choose("Expiry", "On a date");
        dialog.fill("Ends on (UTC)", "2041-01-01T00:00");
        dialog.click("Create API key");
        take_secret(browser)
    });
    let [used, unused] = secrets;
    (used, unused)
}
