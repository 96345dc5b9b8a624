//! The key form, shared by creating and editing a key.

use askama::Template;

use crate::clock::rfc3339;
use crate::console::error_page::ErrorPage;
use crate::console::keys::scope_rows::ScopeRows;
use crate::console::submitted::check_fields;
use crate::console::ui::{Area, Errors, Field, Labels, Select, SelectOption, html};
use crate::domain::api_key::ApiKey;
use crate::domain::networks::Networks;
use crate::domain::policy::Policy;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;

/// The fields that show their own errors, with their labels.
pub(super) const FIELDS: &Labels = &[
    ("name", "Name"),
    ("description", "Description"),
    ("scopes", "Scopes"),
    ("allowed_cidrs", "Allowed networks"),
    ("expires_at", "Expiry"),
    ("owner", "Owner"),
];

const DAY: i64 = 86_400;
/// Lifetimes to choose from if the policy sets none, in days.
const USUAL_DAYS: [u32; 5] = [7, 30, 60, 90, 365];

/// The raw values of the form.
#[derive(Clone, Debug)]
pub(super) struct KeyForm {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) scopes: ScopeRows,
    /// Allowed networks, one per line.
    pub(super) networks: String,
    pub(super) expiry: ExpiryForm,
}

/// The raw values of the expiry fields: `keep`, `none`, a number of days, or `date` with a date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ExpiryForm {
    choice: String,
    date: String,
}

html! { KeyFields }

/// The fields as rendered.
#[derive(Template)]
#[template(path = "console/keys/fields.html")]
pub(super) struct KeyFields {
    name: Field,
    scopes: ScopeRows,
    networks: Area,
    expiry: Select,
    date: Option<Field>,
    description: Area,
}

/// The parsed values of the form.
pub(super) struct ParsedKey {
    pub(super) scopes: ScopeSet,
    pub(super) networks: Networks,
    /// The expiry. `None` keeps the current one.
    pub(super) expires_at: Option<Option<Timestamp>>,
}

impl KeyForm {
    /// Returns an empty form.
    pub(super) fn empty(policy: &Policy) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            scopes: ScopeRows::of(&ScopeSet::default(), policy),
            networks: String::new(),
            expiry: ExpiryForm::first(policy),
        }
    }

    /// Fills the form from a key.
    pub(super) fn of(key: &ApiKey, policy: &Policy) -> Self {
        Self {
            name: key.name.clone(),
            description: key.description.clone(),
            scopes: ScopeRows::of(&key.scopes, policy),
            networks: key.networks.to_strings().join("\n"),
            expiry: ExpiryForm::keep(),
        }
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form, policy: &Policy) -> Result<Self, ErrorPage> {
        check_fields(form, &["name", "description", "allowed_cidrs", "expiry"])?;
        if !form.all().any(|(name, _)| name.starts_with("scope-")) {
            return Err(ErrorPage::unreadable_form("it is incomplete"));
        }
        let value = |name| form.value(name).unwrap_or_default();
        Ok(Self {
            name: value("name").trim().to_owned(),
            description: value("description").replace("\r\n", "\n").trim().to_owned(),
            scopes: ScopeRows::read(form, policy),
            networks: value("allowed_cidrs").replace("\r\n", "\n"),
            expiry: ExpiryForm::read(form),
        })
    }

    /// Removes or adds a scope row, as the form asks.
    pub(super) fn change_rows(self, form: &Form) -> Self {
        Self { scopes: self.scopes.change_rows(form), ..self }
    }

    /// Parses the values, or returns everything that is wrong with them.
    /// A number of days counts from `since`, the creation of the secret.
    pub(super) fn parse(&self, since: Timestamp) -> Result<ParsedKey, Vec<Violation>> {
        let mut checks = Checks::default();
        checks.name(&self.name);
        checks.text("description", &self.description);
        let parsed = ParsedKey {
            scopes: checks.scopes(self.scopes.inputs()),
            networks: checks.networks(&split_entries(&self.networks)),
            expires_at: self.expiry.parse(&mut checks, since),
        };
        checks.done().map(|()| parsed).map_err(|violations| number_rows(violations, &self.scopes))
    }

    /// Renders the fields with their errors. `kept` describes the key's current expiry.
    pub(super) fn fields(&self, policy: &Policy, kept: Option<&str>, errors: &Errors) -> KeyFields {
        let (expiry, date) = self.expiry.fields(policy, kept, errors);
        let description = Area { rows: 2, ..Area::new("description", "Description", &self.description) };
        KeyFields {
            name: Field::text("name", "Name", &self.name)
                .hint("What the key is used for, for example “orders-worker production”.")
                .required(policy.name_required)
                .max_length(MAX_NAME)
                .errors(errors),
            scopes: self.scopes.clone().errors(errors),
            networks: Area::new("allowed_cidrs", "Allowed networks", &self.networks)
                .hint(
                    "IP addresses that can use this key and its tokens. One address or CIDR range per line, for example \
                     10.0.0.0/8. Leave blank to allow any address (not recommended).",
                )
                .live("networks")
                .errors(errors),
            expiry,
            date,
            description: description.hint("Notes for your team: who owns it, where it runs.").errors(errors),
        }
    }
}

