//! The pages of those who administer an organization, with and without a script: members, policy, signing keys,
//! webhooks, organizations, the audit log, the first steps.

use serde_json::json;

use super::{at_the_console, go, read_secret, sign_in, url, works};
use crate::console::browser::take_secret;
use crate::support::person::{start, try_sign_in};
use crate::support::{Browser, Person, Server};

/// Both kinds of browsers, in which the owner of a server of its own has signed in.
#[track_caller]
fn in_both(walk: impl Fn(&Server, &Person, &Browser)) {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start();
        sign_in(&browser, &server, &owner);
        walk(&server, &owner, &browser);
        browser.finish();
    }
}

/// The word after a label on a page that shows a password or a secret, and on to the next page.
#[track_caller]
fn take(browser: &Browser, heading: &str, is_it: impl Fn(&str) -> bool) -> String {
    browser.see(heading);
    // Not what is on the page below a dialog.
    let shown = "return (document.querySelector('dialog[open]') ?? document.querySelector('main')).innerText";
    let text = browser.run(shown, &[]);
    let text = text.as_str().unwrap();
    let found = text.split_whitespace().find(|word| is_it(word)).unwrap_or_else(|| panic!("nothing in {text}"));
    browser.click("Continue");
    assert!(browser.text().contains(found), "not before it is said that it is copied");
    browser.check("I have copied it");
    browser.click("Continue");
    browser.do_not_see("I have copied it");
    assert!(!browser.source().contains(found));
    found.to_owned()
}

