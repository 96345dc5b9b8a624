//! Rules for the forms in the templates.

use std::fs;
use std::path::Path;

use crate::support::Visitor;
use crate::support::console::text;
use crate::support::person::start;

/// The first button of a dangerous form: Enter in a text field activates the first button, and nothing if that is disabled.
const GUARD: &str = "<button disabled hidden></button>";
/// The same for a form with radio buttons, where Enter activates the first button that is enabled: the form is shown again.
const GUARD_OF_CHOICE: &str = "<button hidden name=\"back\" value=\"yes\"></button>";

/// Returns the forms in all templates of the console, with their files.
fn forms(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forms(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "html") {
            let text = fs::read_to_string(&path).unwrap();
            let all = text.split("<form ").skip(1).map(|form| form.split("</form>").next().unwrap().to_owned());
            found.extend(all.map(|form| (path.display().to_string(), form)));
        }
    }
}

/// Whether a form has a button in red.
fn is_dangerous(form: &str) -> bool {
    form.split("<button").skip(1).any(|button| button.split('>').next().unwrap().contains("danger"))
}

#[test]
fn enter_in_a_field_submits_no_dangerous_form() {
    let mut all = Vec::new();
    forms(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console"), &mut all);
    let dangerous: Vec<_> = all.iter().filter(|(_, form)| is_dangerous(form)).collect();
    assert!(dangerous.len() > 8, "{dangerous:?}");
    // The first step of a rotation is not red, but can lose a secret.
    let rotation = all.iter().filter(|(file, _)| file.ends_with("keys/rotate.html"));
    for (file, form) in dangerous.into_iter().chain(rotation) {
        let first = form.split("<button").nth(1).map(|button| format!("<button{button}"));
        let has_choice = ["{{ choice }}", "{{ grace }}", "type=\"radio\""].iter().any(|part| form.contains(part));
        let guard = if has_choice { GUARD_OF_CHOICE } else { GUARD };
        assert!(first.is_some_and(|first| first.starts_with(guard)), "{file}: {form}");
    }
}

/// Returns the label that a page shows for a field: of a field, or the legend of a group.
fn label_of(html: &str, id: &str) -> Option<String> {
    let label = html.split_once(&format!("<label for=\"{id}\">")).map(|(_, rest)| rest.split("</label>").next());
    let legend = || {
        let (_, rest) = html.split_once(&format!(" id=\"{id}\""))?;
        Some(rest.split_once("<legend")?.1.split_once('>')?.1.split("</legend>").next())
    };
    let shown = label.or_else(legend)??;
    Some(text(shown.split("<span class=\"needed\"").next().unwrap()).trim().to_owned())
}

/// The summary of errors calls each field what its label on the page is, and links to it.
#[test]
fn errors_carry_the_labels_of_the_page() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let key = format!("/keys/{}", server.key.id);
    let edit = format!("{key}/edit");
    let long = "x".repeat(3000);
    let mut seen = 0;
    for (page, action, fields) in [
        ("/keys/new", "/keys/new", &[("name", ""), ("allowed_cidrs", "x\n10.0.0.1/8"), ("scope-0-action", "read")][..]),
        (&edit, &edit, &[("name", &long), ("allowed_cidrs", "x"), ("networks", "listed")]),
        ("/members/new", "/members/new", &[("email", "x"), ("role", "x")]),
        (
            "/policy/change",
            "/policy",
            &[
                ("token_ttl_seconds", "x"),
                ("stale_after_days", "x"),
                ("max_lifetime_days", "x"),
                ("max_grace_seconds", "x"),
                ("key_prefix", "NO"),
            ],
        ),
        ("/webhooks/new", "/webhooks", &[("url", "x"), ("description", &long)]),
        ("/organizations/new", "/organizations/new", &[("slug", "X X"), ("owner_email", "x")]),
        ("/account", "/account/password", &[("current_password", "x"), ("new_password", "x")]),
    ] {
        let answer = visitor.submit(page, action, fields);
        assert_eq!(answer.status, 422, "{page}: {}", text(&answer.text()));
        seen += check_labels(page, &answer.text());
    }
    for page in [
        "/audit?from=x&to=y",
        "/gateways/nginx/configuration?api=x&keyturn=x&path=x&scope=%22",
        &format!("{key}/explain?ask=yes&address=x&action=X%20X&resource=a//b"),
    ] {
        seen += check_labels(page, &visitor.get(page).text());
    }
    assert!(seen >= 20, "{seen} errors were seen");
}

/// Returns the number of errors.
#[track_caller]
fn check_labels(page: &str, html: &str) -> usize {
    let summary = html
        .split_once("<div class=\"notice bad\" role=\"alert\"")
        .map(|(_, rest)| rest.split("</div>").next().unwrap());
    let summary = summary.unwrap_or_else(|| panic!("{page}: no errors: {}", text(html)));
    let errors: Vec<&str> = summary.split("<li>").skip(1).collect();
    for error in &errors {
        let (id, rest) = error
            .strip_prefix("<a href=\"#")
            .and_then(|rest| rest.split_once("\">"))
            .unwrap_or_else(|| panic!("{page}: an error without a field: {error}"));
        let label = text(rest.split("</a>").next().unwrap()).trim().to_owned();
        assert_eq!(label_of(html, id).as_deref(), Some(label.as_str()), "{page}: {id}");
    }
    errors.len()
}
