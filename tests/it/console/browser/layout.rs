//! Every page at every width, light and dark: nothing scrolls sideways, is cut off or overlaps, every target can be hit, and
//! axe finds nothing.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use super::accessibility::pages_of;
use super::{go, shape, sign_in, url};
use crate::console::pictures::{PAGES, Pictured};
use crate::console::seed::Company;
use crate::support::Browser;

/// Widths and heights in points: large and small screens, a tablet, a phone.
const SCREENS: [(u32, u32); 6] = [(3840, 2160), (2560, 1440), (1280, 900), (1024, 768), (768, 1024), (360, 740)];

/// Finds what does not fit: a list of sentences.
const MISFITS: &str = r"
const found = [], root = document.documentElement, wide = root.clientWidth;
const name = e => `${e.tagName.toLowerCase()}${e.name ? `[name=${e.name}]` : ''}.${e.className?.baseVal ?? e.className} ${(e.getAttribute('aria-label') ?? e.textContent).trim().replace(/\s+/g, ' ').slice(0, 50)}`;
// For screen readers only: cut to a point, such as the header of a table whose rows are cards.
const isForReaders = e => {
  for (let place = e; place; place = place.parentElement) {
    const style = getComputedStyle(place);
    if (style.position === 'absolute' && style.clipPath !== 'none' && style.width === '1px') return true;
  }
  return false;
};
const unseen = e => !e.checkVisibility() || e.closest('.hidden, .skip, datalist, svg') || isForReaders(e);
if (root.scrollWidth > wide) found.push(`the page is ${root.scrollWidth} wide`);
for (const e of document.body.querySelectorAll('*')) {
  const box = e.getBoundingClientRect();
  if (box.width < 1 || box.height < 1) continue;
  const isOutside = box.right > wide + 1 || box.left < -1, overflows = e.scrollWidth > e.clientWidth + 1;
  // Styles are computed only for elements that may not fit: it takes as long as everything else together.
  if (!(isOutside || overflows) || unseen(e)) continue;
  const style = getComputedStyle(e);
  if (isOutside && !e.closest('pre')) found.push(`outside the screen: ${name(e)}`);
  // A code example may scroll: it can be focused and copied. A table may not.
  if (overflows && /auto|scroll/.test(style.overflowX) && !e.matches('pre, textarea')) found.push(`scrolls sideways: ${name(e)}`);
  // The content of a field scrolls with the cursor.
  if (overflows && /hidden|clip/.test(style.overflowX) && !e.matches('input')) found.push(`cut off: ${name(e)}`);
  if (overflows && e.matches('input:not([type=hidden]), select') && e.value === '') found.push(`cut off: ${name(e)}`);
}
// A link within a sentence is as high as its line; every other target has 24 points.
for (const e of document.body.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')) {
  const box = e.getBoundingClientRect();
  if ((box.width >= 24 && box.height >= 24) || unseen(e)) continue;
  const isInText = e.matches('a') && getComputedStyle(e).display === 'inline';
  if (!isInText) found.push(`${box.width.toFixed(1)} x ${box.height.toFixed(1)}: ${name(e)}`);
}
return [...new Set(found)].slice(0, 12)";

/// Finds overlapping elements.
const OVERLAPS: &str = "const place = document.querySelector('dialog[open]') ?? document.body;
    const what = 'a[href], button, input:not([type=hidden]), select, textarea, summary, h1, h2, dt, dd, label, .badge';
    const all = [...place.querySelectorAll(what)].filter(e => e.checkVisibility() && !e.closest('.hidden'));
    const seen = r => r.width > 2 && r.height > 2;
    const boxes = all.flatMap(e => [...e.getClientRects()].filter(seen).map(r => [e, r]));
    boxes.sort(([, a], [, b]) => a.top - b.top);
    const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1.5;
    const found = new Set();
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
        const [[a, of_a], [b, of_b]] = [boxes[i], boxes[j]];
        // All later ones begin further down.
        if (of_b.top > of_a.bottom) break;
        if (a === b || !over(of_a, of_b) || a.contains(b) || b.contains(a) || a.matches('.skip') || b.matches('.skip')) continue;
        found.add(`${a.outerHTML.slice(0, 90)} and ${b.outerHTML.slice(0, 90)}`);
    }
    return [...found]";

/// Returns the elements of the current page that overlap.
pub(super) fn overlaps(browser: &Browser) -> Value {
    browser.run(OVERLAPS, &[])
}

