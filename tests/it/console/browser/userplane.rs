//! Userplane's steps on the pages: three keys each, a lifetime out of a list, rotated in their place.

use serde_json::json;

use super::{at_the_console, go, id_of, is_gone, sign_in, take_secret, url, works};
use crate::products::{told, under};
use crate::support::Browser;
use crate::support::browser::Key;

#[test]
fn a_person_makes_three_keys_rotates_one_in_its_place_and_revokes_one() {
    let (server, owner) = under("userplane");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);

    // 1. A key: the name may be left out, the expiry is one of five.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert_eq!(browser.focused(), "Name", "the first field of the dialog");
    assert_eq!(dialog.options("Expiry"), ["No expiry", "7 days", "30 days", "60 days", "90 days"]);
    assert!(!dialog.text().contains("Ends on"), "no other date");
    assert!(!dialog.text().contains("Owner"), "a developer makes their own keys");
    browser.type_text("ci");
    browser.choose("Expiry", "30 days");
    browser.click("Create API key");

    // 2. Its secret, once: neither Escape nor Continue leads on before it is said that it is copied.
    browser.see("Copy the key now");
    let shown = browser.within("Copy the key now").text();
    assert!(shown.contains("“ci” is made") && shown.contains("uspl_"), "{shown}");
    for _ in 0..3 {
        browser.press(Key::Escape);
    }
    assert!(browser.dialog_is_open(), "Escape does not take the secret away");
    assert!(!browser.offers("Close"));
    browser.click("Continue");
    browser.see("Copy the key now");
    assert!(browser.dialog_is_open(), "Continue waits for the tick");
    browser.click("Copy");
    browser.see("Copied");
    let ci = browser.clipboard();
    browser.see(&ci);
    for (program, button) in [
        ("Python", "Copy the Python program"),
        ("Node", "Copy the Node program"),
        ("Go", "Copy the Go lines"),
        ("Environment file", "Copy the environment file"),
    ] {
        browser.click(program);
        browser.click(button);
        browser.wait("the snippet with the secret", || browser.clipboard().contains(&ci));
    }
    browser.check("I have copied it");
    browser.click("Continue");
    browser.see("in 30 days");
    assert_eq!((browser.page().names("heading")[0].as_str(), ci.starts_with("uspl_")), ("ci", true));
    works(&server, &ci);
    is_gone(&browser, &server, &ci, &["/account"]);
    go(&browser, &server, "/keys");
    browser.back();
    assert!(!browser.source().contains(&ci));

    // 3. Three in all; the fourth is refused where it was typed.
    go(&browser, &server, "/keys");
    for name in ["laptop", ""] {
        browser.click("Create API key");
        browser.within("Create API key").fill("Name", name);
        browser.within("Create API key").click("Create API key");
        works(&server, &take_secret(&browser));
        go(&browser, &server, "/keys");
    }
    browser.click("Create API key");
    browser.fill("Name", "one too many");
    browser.within("Create API key").click("Create API key");
    browser.see("The limit of keys is reached: a member may have 3 keys");
    assert_eq!(browser.within("Create API key").value("Name"), "one too many");
    assert!(browser.dialog_is_open());
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Create API key", "back where one was");

    // 4. Rotated with a new name and expiry: the old one ends at once, the place stays the same.
    browser.choose("Owner", "You");
    browser.click("Show");
    browser.click("ci");
    browser.see("Client id");
    browser.click("Rotate");
    let dialog = browser.within("Rotate this key");
    assert_eq!(dialog.options("Grace for the old secret"), ["None: the old secret and its tokens end now"]);
    dialog.fill("Name", "ci of the new team");
    dialog.choose("Expiry", "90 days");
    dialog.click("Rotate key");
    let new = take_secret(&browser);
    browser.see("in 90 days");
    browser.see("ci of the new team");
    assert!(new != ci && id_of(&new) == id_of(&ci), "the same place");
    told(&server.exchange(&ci, &[]), 401, "API_KEY_INVALID");
    works(&server, &new);
    is_gone(&browser, &server, &new, &[]);

    // 5. Revoked after a question: there is room for another.
    go(&browser, &server, "/keys");
    browser.click("laptop");
    browser.click("Revoke");
    let dialog = browser.within("Revoke this key?");
    dialog.see("This cannot be undone");
    dialog.click("Cancel");
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Revoke");
    browser.click("Revoke");
    browser.fill("Reason", "left the project");
    browser.click("Revoke key");
    browser.see("The key is revoked.");
    browser.see("left the project");
    assert!(!browser.offers("Rotate") && !browser.offers("Edit"));
    go(&browser, &server, "/keys");
    browser.do_not_see("laptop");
    browser.choose("Status", "All");
    browser.click("Show");
    let table = browser.table("API keys");
    let laptop = table.rows.iter().find(|row| row[0].starts_with("laptop")).unwrap();
    assert_eq!(laptop[1], "Revoked");
    browser.click("Create API key");
    browser.within("Create API key").click("Create API key");
    works(&server, &take_secret(&browser));
    browser.finish();
}

#[test]
fn a_form_that_is_sent_twice_makes_one_key_and_nobody_changes_anothers() {
    let (server, owner) = under("userplane");
    let (dana, eli) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    let browser = at_the_console(&server, &dana);
    go(&browser, &server, "/keys/new");
    browser.fill("Name", "once");
    browser.click("Create API key");
    browser.see("Copy the key now");
    browser.click("Copy");
    browser.see("Copied");
    let secret = browser.clipboard();
    browser.check("I have copied it");
    browser.reload();
    browser.see("Done before");
    assert!(!browser.source().contains(&secret));
    browser.click("To the key");
    browser.see("Client id");
    browser.back();
    browser.back();
    assert!(!browser.source().contains(&secret));
    let keys = dana.api("GET", &format!("keys?owner={}", dana.id)).send().expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    works(&server, &secret);

    // Another person sees the key, and cannot do anything to it.
    let other = Browser::new();
    sign_in(&other, &server, &eli);
    other.click("once");
    other.see("Client id");
    for change in ["Edit", "Rotate", "Disable", "Revoke"] {
        assert!(!other.offers(change), "{change}");
    }
    for path in ["edit", "rotate", "disable", "revoke"] {
        assert_eq!(other.open(&url(&server, &format!("/keys/{}/{path}", id_of(&secret)))), 403);
        other.see("You manage your own keys only.");
    }
    eli.make(&json!({ "name": "mine" }));
    other.finish();
    browser.finish();
}
