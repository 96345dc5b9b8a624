//! The form of a key: what it is called, what it may do, from where, and until when.

use askama::Template;

use crate::clock::rfc3339;
use crate::console::keys::rows::ScopeRows;
use crate::console::submitted::check_fields;
use crate::console::trouble::Trouble;
use crate::console::ui::{Area, Errors, Field, Offer, Select, html};
use crate::domain::api_key::ApiKey;
use crate::domain::networks::Networks;
use crate::domain::policy::{Policy, Violation};
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;

/// Fields beside which the form shows what was wrong.
pub(super) const FIELDS: [&str; 6] = ["name", "description", "scopes", "allowed_cidrs", "expires_at", "owner"];

const DAY: i64 = 86_400;
/// Lifetimes on offer where the policy offers none of its own, in days.
const USUAL_DAYS: [u32; 5] = [7, 30, 60, 90, 365];

/// What was typed.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// Name.
    pub(super) name: String,
    /// Description.
    pub(super) description: String,
    /// Scopes.
    pub(super) scopes: ScopeRows,
    /// Networks, a line each.
    pub(super) networks: String,
    /// Until when.
    pub(super) expiry: ExpiryWish,
}

/// An expiry as it is chosen: `keep`, `none`, a number of days, or `date` and the date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ExpiryWish {
    choice: String,
    date: String,
}

html! { KeyFields }

/// The fields of a key, as making and editing one show them.
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

/// What was read.
pub(super) struct Read {
    /// Scopes.
    pub(super) scopes: ScopeSet,
    /// Networks.
    pub(super) networks: Networks,
    /// An expiry; `None`: as it is.
    pub(super) expires_at: Option<Option<Timestamp>>,
}

impl Wish {
    /// Nothing typed yet.
    pub(super) fn empty(policy: &Policy) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            scopes: ScopeRows::of(&ScopeSet::default(), policy),
            networks: String::new(),
            expiry: ExpiryWish::first(policy),
        }
    }

    /// A key as it is.
    pub(super) fn of(key: &ApiKey, policy: &Policy) -> Self {
        Self {
            name: key.name.clone(),
            description: key.description.clone(),
            scopes: ScopeRows::of(&key.scopes, policy),
            networks: key.networks.to_strings().join("\n"),
            expiry: ExpiryWish::keep(),
        }
    }

    /// What was sent: all of it, for what is missing would be taken for empty.
    pub(super) fn read(form: &Form, policy: &Policy) -> Result<Self, Trouble> {
        check_fields(form, &["name", "description", "allowed_cidrs", "expiry"])?;
        if !form.all().any(|(name, _)| name.starts_with("scope-")) {
            return Err(Trouble::bad_form("its scopes are missing"));
        }
        let value = |name| form.value(name).unwrap_or_default();
        Ok(Self {
            name: value("name").trim().to_owned(),
            description: value("description").replace("\r\n", "\n").trim().to_owned(),
            scopes: ScopeRows::read(form, policy),
            networks: value("allowed_cidrs").replace("\r\n", "\n"),
            expiry: ExpiryWish::read(form),
        })
    }

    /// The same without the row that a form wants removed, if it does.
    pub(super) fn without(self, form: &Form) -> Self {
        Self { scopes: self.scopes.without(form), ..self }
    }

    /// What it says, or everything that is wrong with it.
    /// A number of days is counted from `since`, the creation of the secret.
    pub(super) fn check(&self, since: Timestamp) -> Result<Read, Vec<Violation>> {
        let mut checks = Checks::default();
        checks.name(&self.name);
        checks.text("description", &self.description);
        let read = Read {
            scopes: checks.scopes(self.scopes.inputs()),
            networks: checks.networks(&entries(&self.networks)),
            expires_at: self.expiry.check(&mut checks, since),
        };
        checks.done().map(|()| read).map_err(|wrong| numbered(wrong, &self.scopes))
    }

    /// The fields, with what was typed and what was wrong; `kept` tells of the expiry that a key has already.
    pub(super) fn fields(&self, policy: &Policy, kept: Option<&str>, errors: &Errors) -> KeyFields {
        let (expiry, date) = self.expiry.fields(policy, kept, errors);
        let description = Area { rows: 2, ..Area::new("description", "Description", &self.description) };
        KeyFields {
            name: Field::text("name", "Name", &self.name)
                .hint("Says what the key is for, so that you know it again.")
                .required(policy.name_required)
                .most(MAX_NAME)
                .errors(errors),
            scopes: self.scopes.clone().errors(errors),
            networks: Area::new("allowed_cidrs", "Allowed networks", &self.networks)
                .hint("From where the key and its tokens work: a network like 10.0.0.0/8 or an address on each line. Empty means from everywhere.")
                .live("networks")
                .errors(errors),
            expiry,
            date,
            description: description.hint("For people; who to ask, where it runs.").errors(errors),
        }
    }
}

impl ExpiryWish {
    /// As it is.
    pub(super) fn keep() -> Self {
        Self { choice: "keep".into(), date: String::new() }
    }

    /// The first that a policy offers.
    fn first(policy: &Policy) -> Self {
        let choice = choices(policy).into_iter().next().map(|offer| offer.value).unwrap_or_default();
        Self { choice, date: String::new() }
    }

    /// What was sent.
    pub(super) fn read(form: &Form) -> Self {
        let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
        Self { choice: value("expiry"), date: value("expires_at") }
    }

