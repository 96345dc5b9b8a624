//! Real Chromium, used like a person would: elements are named by their visible or accessible names.
//!
//! Names are exact, with collapsed white space. Conditions are awaited for up to ten seconds. Failures report the URL,
//! the visible text and a picture.
//!
//! ```ignore
//! let (server, owner) = person::start();
//! let browser = Browser::new();
//! browser.open(&format!("{}/console/sign-in", server.public_url));
//! browser.fill("Email", &owner.email);
//! browser.fill("Password", &owner.password);
//! browser.click("Sign in");
//! browser.see("API keys");
//! browser.within("API keys").within("ci-bot").click("Revoke");
//! assert_eq!(browser.table("API keys").column("Name"), ["deploy-bot"]);
//! browser.run_axe();
//! ```
//!
//! A browser whose page violated the content security policy, threw an exception or logged a console error panics when
//! it is dropped, unless the test took these [`Browser::complaints`].

mod driver;
mod look;
mod part;

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use driver::{Refusal, Session};
pub use part::{Part, Table};

/// Time limit of a condition.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key to press.
#[allow(dead_code, reason = "a keyboard is whole")]
#[derive(Clone, Copy, Debug)]
pub enum Key {
    Tab,
    /// Shift and Tab.
    BackTab,
    Enter,
    Space,
    Escape,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
}

/// A cookie of the current page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    pub http_only: bool,
    pub secure: bool,
    /// `Strict`, `Lax` or `None`.
    pub same_site: String,
    pub path: String,
}

/// A browser that shares nothing with others, including cookies and the clipboard. 1280 x 900, light.
pub struct Browser {
    session: Session,
    complaints: RefCell<Vec<String>>,
    has_failed: Cell<bool>,
}

impl Browser {
    #[track_caller]
    pub fn new() -> Self {
        Self::with(false)
    }

    /// A browser with JavaScript disabled.
    #[track_caller]
    pub fn without_javascript() -> Self {
        Self::with(true)
    }

    #[track_caller]
    fn with(is_scriptless: bool) -> Self {
        let session = Session::start();
        let browser = Self { session, complaints: RefCell::default(), has_failed: Cell::new(false) };
        // Without a window nobody can be asked; a click is enough elsewhere.
        let write = json!({ "permissions": ["clipboardSanitizedWrite"] });
        browser.must("the clipboard is refused", browser.session.devtools("Browser.grantPermissions", &write));
        let scripts = json!({ "value": is_scriptless });
        browser.must(
            "scripts cannot be disabled",
            browser.session.devtools("Emulation.setScriptExecutionDisabled", &scripts),
        );
        browser.light()
    }

    /// Opens an address; returns the status of the page after redirects.
    #[track_caller]
    pub fn open(&self, url: &str) -> u16 {
        self.listen();
        let opened = self.session.post("/url", &json!({ "url": url }));
        self.must(&format!("{url} does not open"), opened);
        self.status()
    }

    /// Goes into the only frame of the page; the other functions then see its page.
    #[track_caller]
    pub fn enter_frame(&self) {
        let found = self.session.post("/element", &json!({ "using": "css selector", "value": "iframe" }));
        let frame = self.must("there is no frame", found);
        self.must("the frame is closed", self.session.post("/frame", &json!({ "id": frame })));
    }

    /// Goes back to the page around the frame.
    #[track_caller]
    pub fn leave_frame(&self) {
        self.must("there is no page", self.session.post("/frame", &json!({ "id": null })));
    }

    #[track_caller]
    pub fn reload(&self) {
        self.listen();
        self.must("the page does not reload", self.session.post("/refresh", &json!({})));
    }

    #[track_caller]
    pub fn back(&self) {
        self.listen();
        self.must("there is no way back", self.session.post("/back", &json!({})));
    }

