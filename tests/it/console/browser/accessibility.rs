//! Every page passes axe-core for every role and in every state. The owner's pages in their usual state are those of `layout`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use super::layout::overlaps;
use super::{at_the_console, go, reached, shape, sign_in, url};
use crate::console::seed::Company;
use crate::support::person::start;
use crate::support::{Browser, Person, Server, Visitor};

/// Every page that the owner of the organization `default` can reach by links.
const PAGES: &[&str] = &[
    "/account",
    "/apis",
    "/apis/new",
    "/apis/{id}",
    "/apis/{id}/delete",
    "/apis/{id}/edit",
    "/audit",
    "/customers",
    "/customers/new",
    "/customers/{id}",
    "/customers/{id}/edit",
    "/customers/{id}/remove",
    "/customers/{id}/suspend",
    "/denials",
    "/denials/explain",
    "/denials/{id}",
    "/gateways",
    "/gateways/apache",
    "/gateways/apache/check",
    "/gateways/apache/configuration",
    "/gateways/caddy",
    "/gateways/caddy/check",
    "/gateways/caddy/configuration",
    "/gateways/envoy",
    "/gateways/envoy/check",
    "/gateways/envoy/configuration",
    "/gateways/haproxy",
    "/gateways/haproxy/check",
    "/gateways/haproxy/configuration",
    "/gateways/nginx",
    "/gateways/nginx/check",
    "/gateways/nginx/configuration",
    "/gateways/tokens",
    "/gateways/tokens/configuration",
    "/gateways/traefik",
    "/gateways/traefik/check",
    "/gateways/traefik/configuration",
    "/keys",
    "/emergency",
    "/emergency/member",
    "/emergency/member/{id}",
    "/emergency/secret",
    "/emergency/secret/{id}",
    "/emergency/webhook",
    "/emergency/webhook/{id}",
    "/keys/new",
    "/keys/{id}",
    "/keys/{id}/disable",
    "/keys/{id}/edit",
    "/keys/{id}/enable",
    "/keys/{id}/end-grace",
    "/keys/{id}/explain",
    "/keys/{id}/token-preview",
    "/keys/{id}/extend-grace",
    "/keys/{id}/revoke",
    "/keys/{id}/rotate",
    "/members",
    "/members/new",
    "/members/{id}",
    "/members/{id}/remove",
    "/members/{id}/reset-password",
    "/networks",
    "/networks/new",
    "/networks/named/frankfurt",
    "/networks/named/frankfurt/delete",
    "/networks/named/frankfurt/edit",
    "/networks/named/office",
    "/networks/named/office/delete",
    "/networks/named/office/edit",
    "/organizations",
    "/organizations/new",
    "/organizations/default",
    "/organizations/globex",
    "/organizations/globex/delete",
    "/organizations/globex/suspend",
    "/overview",
    "/portal/edit",
    "/policy",
    "/policy/change",
    "/profiles",
    "/profiles/new",
    "/profiles/named/monitoring",
    "/profiles/named/monitoring/delete",
    "/profiles/named/monitoring/edit",
    "/profiles/named/reporting",
    "/profiles/named/reporting/delete",
    "/profiles/named/reporting/edit",
    "/sign-in",
    "/signing-keys",
    "/signing-keys/rotate",
    "/signing-keys/{id}/revoke",
    "/usage",
    "/webhooks",
    "/webhooks/new",
    "/webhooks/verifying",
    "/webhooks/{id}",
    "/webhooks/{id}/edit",
    "/webhooks/{id}/delete",
    "/webhooks/{id}/deliveries/{id}",
    "/webhooks/{id}/rotate-secret",
    "/welcome",
];

/// Screen widths and color schemes.
type Looks = &'static [(u32, &'static str)];
const SOME: Looks = &[(1280, "light"), (360, "dark")];

/// Runs all checks on the current page.
#[track_caller]
fn hold(browser: &Browser, looks: Looks) {
    let mut before = 0;
    for (width, colours) in looks {
        browser.prefer(colours);
        if before == *width {
            browser.run_axe_on_colours();
            continue;
        }
        before = *width;
        browser.screen(*width, if *width == 360 { 740 } else { 900 }, 1, *width == 360);
        browser.run_axe();
        assert!(browser.fits(), "{} is wider than {width}", browser.url());
        assert_eq!(overlaps(browser), json!([]), "{} at {width}", browser.url());
    }
    browser.screen(1280, 900, 1, false);
    browser.prefer("light");
}

