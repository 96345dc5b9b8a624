//! Fields of forms: a label, what is typed, a hint, and what was wrong with it.

use askama::Template;

use crate::console::ui::html;
use crate::domain::policy::Violation;

html! { Errors Field Area Select Tick }

/// What was wrong with a form.
#[derive(Template, Clone, Default, Debug)]
#[template(path = "console/ui/errors.html")]
pub(in crate::console) struct Errors {
    all: Vec<Violation>,
    /// Fields that the form shows: what was wrong with another is told at the top.
    shown: Vec<&'static str>,
}

impl Errors {
    /// What was wrong, and the names of the fields beside which it can be shown.
    pub(in crate::console) fn new(all: Vec<Violation>, shown: &[&'static str]) -> Self {
        Self { all, shown: shown.to_vec() }
    }

    /// One sentence about the whole form.
    pub(in crate::console) fn sentence(text: impl Into<String>) -> Self {
        Self { all: vec![Violation::new("", text)], shown: Vec::new() }
    }

    /// Whether anything was wrong.
    pub(in crate::console) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What was wrong with a field, or with a part of it, as `scopes[0].action` is of `scopes`.
    pub(in crate::console) fn of(&self, field: &str) -> Told {
        let of_field = |violation: &&Violation| {
            violation.field == field
                || violation.field.strip_prefix(field).is_some_and(|rest| rest.starts_with(['[', '.']))
        };
        let texts: Vec<&str> = self.all.iter().filter(of_field).map(|violation| violation.message.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    fn is_shown(&self, violation: &Violation) -> bool {
        let name = violation.field.split(['[', '.']).next().unwrap_or_default();
        self.shown.contains(&name)
    }

    fn name(violation: &Violation) -> &str {
        violation.field.split(['[', '.']).next().unwrap_or_default()
    }

    /// What a field is called on pages.
    fn label(violation: &Violation) -> String {
        match Self::name(violation) {
            "allowed_cidrs" => "Allowed networks".into(),
            "expires_at" => "Expiry".into(),
            "grace_seconds" => "Grace for the old secret".into(),
            name => {
                let mut letters = name.chars();
                let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
                format!("{first}{}", letters.as_str().replace('_', " "))
            }
        }
    }
}

/// What was wrong, if anything.
type Told = Option<String>;

/// A line to type in.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/field.html")]
pub(in crate::console) struct Field {
    /// Name and id.
    pub(in crate::console) name: &'static str,
    /// What it is called.
    pub(in crate::console) label: &'static str,
    /// What is in it.
    pub(in crate::console) value: String,
    /// `type` of the input.
    pub(in crate::console) kind: &'static str,
    /// What to know before typing.
    pub(in crate::console) hint: String,
    /// What was wrong.
    pub(in crate::console) error: Told,
    /// Whether it may not be empty.
    pub(in crate::console) required: bool,
    /// What a browser may fill in (`autocomplete`).
    pub(in crate::console) autocomplete: &'static str,
    /// Longest text, in characters; 0: no bound.
    pub(in crate::console) most: usize,
    /// What is checked while it is typed: what follows `/console/check/`.
    pub(in crate::console) live: &'static str,
}

impl Field {
    /// An optional line of text.
    pub(in crate::console) fn text(name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            label,
            value: value.into(),
            kind: "text",
            hint: String::new(),
            error: None,
            required: false,
            autocomplete: "off",
            most: 0,
            live: "",
        }
    }

    /// A password: what was typed is never sent back.
    pub(in crate::console) fn password(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        Self { kind: "password", required: true, autocomplete, ..Self::text(name, label, "") }
    }

    /// The same of another `type`.
    pub(in crate::console) fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// The same with a hint.
    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same, required.
    pub(in crate::console) fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// The same with a bound, in characters.
    pub(in crate::console) fn most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The same, which browsers may fill in.
    pub(in crate::console) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// The same with what was wrong with it.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

/// Lines to type in.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/area.html")]
pub(in crate::console) struct Area {
    /// Name and id.
    pub(in crate::console) name: &'static str,
    /// What it is called.
    pub(in crate::console) label: &'static str,
    /// What is in it.
    pub(in crate::console) value: String,
    /// What to know before typing.
    pub(in crate::console) hint: String,
    /// What was wrong.
    pub(in crate::console) error: Told,
    /// Height in lines.
    pub(in crate::console) rows: u8,
    /// What is checked while it is typed: what follows `/console/check/`.
    pub(in crate::console) live: &'static str,
}

impl Area {
    /// Lines of text.
    pub(in crate::console) fn new(name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self { name, label, value: value.into(), hint: String::new(), error: None, rows: 3, live: "" }
    }

    /// The same with a hint.
    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same, checked while it is typed.
    pub(in crate::console) fn live(self, live: &'static str) -> Self {
        Self { live, ..self }
    }

    /// The same with what was wrong with it.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

/// One of a few.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct Offer {
    /// What is sent.
    pub(in crate::console) value: String,
    /// What is shown.
    pub(in crate::console) text: String,
}

impl Offer {
    /// One of a few.
    pub(in crate::console) fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into() }
    }
}

/// A choice of one.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/select.html")]
pub(in crate::console) struct Select {
    /// Name and id.
    pub(in crate::console) name: &'static str,
    /// What it is called.
    pub(in crate::console) label: &'static str,
    /// What there is to choose from.
    pub(in crate::console) options: Vec<Offer>,
    /// What is chosen.
    pub(in crate::console) chosen: String,
    /// What to know before choosing.
    pub(in crate::console) hint: String,
    /// What was wrong.
    pub(in crate::console) error: Told,
    /// Whether parts of the form are there for one choice only: those that say `data-for` and `data-value`.
    pub(in crate::console) leads: bool,
}

impl Select {
    /// A choice of one.
    pub(in crate::console) fn new(
        name: &'static str,
        label: &'static str,
        options: Vec<Offer>,
        chosen: impl Into<String>,
    ) -> Self {
        Self { name, label, options, chosen: chosen.into(), hint: String::new(), error: None, leads: false }
    }

