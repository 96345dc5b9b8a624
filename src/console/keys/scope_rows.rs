//! Scopes as form rows: an action and a resource pattern.

use askama::Template;

use crate::console::ui::{Errors, SelectOption, html};
use crate::domain::policy::Policy;
use crate::domain::scope::{Action, ResourceFilter, Scope, ScopeSet};
use crate::http::checks::ScopeInput;
use crate::http::form::Form;

html! { ScopeRows }

/// Number of empty rows at first, and of rows added at once.
const SPARE: usize = 1;
/// Up to this many actions are a select box in each row; more become a shared list of suggestions.
const FEW: usize = 12;
/// Maximum number of rows. A key has fewer scopes.
const MOST: usize = 100;

#[derive(Template, Clone, Debug)]
#[template(path = "console/keys/scope_rows.html")]
pub(in crate::console) struct ScopeRows {
    rows: Vec<Row>,
    actions: Vec<SelectOption>,
    error: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Row {
    action: String,
    resource: String,
}

impl ScopeRows {
    /// Fills the rows with a key's scopes and adds empty ones.
    pub(in crate::console) fn of(scopes: &ScopeSet, policy: &Policy) -> Self {
        let row = |(action, filter): (&Action, &ResourceFilter)| Row {
            action: action.as_str().to_owned(),
            resource: filter.as_str().to_owned(),
        };
        Self::new(scopes.iter().filter_map(Scope::parts).map(row).collect(), policy)
    }

    /// Reads submitted rows.
    pub(in crate::console) fn read(form: &Form, policy: &Policy) -> Self {
        let value = |name: String| form.value(&name).unwrap_or_default().trim().to_owned();
        let row = |number| Row {
            action: value(format!("scope-{number}-action")),
            resource: value(format!("scope-{number}-resource")),
        };
        let mut rows: Vec<Row> = (0..MOST).map(row).collect();
        // Empty rows between others keep their positions.
        let filled = rows.iter().rposition(|row| *row != Row::default()).map_or(0, |last| last + 1);
        rows.truncate(filled);
        Self::new(rows, policy)
    }

    fn new(mut rows: Vec<Row>, policy: &Policy) -> Self {
        let mut known: Vec<String> = policy.actions.iter().map(Action::as_str).map(str::to_owned).collect();
        // An action that the key already has stays available.
        for row in &rows {
            if !row.action.is_empty() && row.action != "*" && !known.contains(&row.action) {
                known.push(row.action.clone());
            }
        }
        let mut actions = vec![SelectOption::new("", "Action…")];
        actions.extend(known.into_iter().map(|action| SelectOption::new(action.clone(), action)));
        actions.push(SelectOption::new("*", "Any action (*)"));
        rows.truncate(MOST);
        let spare = if rows.is_empty() { SPARE } else { 1 };
        rows.extend(std::iter::repeat_n(Row::default(), spare));
        Self { rows, actions, error: None }
    }

    /// Removes the row that the form asks to remove, or else adds empty rows.
    pub(in crate::console) fn change_rows(mut self, form: &Form) -> Self {
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

    /// Returns the actions and patterns of the rows that are not empty.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let typed = self.rows.iter().filter(|row| **row != Row::default());
        typed.map(|row| (row.action.as_str(), row.resource.as_str()))
    }

    /// Returns the rows that are not empty, for validation.
    pub(in crate::console) fn inputs(&self) -> impl Iterator<Item = ScopeInput<'_>> {
        self.pairs().map(|(action, resource)| ScopeInput::Parts(action, resource))
    }

    /// Returns the index of a row from its index among the rows that are not empty.
    pub(in crate::console) fn row_of(&self, index: usize) -> usize {
        let typed = self.rows.iter().enumerate().filter(|(_, row)| **row != Row::default());
        typed.map(|(place, _)| place).nth(index).unwrap_or(index)
    }

    /// Adds this field's errors.
    pub(in crate::console) fn errors(self, errors: &Errors) -> Self {
        Self { error: errors.of("scopes"), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_round_trip() {
        let policy = Policy::default();
        let form =
            Form::parse(b"scope-0-action=read&scope-0-resource=a/%23&scope-2-action=*&scope-2-resource=*").unwrap();
        let rows = ScopeRows::read(&form, &policy);
        assert_eq!(rows.pairs().collect::<Vec<_>>(), [("read", "a/#"), ("*", "*")]);
        assert_eq!((rows.row_of(0), rows.row_of(1)), (0, 2));
        let scopes = ScopeSet::parse("read:a/# *:*").unwrap();
        assert_eq!(ScopeRows::of(&scopes, &policy).pairs().collect::<Vec<_>>(), [("read", "a/#"), ("*", "*")]);
    }

    #[test]
    fn half_empty_rows_are_kept() {
        let form = Form::parse(b"scope-0-action=read").unwrap();
        assert_eq!(ScopeRows::read(&form, &Policy::default()).pairs().collect::<Vec<_>>(), [("read", "")]);
    }

    #[test]
    fn an_unlisted_action_of_the_key_stays_selected() {
        let html = ScopeRows::of(&ScopeSet::parse("deploy:a").unwrap(), &Policy::default()).render().unwrap();
        assert!(html.contains("<option value=\"deploy\" selected>"), "{html}");
    }
}
