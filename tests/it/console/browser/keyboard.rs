//! Keyboard only: every control can be reached in order, with visible focus.

use serde_json::{Value, json};

use super::{at_the_console, go, id_of, works};
use crate::support::browser::Key;
use crate::support::person::start;
use crate::support::{Browser, eventually};

/// All visible focusable elements in page order, within the open dialog if there is one.
const ALL: &str = "const place = document.querySelector('dialog[open]') ?? document;
    const what = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]';
    const all = [...place.querySelectorAll(what)].filter(e => !e.disabled && e.checkVisibility()
        && (e.type !== 'radio' || e.checked));";

/// Tabs through the page and checks that every element is reached in order with visible focus.
#[track_caller]
fn goes_round(browser: &Browser) {
    let state = |more: &str| browser.run(&format!("{ALL} {more}"), &[]);
    let count = state("return all.length").as_u64().unwrap();
    assert!(count > 3, "there is nothing here");
    state("document.activeElement.blur(); all[0].focus(); return null");
    let mut reached = vec![0];
    for _ in 0..count * 2 {
        browser.press(Key::Tab);
        let now = state(
            "const here = document.activeElement, style = getComputedStyle(here);
             const box = here.getBoundingClientRect();
             return [all.indexOf(here), style.outlineStyle !== 'none' && style.outlineWidth !== '0px',
                     box.bottom > 0 && box.top < innerHeight, here.outerHTML.slice(0, 120)]",
        );
        let place = now[0].as_i64().unwrap();
        // Scroll containers can be focused too, and the browser's own controls follow the last element.
        if place == -1 {
            continue;
        }
        if place == 0 {
            break;
        }
        assert!(now[1] == true && now[2] == true, "the focus is not seen: {}", now[3]);
        reached.push(place);
    }
    assert_eq!(
        reached,
        (0..count as i64).collect::<Vec<_>>(),
        "{}: {}",
        browser.url(),
        state("return all.map(e => e.outerHTML.slice(0, 80))")
    );
}

/// Presses Tab until the element with that name is focused.
#[track_caller]
fn tab_to(browser: &Browser, name: &str) {
    for _ in 0..60 {
        if browser.focused() == name {
            return;
        }
        browser.press(Key::Tab);
    }
    panic!("Tab does not lead to {name:?}");
}

#[test]
fn keys_are_created_and_revoked_by_keyboard() {
    let (server, owner) = start();
    let browser = Browser::new();
    browser.open(&super::url(&server, "/keys"));
    tab_to(&browser, "Email");
    browser.type_text(&owner.email);
    browser.press(Key::Tab);
    browser.type_text(&owner.password);
    browser.press(Key::Enter);
    browser.see("Sign out");
    go(&browser, &server, "/keys");

    // The skip link.
    browser.press(Key::Tab);
    assert_eq!(browser.focused(), "Skip to main content");
    browser.press(Key::Enter);
    assert_eq!(browser.run("return document.activeElement.id", &[]), "main");
    browser.press(Key::Tab);
    assert_eq!(browser.focused(), "Create API key");

    // Into the dialog, around it, and back to the link that opened it.
    browser.press(Key::Enter);
    browser.wait("the dialog", || browser.dialog_is_open());
    assert_eq!(browser.focused(), "Name");
    goes_round(&browser);
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Create API key");

    // Create a key and save its secret.
    browser.press(Key::Enter);
    browser.wait("the dialog", || browser.dialog_is_open());
    browser.type_text("typed");
    tab_to(&browser, "Only these addresses");
    browser.press(Key::Down);
    tab_to(&browser, "Create API key");
    browser.press(Key::Enter);
    browser.see("Review API key");
    tab_to(&browser, "Create API key");
    browser.press(Key::Enter);
    browser.see("Save your secret");
    browser.wait("the focus", || browser.focused() == "Copy");
    goes_round(&browser);
    tab_to(&browser, "Copy");
    browser.press(Key::Enter);
    browser.see("Copied");
    let secret = browser.clipboard();
    tab_to(&browser, "I saved this secret");
    browser.press(Key::Space);
    browser.press(Key::Tab);
    assert_eq!(browser.focused(), "Continue");
    browser.press(Key::Enter);
    browser.see("Client ID");
    works(&server, &secret);

    // Revoke: the first focused element is harmless.
    eventually("the use is counted", || {
        let key: Value = owner.api("GET", &format!("keys/{}", id_of(&secret))).send().expect(200);
        key["last_used_at"].is_string().then_some(())
    });
    tab_to(&browser, "Revoke");
    browser.press(Key::Enter);
    browser.wait("the dialog", || browser.dialog_is_open());
    assert_eq!(browser.focused(), "Reason");
    // Enter in a field submits nothing; the key is in use, so its name is typed.
    browser.press(Key::Enter);
    tab_to(&browser, "Confirmation");
    browser.type_text("typed");
    browser.press(Key::Enter);
    works(&server, &secret);
    browser.press(Key::Tab);
    assert_eq!(browser.focused(), "Revoke key");
    browser.press(Key::Enter);
    browser.see("Key revoked.");
    let key = owner.api("GET", &format!("keys/{}", id_of(&secret))).send().expect(200);
    assert_eq!(key["status"], "revoked");
    browser.finish();
}

