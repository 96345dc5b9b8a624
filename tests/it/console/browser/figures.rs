//! Charts, times, denials and the audit log, read as a person reads them.

use serde_json::{Value, json};

use super::walk::in_both;
use super::{go, sign_in};
use crate::console::seed::Company;
use crate::support::server::scope_list;
use crate::support::{Browser, Key, Server, eventually};

/// Story 2: the use of a new key is on today's column, which has today's label.
#[test]
fn use_of_a_key_is_above_its_own_date() {
    in_both(|server, _, browser| {
        let key = server.make(&json!({ "name": "nightly" }));
        server.exchange(&key.text, &[]).expect(200);
        eventually("the use", || {
            let usage = server.api("GET", &format!("keys/{}/usage", key.id)).send().expect(200);
            (usage["totals"]["exchanges"] == 1).then_some(())
        });
        go(browser, server, &format!("/keys/{}", key.id));
        let place = |what: &str| {
            let found =
                browser.run(&format!("const box = {what}.getBoundingClientRect(); return [box.left, box.right]"), &[]);
            (found[0].as_f64().unwrap(), found[1].as_f64().unwrap())
        };
        let bar = place("document.querySelector('.plot-area rect.exchanges')");
        let label = place("[...document.querySelectorAll('.labels text')].at(-1)");
        let (bar, label) = ((bar.0 + bar.1) / 2.0, (label.0 + label.1) / 2.0);
        assert!((bar - label).abs() < 2.0, "the bar is at {bar}, its label at {label}");
        browser.see("1 token requests, 0 verifications, 0 denied");
    });
}

#[test]
fn columns_are_read_by_pointer_and_by_arrow_keys() {
    let company = Company::found();
    let browser = Browser::new();
    sign_in(&browser, &company.server, &company.owner);
    go(&browser, &company.server, "/usage?range=90d");
    let readout =
        || browser.run("return document.querySelector('.readout').textContent", &[]).as_str().unwrap().to_owned();
    let cell = |row: &Value| {
        let script = "return [...document.querySelectorAll('.chart tbody tr')].at(arguments[0])
            .innerText.split('\\t').map(text => text.trim())";
        browser.run(script, std::slice::from_ref(row))
    };
    browser.click("View as table");
    for place in [0, 45, 89] {
        let script = "const area = document.querySelector('.plot-area'), box = area.getBoundingClientRect();
            const x = box.left + (arguments[0] + 0.5) * box.width / 90;
            area.dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: box.top + 5, bubbles: true }))";
        browser.run(script, &[json!(place)]);
        let (text, row) = (readout(), cell(&json!(place)));
        assert!(text.starts_with(row[0].as_str().unwrap()), "{text}: {row}");
        assert!(text.contains(&format!("{} token requests", row[1].as_str().unwrap())), "{text}: {row}");
    }
    let stops = browser.run("return document.querySelectorAll('.plot [tabindex=\"0\"], .plot input').length", &[]);
    assert_eq!(stops, 1, "one tab stop for 90 columns");
    browser.run("document.querySelector('.scrubber').focus()", &[]);
    browser.press(crate::support::browser::Key::Left);
    let row = cell(&json!(88));
    assert!(readout().starts_with(row[0].as_str().unwrap()), "{}: {row}", readout());
    let spoken = browser.run("return document.querySelector('.scrubber').getAttribute('aria-valuetext')", &[]);
    assert_eq!(spoken.as_str().unwrap(), readout());
    browser.finish();
}

#[test]
fn an_expiry_reads_the_same_everywhere_and_is_exact() {
    in_both(|server, _, browser| {
        let seconds = 7 * 86_400 + 7_000;
        let key = server.make(&json!({ "name": "soon", "expires_in_seconds": seconds }));
        let stored = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
        let exact = stored["expires_at"].as_str().unwrap()[..16].replace('T', " ") + " UTC";
        go(browser, server, "/keys");
        browser.see("Expires in 7 days");
        browser.see(&exact);
        go(browser, server, &format!("/keys/{}", key.id));
        browser.see("Expires in 7 days. Extend");
        browser.see(&exact);
        assert!(!browser.text().contains("8 days"), "{}", browser.text());
        assert!(!browser.text().contains(stored["expires_at"].as_str().unwrap()), "{}", browser.text());
    });
}

