//! Screens, axe-core, pictures, and errors of a page.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Browser, squeeze, text_of};

/// Runs axe and returns `{violations: [{id, impact, help, nodes: [{target, summary}]}], undecided: [{id, count}]}`.
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

/// Expected statuses of a rejected form.
const REFUSALS: [&str; 3] = ["a status of 409", "a status of 412", "a status of 422"];

impl Browser {
    /// Switches to a phone: 360 x 740 points, two pixels per point, touch.
    #[track_caller]
    pub fn phone(self) -> Self {
        self.screen(360, 740, 2, true);
        self
    }

    /// Switches to a 4K screen: 3840 x 2160.
    #[track_caller]
    pub fn wide(self) -> Self {
        self.screen(3840, 2160, 1, false);
        self
    }

    /// Sets the size of the screen in points.
    #[track_caller]
    pub fn screen(&self, width: u32, height: u32, scale: u32, touch: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": touch });
        self.must("no such screen", self.session.devtools("Emulation.setDeviceMetricsOverride", &metrics));
        let touch = json!({ "enabled": touch });
        self.must("no finger", self.session.devtools("Emulation.setTouchEmulationEnabled", &touch));
    }

    /// Prefers dark colors.
    #[track_caller]
    pub fn dark(self) -> Self {
        self.prefer("dark");
        self
    }

    /// Prefers light colors.
    #[track_caller]
    pub fn light(self) -> Self {
        self.prefer("light");
        self
    }

    /// Prefers the color scheme `light` or `dark`, and no motion: a picture during a transition would be undefined.
    #[track_caller]
    pub fn prefer(&self, colours: &str) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": colours },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.must("no such colours", self.session.devtools("Emulation.setEmulatedMedia", &features));
    }

    /// Whether nothing is wider than the screen, so that no horizontal scrolling is needed.
    #[track_caller]
    pub fn fits(&self) -> bool {
        self.run("const d = document.documentElement; return d.scrollWidth <= d.clientWidth", &[]) == true
    }

    /// Checks the page against axe-core's rules for WCAG 2.2 AA and its best practices: panics with all violations.
    /// Returns the rules that axe could not decide, with their numbers.
    #[track_caller]
    pub fn run_axe(&self) -> Vec<(String, usize)> {
        self.axe(false)
    }

    /// Checks only the rules for colors, if nothing else has changed since the last complete check.
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

    /// Takes a picture of the whole page as PNG.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        self.screenshot_to(path, f64::INFINITY);
    }

    /// Takes a picture of the page down to a number of points.
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
        // The area around a dialog or a short page is part of the picture.
        let height = size["height"].as_f64().unwrap_or(0.0).max(view.as_f64().unwrap_or(0.0)).min(depth);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.session.devtools("Page.captureScreenshot", &options).map_err(said)?;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Returns the errors of pages since the last call: violations of the content security policy, console errors,
    /// exceptions, and resources that failed to load. The status of a page itself is not an error.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        self.listen();
        self.complaints.take()
    }

    /// Collects the log of the current page.
    pub(super) fn listen(&self) {
        let Ok(Value::Array(entries)) = self.session.post("/se/log", &json!({ "type": "browser" })) else { return };
        if entries.is_empty() {
            return;
        }
        let here = self.session.get("/url").map(|url| text_of(&url)).unwrap_or_default();
        let here = here.split('#').next().unwrap_or_default();
        let is_complaint = |entry: &&Value| {
            let of_page = text_of(&entry["message"]).split(' ').next() == Some(here);
            // A form in a dialog may be rejected like one in a page.
            let is_refusal = REFUSALS.iter().any(|status| text_of(&entry["message"]).contains(status));
            entry["level"] == "SEVERE" && !(entry["source"] == "network" && (of_page || is_refusal))
        };
        let new = entries.iter().filter(is_complaint).map(|entry| {
            let message = text_of(&entry["message"]);
            format!("{}: {}", text_of(&entry["source"]), shorten(&squeeze(&message), 400))
        });
        self.complaints.borrow_mut().extend(new);
    }

    /// Returns the URL, the visible text and the path of a picture.
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

/// Returns a new file in `target/browser` that is named after the test.
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