    /// What it says, with days counted from `since`; `None`: as it is.
    pub(super) fn check(&self, checks: &mut Checks, since: Timestamp) -> Option<Option<Timestamp>> {
        match self.choice.as_str() {
            "keep" => None,
            "none" => Some(None),
            "date" if self.date.is_empty() => {
                checks.wrong("expires_at", "choose the date and the time of day at which the key ends");
                None
            }
            // What a browser's field of date and time holds, in UTC.
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
                    checks.wrong("expires_at", "choose when the key ends");
                    None
                }
            },
        }
    }

    /// The choice, as a policy offers it; with `keep` where a key has an expiry already.
    pub(super) fn fields(&self, policy: &Policy, kept: Option<&str>, errors: &Errors) -> (Select, Option<Field>) {
        let mut offers = choices(policy);
        if let Some(kept) = kept {
            offers.insert(0, Offer::new("keep", kept));
        }
        let has_dates = offers.iter().any(|offer| offer.value == "date");
        let select = Select::new("expiry", "Expiry", offers, &self.choice);
        let select = match policy.max_lifetime_days {
            Some(days) => select.hint(format!("A key lives at most {days} days from its creation or last rotation.")),
            None => select,
        };
        let error = errors.of("expires_at");
        if !has_dates {
            return (Select { error, ..select }, None);
        }
        let date = Field::text("expires_at", "Ends on (UTC)", &self.date).kind("datetime-local");
        (select.leads(), Some(Field { error, hint: "Only where “on a date” is chosen.".into(), ..date }))
    }
}

/// What a policy lets choose from.
fn choices(policy: &Policy) -> Vec<Offer> {
    let days = |days: u32| {
        let text = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        Offer::new(days.to_string(), text)
    };
    if let Some(offered) = &policy.expiration_choices {
        let mut offers: Vec<Offer> = offered.days.iter().copied().map(days).collect();
        if offered.none {
            offers.insert(0, Offer::new("none", "No expiry"));
        }
        return offers;
    }
    let fits = |number: &u32| policy.max_lifetime_days.is_none_or(|most| *number <= most);
    let mut offers: Vec<Offer> = USUAL_DAYS.into_iter().filter(fits).map(days).collect();
    if !policy.expiry_required && policy.max_lifetime_days.is_none() {
        offers.insert(0, Offer::new("none", "No expiry"));
    }
    offers.push(Offer::new("date", "On a date"));
    offers
}

/// The entries of a list that people type: lines, or what commas and blanks set apart.
pub(in crate::console) fn entries(text: &str) -> Vec<String> {
    text.split([',', ';']).flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Says which of several entries is meant, counted from one as people do.
pub(super) fn numbered(violations: Vec<Violation>, scopes: &ScopeRows) -> Vec<Violation> {
    let number = |violation: Violation| {
        let place = violation.field.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        match place
            .and_then(|(index, part)| Some((index.parse::<usize>().ok()?, part.trim_start_matches('.').to_owned())))
        {
            Some((index, part)) if violation.field.starts_with("scopes") => {
                // In a row nobody writes `action:filter`.
                let (what, empty, missing) = match part.as_str() {
                    "resource" => ("filter", "the resource filter is empty", "write what it is for, like projects/*"),
                    _ => ("action", "the action is empty", "choose one"),
                };
                let message = if violation.message.starts_with(empty) { missing } else { &violation.message };
                Violation::new("scopes", format!("scope {}, {what}: {message}", scopes.number(index)))
            }
            Some((index, _)) => {
                let field = violation.field.split('[').next().unwrap_or_default().to_owned();
                Violation::new(field, format!("entry {}: {}", index + 1, violation.message))
            }
            None => violation,
        }
    };
    violations.into_iter().map(number).collect()
}

/// When a key ends, in a few words.
pub(super) fn ends(key: &ApiKey) -> String {
    key.expires_at
        .map_or_else(|| "no expiry".into(), |end| rfc3339(end).get(..16).unwrap_or_default().replace('T', " ") + " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::ExpirationChoices;

    fn values(policy: &Policy) -> Vec<String> {
        choices(policy).into_iter().map(|offer| offer.value).collect()
    }

    #[test]
    fn what_can_be_chosen_is_what_the_policy_allows() {
        assert_eq!(values(&Policy::default()), ["none", "7", "30", "60", "90", "365", "date"]);
        let only = ExpirationChoices { days: vec![7, 30], none: true };
        assert_eq!(values(&Policy { expiration_choices: Some(only), ..Policy::default() }), ["none", "7", "30"]);
        let short = Policy { max_lifetime_days: Some(60), ..Policy::default() };
        assert_eq!(values(&short), ["7", "30", "60", "date"]);
        assert!(!values(&Policy { expiry_required: true, ..Policy::default() }).contains(&"none".to_owned()));
    }

    #[test]
    fn networks_are_typed_as_people_do() {
        assert_eq!(entries("10.0.0.0/8, 192.0.2.1\n\n ::1;*"), ["10.0.0.0/8", "192.0.2.1", "::1", "*"]);
        assert!(entries(" \n").is_empty());
    }

    #[test]
    fn an_expiry_is_a_number_of_days_a_date_or_none() {
        let now = Timestamp::from_seconds(1_700_000_000);
        let read = |choice: &str, date: &str| {
            let mut checks = Checks::default();
            let wish = ExpiryWish { choice: choice.into(), date: date.into() };
            let read = wish.check(&mut checks, now);
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