    /// The same, with parts of the form that are there for one choice only.
    pub(in crate::console) fn leads(self) -> Self {
        Self { leads: true, ..self }
    }

    /// The same with a hint.
    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same with what was wrong with it.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

/// A box to tick.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/tick.html")]
pub(in crate::console) struct Tick {
    /// Name and id.
    pub(in crate::console) name: &'static str,
    /// What it says.
    pub(in crate::console) label: String,
    /// Whether it is ticked.
    pub(in crate::console) on: bool,
    /// Whether it must be.
    pub(in crate::console) required: bool,
    /// Whether it is part of what the form sends.
    pub(in crate::console) is_sent: bool,
    /// What to know before ticking it.
    pub(in crate::console) hint: String,
}

impl Tick {
    /// A box to tick.
    pub(in crate::console) fn new(name: &'static str, label: impl Into<String>, on: bool) -> Self {
        Self { name, label: label.into(), on, required: false, is_sent: true, hint: String::new() }
    }

    /// What must be ticked before a page with a secret is left; it says nothing to the server.
    pub(in crate::console) fn copied() -> Self {
        Self { required: true, is_sent: false, ..Self::new("copied", "I have copied it", false) }
    }

    /// The same with a hint.
    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wrong_stands_at_its_field_and_the_rest_at_the_top() {
        let wrong = vec![
            Violation::new("name", "too long"),
            Violation::new("scopes[1].action", "unknown"),
            Violation::new("names", "other"),
        ];
        let errors = Errors::new(wrong, &["name", "scopes"]);
        assert_eq!(errors.of("name").as_deref(), Some("too long"));
        assert_eq!(errors.of("scopes").as_deref(), Some("unknown"));
        assert_eq!(errors.of("scope"), None);
        let html = errors.render().unwrap();
        assert!(html.contains("names: other") && html.contains("href=\"#name\""), "{html}");
    }

    #[test]
    fn a_field_is_tied_to_its_label_its_hint_and_its_error() {
        let errors = Errors::new(vec![Violation::new("email", "no <such> login")], &["email"]);
        let html = Field::text("email", "Email", "\"><script>").hint("Your login").errors(&errors).render().unwrap();
        for part in
            ["for=\"email\"", "id=\"email\"", "aria-describedby=\"email-hint email-error\"", "aria-invalid=\"true\""]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<script") && !html.contains("<such>"), "{html}");
    }
}