/// Whether a word is a password that Keyturn made.
fn is_password(word: &str) -> bool {
    word.len() == 22 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

#[test]
fn members_are_added_found_changed_given_new_passwords_and_removed() {
    in_both(|server, owner, browser| {
        browser.click("Members");
        browser.see("You are alone here.");
        browser.click("Add member");
        browser.fill("Login", "grace@example.org");
        browser.choose("Role", &role(browser, "admin"));
        browser.within("Add a member").click("Add member");
        let password = take(browser, "shown now and never again", is_password);
        browser.see("The member is added.");
        assert_eq!(try_sign_in(server, "default", "grace@example.org", &password).status, 201);

        browser.fill("Login contains", "grace");
        browser.click("Search");
        browser.wait("one row", || browser.table("Members").rows.len() == 1);
        browser.click("grace@example.org");
        browser.choose("Role", &role(browser, "viewer"));
        browser.click("Save changes");
        browser.see("The member is changed.");
        browser.click("Reset password");
        browser.within("Reset the password of grace@example.org?").click("Reset password");
        let new = take(browser, "shown now and never again", is_password);
        assert_eq!(try_sign_in(server, "default", "grace@example.org", &password).status, 401);
        assert_eq!(try_sign_in(server, "default", "grace@example.org", &new).status, 201);
        browser.click("Remove member");
        let page = browser.within("Remove grace@example.org?");
        page.see("cannot be undone");
        page.click("Remove member");
        browser.see("The member is removed.");
        browser.do_not_see("grace@example.org");

        browser.click("Audit log");
        browser.see("Audit log");
        let log = browser.table("Audit log, newest first");
        assert!(log.rows.len() >= 5 && !browser.source().contains(&new), "{log:?}");
        browser.fill("Who", &owner.email);
        browser.click("Filter");
        browser.see("Show everything");
    });
}

/// The option of the list of roles that begins with a role's name.
#[track_caller]
fn role(browser: &Browser, name: &str) -> String {
    let begins = |option: &String| option.starts_with(&format!("{name}:"));
    browser.page().options("Role").into_iter().find(begins).unwrap()
}

#[test]
fn the_policy_is_changed_after_a_look_at_what_it_would_mean() {
    in_both(|_, owner, browser| {
        owner.make(&json!({ "name": "without an end" }));
        browser.click("Policy");
        browser.click("Change the policy");
        browser.fill("Prefix of key texts", "NOT A PREFIX");
        browser.click("See what it would mean");
        browser.see("another look");
        assert_eq!(browser.value("Prefix of key texts"), "NOT A PREFIX");
        browser.fill("Prefix of key texts", "acme");
        browser.click("See what it would mean");
        browser.see("What the policy would mean");
        let changes = browser.table("Settings that change");
        assert_eq!(changes.row("Prefix of key texts")[2], "New key texts begin with acme_.", "{changes:?}");
        browser.click("Back to the form");
        assert_eq!(browser.value("Prefix of key texts"), "acme");
        browser.click("See what it would mean");
        browser.click("Put in force");
        browser.see("The policy is in force.");
        assert_eq!(owner.api("GET", "policy").send().expect(200)["key_prefix"], "acme");
    });
}

#[test]
fn the_signing_key_is_rotated_and_the_public_one_is_there() {
    in_both(|server, _, browser| {
        browser.click("Signing keys");
        assert_eq!(browser.table("Signing keys, newest first").rows.len(), 1);
        browser.click("Rotate the signing key");
        let page = browser.within("Rotate the signing key");
        page.see("A new key is made.");
        page.choose("When the next key signs", "At once");
        page.click("Rotate the signing key");
        browser.see("The next signing key is published.");
        assert_eq!(browser.table("Signing keys, newest first").rows.len(), 2);
        assert_eq!(server.get("/.well-known/jwks.json").send().expect(200)["keys"].as_array().unwrap().len(), 2);
        browser.within("Console").click("Gateways");
        browser.within("Gateways").click("nginx");
        browser.see("What is filled in");
        browser.fill("Your API", "10.1.2.3:8080");
        browser.click("Fill in");
        browser.see("10.1.2.3:8080");
    });
}

#[test]
fn a_webhook_is_added_tried_edited_given_another_secret_and_deleted() {
    in_both(|_, _, browser| {
        browser.click("Webhooks");
        browser.see("Nobody is told of anything yet");
        browser.click("Add a webhook");
        browser.fill("URL", "ftp://nowhere.example");
        browser.check("Everything");
        browser.click("Add the webhook");
        browser.see("another look");
        browser.fill("URL", "https://hooks.example.org/keyturn");
        browser.fill("Description", "tells the team");
        browser.click("Add the webhook");
        let is_secret = |word: &str| word.starts_with("whsec_") && word.len() > 20;
        let first = take(browser, "Copy the secret now.", is_secret);
        browser.see("tells the team");
        browser.click("Send a test");
        browser.see("A test event is on its way.");
        browser.click("Edit");
        browser.fill("Description", "tells them all");
        browser.click("Save the webhook");
        browser.see("The webhook is changed.");
        browser.see("tells them all");
        browser.click("Disable");
        browser.see("The webhook is disabled.");
        browser.click("Enable");
        browser.see("The webhook is enabled.");
        browser.click("Rotate the secret");
        confirm(browser, "Rotate");
        assert_ne!(take(browser, "The secret is rotated.", is_secret), first);
        browser.click("Delete");
        confirm(browser, "Delete");
        browser.see("The webhook is deleted");
        browser.see("Nobody is told of anything yet");
    });
}

#[test]
fn an_organization_is_made_and_its_owner_takes_the_first_steps() {
    in_both(|server, _, browser| {
        browser.click("Organizations");
        browser.click("Make organization");
        browser.fill("Name", "Not a slug");
        browser.fill("Login of its owner", "f@fleet.example");
        browser.within("Make an organization").click("Make organization");
        browser.see("another look");
        browser.fill("Name", "fleet");
        browser.within("Make an organization").click("Make organization");
        let password = take(browser, "shown now and never again", is_password);
        browser.see("The organization is made.");
        browser.see("/o/fleet");
        browser.click("Sign out");
        browser.see("Sign in");

        // Whoever was given a password is shown how to begin.
        browser.fill("Organization", "fleet");
        browser.fill("Email", "f@fleet.example");
        browser.fill("Password", &password);
        browser.click("Sign in");
        browser.arrive("/console/welcome");
        browser.see("Choose your own password");
        browser.fill("Password that you were given", &password);
        browser.fill("Your own password", "a password of my own");
        browser.click("Change password");
        browser.see("You change it again on your account");
        browser.click("Make signing key");
        browser.see("The signing key is made.");
        go(browser, server, "/signing-keys");
        assert!(!browser.offers("Make the first signing key"), "it is made once");
        go(browser, server, "/welcome");
        browser.click("Make a key");
        browser.fill("Name", "first");
        browser.click("Create API key");
        let secret = read_secret(browser, "kt");
        browser.check("I have copied it");
        browser.click("Continue");
        browser.see("Client id");
        works(server, &secret);
        go(browser, server, "/welcome");
        browser.see("Get a token with it");
    });
}

#[test]
fn what_is_shown_once_in_a_dialog_is_not_lost_by_escape_and_is_copied() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    go(&browser, &server, "/members");
    browser.click("Add member");
    browser.wait("the focus on the first field", || browser.focused() == "Login");
    browser.type_text("eli@example.org");
    browser.press(crate::support::browser::Key::Enter);
    browser.see("shown now and never again");
    browser.wait("the focus", || browser.focused() == "Copy the password");
    for _ in 0..3 {
        browser.press(crate::support::browser::Key::Escape);
    }
    assert!(browser.dialog_is_open());
    browser.click("Copy the password");
    let copied = || try_sign_in(&server, "default", "eli@example.org", &browser.clipboard()).status == 201;
    browser.wait("the password in the clipboard", copied);
    browser.check("I have copied it");
    browser.click("Continue");
    browser.see("The member is added.");

    // A key in the same way, from the first steps.
    browser.open(&url(&server, "/welcome"));
    browser.click("Make a key");
    browser.click("Create API key");
    works(&server, &take_secret(&browser));
    browser.finish();
}

/// Presses the last button whose name begins so, once it is there: a question comes a moment after it was asked for.
#[track_caller]
fn confirm(browser: &Browser, begins: &str) {
    let found = || browser.page().names("button").into_iter().rfind(|name| name.starts_with(begins));
    browser.wait(&format!("a button {begins}…"), || found().is_some());
    browser.page().click(&found().unwrap());
}
