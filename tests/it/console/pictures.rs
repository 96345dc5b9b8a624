//! The pictures of the console in `docs/console`: no test but a tool, which `scripts/console-pictures` runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::seed::Company;
use crate::support::{Browser, field};

/// Each page: the name of its picture, its path, and whether somebody has signed in. `{key}` is the id of a key that
/// is much used, `{org}` the organization.
const PAGES: &[(&str, &str, bool)] = &[("docs", "/docs", false)];

/// So much of a long page is shown, in points: on a screen, on a phone.
const DEPTHS: (f64, f64) = (1800.0, 1300.0);

#[test]
#[ignore = "a tool: scripts/console-pictures runs it"]
fn are_taken() {
    let folder = PathBuf::from(std::env::var_os("KEYTURN_TEST_PICTURES").expect("run scripts/console-pictures"));
    let company = Company::found();
    let url = |path: &str| {
        let path = path.replace("{key}", &company.keys[1]).replace("{org}", &company.owner.organization);
        format!("http://{}{path}", company.server.address)
    };
    for colours in ["light", "dark", "phone"] {
        let browser = match colours {
            "phone" => Browser::new().phone(),
            "dark" => Browser::new().dark(),
            _ => Browser::new(),
        };
        for (name, path, signed_in) in PAGES {
            browser.open(&url(path));
            if *signed_in {
                let (cookie, value) = company.owner.cookie.split_once('=').unwrap();
                browser.set_cookie(cookie, value);
            }
            let status = browser.open(&url(path));
            assert_eq!(status, 200, "{path}");
            assert!(browser.fits(), "{path} is wider than the screen ({colours})");
            let depth = if colours == "phone" { DEPTHS.1 } else { DEPTHS.0 };
            browser.screenshot_to(&folder.join(format!("{name}-{colours}.png")), depth);
        }
        browser.finish();
    }
}

#[test]
fn the_company_of_the_pictures_has_keys_in_every_state_and_a_month_of_use() {
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
