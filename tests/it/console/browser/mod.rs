//! The console's pages in real Chromium, used as a person uses them.

mod accessibility;
mod administration;
mod aerovy;
mod billabear;
mod bindplane;
mod hostile;
mod keyboard;
mod userplane;
mod without_script;

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Answer, Browser, Person, Server, Visitor};

/// The URL of a page: what follows `/console`.
fn url(server: &Server, path: &str) -> String {
    format!("{}/console{path}", server.public_url)
}

/// Opens a page that must be there.
#[track_caller]
fn go(browser: &Browser, server: &Server, path: &str) {
    let status = browser.open(&url(server, path));
    // Without scripts the browser does not tell.
    assert!([200, 0].contains(&status), "{path}: {status}: {}", browser.text());
}

/// Signs in through the form; shows the keys then.
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
    browser.arrive("/console/keys");
}

/// A browser in which that person has signed in; with all the comforts.
#[track_caller]
fn at_the_console(server: &Server, person: &Person) -> Browser {
    let browser = Browser::new();
    sign_in(&browser, server, person);
    browser
}

/// Where the secret is shown once: copies it, says so, and goes on to the key's page. Gives the secret.
#[track_caller]
fn take_secret(browser: &Browser) -> String {
    browser.see("Copy the key now");
    browser.click("Copy");
    browser.see("Copied");
    let secret = browser.clipboard();
    browser.see(&secret);
    browser.check("I have copied it");
    browser.click("Continue");
    browser.see("Client id");
    secret
}

/// The secret on a page that cannot copy it; what it begins with is known.
#[track_caller]
fn read_secret(browser: &Browser, prefix: &str) -> String {
    browser.see("Copy the key now");
    let text = browser.text();
    let is_secret = |word: &&str| word.starts_with(&format!("{prefix}_")) && word.len() > 60;
    text.split_whitespace().find(is_secret).unwrap_or_else(|| panic!("no secret: {text}")).to_owned()
}

/// The id in a key's text.
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

/// Looks at every page that a visitor reaches from one of these by links: every key's own, and of each other kind so
/// many at most. Gives the pages' paths, in order, and their answers.
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

/// Where a page's links lead within the console: what follows its root.
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

/// A path without what differs from key to key.
fn shape(path: &str) -> String {
    let is_id = |part: &str| part.len() >= 10 && part.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let parts = path.split('?').next().unwrap().split('/');
    parts.map(|part| if is_id(part) { "{id}" } else { part }).collect::<Vec<_>>().join("/")
}
