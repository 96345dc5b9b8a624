//! Profiles and networks in Chromium, with and without JavaScript: create them, give them to a key, edit, delete.

use super::{go, read_secret, sign_in, submit};
use crate::support::person::start;
use crate::support::{Browser, Person, Server};

fn token(server: &Server, secret: &str) -> u16 {
    server.exchange(secret, &[]).status
}

/// Runs the walk. With JavaScript, forms are dialogs.
fn walk(browser: &Browser, server: &Server, owner: &Person, has_script: bool) {
    sign_in(browser, server, owner);

    // A network.
    browser.click("Profiles");
    browser.see("No profiles yet");
    browser.click("Networks");
    browser.see("No networks yet");
    browser.click("Create network");
    browser.see("One address or CIDR range per line");
    assert_eq!(browser.dialog_is_open(), has_script);
    browser.fill("Name", "office");
    browser.fill("Addresses", "127.0.0.1/8");
    submit(browser, "Create network", has_script);
    browser.see("has host bits set");
    browser.fill("Addresses", "127.0.0.0/8\n192.0.2.0/24");
    submit(browser, "Create network", has_script);
    browser.see("Network created.");

    // A profile with two scopes.
    browser.click("Profiles");
    browser.see("No profiles yet");
    browser.click("Create profile");
    browser.see("Longest token lifetime");
    browser.fill("Name", "readers");
    browser.choose("Action for scope 1", "read");
    browser.fill("Resource pattern for scope 1", "invoices/*");
    browser.click("Add scope");
    browser.see("Create profile");
    browser.choose("Action for scope 2", "read");
    browser.fill("Resource pattern for scope 2", "orders/*");
    browser.check("office");
    submit(browser, "Create profile", has_script);
    browser.see("Profile created.");
    browser.see("No key has this profile yet.");

    // A key with all that the profile grants.
    browser.click("Create API key");
    browser.see("Limits the key to what the profile grants");
    browser.fill("Name", "shop");
    if has_script {
        browser.see("The scopes of the profile readers, from the networks of the profile");
    }
    submit(browser, "Create API key", has_script);
    let secret = read_secret(browser, "kt");
    assert_eq!(server.exchange(&secret, &[]).expect(200)["scope"], "read:invoices/* read:orders/*");
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Where this access comes from");
    browser.see("No limit of its own");

    // Restrict the profile, after a review.
    browser.click("readers");
    browser.see("Allowed networks, with named ones");
    browser.click("Edit");
    browser.see("You review changes of access first.");
    browser.click("Remove scope 2");
    browser.see("Edit “readers”");
    browser.click("Save changes");
    browser.see("1 key has this profile.");
    browser.see("Restricted");
    browser.click("Apply restrictions");
    browser.see("Profile updated.");
    assert_eq!(server.exchange(&secret, &[]).expect(200)["scope"], "read:invoices/*");

    // The network as well.
    go(browser, server, "/networks/named/office");
    browser.click("Edit");
    browser.see("You review changes of its addresses first.");
    browser.fill("Addresses", "192.0.2.0/24");
    browser.click("Save changes");
    browser.see("Restrict “office”?");
    browser.see("those with the profile readers");
    assert_eq!(token(server, &secret), 200, "not yet");
    browser.click("Apply restrictions");
    browser.see("Network updated.");
    assert_eq!(token(server, &secret), 403);
    browser.click("Delete");
    browser.see("This network is in use");

    // Delete the profile with its key.
    go(browser, server, "/profiles");
    browser.click("readers");
    browser.see("Allowed networks, with named ones");
    browser.click("Delete");
    browser.see("1 key has this profile.");
    browser.choose("What happens to the keys", "Revoke them");
    browser.fill("Confirm", "readers");
    browser.click("Delete profile");
    browser.see("Profile deleted, and 1 key revoked.");
    go(browser, server, "/networks/named/office/delete");
    browser.click("Delete network");
    browser.see("Network deleted.");
}

#[test]
fn walked_with_javascript() {
    let (server, owner) = start();
    let browser = Browser::new();
    walk(&browser, &server, &owner, true);
    browser.finish();
}

#[test]
fn walked_without_javascript() {
    let (server, owner) = start();
    let browser = Browser::without_javascript();
    walk(&browser, &server, &owner, false);
    browser.finish();
}