/// Checks the current page at every width, and with axe on a screen and on a phone, light and dark.
#[track_caller]
fn look(browser: &Browser) -> Vec<String> {
    let mut found = Vec::new();
    browser.prefer("light");
    for (width, height) in SCREENS {
        browser.screen(width, height, 1, width == 360);
        for (what, of) in [("", browser.run(MISFITS, &[])), ("overlap: ", overlaps(browser))] {
            found.extend(of.as_array().unwrap().iter().map(|one| format!("{width}: {what}{}", one.as_str().unwrap())));
        }
        let axe = |colours: &str, check: &dyn Fn()| {
            let broken = catch_unwind(AssertUnwindSafe(check)).is_err();
            broken.then(|| format!("{width} {colours}: axe, see above"))
        };
        if width == 1280 {
            found.extend(axe("light", &|| drop(browser.run_axe())));
        }
        if width == 1280 || width == 360 {
            browser.prefer("dark");
            let check: &dyn Fn() =
                if width == 360 { &|| drop(browser.run_axe()) } else { &|| browser.run_axe_on_colours() };
            found.extend(axe("dark", check));
            browser.prefer("light");
        }
    }
    found
}

/// Returns the paths of all pages: those of the pictures, and one of each further kind that links lead to.
fn all_pages(company: &Company, pictured: &Pictured) -> Vec<String> {
    let mut pages: Vec<String> =
        PAGES.iter().filter(|(_, _, signed_in)| *signed_in).map(|(_, path, _)| pictured.url(path)).collect();
    let shape_of = |url: &str| shape(url.split_once("/console").unwrap().1);
    let known: BTreeSet<String> = pages.iter().map(|url| shape_of(url)).collect();
    let linked = pages_of(&company.server, &company.owner).into_values().map(|(path, _)| url(&company.server, &path));
    pages.extend(linked.filter(|url| !known.contains(&shape_of(url))));
    pages
}

/// Checks the pages whose place in the list has this remainder, so that two browsers share the work.
fn check_pages(remainder: usize) {
    let company = Company::found();
    let pictured = Pictured::of(&company);
    let browser = Browser::new();
    let mut failed = Vec::new();
    let mut check = |browser: &Browser, page: &str| {
        browser.open(page);
        failed.extend(look(browser).into_iter().map(|what| format!("{page} {what}")));
    };
    for (_, path, _) in PAGES.iter().filter(|(_, _, signed_in)| !signed_in) {
        check(&browser, &pictured.url(path));
    }
    browser.screen(1280, 900, 1, false);
    sign_in(&browser, &company.server, &company.owner);
    for page in all_pages(&company, &pictured).into_iter().skip(remainder).step_by(2) {
        check(&browser, &page);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    browser.finish();
}

#[test]
fn pages_fit_every_width_and_pass_axe() {
    check_pages(0);
}

#[test]
fn other_pages_fit_every_width_and_pass_axe() {
    check_pages(1);
}

#[test]
fn phone_menu_names_the_section_and_works_without_script() {
    let company = Company::found();
    for browser in [Browser::without_javascript(), Browser::new()] {
        sign_in(&browser, &company.server, &company.owner);
        browser.screen(360, 740, 2, true);
        for (path, section) in [("/keys", "API keys"), ("/signing-keys", "Signing keys"), ("/account", "Your account")]
        {
            go(&browser, &company.server, path);
            browser.see(&format!("Menu: {section}"));
            assert!(!browser.offers("Webhooks"), "the menu is closed");
        }
        browser.click("Menu: Your account");
        browser.click("Webhooks");
        browser.see("Menu: Webhooks");
        browser.finish();
    }
}

/// The views of the key list take one row on a phone, which names the current one.
#[test]
fn phone_shows_the_current_view_in_one_row() {
    let company = Company::found();
    for browser in [Browser::without_javascript(), Browser::new()] {
        sign_in(&browser, &company.server, &company.owner);
        go(&browser, &company.server, "/keys?owner=any");
        assert!(!browser.offers("View: All"), "on a screen, all views are there");
        assert!(browser.offers("Rotating"));
        browser.screen(360, 740, 2, true);
        go(&browser, &company.server, "/keys?owner=any");
        assert!(!browser.offers("Rotating"), "the menu is closed");
        let height = "return document.querySelector('nav.views').getBoundingClientRect().height";
        assert!(browser.run(height, &[]).as_f64().unwrap() < 50.0);
        let menu = browser.page().names("DisclosureTriangle").into_iter().find(|name| name.starts_with("View"));
        browser.click(&menu.unwrap_or_else(|| "View: All".into()));
        browser.click("Rotating");
        browser.see("deploy-production");
        browser.see("View: Rotating");
        browser.finish();
    }
}

#[test]
fn theme_is_switched_without_script_and_stays() {
    let (server, owner) = crate::support::person::start();
    let browser = Browser::without_javascript();
    sign_in(&browser, &server, &owner);
    let ground = || browser.run("return getComputedStyle(document.body).backgroundColor", &[]);
    let light = ground();
    browser.click("Dark");
    browser.see("API keys");
    browser.wait("dark", || ground() != light);
    browser.open(&url(&server, "/usage"));
    assert_ne!(ground(), light);
    browser.prefer("dark");
    browser.click("Light");
    browser.wait("light in spite of the system", || ground() == light);
    assert_eq!(browser.run("return location.pathname", &[]), json!("/console/usage"));
    browser.click("System");
    browser.wait("the system's colors", || ground() != light);
    browser.finish();
}
