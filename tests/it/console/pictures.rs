//! The screenshots in `docs/console`. This is a tool that `scripts/console-pictures` runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::seed::Company;
use crate::support::{Browser, field};

/// The name of each screenshot, its path and whether a member is signed in. `{key}` is the ID of a busy key, `{member}` of
/// a member, `{webhook}` of a webhook, `{org}` the organization.
const PAGES: &[(&str, &str, bool)] = &[
    ("sign-in", "/console/sign-in", false),
    ("welcome", "/console/welcome", true),
    ("keys", "/console/keys?status=all", true),
    ("keys-none", "/console/keys?status=active&search=nothing+like+this", true),
    ("key", "/console/keys/{key}", true),
    ("key-create", "/console/keys/new", true),
    ("key-edit", "/console/keys/{key}/edit", true),
    ("key-rotate", "/console/keys/{key}/rotate", true),
    ("key-revoke", "/console/keys/{key}/revoke", true),
    ("key-explain", "/console/keys/{key}/explain?ask=yes&address=192.0.2.1&action=read&resource=invoices/2031", true),
    ("usage", "/console/usage?range=30d", true),
    ("audit", "/console/audit", true),
    ("members", "/console/members", true),
    ("member", "/console/members/{member}", true),
    ("policy", "/console/policy", true),
    ("signing-keys", "/console/signing-keys", true),
    ("webhooks", "/console/webhooks", true),
    ("webhook", "/console/webhooks/{webhook}", true),
    ("gateways", "/console/gateways", true),
    ("gateway", "/console/gateways/nginx", true),
    ("organizations", "/console/organizations", true),
    ("account", "/console/account", true),
    ("not-found", "/console/nothing", true),
];

/// Maximum height of a screenshot in points, on a screen and on a phone.
const DEPTHS: (f64, f64) = (1800.0, 1300.0);

#[test]
#[ignore = "a tool: scripts/console-pictures runs it"]
fn are_taken() {
    let folder = PathBuf::from(std::env::var_os("KEYTURN_TEST_PICTURES").expect("run scripts/console-pictures"));
    let company = Company::found();
    let first = |list: &str| {
        let listed = company.owner.api("GET", list).send().expect(200);
        listed["items"][0]["id"].as_str().unwrap().to_owned()
    };
    let (member, webhook) = (first("members"), first("webhooks"));
    let url = |path: &str| {
        let path = path.replace("{key}", &company.keys[1]).replace("{org}", &company.owner.organization);
        let path = path.replace("{member}", &member).replace("{webhook}", &webhook);
        format!("http://{}{path}", company.server.address)
    };
    for colours in ["light", "dark", "phone"] {
        let browser = match colours {
            "phone" => Browser::new().phone(),
            "dark" => Browser::new().dark(),
            _ => Browser::new(),
        };
        let mut is_in = false;
        for (name, path, signed_in) in PAGES {
            if *signed_in && !is_in {
                browser.open(&url("/console/sign-in?next=/console/keys"));
                browser.fill("Email", &company.owner.email);
                browser.fill("Password", &company.owner.password);
                browser.click("Sign in");
                browser.arrive("/console/keys");
                is_in = true;
            }
            let status = browser.open(&url(path));
            assert_eq!(status, if *name == "not-found" { 404 } else { 200 }, "{path}");
            assert!(browser.fits(), "{path} is wider than the screen ({colours})");
            let depth = if colours == "phone" { DEPTHS.1 } else { DEPTHS.0 };
            browser.screenshot_to(&folder.join(format!("{name}-{colours}.png")), depth);
        }
        // Dialogs, and the secret that is shown once.
        let depth = if colours == "phone" { DEPTHS.1 } else { 900.0 };
        let picture = |name: &str| browser.screenshot_to(&folder.join(format!("{name}-{colours}.png")), depth);
        browser.open(&url("/console/keys"));
        browser.click("Create API key");
        browser.fill("Name", "Ledger import");
        browser.choose("Action for scope 1", "read");
        browser.fill("Resource pattern for scope 1", "ledgers/acme/#");
        browser.fill("Allowed networks", "10.20.0.0/16\n203.0.113.7");
        browser.see("2 networks");
        picture("key-create-dialog");
        browser.within("Create API key").click("Create API key");
        browser.see("Copy the secret now.");
        picture("key-secret");
        browser.check("I saved this secret");
        browser.click("Continue");
        browser.finish();
    }
}

#[test]
fn seed_has_every_key_state_and_a_month_of_usage() {
    let company = Company::found();
    let get = |rest: &str| company.owner.api("GET", rest).send().expect(200);
    let keys = get("keys?limit=100");
    let states: BTreeSet<&str> = field(&keys["items"], "status").into_iter().collect();
    assert_eq!(states, BTreeSet::from(["active", "disabled", "expired", "revoked"]), "{keys}");
    let usage = get("usage?interval=day");
    assert!(usage["totals"]["exchanges"].as_u64().unwrap() > 10_000, "{}", usage["totals"]);
    assert!(usage["totals"]["denials"]["scope"].as_u64().unwrap() > 10, "{}", usage["totals"]);
    let of_key = get(&format!("keys/{}/usage?interval=day", company.keys[1]));
    assert!(of_key["totals"]["exchanges"].as_u64().unwrap() > 1_000, "{of_key}");
    assert_eq!(get("members")["items"].as_array().unwrap().len(), 5);
    assert_eq!(get("webhooks")["items"].as_array().unwrap().len(), 2);
}
