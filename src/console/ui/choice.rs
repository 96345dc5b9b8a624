//! A choice between a few options, all of which are visible, and the rule for typed confirmations.

use askama::Template;

use crate::console::ui::{Errors, html};
use crate::domain::timestamp::Timestamp;

html! { Choice }

/// A key that was used within this many days is in use: stopping it needs a typed confirmation.
const IN_USE_DAYS: i64 = 30;

/// Whether a key was used so recently that stopping it needs a typed confirmation.
pub(in crate::console) fn was_used_recently(last_used_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_used_at.is_some_and(|at| at.plus_seconds(IN_USE_DAYS * 86_400) > now)
}

/// Radio buttons.
#[derive(Template, Clone, Debug)]
#[template(path = "console/ui/choice.html")]
pub(in crate::console) struct Choice {
    /// The `name` and `id` attributes.
    name: &'static str,
    legend: &'static str,
    options: Vec<ChoiceOption>,
    chosen: String,
    hint: String,
    error: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct ChoiceOption {
    pub(in crate::console) value: String,
    text: String,
    hint: String,
    is_dangerous: bool,
}

impl ChoiceOption {
    pub(in crate::console) fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into(), hint: String::new(), is_dangerous: false }
    }

    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Shows the option in red.
    pub(in crate::console) fn dangerous(self) -> Self {
        Self { is_dangerous: true, ..self }
    }
}

impl Choice {
    pub(in crate::console) fn new(
        name: &'static str,
        legend: &'static str,
        options: Vec<ChoiceOption>,
        chosen: impl Into<String>,
    ) -> Self {
        Self { name, legend, options, chosen: chosen.into(), hint: String::new(), error: None }
    }

    pub(in crate::console) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Adds this field's errors.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of(self.name), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_within_30_days_needs_a_typed_confirmation() {
        let (now, day) = (Timestamp::from_seconds(100 * 86_400), 86_400);
        assert!(!was_used_recently(None, now));
        assert!(was_used_recently(Some(now.plus_seconds(-29 * day)), now));
        assert!(!was_used_recently(Some(now.plus_seconds(-30 * day)), now));
    }
}