/// Checks every page that a member can reach, except those with the same structure as a page checked before. Lists all
/// failures at the end.
#[track_caller]
fn hold_all(server: &Server, person: &Person, looks: Looks, held: &mut BTreeSet<String>) {
    let browser = at_the_console(server, person);
    let mut failed = Vec::new();
    for (path, skeleton) in pages_of(server, person).values() {
        if !held.insert(skeleton.clone()) {
            continue;
        }
        go(&browser, server, path);
        if catch_unwind(AssertUnwindSafe(|| hold(&browser, looks))).is_err() {
            failed.push(path.clone());
        }
    }
    assert!(failed.is_empty(), "what is said above is of these pages: {failed:?}");
    browser.finish();
}

/// Returns one page of each kind that a member can reach: its path and its structure.
#[track_caller]
pub(super) fn pages_of(server: &Server, person: &Person) -> BTreeMap<String, (String, String)> {
    let mut pages = BTreeMap::new();
    for (path, answer) in reached(&Visitor::of(server, person), &["/keys", "/keys?status=all", "/account"], 2) {
        assert_eq!(answer.status, 200, "a link leads to {path}");
        if answer.header("content-type").unwrap().starts_with("text/html") {
            pages.entry(shape(&path)).or_insert_with(|| (path, skeleton(&answer.text())));
        }
    }
    pages
}

/// Returns the elements of the main content with their classes, without texts.
fn skeleton(html: &str) -> String {
    let main = html.split("<main").nth(1).unwrap();
    let element = |tag: &str| {
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        let class = tag.split('>').next().and_then(|tag| tag.split_once("class=\"")?.1.split('"').next());
        format!("{name} {}\n", class.unwrap_or_default())
    };
    main.split('<').skip(1).map(element).collect()
}

#[test]
fn every_page_is_listed() {
    let company = Company::found();
    let pages = pages_of(&company.server, &company.owner);
    let found: BTreeSet<&str> = pages.keys().map(String::as_str).collect();
    assert_eq!(found, PAGES.iter().copied().collect::<BTreeSet<_>>());
}

#[test]
fn every_page_passes_axe_for_other_roles() {
    let company = Company::found();
    let of_owner = pages_of(&company.server, &company.owner);
    let mut held: BTreeSet<String> = of_owner.into_values().map(|(_, skeleton)| skeleton).collect();
    for (role, looks) in [("admin", &[(1280, "dark")]), ("developer", &[(1280, "light")]), ("viewer", &[(360, "dark")])]
    {
        let person = company.owner.add(&company.server, role);
        if role == "developer" {
            person.make(&json!({ "name": "my own" }));
        }
        hold_all(&company.server, &person, looks, &mut held);
    }
}

#[test]
fn every_key_state_passes_axe() {
    let company = Company::found();
    let browser = at_the_console(&company.server, &company.owner);
    // Rotating, busy, expired, revoked and disabled keys; a rotation; an explanation; a full and an empty list.
    let of_key = |key: usize, rest: &str| format!("/keys/{}{rest}", company.keys[key]);
    let states = [
        of_key(0, ""),
        of_key(1, "?range=24h"),
        of_key(7, ""),
        of_key(8, ""),
        of_key(11, ""),
        of_key(0, "/rotate"),
        of_key(0, "/end-grace"),
        of_key(0, "/extend-grace"),
        of_key(1, "/explain?ask=yes&address=192.0.2.1&action=read&resource=a"),
        of_key(1, "/token-preview?ask=yes"),
        of_key(1, "/token-preview?ask=yes&scope=nothing"),
        "/keys?status=all".into(),
        "/keys?search=nothing+like+it".into(),
        "/usage?range=1y".into(),
    ];
    for path in states {
        go(&browser, &company.server, &path);
        if browser.offers("View as table") {
            browser.click("View as table");
        }
        hold(&browser, SOME);
    }
    browser.finish();
}