    /// Returns the HTTP status of the current page.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let status = self.run("return performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0", &[]);
        status.as_u64().unwrap_or_default() as u16
    }

    #[track_caller]
    pub fn url(&self) -> String {
        text_of(&self.must("no URL", self.session.get("/url")))
    }

    /// Waits until the URL has this path and query.
    #[track_caller]
    pub fn arrive(&self, path: &str) {
        let here = || self.url().splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
        self.wait(&format!("the path {path:?}"), || here() == path);
    }

    #[track_caller]
    pub fn title(&self) -> String {
        text_of(&self.must("no title", self.session.get("/title")))
    }

    /// Returns the current document.
    #[track_caller]
    pub fn source(&self) -> String {
        text_of(&self.must("no source", self.session.get("/source")))
    }

    /// Returns the whole page; each function of [`Part`] exists on the browser too.
    pub fn page(&self) -> Part<'_> {
        Part::page(self)
    }

    /// A part of the page: see [`Part::within`].
    #[track_caller]
    pub fn within(&self, name: &str) -> Part<'_> {
        self.page().within(name)
    }

    #[track_caller]
    pub fn click(&self, name: &str) {
        self.page().click(name);
    }

    #[track_caller]
    pub fn fill(&self, field: &str, text: &str) {
        self.page().fill(field, text);
    }

    #[track_caller]
    pub fn choose(&self, field: &str, option: &str) {
        self.page().choose(field, option);
    }

    #[track_caller]
    pub fn check(&self, name: &str) {
        self.page().check(name);
    }

    #[track_caller]
    pub fn uncheck(&self, name: &str) {
        self.page().uncheck(name);
    }

    #[track_caller]
    pub fn value(&self, field: &str) -> String {
        self.page().value(field)
    }

    #[track_caller]
    pub fn text(&self) -> String {
        self.page().text()
    }

    #[track_caller]
    pub fn see(&self, text: &str) {
        self.page().see(text);
    }

    #[track_caller]
    pub fn do_not_see(&self, text: &str) {
        self.page().do_not_see(text);
    }

    #[track_caller]
    pub fn offers(&self, name: &str) -> bool {
        self.page().offers(name)
    }

    #[track_caller]
    pub fn table(&self, caption: &str) -> Table {
        self.page().table(caption)
    }

    #[track_caller]
    pub fn press(&self, key: Key) {
        self.listen();
        let (shift, key) = match key {
            Key::BackTab => (true, Key::Tab),
            other => (false, other),
        };
        let code = match key {
            Key::Tab | Key::BackTab => '\u{e004}',
            Key::Enter => '\u{e007}',
            Key::Space => ' ',
            Key::Escape => '\u{e00c}',
            Key::End => '\u{e010}',
            Key::Home => '\u{e011}',
            Key::Left => '\u{e012}',
            Key::Up => '\u{e013}',
            Key::Right => '\u{e014}',
            Key::Down => '\u{e015}',
        };
        let mut actions = vec![json!({ "type": "keyDown", "value": code }), json!({ "type": "keyUp", "value": code })];
        if shift {
            actions.insert(0, json!({ "type": "keyDown", "value": '\u{e008}' }));
            actions.push(json!({ "type": "keyUp", "value": '\u{e008}' }));
        }
        self.act(&actions);
    }

    /// Types a text into the focused element.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        self.listen();
        let stroke = |c: char| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": c }));
        self.act(&text.chars().flat_map(stroke).collect::<Vec<_>>());
    }

    #[track_caller]
    fn act(&self, actions: &[Value]) {
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.must("the keyboard does not work", self.session.post("/actions", &body));
    }

    /// Returns the accessible name of the focused element; empty if it is the page or has just disappeared.
    #[track_caller]
    pub fn focused(&self) -> String {
        let element = self.run("const a = document.activeElement; return a === document.body ? null : a", &[]);
        let Some(id) = element[driver::ELEMENT].as_str() else { return String::new() };
        let name = self.session.get(&format!("/element/{id}/computedlabel"));
        name.map(|name| squeeze(&text_of(&name))).unwrap_or_default()
    }

    /// Whether a `<dialog>` is open.
    #[track_caller]
    pub fn dialog_is_open(&self) -> bool {
        self.run("return document.querySelector('dialog[open]') !== null", &[]) == true
    }

    /// Returns the text on the clipboard.
    #[track_caller]
    pub fn clipboard(&self) -> String {
        let granted = json!({ "descriptor": { "name": "clipboard-read" }, "state": "granted" });
        self.must("the clipboard is refused", self.session.post("/permissions", &granted));
        text_of(&self.run("return navigator.clipboard.readText()", &[]))
    }

    /// Returns the cookies of the current page, including those that scripts cannot read.
    #[track_caller]
    pub fn cookies(&self) -> Vec<Cookie> {
        let cookies = self.must("no cookies", self.session.get("/cookie"));
        let cookie = |value: &Value| Cookie {
            name: text_of(&value["name"]),
            value: text_of(&value["value"]),
            http_only: value["httpOnly"] == true,
            secure: value["secure"] == true,
            same_site: text_of(&value["sameSite"]),
            path: text_of(&value["path"]),
        };
        cookies.as_array().unwrap().iter().map(cookie).collect()
    }

    /// Sets a cookie of the current site.
    #[track_caller]
    pub fn set_cookie(&self, name: &str, value: &str) {
        let body = json!({ "cookie": { "name": name, "value": value, "path": "/" } });
        self.must("the cookie is refused", self.session.post("/cookie", &body));
    }

    /// Runs the body of a function in the page and returns its result; awaits a promise.
    #[track_caller]
    pub fn run(&self, body: &str, arguments: &[Value]) -> Value {
        self.must("the script fails", self.session.script(body, arguments))
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() >= deadline {
                self.fail(&format!("in vain waited for: {what}"));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Closes the browser and panics if there were errors that the test did not take.
    #[track_caller]
    pub fn finish(self) {
        self.no_complaints();
    }

    #[track_caller]
    fn no_complaints(&self) {
        let complaints = self.complaints();
        if !complaints.is_empty() {
            self.fail(&format!("the page complains:\n  {}", complaints.join("\n  ")));
        }
    }

    #[track_caller]
    fn must<T>(&self, what: &str, result: Result<T, Refusal>) -> T {
        result.unwrap_or_else(|refusal| self.fail(&format!("{what}: {}: {}", refusal.error, refusal.message)))
    }

    /// Panics with the details of the situation.
    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        self.has_failed.set(true);
        panic!("{what}\n{}", self.situation());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.no_complaints();
        } else if !self.has_failed.get() {
            eprintln!("{}", self.situation());
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Trims a text and collapses white space.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
