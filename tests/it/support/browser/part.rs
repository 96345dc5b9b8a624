//! A part of the page, and actions in it by accessible names.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::driver::{ELEMENT, Refusal};
use super::{Browser, PATIENCE, squeeze, text_of};

/// Roles of clickable elements.
const CONTROLS: &[&str] = &["link", "button", "DisclosureTriangle", "DisclosureTriangleGrouped", "menuitem", "tab"];
const SWITCHES: &[&str] = &["checkbox", "switch"];
const FIELDS: &[&str] =
    &["textbox", "searchbox", "spinbutton", "combobox", "Date", "DateTime", "InputTime", "slider", "ColorWell"];
const LISTS: &[&str] = &["combobox", "listbox"];
const GROUPS: &[&str] = &["radiogroup", "group"];
/// Roles that [`Part::within`] finds by their complete names.
const REGIONS: &[&str] = &[
    "dialog",
    "alertdialog",
    "region",
    "form",
    "group",
    "radiogroup",
    "navigation",
    "main",
    "complementary",
    "banner",
    "contentinfo",
    "search",
    "article",
    "table",
    "list",
    "alert",
    "status",
    "figure",
];
/// Roles that it finds by a text in them.
const ITEMS: &[&str] = &["row", "listitem"];

/// An error that may not occur again, because the page was changing.
const PASSING: &[&str] =
    &["stale element reference", "no such element", "element click intercepted", "element not interactable"];

/// A part of a page.
pub struct Part<'a> {
    browser: &'a Browser,
    root: Option<Value>,
}

/// A table with the visible texts of its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

struct Found {
    role: String,
    name: String,
    element: Value,
}

impl<'a> Part<'a> {
    pub(super) fn page(browser: &'a Browser) -> Self {
        Self { browser, root: None }
    }