#[test]
fn dialogs_secrets_and_errors_pass_axe() {
    let (server, owner) = start();
    let made = owner.make(&json!({ "name": "one", "description": "first\nsecond" }));
    let id = made["id"].as_str().unwrap();
    let browser = at_the_console(&server, &owner);
    let open = |page: &str, link: &str, heading: &str| {
        go(&browser, &server, page);
        browser.click(link);
        browser.within(heading).see(heading);
        hold(&browser, SOME);
    };
    let page = format!("/keys/{id}");
    for (link, heading) in [
        ("Rotate", "Rotate “one”"),
        ("Disable", "Disable “one”?"),
        ("Revoke", "Revoke “one”?"),
        ("Why was a request denied?", "Why was a request denied?"),
        ("Edit", "Edit “one”"),
    ] {
        open(&page, link, heading);
    }
    browser.within("Edit “one”").choose("Network access", "Only these addresses");
    browser.within("Edit “one”").fill("Allowed networks", "10.0.0.0/8");
    browser.click("Save changes");
    browser.see("Restrict “one”?");
    hold(&browser, SOME);
    open(&page, "Rotate", "Rotate “one”");
    browser.choose("Keep the current secret working for", "Immediately (for a leaked secret)");
    browser.click("Rotate key");
    browser.see("Rotate “one” immediately?");
    hold(&browser, SOME);

    // Forms with errors, in a dialog and on a page; then the secret.
    let wrong = || {
        browser.fill("Name", "wrong");
        browser.fill("Allowed networks", "nowhere");
        browser.fill("Resource pattern for scope 1", "a//b");
        browser.choose("Expiry", "Custom date…");
        browser.see("Line 1:");
    };
    open("/keys", "Create API key", "Create API key");
    wrong();
    browser.within("Create API key").click("Create API key");
    browser.see("Fix th");
    hold(&browser, SOME);
    go(&browser, &server, "/keys/new");
    wrong();
    browser.click("Create API key");
    browser.see("Fix th");
    hold(&browser, SOME);
    for path in ["/keys", "/keys/new"] {
        go(&browser, &server, path);
        if path == "/keys" {
            browser.click("Create API key");
            browser.see("Empty rows are ignored");
        }
        browser.fill("Name", "held");
        browser.choose("Network access", "Any network");
        browser.click("Create API key");
        browser.see("Review API key");
        hold(&browser, SOME);
        browser.click("Create API key");
        browser.see("Save your secret");
        hold(&browser, SOME);
        browser.check("I saved this secret");
        browser.click("Continue");
        browser.see("Client ID");
    }
    go(&browser, &server, "/account");
    browser.fill("Current password", "not the password");
    browser.fill("New password", "short");
    browser.click("Change password");
    browser.see("Fix th");
    hold(&browser, SOME);
    browser.finish();
}

#[test]
fn sign_in_and_empty_pages_pass_axe() {
    let (server, owner) = start();
    let browser = Browser::new();
    browser.open(&url(&server, "/sign-in"));
    hold(&browser, SOME);
    browser.fill("Email", "nobody@example.org");
    browser.fill("Password", "not the password");
    browser.click("Sign in");
    browser.see("Incorrect email");
    hold(&browser, SOME);

    // An organization without any data, for its owner and for a viewer.
    let body = json!({ "slug": "fleet", "owner_email": "f@fleet.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let fleet = Person::sign_in(&server, "fleet", "f@fleet.example", made["owner"]["password"].as_str().unwrap());
    let viewer = fleet.add(&server, "viewer");
    let mut held = BTreeSet::new();
    for person in [&fleet, &viewer] {
        let looks: Looks = if person.id == viewer.id { &[(360, "dark")] } else { &[(1280, "light")] };
        hold_all(&server, person, looks, &mut held);
        let browser = Browser::new();
        sign_in(&browser, &server, person);
        assert_eq!(browser.open(&url(&server, "/nowhere")), 404);
        hold(&browser, SOME);
        let status = browser.open(&url(&server, "/keys/new"));
        assert_eq!(status, if person.id == viewer.id { 403 } else { 200 });
        hold(&browser, SOME);
        browser.finish();
    }
    browser.finish();
}
