//! The pictures of the console in `docs/console`: no test but a tool, which `scripts/console-pictures` runs.

use std::path::PathBuf;

use super::seed::Company;
use crate::support::Browser;

/// Each page: the name of its picture, its path, and whether somebody has signed in. `{key}` is the id of a key that
/// is much used, `{org}` the organization.
const PAGES: &[(&str, &str, bool)] = &[("docs", "/docs", false)];

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
            browser.screenshot(&folder.join(format!("{name}-{colours}.png")));
        }
        browser.finish();
    }
}