/// A rotation from the first key press to the end of the grace period.
#[test]
fn rotation_is_done_by_keyboard_alone() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "orders", "scopes": ["read:orders/*"] }));
    let (id, old) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    works(&server, old);
    eventually("the use is counted", || {
        let key: Value = owner.api("GET", &format!("keys/{id}")).send().expect(200);
        key["last_used_at"].is_string().then_some(())
    });
    let version = || owner.api("GET", &format!("keys/{id}")).send().expect(200)["version"].clone();
    let browser = at_the_console(&server, &owner);
    go(&browser, &server, &format!("/keys/{id}"));
    let press = |name: &str| {
        tab_to(&browser, name);
        browser.press(Key::Enter);
    };

    // 1. A safe choice has the focus. Enter in a field does nothing, also not with the dangerous choice.
    press("Rotate");
    browser.wait("the dialog", || browser.dialog_is_open());
    assert_eq!(browser.focused(), "24 hours");
    let enter = || {
        browser.run("document.querySelector('dialog form').dataset.old = 'yes'; return null", &[]);
        browser.press(Key::Enter);
        let is_shown_again =
            || browser.run("return document.querySelector('dialog form')?.dataset.old !== 'yes'", &[]) == true;
        browser.wait("the form again", is_shown_again);
    };
    enter();
    assert_eq!((browser.focused().as_str(), version()), ("24 hours", json!(1)));
    for _ in 0..4 {
        browser.press(Key::Down);
    }
    assert_eq!(browser.focused(), "Immediately (for a leaked secret)");
    enter();
    assert_eq!((browser.focused().as_str(), version()), ("Immediately (for a leaked secret)", json!(1)));

    // 2. The dangerous choice has a second step, from which one can go back.
    press("Rotate key");
    browser.see("Rotate “orders” immediately?");
    browser.see("Last used");
    assert_eq!(browser.focused(), "Rotate “orders” immediately?", "no key that is pressed too soon rotates it");
    browser.press(Key::Enter);
    press("Back to the form");
    browser.wait("the choice again", || browser.focused() == "Immediately (for a leaked secret)");
    for _ in 0..4 {
        browser.press(Key::Up);
    }
    assert_eq!((browser.focused().as_str(), version()), ("24 hours", json!(1)));

    // 3. Rotate with grace, and save the secret.
    press("Rotate key");
    browser.see("Save your secret");
    browser.wait("the focus", || browser.focused() == "Copy");
    browser.press(Key::Enter);
    browser.see("Copied");
    let new = browser.clipboard();
    tab_to(&browser, "I saved this secret");
    browser.press(Key::Space);
    press("Continue");
    browser.see("Rotation in progress");
    browser.see("Not used since the rotation");
    works(&server, old);
    works(&server, &new);

    // 4. End the grace period.
    press("End grace period now");
    browser.see("End the grace period of “orders”?");
    press("End grace period");
    browser.see("Grace period ended.");
    browser.do_not_see("Rotation in progress");
    assert_eq!(server.exchange(old, &[]).status, 401);
    works(&server, &new);
    browser.finish();
}

#[test]
fn tab_order_and_visible_focus() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "used", "allowed_cidrs": ["10.0.0.0/8", "127.0.0.1"] }));
    let id = made["id"].as_str().unwrap();
    server.exchange(made["secret"].as_str().unwrap(), &[]).expect(200);
    eventually("the use is counted", || {
        let usage: Value = owner.api("GET", &format!("keys/{id}/usage")).send().expect(200);
        (usage["totals"]["exchanges"] == 1).then_some(())
    });
    let browser = at_the_console(&server, &owner);
    let of_key = ["", "/edit", "/rotate", "/explain?ask=yes&address=10.0.0.1"].map(|rest| format!("/keys/{id}{rest}"));
    for page in ["/keys", "/usage", "/account"].into_iter().map(str::to_owned).chain(of_key) {
        go(&browser, &server, &page);
        goes_round(&browser);
    }
    // Also on a phone, where the navigation is horizontal.
    browser.screen(360, 740, 2, true);
    go(&browser, &server, &format!("/keys/{id}"));
    goes_round(&browser);
    browser.finish();
}

#[test]
fn dialogs_stay_open_while_submitting() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    browser.click("Create API key");
    browser.fill("Name", "slow");
    let slow = "const real = window.fetch;
        window.fetch = async (...all) => { await new Promise(done => setTimeout(done, 1500)); return real(...all); };
        return null";
    browser.run(slow, &[]);
    browser.choose("Network access", "Any network");
    browser.within("Create API key").click("Create API key");
    browser.within("Review API key").click("Create API key");
    browser.press(Key::Escape);
    browser.press(Key::Escape);
    browser.run("document.querySelector('dialog .close').click(); return null", &[]);
    works(&server, &super::take_secret(&browser));
    browser.finish();
}