    /// Returns the dialog, region, form, group, table or navigation with this name; otherwise the row or list item that
    /// contains the text; otherwise the section with this heading.
    #[track_caller]
    pub fn within(&self, name: &str) -> Part<'a> {
        let root = self.eventually(&format!("a part named {name:?}"), || {
            let all = self.all();
            let named = |roles: &[&str]| all.iter().filter(|one| is(one, roles, name)).map(element).collect::<Vec<_>>();
            let regions = named(REGIONS);
            let found = if regions.is_empty() { self.items(&all, name)? } else { regions };
            if !found.is_empty() {
                return only(found);
            }
            let sections = named(&["heading"]).into_iter().map(|heading| {
                let of = "return arguments[0].closest('section, article, dialog, form, fieldset, main, body')";
                self.run_now(of, &[heading])
            });
            only(sections.collect::<Result<_, _>>()?)
        });
        Part { browser: self.browser, root: Some(root) }
    }

    /// Returns rows and list items with a text as a complete cell, line or link; otherwise those that contain it.
    fn items(&self, all: &[Found], text: &str) -> Result<Vec<Value>, String> {
        let items: Vec<&Found> = all.iter().filter(|one| ITEMS.contains(&one.role.as_str())).collect();
        let elements: Vec<Value> = items.iter().map(|one| element(one)).collect();
        let texts = self.run_now("return arguments[0].map(e => e.innerText)", &[json!(elements)])?;
        let texts: Vec<String> = texts.as_array().unwrap().iter().map(text_of).collect();
        let with = |holds: &dyn Fn(&str) -> bool| -> Vec<Value> {
            let matching = elements.iter().zip(&texts).filter(|(_, found)| holds(found));
            matching.map(|(element, _)| element.clone()).collect()
        };
        let exact = with(&|found| found.split(['\n', '\t']).any(|line| squeeze(line) == text));
        Ok(if exact.is_empty() { with(&|found| squeeze(found).contains(text)) } else { exact })
    }

    /// Runs the body of a function in the page. Errors: the page changed meanwhile.
    fn run_now(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        self.unless_changing(self.browser.session.script(body, arguments))
    }

    /// Errors: the page changed meanwhile. Panics at other errors.
    fn unless_changing<T>(&self, result: Result<T, Refusal>) -> Result<T, String> {
        match result {
            Err(refusal) if PASSING.contains(&refusal.error.as_str()) => Err(refusal.message),
            done => Ok(self.browser.must("the page does not answer", done)),
        }
    }

    /// Clicks a link, a button or a summary. Waits for the dialog that a link opens: until then its heading could be found in
    /// the page below.
    #[track_caller]
    pub fn click(&self, name: &str) {
        let mut before = None;
        self.on("a link or button", CONTROLS, name, |target| {
            let is_dialog = self.browser.session.script(OPENS_DIALOG, std::slice::from_ref(target))? == true;
            before = is_dialog.then(|| self.browser.url());
            self.press(target)
        });
        if let Some(before) = before {
            self.browser.wait("the dialog", || self.browser.dialog_is_open() || self.browser.url() != before);
        }
    }

    /// Whether a link, a button or a summary with this name exists now.
    #[track_caller]
    pub fn offers(&self, name: &str) -> bool {
        self.all().iter().any(|one| is(one, CONTROLS, name))
    }

    /// Replaces the content of a field.
    #[track_caller]
    pub fn fill(&self, field: &str, text: &str) {
        self.on("a field", FIELDS, field, |target| {
            let kind =
                text_of(&self.browser.session.script("return arguments[0].type ?? ''", std::slice::from_ref(target))?);
            // The format for typing a date depends on the language of the browser.
            if ["date", "datetime-local", "time", "month", "week", "range", "color"].contains(&kind.as_str()) {
                let set = "const [e, v] = arguments; e.value = v;
                    for (const name of ['input', 'change']) e.dispatchEvent(new Event(name, { bubbles: true }))";
                return self.browser.session.script(set, &[target.clone(), json!(text)]).map(drop);
            }
            self.element_post(target, "clear", &json!({}))?;
            self.element_post(target, "value", &json!({ "text": text }))
        });
    }

    /// Returns the content of a field, or the selected option of a list.
    #[track_caller]
    pub fn value(&self, field: &str) -> String {
        let mut value = String::new();
        self.on("a field", FIELDS, field, |target| {
            let read = "const e = arguments[0];
                return e instanceof HTMLSelectElement ? e.selectedOptions[0]?.label ?? '' : e.value ?? e.innerText";
            value = text_of(&self.browser.session.script(read, std::slice::from_ref(target))?);
            Ok(())
        });
        value
    }

    /// Returns the options of a list, in order.
    #[track_caller]
    pub fn options(&self, field: &str) -> Vec<String> {
        let mut options = Vec::new();
        self.on("a list", LISTS, field, |target| {
            let read = "return [...arguments[0].options].map(option => option.label)";
            let labels = self.browser.session.script(read, std::slice::from_ref(target))?;
            options = labels.as_array().unwrap().iter().map(|label| squeeze(&text_of(label))).collect();
            Ok(())
        });
        options
    }

    /// Selects an option of a list, or one of the radio buttons of a group.
    #[track_caller]
    pub fn choose(&self, field: &str, option: &str) {
        self.browser.listen();
        let choice = || {
            let all = self.all();
            let named =
                |roles: &[&str]| all.iter().filter(|one| is(one, roles, field)).map(element).collect::<Vec<_>>();
            let lists = named(LISTS);
            if !lists.is_empty() {
                let list = only(lists)?;
                let options = self.run_now("return [...(arguments[0].options ?? [])]", std::slice::from_ref(&list))?;
                let labels = self.run_now("return arguments[0].map(o => o.label)", std::slice::from_ref(&options))?;
                let labels: Vec<String> =
                    labels.as_array().unwrap().iter().map(|label| squeeze(&text_of(label))).collect();
                // Lifetimes are followed by their date: `30 days (2031-01-30)`.
                let dated = format!("{option} (");
                let is_meant = |label: &String| label == option || label.starts_with(&dated);
                let place = labels.iter().position(is_meant);
                return place.map(|place| options[place].clone()).ok_or_else(|| format!("its options are {labels:?}"));
            }
            let group = Part { browser: self.browser, root: Some(only(named(GROUPS))?) };
            let radios = group.all().into_iter().filter(|one| one.role == "radio").collect::<Vec<_>>();
            let matching = radios.iter().filter(|one| one.name == option).map(element).collect();
            only(matching).map_err(|why| format!("{why}; its choices are {:?}", names(radios.iter())))
        };
        self.eventually(&format!("the choice {option:?} of {field:?}"), || {
            self.unless_changing(self.press(&choice()?))
        });
    }

    #[track_caller]
    pub fn check(&self, name: &str) {
        self.switch(name, true);
    }

    #[track_caller]
    pub fn uncheck(&self, name: &str) {
        self.switch(name, false);
    }

    #[track_caller]
    pub fn is_checked(&self, name: &str) -> bool {
        let mut checked = false;
        self.on("a checkbox", SWITCHES, name, |target| {
            checked = self.browser.session.script(CHECKED, std::slice::from_ref(target))? == true;
            Ok(())
        });
        checked
    }

    #[track_caller]
    fn switch(&self, name: &str, wanted: bool) {
        self.on("a checkbox", SWITCHES, name, |target| {
            let checked = self.browser.session.script(CHECKED, std::slice::from_ref(target))? == true;
            if checked == wanted { Ok(()) } else { self.press(target) }
        });
        if self.is_checked(name) != wanted {
            self.browser.fail(&format!("{name:?} does not change"));
        }
    }

    /// Returns the visible text.
    #[track_caller]
    pub fn text(&self) -> String {
        self.browser.must("no text", self.try_text())
    }

    fn try_text(&self) -> Result<String, Refusal> {
        let script = "return (arguments[0] ?? document.body).innerText";
        self.browser.session.script(script, &[self.root_value()]).map(|text| text_of(&text))
    }

    /// Waits until a text is visible, with collapsed white space.
    #[track_caller]
    pub fn see(&self, text: &str) {
        let wanted = squeeze(text);
        self.browser
            .wait(&format!("the text {text:?}"), || self.try_text().is_ok_and(|text| squeeze(&text).contains(&wanted)));
    }

    /// Waits until a text is not visible.
    #[track_caller]
    pub fn do_not_see(&self, text: &str) {
        let unwanted = squeeze(text);
        self.browser.wait(&format!("the end of the text {text:?}"), || {
            self.try_text().is_ok_and(|text| !squeeze(&text).contains(&unwanted))
        });
    }

    /// Returns the table with this caption or label.
    #[track_caller]
    pub fn table(&self, caption: &str) -> Table {
        let mut table = Table { head: Vec::new(), rows: Vec::new() };
        self.on("a table", &["table", "grid"], caption, |target| {
            let read = "const cells = row => [...row.cells].map(cell => cell.innerText);
                const [head, body] = [[], []];
                for (const row of arguments[0].rows) (row.closest('thead') ? head : body).push(cells(row));
                return [head[0] ?? [], body]";
            let value = self.browser.session.script(read, std::slice::from_ref(target))?;
            let texts = |row: &Value| row.as_array().unwrap().iter().map(|cell| squeeze(&text_of(cell))).collect();
            table = Table { head: texts(&value[0]), rows: value[1].as_array().unwrap().iter().map(texts).collect() };
            Ok(())
        });
        table
    }

    /// Returns the accessible names of all elements with a role: `heading`, `link`, `button`, `alert`…
    #[track_caller]
    pub fn names(&self, role: &str) -> Vec<String> {
        names(self.all().iter().filter(|one| one.role == role))
    }

    /// Acts on the only element with a role and a name; repeats while the page changes.
    #[track_caller]
    fn on(&self, what: &str, roles: &[&str], name: &str, mut act: impl FnMut(&Value) -> Result<(), Refusal>) {
        self.browser.listen();
        self.eventually(&format!("{what} named {name:?}"), || {
            let all = self.all();
            let matching = all.iter().filter(|one| is(one, roles, name)).map(element).collect();
            let target = only(matching)
                .map_err(|why| format!("{why}; there is {:?}", names(all.iter().filter(|one| has_role(one, roles)))))?;
            self.unless_changing(act(&target))
        });
    }

    #[track_caller]
    fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let began = Instant::now();
        // While a page changes, two elements may have the same name for a moment; a missing one may take a while to
        // appear.
        let patience = |why: &str| if why.starts_with("there are") { PATIENCE / 8 } else { PATIENCE };
        loop {
            match look() {
                Ok(found) => return found,
                Err(why) if began.elapsed() >= patience(&why) => {
                    self.browser.fail(&format!("not found: {what}: {why}"))
                }
                Err(_) => std::thread::sleep(Duration::from_millis(25)),
            }
        }
    }

    /// Clicks; on the label if the field itself is covered or invisible, as a person would.
    fn press(&self, target: &Value) -> Result<(), Refusal> {
        let clicked = self.element_post(target, "click", &json!({}));
        match &clicked {
            Err(refusal) if PASSING.contains(&refusal.error.as_str()) => {
                let of = "return arguments[0].labels?.[0] ?? null";
                let label = self.browser.session.script(of, std::slice::from_ref(target))?;
                if label.is_null() { clicked } else { self.element_post(&label, "click", &json!({})) }
            }
            _ => clicked,
        }
    }

    fn element_post(&self, element: &Value, rest: &str, body: &Value) -> Result<(), Refusal> {
        let id = text_of(&element[ELEMENT]);
        self.browser.session.post(&format!("/element/{id}/{rest}"), body).map(drop)
    }

    fn root_value(&self) -> Value {
        self.root.clone().unwrap_or(Value::Null)
    }

    /// Returns all elements in the accessibility tree of this part; none while the page is changing.
    fn all(&self) -> Vec<Found> {
        self.try_all().unwrap_or_default()
    }

    fn try_all(&self) -> Result<Vec<Found>, Refusal> {
        let session = &self.browser.session;
        let document = session.script("return document.documentElement", &[])?;
        // Chromedriver's ID of an element ends with the number in the DevTools protocol.
        let document = text_of(&document[ELEMENT]);
        let stem = document.rsplit_once('.').map_or("", |(stem, _)| stem);
        let tree = session.devtools("Accessibility.getFullAXTree", &json!({}))?;
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let found = nodes.iter().filter(|node| node["ignored"] == false).filter_map(|node| {
            let (role, name) = (text_of(&node["role"]["value"]), squeeze(&text_of(&node["name"]["value"])));
            let number = node["backendDOMNodeId"].as_u64()?;
            let is_text = ["StaticText", "InlineTextBox", "ListMarker", "RootWebArea"].contains(&role.as_str());
            (!is_text).then(|| Found { role, name, element: json!({ ELEMENT: format!("{stem}.{number}") }) })
        });
        let Some(root) = &self.root else { return Ok(found.collect()) };
        let tree = session.devtools("DOM.describeNode", &json!({ "backendNodeId": number(root), "depth": -1 }))?;
        let mut inside = BTreeSet::new();
        descendants(&tree["node"], &mut inside);
        Ok(found.filter(|one| number(&one.element).is_some_and(|number| inside.contains(&number))).collect())
    }
}

