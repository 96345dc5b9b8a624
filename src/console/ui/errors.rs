//! Validation errors of forms.

use askama::Template;

use crate::console::ui::html;
use crate::console::ui::messages::describe;
use crate::domain::violation::Violation;

html! { Errors }

/// The fields of a form that show their own errors: the name and the label of each.
pub(in crate::console) type Labels = [(&'static str, &'static str)];

/// The validation errors of a form, as a summary with links to the fields.
#[derive(Template, Clone, Default, Debug)]
#[template(path = "console/ui/errors.html")]
pub(in crate::console) struct Errors {
    all: Vec<FieldError>,
}

/// An error of one field, or of the form as a whole.
#[derive(Clone, Debug)]
pub(in crate::console) struct FieldError {
    /// The field's name. Empty for the form as a whole.
    pub(in crate::console) name: String,
    pub(in crate::console) label: String,
    pub(in crate::console) message: String,
    /// Whether the field shows its own errors.
    is_shown: bool,
}

impl Errors {
    /// Describes violations. Those of fields without a label appear only in the summary.
    pub(in crate::console) fn new(violations: impl IntoIterator<Item = Violation>, labels: &Labels) -> Self {
        Self { all: violations.into_iter().map(|violation| FieldError::new(&violation, labels)).collect() }
    }

    /// Returns one error about the form as a whole.
    pub(in crate::console) fn sentence(message: impl Into<String>) -> Self {
        let (name, label, message) = (String::new(), String::new(), message.into());
        Self { all: vec![FieldError { name, label, message, is_shown: false }] }
    }

    /// Labels a field that shows its own errors.
    pub(in crate::console) fn label(mut self, name: &str, label: &str) -> Self {
        for error in self.all.iter_mut().filter(|error| error.name == name) {
            error.label = label.to_owned();
            error.is_shown = true;
        }
        self
    }

    pub(in crate::console) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(in crate::console) fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.all.iter()
    }

    /// Returns the errors of a field, including those of its parts: `scopes[0].action` belongs to `scopes`.
    pub(in crate::console) fn of(&self, field: &str) -> Option<String> {
        let messages = self.all.iter().filter(|error| error.name == field).map(|error| error.message.as_str());
        let messages: Vec<&str> = messages.collect();
        (!messages.is_empty()).then(|| messages.join(" "))
    }
}

impl FieldError {
    fn new(violation: &Violation, labels: &Labels) -> Self {
        let name = &violation.field.name;
        let label = labels.iter().find(|(field, _)| field == name).map(|(_, label)| (*label).to_owned());
        Self {
            name: name.clone(),
            is_shown: label.is_some(),
            label: label.unwrap_or_else(|| label_from_name(name)),
            message: describe(violation),
        }
    }
}

/// The labels of fields whose API names differ from them.
const LABELS: &Labels = &[
    ("allowed_cidrs", "Allowed networks"),
    ("expires_at", "Expiry"),
    ("grace_seconds", "Grace period"),
    ("max_keys", "Maximum number of keys"),
    ("max_lifetime_days", "Maximum lifetime"),
    ("max_grace_seconds", "Maximum grace period"),
    ("token_ttl_seconds", "Access token lifetime"),
    ("token_claims", "Custom claims"),
    ("verify_headers", "Headers for gateways"),
    ("metadata", "Metadata"),
    ("stale_after_days", "Stale after"),
    ("disable_when_stale", "Disable stale keys"),
    ("subject", "Target"),
    ("owner_email", "Owner’s email"),
    ("url", "URL"),
];

/// Derives a label from a field's API name.
fn label_from_name(name: &str) -> String {
    if let Some((_, label)) = LABELS.iter().find(|(field, _)| *field == name) {
        return (*label).to_owned();
    }
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str().replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_appear_at_their_fields_and_in_the_summary() {
        let violations = vec![
            Violation::new("name", "too long"),
            Violation::new("scopes[1].action", "unknown"),
            Violation::new("max_names", "other"),
        ];
        let errors = Errors::new(violations, &[("name", "Key name"), ("scopes", "Scopes")]);
        assert_eq!(errors.of("name").as_deref(), Some("Too long."));
        assert_eq!(errors.of("scopes").as_deref(), Some("Scope 2: Unknown."));
        assert_eq!(errors.of("scope"), None);
        let html = errors.render().unwrap();
        for part in ["Fix these 3 problems:", "<a href=\"#name\">Key name</a>: Too long.", "<li>Max names: Other.</li>"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