/// A key that is limited to another network, and one of its denied requests: the body and the request ID.
fn deny(server: &Server) -> (Key, String, String) {
    let key = server.make(&json!({
        "name": "orders-worker", "allowed_cidrs": ["203.0.113.0/24"], "scopes": scope_list("read:orders/*"),
    }));
    let denied = server.exchange(&key.text, &[("scope", "write:orders/1")]);
    assert_eq!(denied.status, 403);
    eventually("the denial is written", || {
        let listed = server.api("GET", &format!("denials?key={}", key.id)).send().expect(200);
        (listed["items"].as_array().unwrap().len() == 1).then_some(())
    });
    (key, denied.text(), denied.header("x-request-id").unwrap().to_owned())
}

/// Story 5: why 403? From the error, from the request ID, from a token and by hand, to the repaired key.
#[test]
fn why_a_request_was_denied() {
    in_both(|server, _, browser| {
        let (key, body, request_id) = deny(server);

        // 1. From the request ID, by the key's page and the list.
        go(browser, server, &format!("/keys/{}", key.id));
        browser.see("Recent denials");
        browser.see("API_KEY_IP_NOT_ALLOWED");
        go(browser, server, "/denials");
        browser.see("orders-worker");
        browser.click("Why was a request denied?");
        browser.fill("Error, request ID, token or log line", &format!("x-request-id: {request_id}"));
        browser.click("Explain");
        browser.see("Network not allowed");
        browser.see("127.0.0.1 is not in the allowed networks: 203.0.113.0/24");
        browser.see("403 API_KEY_IP_NOT_ALLOWED");
        assert!(browser.url().contains("/console/denials/"), "{}", browser.url());

        // 2. From the error.
        go(browser, server, "/denials/explain");
        browser.fill("Error, request ID, token or log line", &body);
        browser.click("Explain");
        browser.see("API_KEY_IP_NOT_ALLOWED (403)");
        browser.see("Recent denials that fit");
        browser.see("orders-worker");
        browser.click("Explain denial 1");
        browser.see("The same request now");

        // 3. From a secret: it does not reach the URL.
        go(browser, server, "/denials/explain");
        browser.fill("Error, request ID, token or log line", &key.text);
        browser.click("Explain");
        browser.see("Incomplete. No check failed, but some were skipped.");
        assert!(!browser.url().contains(&key.text[20..]) && !browser.source().contains(&key.text[20..]));

        // 4. By hand, never "Allowed" without having looked.
        go(browser, server, &format!("/keys/{}/explain?ask=yes", key.id));
        browser.see("Incomplete. No check failed, but some were skipped.");
        browser.fill("Client IP address", "127.0.0.1");
        browser.choose("Action", "write");
        browser.fill("Resource", "orders/1");
        browser.click("Run checks");
        browser.see("Denied. Failed: network, scope.");
        browser.see("write:orders/1 is not covered by the key's scopes: read:orders/*");
        browser.see("POST /oauth/token: 403 API_KEY_IP_NOT_ALLOWED");

        // 5. The repair is a filled-in form, not a change.
        go(browser, server, "/denials");
        browser.click("Allow this address of denial 1");
        browser.see("Edit “orders-worker”");
        assert_eq!(browser.value("Allowed networks"), "203.0.113.0/24\n127.0.0.1");
        server.exchange(&key.text, &[]).expect(403);
    });
}

/// Story 9: who widened networks last week?
#[test]
fn who_widened_networks_last_week() {
    in_both(|server, owner, browser| {
        let key = owner.make(&json!({ "name": "orders-worker", "allowed_cidrs": ["127.0.0.0/8"] }));
        let id = key["id"].as_str().unwrap();
        server.change("PATCH", id, &json!({ "allowed_cidrs": [] }));
        server.change("PATCH", id, &json!({ "name": "orders", "allowed_cidrs": ["10.0.0.0/8"] }));
        go(browser, server, "/audit");
        browser.choose("Access", "Widened");
        browser.choose("Changed field", "Allowed networks");
        browser.click("Apply");
        browser.click("Last 7 days");
        let log = browser.table("Audit entries, newest first");
        assert_eq!(log.rows.len(), 1, "{:?}", log.rows);
        browser.see("Allowed networks: 127.0.0.0/8 → any network");
        browser.see("Widened");
        browser.see("first key");
        go(browser, server, "/audit");
        browser.fill("Target", "orders");
        browser.choose("Access", "Restricted");
        browser.click("Apply");
        browser.see("any network → 10.0.0.0/8");
        assert_eq!(browser.table("Audit entries, newest first").rows.len(), 1);
    });
}
