//! Userplane's workflow: three keys per member, fixed lifetimes, rotation with the same key ID.

use serde_json::json;

use super::{at_the_console, go, id_of, is_gone, sign_in, take_secret, url, works};
use crate::products::{assert_error, under};
use crate::support::Browser;
use crate::support::browser::Key;

#[test]
fn create_rotate_and_revoke_keys() {
    let (server, owner) = under("userplane");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);

    // 1. A key: the name is optional, the expiry is one of five choices.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert_eq!(browser.focused(), "Name", "the first field of the dialog");
    assert_eq!(dialog.options("Expiry"), ["No expiry", "7 days", "30 days", "60 days", "90 days"]);
    assert!(!dialog.text().contains("Expiry date"), "no other date");
    assert!(!dialog.text().contains("Owner"), "a developer makes their own keys");
    browser.type_text("ci");
    browser.choose("Expiry", "30 days");
    browser.click("Create API key");

    // 2. The secret: neither Escape nor Continue leaves the page before the checkbox is checked.
    browser.see("Save your secret");
    let shown = browser.within("Save your secret").text();
    assert!(shown.contains("“ci” created") && shown.contains("uspl_"), "{shown}");
    for _ in 0..3 {
        browser.press(Key::Escape);
    }
    assert!(browser.dialog_is_open(), "Escape does not take the secret away");
    assert!(!browser.offers("Close"));
    browser.click("Continue");
    browser.see("Save your secret");
    assert!(browser.dialog_is_open(), "Continue waits for the tick");
    browser.click("Copy");
    browser.see("Copied");
    let ci = browser.clipboard();
    browser.see(&ci);
    for (program, button) in [
        ("Python", "Copy Python example"),
        ("Node", "Copy Node example"),
        ("Go", "Copy Go example"),
        ("Environment file", "Copy environment file"),
    ] {
        browser.click(program);
        browser.click(button);
        browser.wait("the snippet with the secret", || browser.clipboard().contains(&ci));
    }
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("in 30 days");
    assert_eq!((browser.page().names("heading")[0].as_str(), ci.starts_with("uspl_")), ("ci", true));
    works(&server, &ci);
    is_gone(&browser, &server, &ci, &["/account"]);
    go(&browser, &server, "/keys");
    browser.back();
    assert!(!browser.source().contains(&ci));

    // 3. Three keys are allowed; the fourth form shows the limit and keeps its values.
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
    browser.see("Key limit reached: each member can have 3 keys");
    assert_eq!(browser.within("Create API key").value("Name"), "one too many");
    assert!(browser.dialog_is_open());
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Create API key", "back where one was");

    // 4. Rotation with a new name and expiry: the previous secret stops working and the key ID stays.
    browser.choose("Owner", "You");
    browser.click("Apply");
    browser.click("ci");
    browser.see("Client ID");
    browser.click("Rotate");
    let dialog = browser.within("Rotate “ci”");
    assert_eq!(
        dialog.options("Keep the current secret working for"),
        ["No grace period: the current secret and its tokens stop working immediately"]
    );
    dialog.fill("Name", "ci of the new team");
    dialog.choose("Expiry", "90 days");
    dialog.click("Rotate key");
    let new = take_secret(&browser);
    browser.see("in 90 days");
    browser.see("ci of the new team");
    assert!(new != ci && id_of(&new) == id_of(&ci), "the same place");
    assert_error(&server.exchange(&ci, &[]), 401, "API_KEY_INVALID");
    works(&server, &new);
    is_gone(&browser, &server, &new, &[]);

    // 5. Revocation after a confirmation makes room for another key.
    go(&browser, &server, "/keys");
    browser.click("laptop");
    browser.click("Revoke");
    let dialog = browser.within("Revoke “laptop”?");
    dialog.see("You can’t undo this");
    dialog.click("Cancel");
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Revoke");
    browser.click("Revoke");
    browser.fill("Reason", "left the project");
    browser.click("Revoke key");
    browser.see("Key revoked.");
    browser.see("left the project");
    assert!(!browser.offers("Rotate") && !browser.offers("Edit"));
    go(&browser, &server, "/keys");
    browser.do_not_see("laptop");
    browser.choose("Status", "All");
    browser.click("Apply");
    let table = browser.table("API keys");
    let laptop = table.rows.iter().find(|row| row[0].starts_with("laptop")).unwrap();
    assert_eq!(laptop[1], "Revoked");
    browser.click("Create API key");
    browser.within("Create API key").click("Create API key");
    works(&server, &take_secret(&browser));
    browser.finish();
}

#[test]
fn repeated_forms_create_one_key() {
    let (server, owner) = under("userplane");
    let (dana, eli) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    let browser = at_the_console(&server, &dana);
    go(&browser, &server, "/keys/new");
    browser.fill("Name", "once");
    browser.click("Create API key");
    browser.see("Save your secret");
    browser.click("Copy");
    browser.see("Copied");
    let secret = browser.clipboard();
    browser.check("I saved this secret");
    browser.reload();
    browser.see("Already submitted");
    assert!(!browser.source().contains(&secret));
    browser.click("View key");
    browser.see("Client ID");
    browser.back();
    browser.back();
    assert!(!browser.source().contains(&secret));
    let keys = dana.api("GET", &format!("keys?owner={}", dana.id)).send().expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    works(&server, &secret);

    // Another developer sees the key but cannot change it.
    let other = Browser::new();
    sign_in(&other, &server, &eli);
    other.click("once");
    other.see("Client ID");
    for change in ["Edit", "Rotate", "Disable", "Revoke"] {
        assert!(!other.offers(change), "{change}");
    }
    for path in ["edit", "rotate", "disable", "revoke"] {
        assert_eq!(other.open(&url(&server, &format!("/keys/{}/{path}", id_of(&secret)))), 403);
        other.see("You can only manage your own keys.");
    }
    eli.make(&json!({ "name": "mine" }));
    other.finish();
    browser.finish();
}