impl ExpiryForm {
    /// Keeps the current expiry.
    pub(super) fn keep() -> Self {
        Self { choice: "keep".into(), date: String::new() }
    }

    /// Selects the policy's first choice.
    fn first(policy: &Policy) -> Self {
        let choice = expiry_options(policy).into_iter().next().map(|option| option.value).unwrap_or_default();
        Self { choice, date: String::new() }
    }

    /// Reads a submitted form.
    pub(super) fn read(form: &Form) -> Self {
        let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
        Self { choice: value("expiry"), date: value("expires_at") }
    }

    /// Parses the expiry. `None` keeps the current one; a number of days counts from `since`.
    pub(super) fn parse(&self, checks: &mut Checks, since: Timestamp) -> Option<Option<Timestamp>> {
        match self.choice.as_str() {
            "keep" => None,
            "none" => Some(None),
            "date" if self.date.is_empty() => {
                checks.wrong("expires_at", "Enter an expiry date and time.");
                None
            }
            // The formats of a browser's date and time input, in UTC.
            "date" => {
                let text = match self.date.len() {
                    10 => format!("{}T00:00:00Z", self.date),
                    16 => format!("{}:00Z", self.date.replace(' ', "T")),
                    _ => self.date.clone(),
                };
                checks.moment("expires_at", &text).map(Some)
            }
            days => match days.parse::<u32>() {
                Ok(days) if (1..=36_600).contains(&days) => Some(Some(since.plus_seconds(i64::from(days) * DAY))),
                _ => {
                    checks.wrong("expires_at", "Choose an expiry.");
                    None
                }
            },
        }
    }

    /// Renders the fields with the policy's choices. `kept` describes the key's current expiry.
    pub(super) fn fields(&self, policy: &Policy, kept: Option<&str>, errors: &Errors) -> (Select, Option<Field>) {
        let mut options = expiry_options(policy);
        if let Some(kept) = kept {
            options.insert(0, SelectOption::new("keep", kept));
        }
        let has_dates = options.iter().any(|option| option.value == "date");
        let select = Select::new("expiry", "Expiry", options, &self.choice);
        let select = match policy.max_lifetime_days {
            Some(days) => {
                select.hint(format!("The policy allows at most {days} days from creation or the last rotation."))
            }
            None => select,
        };
        let error = errors.of("expires_at");
        if !has_dates {
            return (Select { error, ..select }, None);
        }
        let date = Field::text("expires_at", "Expiry date (UTC)", &self.date).kind("datetime-local");
        (select.controls_fields(), Some(Field { error, hint: "Used with “Custom date…”.".into(), ..date }))
    }
}

