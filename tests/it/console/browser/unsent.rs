//! Forms that are not sent: the session expired, the server is out of reach, or the dialog is closed.

use super::{at_the_console, go, sign_in, url};
use crate::support::Browser;
use crate::support::browser::Key;
use crate::support::person::start;

/// Makes the browser's session one that the server does not know, as after an expiry.
fn expire(browser: &Browser) {
    browser.set_cookie("keyturn_session", &"A".repeat(43));
}

#[test]
fn form_survives_an_expired_session() {
    let (server, owner) = start();
    let ada = owner.add(&server, "admin");
    for browser in [Browser::without_javascript(), Browser::new()] {
        sign_in(&browser, &server, &ada);
        go(&browser, &server, "/keys/new");
        browser.fill("Name", "typed \"for\" <long>");
        browser.choose("Action for scope 1", "read");
        browser.fill("Resource pattern for scope 1", "ledgers/#");
        browser.fill("Allowed networks", "10.0.0.0/8\n192.0.2.0/24");
        browser.fill("Description", "first\nsecond");
        expire(&browser);
        browser.click("Create API key");
        browser.see("Your form is kept for 15 minutes");

        // Somebody else does not see it.
        let cookie = browser.cookies().into_iter().find(|cookie| cookie.name == "keyturn_form").expect("a cookie");
        assert!(cookie.http_only && cookie.same_site == "Lax" && !cookie.value.contains("ledgers"), "{cookie:?}");

        browser.fill("Email", &ada.email);
        browser.fill("Password", &ada.password);
        browser.click("Sign in");
        browser.see("This form was not submitted because your session had expired.");
        browser.arrive("/console/keys/new");
        assert_eq!(browser.value("Name"), "typed \"for\" <long>");
        assert_eq!(browser.value("Resource pattern for scope 1"), "ledgers/#");
        assert_eq!(browser.value("Allowed networks"), "10.0.0.0/8\n192.0.2.0/24");
        assert_eq!(browser.value("Description"), "first\nsecond");
        let listed = owner.api("GET", "keys?search=typed").send().expect(200);
        let before = listed["items"].as_array().unwrap().len();
        browser.click("Create API key");
        browser.see("Save your secret");
        let listed = owner.api("GET", "keys?search=typed").send().expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), before + 1, "it is sent once, by a person");
        assert!(browser.cookies().iter().all(|cookie| cookie.name != "keyturn_form"));
        browser.check("I saved this secret");
        browser.click("Continue");
        browser.see("Client ID");
        browser.finish();
    }
}

#[test]
fn kept_form_is_for_the_same_member() {
    let (server, owner) = start();
    let ada = owner.add(&server, "admin");
    let browser = Browser::new();
    sign_in(&browser, &server, &ada);
    go(&browser, &server, "/members/new");
    browser.fill("Email", "typed@example.org");
    expire(&browser);
    browser.click("Add member");
    browser.see("Your form is kept");
    browser.fill("Email", &owner.email);
    browser.fill("Password", &owner.password);
    browser.click("Sign in");
    browser.see("Sign out");
    go(&browser, &server, "/members/new");
    assert_eq!(browser.value("Email"), "");
    browser.do_not_see("This form was not submitted");
    browser.finish();
}

#[test]
fn lost_connection_is_shown_and_keeps_the_form() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    let offline =
        "window.realFetch ??= window.fetch; window.fetch = () => Promise.reject(new TypeError('offline')); return null";
    let online = "window.fetch = window.realFetch; return null";
    // On a page.
    go(&browser, &server, "/keys/new");
    browser.fill("Name", "of a page");
    browser.choose("Action for scope 1", "read");
    browser.fill("Resource pattern for scope 1", "ledgers/#");
    browser.fill("Allowed networks", "10.0.0.0/8");
    browser.run(offline, &[]);
    browser.click("Create API key");
    browser.see("Can’t reach the server.");
    assert_eq!(browser.value("Name"), "of a page");
    browser.run(online, &[]);
    browser.click("Create API key");
    browser.see("Save your secret");
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Client ID");
    // In a dialog.
    go(&browser, &server, "/members");
    browser.click("Add member");
    browser.within("Add member").fill("Email", "ada@example.org");
    browser.run(offline, &[]);
    browser.within("Add member").click("Add member");
    browser.see("Can’t reach the server.");
    assert_eq!(browser.within("Add member").value("Email"), "ada@example.org");
    browser.run(online, &[]);
    browser.within("Add member").click("Add member");
    browser.see("shown only once");
    browser.check("I saved this password");
    browser.click("Continue");
    browser.see("Member added.");
    browser.finish();
}

#[test]
fn changed_dialog_asks_before_it_closes() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    go(&browser, &server, "/members");
    let open = || {
        browser.click("Add member");
        browser.wait("the first field", || browser.focused() == "Email");
    };
    open();
    browser.press(Key::Escape);
    browser.wait("the end: nothing was typed", || !browser.dialog_is_open());
    for way in ["Escape", "Close", "Cancel"] {
        open();
        browser.type_text("x");
        match way {
            "Escape" => browser.press(Key::Escape),
            other => browser.click(other),
        }
        browser.see("Discard what you typed?");
        assert_eq!(browser.focused(), "Keep editing");
        browser.press(Key::Escape);
        browser.do_not_see("Discard what you typed?");
        assert!(browser.dialog_is_open() && browser.within("Add member").value("Email") == "x", "{way}");
        browser.press(Key::Escape);
        browser.see("Discard what you typed?");
        browser.click("Discard");
        browser.wait("the end of the dialog", || !browser.dialog_is_open());
    }
    browser.finish();
}

#[test]
fn errors_keep_the_navigation() {
    let (server, owner) = start();
    let viewer = owner.add(&server, "viewer");
    for browser in [Browser::without_javascript(), Browser::new()] {
        sign_in(&browser, &server, &viewer);
        for (path, says) in [
            ("/keys/new", "You don’t have permission"),
            ("/webhooks/none", "You don’t have permission"),
            ("/nowhere", "Page not found"),
        ] {
            browser.open(&url(&server, path));
            browser.see(says);
            assert!(
                browser.offers("Usage") && browser.offers("Sign out") && browser.offers("Go to API keys"),
                "{path}"
            );
        }
        browser.finish();
    }
}
