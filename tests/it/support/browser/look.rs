//! How the page is looked at: on which screen, by axe-core, in pictures, and what it complains of.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Browser, squeeze, text_of};

/// Runs axe, and gives `{violations: [{id, impact, help, nodes: [{target, summary}]}], undecided: [{id, count}]}`.
const AXE: &str = r"
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const all = { type: 'tag', values: tags }, ofColours = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };
return axe.run(document, {
  runOnly: arguments[0] ? ofColours : all, resultTypes: ['violations', 'incomplete'], preload: false, iframes: false,
}).then(found => ({
  violations: found.violations.map(rule => ({
    id: rule.id, impact: rule.impact, help: rule.help,
    nodes: rule.nodes.map(node => ({ target: node.target.join(' '), summary: node.failureSummary })),
  })),
  undecided: found.incomplete.map(rule => ({ id: rule.id, targets: rule.nodes.map(node => node.target.join(' ')) })),
  passed: found.passes.length,
}))";

/// How a form may be answered that is not carried out.
const REFUSALS: [&str; 3] = ["a status of 409", "a status of 412", "a status of 422"];

impl Browser {
    /// A phone from here on: 360 x 740 points, two pixels a point, a finger instead of a mouse.
    #[track_caller]
    pub fn phone(self) -> Self {
        self.screen(360, 740, 2, true);
        self
    }

    /// A 4K screen from here on: 3840 x 2160.
    #[track_caller]
    pub fn wide(self) -> Self {
        self.screen(3840, 2160, 1, false);
        self
    }

    /// A screen of that size in points.
    #[track_caller]
    pub fn screen(&self, width: u32, height: u32, scale: u32, touch: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": touch });
        self.must("no such screen", self.session.devtools("Emulation.setDeviceMetricsOverride", &metrics));
        let touch = json!({ "enabled": touch });
        self.must("no finger", self.session.devtools("Emulation.setTouchEmulationEnabled", &touch));
    }

    /// Prefers dark colours from here on.
    #[track_caller]
    pub fn dark(self) -> Self {
        self.prefer("dark");
        self
    }

    /// Prefers light colours from here on.
    #[track_caller]
    pub fn light(self) -> Self {
        self.prefer("light");
        self
    }

