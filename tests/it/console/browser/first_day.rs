//! The first day of an owner and of a developer, with and without JavaScript.

use serde_json::json;

use super::url;
use crate::support::person::start;
use crate::support::{Browser, Person};

#[test]
fn owner_signs_in_and_is_guided() {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start();
        // The printed URL.
        browser.open(&url(&server, ""));
        browser.see("Sign in");
        assert!(!browser.text().contains("Organization"), "there is only one");
        browser.fill("Email", &owner.email);
        browser.fill("Password", "not the password");
        browser.click("Sign in");
        browser.see("Incorrect email or password.");
        browser.fill("Password", &owner.password);
        browser.click("Sign in");
        browser.see("Getting started");
        browser.see("Change the printed password");
        browser.see("Replace the first key");

        browser.fill("Temporary password", &owner.password);
        browser.fill("New password", "a much better password");
        browser.click("Change password");
        browser.see("Password changed.");

        // A key of their own, and the printed one revoked.
        Person::sign_in(&server, "default", &owner.email, "a much better password").make(&json!({ "name": "orders" }));
        browser.reload();
        browser.see("3 of 8 complete");
        browser.click("Revoke the first key");
        browser.click("Revoke key");
        browser.see("Key revoked.");

        // The next sign-in leads here again as long as steps are left, until it is dismissed.
        let again = |password: &str| {
            browser.click("Sign out");
            browser.see("Sign in");
            browser.fill("Email", &owner.email);
            browser.fill("Password", password);
            browser.click("Sign in");
            browser.see("Sign out");
        };
        again("a much better password");
        browser.arrive("/console/welcome");
        browser.click("Don’t show after sign-in");
        browser.see("Getting started stays in the navigation.");
        again("a much better password");
        browser.arrive("/console/overview");
        browser.finish();
    }
}

#[test]
fn developer_sees_their_own_steps() {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start();
        owner.make(&json!({ "name": "of the owner" }));
        let nina = owner.add(&server, "developer");
        browser.open(&url(&server, "/usage"));
        browser.fill("Email", &nina.email);
        browser.fill("Password", &nina.password);
        browser.click("Sign in");
        browser.see("0 of 4 complete");
        browser.see("Change your temporary password");
        browser.do_not_see("Replace the first key");
        browser.click("Continue to that page");
        browser.arrive("/console/usage");
        // What they may not see is an error within the frame.
        browser.open(&url(&server, "/audit"));
        browser.see("You don’t have permission");
        assert!(browser.offers("API keys") && browser.offers("Sign out"));
        browser.finish();
    }
}
