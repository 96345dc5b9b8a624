//! The console in Chromium, used as a person uses it.

mod accessibility;
mod administration;
mod aerovy;
mod apis;
mod billabear;
mod bindplane;
mod emergency;
mod figures;
mod find;
mod first_day;
mod hostile;
mod keyboard;
mod layout;
mod profiles;
mod stories;
mod unsent;
mod userplane;
mod walk;
mod without_script;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Answer, Browser, Person, Server, Visitor};

/// Returns the URL of a page from its path below `/console`.
fn url(server: &Server, path: &str) -> String {
    format!("{}/console{path}", server.public_url)
}

/// Opens a page that must exist.
#[track_caller]
fn go(browser: &Browser, server: &Server, path: &str) {
    let status = browser.open(&url(server, path));
    // Without JavaScript the browser does not report it.
    assert!([200, 0].contains(&status), "{path}: {status}: {}", browser.text());
}

/// Signs in through the form and arrives at the keys.
#[track_caller]
fn sign_in(browser: &Browser, server: &Server, person: &Person) {
    browser.open(&url(server, "/keys"));
    browser.see("Sign in");
    browser.fill("Email", &person.email);
    browser.fill("Password", &person.password);
    if person.organization != "default" {
        browser.fill("Organization", &person.organization);
    }
    browser.click("Sign in");
    browser.see("Sign out");
    // Members with steps left are led to Getting started.
    go(browser, server, "/keys");
}

/// Opens a browser with JavaScript and signs a person in.
#[track_caller]
fn at_the_console(server: &Server, person: &Person) -> Browser {
    let browser = Browser::new();
    sign_in(&browser, server, person);
    browser
}

/// Submits the form for a new key that can be used from any network, and confirms its review.
#[track_caller]
fn create_for_any_network(browser: &Browser) {
    browser.choose("Network access", "Any network");
    browser.click("Create API key");
    browser.see("Review API key");
    browser.see("from any network");
    browser.click("Create API key");
}

/// Copies a secret that is shown once, confirms and continues to the key's page. Returns the secret.
#[track_caller]
fn take_secret(browser: &Browser) -> String {
    browser.see("Save your secret");
    browser.click("Copy");
    browser.see("Copied");
    let secret = browser.clipboard();
    browser.see(&secret);
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Client ID");
    secret
}

/// Reads the secret with that prefix from a page without copy buttons.
#[track_caller]
fn read_secret(browser: &Browser, prefix: &str) -> String {
    browser.see("Save your secret");
    let text = browser.text();
    let is_secret = |word: &&str| word.starts_with(&format!("{prefix}_")) && word.len() > 60;
    text.split_whitespace().find(is_secret).unwrap_or_else(|| panic!("no secret: {text}")).to_owned()
}

/// Returns the key ID in a secret.
fn id_of(secret: &str) -> &str {
    secret.split('_').nth(1).unwrap()
}

/// Checks that none of the pages shows a secret.
#[track_caller]
fn is_gone(browser: &Browser, server: &Server, secret: &str, pages: &[&str]) {
    let id = id_of(secret);
    let of_key = ["", "/edit", "/rotate", "/revoke", "/explain?ask=yes"].map(|rest| format!("/keys/{id}{rest}"));
    let others = ["/keys", "/keys?status=all", "/usage"].into_iter().chain(pages.iter().copied()).map(str::to_owned);
    let half = secret.rsplit('_').next().unwrap();
    for page in of_key.into_iter().chain(others) {
        browser.open(&url(server, &page));
        assert!(!browser.source().contains(half), "{page} shows the secret");
    }
}

#[track_caller]
fn works(server: &Server, secret: &str) {
    server.exchange(secret, &[]).expect(200);
}

/// Clicks the button of a form whose name a link of the page behind it also has.
fn submit(browser: &Browser, name: &str, has_script: bool) {
    if has_script { browser.within(name).click(name) } else { browser.click(name) }
}

/// Follows links from these pages and returns every reached page with its path: all pages of keys, and at most `most` of
/// each other kind.
fn reached(visitor: &Visitor, from: &[&str], most: usize) -> BTreeMap<String, Answer> {
    let mut waiting: Vec<String> = from.iter().map(|path| (*path).to_owned()).collect();
    let (mut seen, mut kinds) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    let mut found = BTreeMap::new();
    while let Some(path) = waiting.pop() {
        let path = path.split('#').next().unwrap().to_owned();
        if !seen.insert(path.clone()) {
            continue;
        }
        let kind = shape(&path);
        let times = kinds.entry(kind.clone()).or_default();
        *times += 1;
        if *times > most && (kind != "/keys/{id}" || path.contains('?')) {
            continue;
        }
        let answer = visitor.get(&path);
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            waiting.extend(links(&answer.text(), &visitor.root, &path));
        }
        found.insert(path, answer);
    }
    found
}

/// Returns the paths below `/console` that a page links to.
fn links(html: &str, root: &str, page: &str) -> Vec<String> {
    let attributes = html.split("<a ").skip(1).filter_map(|rest| rest.split('>').next());
    let addresses = attributes.filter_map(|tag| tag.split_once("href=\"")?.1.split('"').next());
    let addresses = addresses.map(|address| address.replace("&#38;", "&").replace("&amp;", "&"));
    let here = page.split('?').next().unwrap();
    let within = addresses.filter_map(|address| match address.strip_prefix(root) {
        Some(rest) => Some(rest.to_owned()),
        None if address.starts_with('?') => Some(format!("{here}{address}")),
        None => None,
    });
    within.collect()
}

/// Returns a path with IDs replaced by placeholders.
fn shape(path: &str) -> String {
    let is_id = |part: &str| part.len() >= 10 && part.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let parts = path.split('?').next().unwrap().split('/');
    parts.map(|part| if is_id(part) { "{id}" } else { part }).collect::<Vec<_>>().join("/")
}
