//! Userplane's workflow: three keys per member, fixed lifetimes, rotation with the same key ID.

use serde_json::json;

use super::{at_the_console, create_for_any_network, go, id_of, is_gone, sign_in, take_secret, url, works};
use crate::products::{assert_error, under};
use crate::support::Browser;
use crate::support::browser::Key;

#[test]
fn create_rotate_and_revoke_keys() {
    let (server, owner) = under("userplane");
    let dana = owner.add(&server, "developer");
    let browser = at_the_console(&server, &dana);

    // 1. A key: the expiry is one of five choices.
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    assert_eq!(browser.focused(), "Name", "the first field of the dialog");
    let lengths: Vec<String> =
        dialog.options("Expiry").iter().map(|option| option.split(" (").next().unwrap().to_owned()).collect();
    assert_eq!(lengths, ["7 days", "30 days", "60 days", "90 days", "No expiry"]);
    assert!(!dialog.text().contains("Expiry date"), "no other date");
    assert!(!dialog.text().contains("Owner"), "a developer makes their own keys");
    browser.type_text("ci");
    browser.choose("Expiry", "30 days");
    create_for_any_network(&browser);

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
    for name in ["laptop", "desktop"] {
        browser.click("Create API key");
        browser.within("Create API key").fill("Name", name);
        create_for_any_network(&browser);
        works(&server, &take_secret(&browser));
        go(&browser, &server, "/keys");
    }
    browser.click("Create API key");
    browser.fill("Name", "one too many");
    create_for_any_network(&browser);
    browser.see("Key limit reached: each member and each customer can have 3 keys");
    assert_eq!(browser.within("Create API key").value("Name"), "one too many");
    assert!(browser.dialog_is_open());
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    assert_eq!(browser.focused(), "Create API key", "back where one was");

    // 4. Rotation without a grace period, which is all that the policy allows: confirmed with the last use. The previous
    //    secret stops working and the key ID stays.
    browser.click("Filters");
    browser.choose("Owner", "You");
    browser.click("Apply");
    browser.click("ci");
    browser.see("Client ID");
    browser.click("Rotate");
    let dialog = browser.within("Rotate “ci”");
    assert_eq!(dialog.names("radio"), ["Immediately (for a leaked secret)"]);
    dialog.click("Rotate key");
    let dialog = browser.within("Rotate “ci” immediately?");
    dialog.see("Last used");
    works(&server, &ci);
    dialog.click("Rotate immediately");
    let new = take_secret(&browser);
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
    browser.fill("Confirmation", "laptop");
    browser.click("Revoke key");
    browser.see("Key revoked.");
    browser.see("left the project");
    assert!(!browser.offers("Rotate") && !browser.offers("Edit"));
    go(&browser, &server, "/keys");
    browser.do_not_see("laptop");
    browser.click("Filters");
    browser.choose("Status", "All");
    browser.click("Apply");
    let table = browser.table("API keys");
    let laptop = table.column("Name and owner").iter().position(|name| name.starts_with("laptop")).unwrap();
    assert!(table.column("Status")[laptop].starts_with("Revoked"), "{table:?}");
    browser.click("Create API key");
    browser.within("Create API key").fill("Name", "tablet");
    create_for_any_network(&browser);
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
    create_for_any_network(&browser);
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
    for _ in 0..3 {
        browser.back();
        assert!(!browser.source().contains(&secret));
    }
    let keys = dana.api("GET", &format!("keys?owner={}", dana.id)).send().expect(200);
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    works(&server, &secret);

    // Another developer sees the key but cannot change it.
    let other = Browser::new();
    sign_in(&other, &server, &eli);
    // The list shows a developer their own keys first.
    other.do_not_see("once");
    other.click("Show all keys");
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