    /// Prefers the colours `light` or `dark`, and no motion: a picture in the middle of a transition shows neither end.
    #[track_caller]
    pub fn prefer(&self, colours: &str) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": colours },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.must("no such colours", self.session.devtools("Emulation.setEmulatedMedia", &features));
    }

    /// Whether nothing is wider than the screen, so that nobody has to scroll sideways.
    #[track_caller]
    pub fn fits(&self) -> bool {
        self.run("const d = document.documentElement; return d.scrollWidth <= d.clientWidth", &[]) == true
    }

    /// Holds the page to axe-core's rules for WCAG 2.2 AA and its best practices: panics with every violation. Gives
    /// the rules that axe could not decide, each with how often.
    #[track_caller]
    pub fn run_axe(&self) -> Vec<(String, usize)> {
        self.axe(false)
    }

    /// The same with the rules of colours alone, where nothing else has changed since all of them were kept.
    #[track_caller]
    pub fn run_axe_on_colours(&self) {
        self.axe(true);
    }

    #[track_caller]
    fn axe(&self, on_colours: bool) -> Vec<(String, usize)> {
        let path = std::env::var_os("KEYTURN_TEST_AXE")
            .expect("KEYTURN_TEST_AXE is not set: run ./scripts/test, or KEYTURN_TEST_AXE=$(scripts/axe) cargo test");
        let axe = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}; see scripts/axe"));
        self.run(&format!("if (!window.axe) {{ {axe} }}"), &[]);
        let found = self.run(AXE, &[json!(on_colours)]);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let undecided: Vec<(String, usize)> =
            list(&found["undecided"]).iter().map(|rule| (text_of(&rule["id"]), list(&rule["targets"]).len())).collect();
        let violations: Vec<String> = list(&found["violations"]).iter().map(violation).collect();
        if !violations.is_empty() {
            let count = violations.len();
            let (list, passed) = (violations.join("\n"), &found["passed"]);
            self.fail(&format!("axe: {count} rules broken, {passed} kept, not decided: {undecided:?}\n{list}"));
        }
        assert!(found["passed"].as_u64().is_some_and(|rules| rules > 0), "axe has looked at nothing: {found}");
        undecided
    }

    /// A picture of the whole page, as PNG.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        self.screenshot_to(path, f64::INFINITY);
    }

    /// A picture of the page down to so many points.
    #[track_caller]
    pub fn screenshot_to(&self, path: &Path, depth: f64) {
        if let Err(error) = self.try_screenshot(path, depth) {
            self.fail(&format!("no picture: {error}"));
        }
    }

    fn try_screenshot(&self, path: &Path, depth: f64) -> Result<(), String> {
        let said = |refusal| format!("{refusal:?}");
        let metrics = self.session.devtools("Page.getLayoutMetrics", &json!({})).map_err(said)?;
        let (size, view) = (&metrics["cssContentSize"], &metrics["cssLayoutViewport"]["clientHeight"]);
        // What a dialog or a short page leaves free is part of the picture.
        let height = size["height"].as_f64().unwrap_or(0.0).max(view.as_f64().unwrap_or(0.0)).min(depth);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.session.devtools("Page.captureScreenshot", &options).map_err(said)?;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What went wrong in the pages since the last call: breaches of the content security policy, errors on the
    /// console, exceptions, and parts of a page that did not load. The status of a page itself is no complaint.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        self.listen();
        self.complaints.take()
    }

    /// Takes what was logged while this page was open.
    pub(super) fn listen(&self) {
        let Ok(Value::Array(entries)) = self.session.post("/se/log", &json!({ "type": "browser" })) else { return };
        if entries.is_empty() {
            return;
        }
        let here = self.session.get("/url").map(|url| text_of(&url)).unwrap_or_default();
        let here = here.split('#').next().unwrap_or_default();
        let is_complaint = |entry: &&Value| {
            let of_page = text_of(&entry["message"]).split(' ').next() == Some(here);
            // A form in a dialog may be refused as one in a page may.
            let is_refusal = REFUSALS.iter().any(|status| text_of(&entry["message"]).contains(status));
            entry["level"] == "SEVERE" && !(entry["source"] == "network" && (of_page || is_refusal))
        };
        let new = entries.iter().filter(is_complaint).map(|entry| {
            let message = text_of(&entry["message"]);
            format!("{}: {}", text_of(&entry["source"]), shorten(&squeeze(&message), 400))
        });
        self.complaints.borrow_mut().extend(new);
    }

    /// Where the browser is, what can be seen, and where a picture is.
    pub(super) fn situation(&self) -> String {
        let url = self.session.get("/url").map_or_else(|refusal| format!("{refusal:?}"), |url| text_of(&url));
        let text = self.session.script("return document.body.innerText", &[]).map(|text| text_of(&text));
        let lines = text.unwrap_or_default();
        let lines: Vec<String> = lines.lines().map(squeeze).filter(|line| !line.is_empty()).collect();
        let picture = picture_path();
        let picture =
            self.try_screenshot(&picture, 10_000.0).map_or_else(|error| error, |()| picture.display().to_string());
        format!("at {url}\npicture: {picture}\n--- seen\n{}\n---", shorten(&lines.join("\n"), 1500))
    }
}

fn violation(rule: &Value) -> String {
    let nodes = rule["nodes"].as_array().cloned().unwrap_or_default();
    let line = |node: &Value| format!("    {}: {}", text_of(&node["target"]), squeeze(&text_of(&node["summary"])));
    let shown: Vec<String> = nodes.iter().take(5).map(line).collect();
    let (id, impact, help) = (text_of(&rule["id"]), text_of(&rule["impact"]), text_of(&rule["help"]));
    format!("  {id} ({impact}, {} times): {help}\n{}", nodes.len(), shown.join("\n"))
}

/// A new file in `target/browser`, named after the test.
fn picture_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("browser");
    let _ = std::fs::create_dir_all(&folder);
    let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
    folder.join(format!("{test}-{}.png", NEXT.fetch_add(1, Ordering::Relaxed)))
}

fn shorten(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters).chain(['…']).collect()
}
