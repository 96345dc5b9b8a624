//! Form fields: label, value, hint and error.

use askama::Template;

use crate::console::ui::{Errors, html};

html! { Field Area Select Checkbox }

/// A single-line input.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/field.html")]
pub(in crate::console) struct Field {
    /// The `name` and `id` attributes.
    pub(in crate::console) name: &'static str,
    pub(in crate::console) label: &'static str,
    pub(in crate::console) value: String,
    /// The `type` attribute.
    pub(in crate::console) kind: &'static str,
    pub(in crate::console) hint: String,
    pub(in crate::console) error: Option<String>,
    pub(in crate::console) required: bool,
    /// The `autocomplete` attribute.
    pub(in crate::console) autocomplete: &'static str,
    /// The `maxlength` attribute; 0 omits it.
    pub(in crate::console) max_length: usize,
    /// The check that runs while the user types: the path below `/console/check/`.
    pub(in crate::console) live: &'static str,
}

impl Field {
    /// Creates an optional text input.
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
            max_length: 0,
            live: "",
        }
    }

    /// Creates a password input. The submitted value is never sent back.
    pub(in crate::console) fn password(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        Self { kind: "password", required: true, autocomplete, ..Self::text(name, label, "") }
    }

    pub(in crate::console) fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(in crate::console) fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    pub(in crate::console) fn max_length(self, max_length: usize) -> Self {
        Self { max_length, ..self }
    }

    pub(in crate::console) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// Adds this field's errors.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

/// A multi-line input.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/area.html")]
pub(in crate::console) struct Area {
    /// The `name` and `id` attributes.
    pub(in crate::console) name: &'static str,
    pub(in crate::console) label: &'static str,
    pub(in crate::console) value: String,
    pub(in crate::console) hint: String,
    pub(in crate::console) error: Option<String>,
    pub(in crate::console) rows: u8,
    /// The check that runs while the user types: the path below `/console/check/`.
    pub(in crate::console) live: &'static str,
}

impl Area {
    pub(in crate::console) fn new(name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self { name, label, value: value.into(), hint: String::new(), error: None, rows: 3, live: "" }
    }

    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(in crate::console) fn live(self, live: &'static str) -> Self {
        Self { live, ..self }
    }

    /// Adds this field's errors.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct SelectOption {
    pub(in crate::console) value: String,
    pub(in crate::console) text: String,
}

impl SelectOption {
    pub(in crate::console) fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into() }
    }
}

/// A select box.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/select.html")]
pub(in crate::console) struct Select {
    /// The `name` and `id` attributes.
    pub(in crate::console) name: &'static str,
    pub(in crate::console) label: &'static str,
    pub(in crate::console) options: Vec<SelectOption>,
    pub(in crate::console) chosen: String,
    pub(in crate::console) hint: String,
    pub(in crate::console) error: Option<String>,
    /// Whether elements with `data-for` and `data-value` are shown for one choice only.
    pub(in crate::console) controls_fields: bool,
}

impl Select {
    /// A select box.
    pub(in crate::console) fn new(
        name: &'static str,
        label: &'static str,
        options: Vec<SelectOption>,
        chosen: impl Into<String>,
    ) -> Self {
        Self { name, label, options, chosen: chosen.into(), hint: String::new(), error: None, controls_fields: false }
    }

    /// Shows elements with `data-for` and `data-value` for one choice only.
    pub(in crate::console) fn controls_fields(self) -> Self {
        Self { controls_fields: true, ..self }
    }

    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Adds this field's errors.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

/// A checkbox.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/checkbox.html")]
pub(in crate::console) struct Checkbox {
    /// The `name` and `id` attributes.
    pub(in crate::console) name: &'static str,
    pub(in crate::console) label: String,
    pub(in crate::console) is_checked: bool,
    pub(in crate::console) required: bool,
    /// Whether the form submits it.
    pub(in crate::console) is_sent: bool,
    pub(in crate::console) hint: String,
}

impl Checkbox {
    /// A checkbox.
    pub(in crate::console) fn new(name: &'static str, label: impl Into<String>, is_checked: bool) -> Self {
        Self { name, label: label.into(), is_checked, required: false, is_sent: true, hint: String::new() }
    }

    /// Creates the checkbox that guards a page with a secret. It is not submitted.
    pub(in crate::console) fn saved(label: &'static str) -> Self {
        Self { required: true, is_sent: false, ..Self::new("saved", label, false) }
    }

    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::violation::Violation;

    #[test]
    fn input_references_label_hint_and_error() {
        let errors = Errors::new([Violation::new("email", "no <such> email")], &[("email", "Email")]);
        let html = Field::text("email", "Email", "\"><script>").hint("Your email").errors(&errors).render().unwrap();
        for part in
            ["for=\"email\"", "id=\"email\"", "aria-describedby=\"email-hint email-error\"", "aria-invalid=\"true\""]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<script") && !html.contains("<such>"), "{html}");
    }
}
