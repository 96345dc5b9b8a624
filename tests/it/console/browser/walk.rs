//! Walks through pages with and without JavaScript, and what they have in common.

use super::sign_in;
use crate::support::person::start_in;
use crate::support::{Browser, Person, Place, Server};

/// Runs a walk in a browser with and one without JavaScript, each with its own server and signed-in owner.
#[track_caller]
pub fn in_both(walk: impl Fn(&Server, &Person, &Browser)) {
    in_both_of(Place::new, walk);
}

/// Same, with other settings.
#[track_caller]
pub fn in_both_of(place: impl Fn() -> Place, walk: impl Fn(&Server, &Person, &Browser)) {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start_in(place());
        sign_in(&browser, &server, &owner);
        walk(&server, &owner, &browser);
        browser.finish();
    }
}

/// Returns the password or secret on a page that shows it once, and continues to the next page.
#[track_caller]
pub fn take(browser: &Browser, heading: &str, is_it: impl Fn(&str) -> bool) -> String {
    browser.see(heading);
    // Ignores the page below a dialog.
    let shown = "return (document.querySelector('dialog[open]') ?? document.querySelector('main')).innerText";
    let text = browser.run(shown, &[]);
    let text = text.as_str().unwrap();
    let found = text.split_whitespace().find(|word| is_it(word)).unwrap_or_else(|| panic!("nothing in {text}"));
    browser.click("Continue");
    assert!(browser.text().contains(found), "the checkbox is required");
    let saved = if is_password(found) { "I saved this password" } else { "I saved this secret" };
    browser.check(saved);
    browser.click("Continue");
    browser.do_not_see(saved);
    assert!(!browser.source().contains(found));
    found.to_owned()
}

/// Whether a word looks like a generated password.
pub fn is_password(word: &str) -> bool {
    word.len() == 22 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Waits for a button whose name starts with `begins` and presses the last one.
#[track_caller]
pub fn confirm(browser: &Browser, begins: &str) {
    let found = || browser.page().names("button").into_iter().rfind(|name| name.starts_with(begins));
    browser.wait(&format!("a button {begins}…"), || found().is_some());
    browser.page().click(&found().unwrap());
}
