//! Scopes as rows of a form: an action to choose and a filter to type.

use askama::Template;

use crate::console::ui::{Errors, Offer, html};
use crate::domain::policy::Policy;
use crate::domain::scope::{Action, ScopeSet};
use crate::http::checks::ScopeInput;
use crate::http::form::Form;

html! { ScopeRows }

/// Rows that are there to begin with, and that can be added with a script off.
const SPARE: usize = 3;
/// So many actions fit into each row; more are offered once for all rows.
const FEW: usize = 12;
/// More rows than a key has scopes.
const MOST: usize = 100;

/// Scopes as rows of a form.
#[derive(Template, Clone, Debug)]
#[template(path = "console/keys/rows.html")]
pub(super) struct ScopeRows {
    rows: Vec<Row>,
    actions: Vec<Offer>,
    error: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Row {
    action: String,
    resource: String,
}

impl ScopeRows {
    /// Rows of the scopes that a key has, with room for more.
    pub(super) fn of(scopes: &ScopeSet, policy: &Policy) -> Self {
        let row = |scope: &crate::domain::scope::Scope| Row {
            action: scope.action().as_str().to_owned(),
            resource: scope.filter().as_str().to_owned(),
        };
        Self::new(scopes.iter().map(row).collect(), policy)
    }

    /// Rows as they were sent.
    pub(super) fn read(form: &Form, policy: &Policy) -> Self {
        let value = |name: String| form.value(&name).unwrap_or_default().trim().to_owned();
        let row = |number| Row {
            action: value(format!("scope-{number}-action")),
            resource: value(format!("scope-{number}-resource")),
        };
        let mut rows: Vec<Row> = (0..MOST).map(row).collect();
        // Empty ones between others keep their places.
        let filled = rows.iter().rposition(|row| *row != Row::default()).map_or(0, |last| last + 1);
        rows.truncate(filled);
        Self::new(rows, policy)
    }

    fn new(mut rows: Vec<Row>, policy: &Policy) -> Self {
        let mut known: Vec<String> = policy.actions.iter().map(Action::as_str).map(str::to_owned).collect();
        // An action that a key has from before is kept to choose from.
        for row in &rows {
            if !row.action.is_empty() && row.action != "*" && !known.contains(&row.action) {
                known.push(row.action.clone());
            }
        }
        let mut actions = vec![Offer::new("", "Action…")];
        actions.extend(known.into_iter().map(|action| Offer::new(action.clone(), action)));
        actions.push(Offer::new("*", "* (any action)"));
        rows.truncate(MOST);
        let spare = if rows.is_empty() { SPARE } else { 1 };
        rows.extend(std::iter::repeat_n(Row::default(), spare));
        Self { rows, actions, error: None }
    }

    /// The same without the row that a form wants removed, if it does, or else with another one.
    pub(super) fn without(mut self, form: &Form) -> Self {
        let gone = form.value("remove").and_then(|number| number.parse::<usize>().ok());
        match gone.filter(|gone| *gone < self.rows.len()) {
            Some(gone) => drop(self.rows.remove(gone)),
            None => self.rows.extend(std::iter::repeat_n(Row::default(), SPARE)),
        }
        if self.rows.is_empty() {
            self.rows.push(Row::default());
        }
        self
    }

    fn has_many_actions(&self) -> bool {
        self.actions.len() > FEW
    }

    /// What was typed, as pairs of action and filter; rows that are empty are none.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let typed = self.rows.iter().filter(|row| **row != Row::default());
        typed.map(|row| (row.action.as_str(), row.resource.as_str()))
    }

    /// What was typed, for checking.
    pub(super) fn inputs(&self) -> impl Iterator<Item = ScopeInput<'_>> {
        self.pairs().map(|(action, resource)| ScopeInput::Parts(action, resource))
    }

    /// The number of the row, as people count, that holds the pair of that index.
    pub(super) fn number(&self, index: usize) -> usize {
        let typed = self.rows.iter().enumerate().filter(|(_, row)| **row != Row::default());
        typed.map(|(place, _)| place).nth(index).unwrap_or(index) + 1
    }

    /// The same with what was wrong.
    pub(super) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of("scopes"), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_back_as_they_were_written() {
        let policy = Policy::default();
        let form =
            Form::parse(b"scope-0-action=read&scope-0-resource=a/%23&scope-2-action=*&scope-2-resource=*").unwrap();
        let rows = ScopeRows::read(&form, &policy);
        assert_eq!(rows.pairs().collect::<Vec<_>>(), [("read", "a/#"), ("*", "*")]);
        assert_eq!((rows.number(0), rows.number(1)), (1, 3), "as they are seen");
        let scopes = ScopeSet::parse("read:a/# *:*").unwrap();
        assert_eq!(ScopeRows::of(&scopes, &policy).pairs().collect::<Vec<_>>(), [("read", "a/#"), ("*", "*")]);
    }

    #[test]
    fn a_row_with_one_half_is_not_left_out() {
        let form = Form::parse(b"scope-0-action=read").unwrap();
        assert_eq!(ScopeRows::read(&form, &Policy::default()).pairs().collect::<Vec<_>>(), [("read", "")]);
    }

    #[test]
    fn an_action_that_the_policy_does_not_know_any_more_can_be_kept() {
        let html = ScopeRows::of(&ScopeSet::parse("deploy:a").unwrap(), &Policy::default()).render().unwrap();
        assert!(html.contains("<option value=\"deploy\" selected>"), "{html}");
    }
}
