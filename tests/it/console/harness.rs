//! Tests of the browser harness.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use super::site::Site;
use crate::support::browser::Key;
use crate::support::{Browser, Server, eventually};

const PAGES: &[(&str, &str)] = &[
    ("/", FORM),
    ("/page.js", SCRIPT),
    ("/axe", "<!doctype html><html lang=en><title>Bad</title><main><h1>Bad</h1><input></main>"),
    ("/inline", "<!doctype html><html lang=en><title>In</title><h1>In</h1><script>document.title = 'broken'</script>"),
    ("/throws", "<!doctype html><html lang=en><title>Throws</title><script src=/throw.js></script>"),
    ("/throw.js", "throw new Error('planted')"),
    ("/422", "<!doctype html><html lang=en><title>No</title><h1>Not so</h1>"),
    ("/cookie", "<!doctype html><html lang=en><title>Cookie</title><h1>Set</h1>"),
];

const FORM: &str = r#"<!doctype html><html lang=en><meta name=viewport content="width=device-width"><title>Keys</title>
<main><h1>API keys</h1><p id=scripts>without scripts</p><noscript><p>nothing runs</p></noscript>
<a href=/422>Leave</a>
<form action=/form method=post>
<p><label>Name <input name=name value=old required></label>
<p><label for=until>Until</label> <input id=until name=until type=date>
<p><label for=expiry>Expiry</label> <select id=expiry name=expiry><option value=30>30 days<option value=0>Never</select>
<fieldset><legend>Access</legend><label><input type=radio name=access value=r checked> Read</label>
<label><input type=radio name=access value=w> Write</label></fieldset>
<p><label><input type=checkbox name=copied> I saved this secret</label>
<p><button>Create API key</button> <button hidden>Revoke</button></form>
<button type=button id=copy>Copy</button> <button type=button id=ask>Ask</button>
<dialog id=dialog aria-labelledby=sure><h2 id=sure>Sure?</h2><form method=dialog><button>Yes</button></form></dialog>
<details><summary>More</summary>the rest</details>
<table><caption>Two keys</caption><thead><tr><th scope=col>Name<th scope=col>State<th scope=col>Change</tr></thead><tbody>
<tr><td><a href=#ci>ci-bot</a><td>Active<td><button type=button>Rotate</button></tr>
<tr><td>ci-bot-2<td>Revoked<td><button type=button disabled>Rotate</button></tr></tbody></table>
<section><h2>Others</h2><ul><li>nobody yet</ul></section></main><script src=/page.js></script>"#;

const SCRIPT: &str = "const by = id => document.getElementById(id);
by('scripts').textContent = `${matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'} ${innerWidth}`;
by('copy').onclick = () => navigator.clipboard.writeText('copied words');
by('ask').onclick = () => setTimeout(() => by('dialog').showModal(), 50);";

/// Returns the message of a panic.
fn panic_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap()
}

#[test]
fn elements_are_found_by_accessible_name() {
    let site = Site::start(PAGES);
    let browser = Browser::new();
    assert_eq!((browser.open(&site.url("/")), browser.title().as_str()), (200, "Keys"));
    browser.see("light 1280");
    browser.do_not_see("nothing runs");
    browser.do_not_see("the rest");
    browser.click("More");
    browser.see("the rest");

    let table = browser.table("Two keys");
    assert_eq!(table.head, ["Name", "State", "Change"]);
    assert_eq!((table.column("State"), table.row("ci-bot-2")[1].as_str()), (vec!["Active", "Revoked"], "Revoked"));
    browser.within("Two keys").within("ci-bot").click("Rotate");
    assert_eq!(browser.focused(), "Rotate");
    assert_eq!(browser.within("Others").text().trim(), "Others\nnobody yet");
    assert_eq!(browser.page().names("heading"), ["API keys", "Others"]);
    assert!(browser.offers("Create API key") && !browser.offers("Revoke"));

    browser.click("Copy");
    assert_eq!(browser.clipboard(), "copied words");
    assert!(!browser.dialog_is_open());
    browser.click("Ask");
    browser.within("Sure?").see("Sure?");
    assert!(browser.dialog_is_open() && !browser.offers("Copy"), "the rest of the page is out of reach");
    browser.press(Key::Escape);
    browser.wait("the end of the dialog", || !browser.dialog_is_open());

    browser.fill("Name", "ci \"><b>bot");
    browser.press(Key::Tab);
    assert_eq!(browser.focused(), "Until");
    browser.press(Key::BackTab);
    assert_eq!(browser.focused(), "Name");
    browser.press(Key::End);
    browser.type_text("s");
    browser.fill("Until", "2031-05-06");
    browser.choose("Expiry", "Never");
    browser.choose("Access", "Write");
    browser.check("I saved this secret");
    browser.check("I saved this secret");
    browser.uncheck("I saved this secret");
    browser.check("I saved this secret");
    assert_eq!((browser.value("Name"), browser.value("Expiry")), ("ci \"><b>bots".into(), "Never".into()));
    browser.click("Create API key");
    browser.arrive("/form");
    browser.see("name=ci+%22%3E%3Cb%3Ebots&until=2031-05-06&expiry=0&access=w&copied=on");
    assert!(browser.source().contains("<title>Sent</title>"));
    browser.back();
    browser.click("Leave");
    browser.see("Not so");
    assert_eq!((browser.status(), browser.url()), (422, site.url("/422")));

    browser.open(&site.url("/"));
    let said = panic_of(|| browser.click("Rotate"));
    assert!(said.contains("there are 2") && said.contains("\"Create API key\""), "{said}");
    assert!(said.contains(&site.url("/")) && said.contains("nobody yet") && said.contains("target/browser"), "{said}");
    browser.finish();
}