/// Returns the choices that the policy allows.
fn expiry_options(policy: &Policy) -> Vec<SelectOption> {
    let days = |days: u32| {
        let text = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        SelectOption::new(days.to_string(), text)
    };
    if let Some(offered) = &policy.expiration_choices {
        let mut options: Vec<SelectOption> = offered.days.iter().copied().map(days).collect();
        if offered.none {
            options.insert(0, SelectOption::new("none", "No expiry"));
        }
        return options;
    }
    let fits = |number: &u32| policy.max_lifetime_days.is_none_or(|most| *number <= most);
    let mut options: Vec<SelectOption> = USUAL_DAYS.into_iter().filter(fits).map(days).collect();
    if !policy.expiry_required && policy.max_lifetime_days.is_none() {
        options.insert(0, SelectOption::new("none", "No expiry"));
    }
    options.push(SelectOption::new("date", "Custom date…"));
    options
}

/// Splits a typed list at whitespace, commas and semicolons.
pub(in crate::console) fn split_entries(text: &str) -> Vec<String> {
    text.split([',', ';']).flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Replaces the index of a scope among the scopes by the index of its row in the form.
pub(super) fn number_rows(violations: Vec<Violation>, rows: &ScopeRows) -> Vec<Violation> {
    let number = |mut violation: Violation| {
        if violation.field.name == "scopes" {
            violation.field.index = violation.field.index.map(|index| rows.row_of(index));
        }
        violation
    };
    violations.into_iter().map(number).collect()
}

/// Formats a key's expiry.
pub(super) fn format_expiry(key: &ApiKey) -> String {
    key.expires_at
        .map_or_else(|| "no expiry".into(), |end| rfc3339(end).get(..16).unwrap_or_default().replace('T', " ") + " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::ExpirationChoices;

    fn values(policy: &Policy) -> Vec<String> {
        expiry_options(policy).into_iter().map(|option| option.value).collect()
    }

    #[test]
    fn expiry_options_follow_the_policy() {
        assert_eq!(values(&Policy::default()), ["none", "7", "30", "60", "90", "365", "date"]);
        let only = ExpirationChoices { days: vec![7, 30], none: true };
        assert_eq!(values(&Policy { expiration_choices: Some(only), ..Policy::default() }), ["none", "7", "30"]);
        let short = Policy { max_lifetime_days: Some(60), ..Policy::default() };
        assert_eq!(values(&short), ["7", "30", "60", "date"]);
        assert!(!values(&Policy { expiry_required: true, ..Policy::default() }).contains(&"none".to_owned()));
    }

    #[test]
    fn entries_are_split_at_any_separator() {
        assert_eq!(split_entries("10.0.0.0/8, 192.0.2.1\n\n ::1;*"), ["10.0.0.0/8", "192.0.2.1", "::1", "*"]);
        assert!(split_entries(" \n").is_empty());
    }

    #[test]
    fn expiries_are_days_dates_or_none() {
        let now = Timestamp::from_seconds(1_700_000_000);
        let read = |choice: &str, date: &str| {
            let mut checks = Checks::default();
            let form = ExpiryForm { choice: choice.into(), date: date.into() };
            let read = form.parse(&mut checks, now);
            checks.done().ok().map(|()| read)
        };
        assert_eq!(read("keep", ""), Some(None));
        assert_eq!(read("none", ""), Some(Some(None)));
        assert_eq!(read("30", ""), Some(Some(Some(now.plus_seconds(30 * DAY)))));
        let moment = crate::clock::parse_rfc3339("2031-02-03T04:05:00Z");
        for date in ["2031-02-03T04:05", "2031-02-03 04:05", "2031-02-03T04:05:00Z"] {
            assert_eq!(read("date", date), Some(Some(moment)), "{date}");
        }
        for (choice, date) in [("", ""), ("date", ""), ("date", "soon"), ("-1", ""), ("0", ""), ("99999999", "")] {
            assert_eq!(read(choice, date), None, "{choice} {date}");
        }
    }
}