impl Table {
    /// Returns the cells of a column, by its heading.
    #[track_caller]
    pub fn column(&self, heading: &str) -> Vec<&str> {
        let place = self.head.iter().position(|head| head == heading);
        let place = place.unwrap_or_else(|| panic!("no column {heading:?}, there is {:?}", self.head));
        self.rows.iter().map(|row| row.get(place).map_or("", String::as_str)).collect()
    }

    /// Returns the row that has a cell with this text.
    #[track_caller]
    pub fn row(&self, cell: &str) -> &[String] {
        let found = self.rows.iter().find(|row| row.iter().any(|text| text == cell));
        found.unwrap_or_else(|| panic!("no row with the cell {cell:?} in {:?}", self.rows))
    }
}

/// Whether a link opens a dialog. Without scripts it leads to a page.
const OPENS_DIALOG: &str = "return arguments[0].matches('a[data-dialog]')";
const CHECKED: &str = "const e = arguments[0]; return e.checked ?? e.getAttribute('aria-checked') === 'true'";

/// Returns the number of an element in the DevTools protocol.
fn number(element: &Value) -> Option<u64> {
    element[ELEMENT].as_str()?.rsplit('.').next()?.parse().ok()
}

fn descendants(node: &Value, found: &mut BTreeSet<u64>) {
    for child in node["children"].as_array().into_iter().flatten() {
        found.extend(child["backendNodeId"].as_u64());
        descendants(child, found);
    }
}

fn has_role(one: &Found, roles: &[&str]) -> bool {
    roles.contains(&one.role.as_str())
}

fn is(one: &Found, roles: &[&str], name: &str) -> bool {
    one.name == name && has_role(one, roles)
}

fn element(one: &Found) -> Value {
    one.element.clone()
}

fn names<'a>(found: impl Iterator<Item = &'a Found>) -> Vec<String> {
    found.map(|one| one.name.clone()).collect()
}

fn only(mut found: Vec<Value>) -> Result<Value, String> {
    match found.len() {
        1 => found.pop().ok_or_else(String::new),
        0 => Err("there is none".into()),
        count => Err(format!("there are {count}")),
    }
}