#[test]
fn browsers_work_without_javascript() {
    let site = Site::start(PAGES);
    let browser = Browser::without_javascript();
    assert_eq!(browser.open(&site.url("/")), 200);
    browser.see("without scripts");
    browser.see("nothing runs");
    browser.fill("Name", "bot");
    browser.choose("Expiry", "30 days");
    browser.choose("Access", "Write");
    browser.check("I saved this secret");
    browser.click("Create API key");
    browser.see("name=bot&until=&expiry=30&access=w&copied=on");
    assert_eq!(browser.open(&site.url("/inline")), 200);
    assert_eq!((browser.title().as_str(), browser.text().trim()), ("In", "In"));
    drop(browser.complaints());
}

#[test]
fn page_errors_fail_the_test() {
    let site = Site::start(PAGES);
    let browser = Browser::new();
    browser.open(&site.url("/inline"));
    assert_eq!(browser.title(), "In");
    let complaints = browser.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("script-src 'self'"), "{complaints:?}");
    browser.open(&site.url("/422"));
    browser.open(&site.url("/"));
    assert_eq!(browser.complaints(), Vec::<String>::new(), "an answer is not a complaint");
    browser.open(&site.url("/throws"));
    browser.reload();
    browser.open(&site.url("/"));
    let said = panic_of(|| drop(browser));
    assert!(said.contains("planted") && said.contains(&site.url("/")), "{said}");
}

#[test]
fn axe_finds_violations_under_the_csp() {
    let site = Site::start(PAGES);
    let browser = Browser::new();
    browser.open(&site.url("/axe"));
    let said = panic_of(|| drop(browser.run_axe()));
    assert!(said.contains("label (critical, 1 times)") && said.contains("input"), "{said}");
    assert!(said.contains("picture: "), "{said}");
    let server = Server::start();
    assert_eq!(browser.open(&format!("http://{}/docs", server.address)), 200);
    browser.run_axe();
    browser.finish();
}

#[test]
fn browsers_are_isolated() {
    let site = Site::start(PAGES);
    let first = Browser::new().dark().phone();
    let second = Browser::new().wide();
    first.open(&site.url("/cookie"));
    second.open(&site.url("/"));
    let cookies = first.cookies();
    assert_eq!((cookies.len(), cookies[0].name.as_str(), cookies[0].http_only), (1, "who", true));
    assert_eq!(second.cookies(), []);
    second.set_cookie("who", "second");
    assert_eq!(first.cookies()[0].value, "first");
    first.open(&site.url("/"));
    first.see("dark 360");
    second.see("light 3840");
    assert!(first.fits() && second.fits());
    let folder = tempfile::tempdir().unwrap();
    for (browser, width) in [(&first, 720), (&second, 3840)] {
        let path = folder.path().join("page.png");
        browser.screenshot(&path);
        let bytes = std::fs::read(path).unwrap();
        assert_eq!((&bytes[1..4], u32::from_be_bytes(bytes[16..20].try_into().unwrap())), (&b"PNG"[..], width));
    }
}

/// Run as a separate process by the test below, which kills it.
#[test]
#[ignore = "half of no_process_survives_a_panic_or_kill, which runs it"]
fn opens_a_browser_and_waits_to_be_killed() {
    let _browser = Browser::new();
    println!("open");
    std::thread::park();
}

#[test]
fn no_process_survives_a_panic_or_kill() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("console::harness::{name}"), "--ignored", "--nocapture"]);
        command.env("TMPDIR", folder.path()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    // All of them inherit TMPDIR.
    let processes = || {
        let environments = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let environment = std::fs::read(entry.ok()?.path().join("environ")).ok()?;
            Some(String::from_utf8_lossy(&environment).into_owned())
        });
        environments.filter(|environment| environment.contains(folder.path().to_str().unwrap())).count()
    };
    let is_empty = || std::fs::read_dir(folder.path()).unwrap().next().is_none();

    let mut killed = run("opens_a_browser_and_waits_to_be_killed");
    eventually("the browser", || (processes() > 5).then_some(()));
    killed.kill().unwrap();
    killed.wait().unwrap();
    eventually("the end of the browser", || (processes() == 0 && is_empty()).then_some(()));

    let mut panicked = run("opens_a_browser_and_panics");
    assert!(!panicked.wait().unwrap().success());
    eventually("the end of the browser", || (processes() == 0 && is_empty()).then_some(()));
}

/// Run as a separate process by the test above.
#[test]
#[ignore = "half of no_process_survives_a_panic_or_kill, which runs it"]
fn opens_a_browser_and_panics() {
    let browser = Browser::new();
    panic!("with {:?} open", browser.title());
}
