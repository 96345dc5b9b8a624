//! The expiry of a key as form fields.

use crate::console::ui::{Errors, Field, Select, SelectOption, format_date, format_date_and_time};
use crate::domain::api_key::ApiKey;
use crate::domain::policy::Policy;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::http::form::Form;

const DAY: i64 = 86_400;
/// Lifetimes to choose from if the policy sets none, in days.
const USUAL_DAYS: [u32; 5] = [7, 30, 60, 90, 365];
/// The preselected lifetime in days.
const USUAL: u32 = 90;

/// The raw values of the expiry fields: `keep`, `none`, a number of days, or `date` with a date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::console) struct ExpiryForm {
    choice: String,
    date: String,
}

impl ExpiryForm {
    /// Keeps the current expiry.
    pub(in crate::console) fn keep() -> Self {
        Self { choice: "keep".into(), date: String::new() }
    }

    /// Selects 90 days, or the longest lifetime below that the policy allows.
    pub(in crate::console) fn preselected(policy: &Policy) -> Self {
        let days = offered_days(policy);
        let longest = days.iter().filter(|days| **days <= USUAL).max().or(days.iter().min());
        let choice = longest.map_or_else(|| "none".to_owned(), u32::to_string);
        Self { choice, date: String::new() }
    }

    /// Selects the longest lifetime that the policy allows, for a rotation that must set an expiry.
    pub(in crate::console) fn latest(policy: &Policy) -> Self {
        let limited = policy.max_lifetime_days.is_some() || policy.expiration_choices.is_some();
        match offered_days(policy).iter().max() {
            Some(days) if limited => Self { choice: days.to_string(), date: String::new() },
            _ => Self::preselected(policy),
        }
    }

    /// Reads a submitted form.
    pub(in crate::console) fn read(form: &Form) -> Self {
        let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
        Self { choice: value("expiry"), date: value("expires_at") }
    }

    /// Parses the expiry. `None` keeps the current one; a number of days counts from `since`.
    pub(in crate::console) fn parse(&self, checks: &mut Checks, since: Timestamp) -> Option<Option<Timestamp>> {
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

    /// Renders the fields with the policy's choices and their dates. `kept` describes the key's current expiry.
    pub(in crate::console) fn fields(
        &self,
        policy: &Policy,
        kept: Option<&str>,
        days: DaysFrom,
        errors: &Errors,
    ) -> (Select, Option<Field>) {
        let mut options = expiry_options(policy, days);
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

/// The moment from which a number of days counts, and the present, before which no expiry is offered.
#[derive(Clone, Copy, Debug)]
pub(in crate::console) struct DaysFrom {
    pub(in crate::console) since: Timestamp,
    pub(in crate::console) now: Timestamp,
}

/// Returns the lifetimes that the policy allows, in days, in their order.
fn offered_days(policy: &Policy) -> Vec<u32> {
    if let Some(offered) = &policy.expiration_choices {
        return offered.days.clone();
    }
    let mut days: Vec<u32> =
        USUAL_DAYS.into_iter().filter(|days| policy.max_lifetime_days.is_none_or(|most| *days <= most)).collect();
    days.extend(policy.max_lifetime_days.filter(|most| !days.contains(most)));
    days
}

/// Returns the choices that the policy allows, with their dates.
fn expiry_options(policy: &Policy, from: DaysFrom) -> Vec<SelectOption> {
    let days = |days: u32| {
        let end = from.since.plus_seconds(i64::from(days) * DAY);
        let length = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        (end > from.now).then(|| SelectOption::new(days.to_string(), format!("{length} ({})", format_date(end))))
    };
    let mut options: Vec<SelectOption> = offered_days(policy).into_iter().filter_map(days).collect();
    if let Some(offered) = &policy.expiration_choices {
        options.extend(offered.none.then(|| SelectOption::new("none", "No expiry")));
        return options;
    }
    options.push(SelectOption::new("date", "Custom date…"));
    if !policy.expiry_required && policy.max_lifetime_days.is_none() {
        options.push(SelectOption::new("none", "No expiry"));
    }
    options
}

/// Formats a key's expiry.
pub(in crate::console) fn format_expiry(key: &ApiKey) -> String {
    key.expires_at.map_or_else(|| "no expiry".into(), format_date_and_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::ExpirationChoices;

    fn values(policy: &Policy) -> Vec<String> {
        let start = Timestamp::from_seconds(0);
        let from = DaysFrom { since: start, now: start };
        expiry_options(policy, from).into_iter().map(|option| option.value).collect()
    }

    #[test]
    fn ninety_days_or_the_longest_below_is_preselected() {
        let choice = |policy: &Policy| ExpiryForm::preselected(policy).choice;
        let offers = |days: &[u32], none| Policy {
            expiration_choices: Some(ExpirationChoices { days: days.to_vec(), none }),
            ..Policy::default()
        };
        assert_eq!(choice(&Policy::default()), "90");
        assert_eq!(choice(&Policy { max_lifetime_days: Some(45), ..Policy::default() }), "45");
        assert_eq!(choice(&Policy { max_lifetime_days: Some(400), ..Policy::default() }), "90");
        assert_eq!(choice(&offers(&[7, 60, 30, 365], true)), "60");
        assert_eq!(choice(&offers(&[365, 180], false)), "180");
        assert_eq!(choice(&offers(&[], true)), "none");
        let latest = |policy: &Policy| ExpiryForm::latest(policy).choice;
        assert_eq!(latest(&Policy { max_lifetime_days: Some(400), ..Policy::default() }), "400");
        assert_eq!(latest(&Policy { expiry_required: true, ..Policy::default() }), "90");
    }

    #[test]
    fn options_name_their_date_and_none_is_in_the_past() {
        let at = |days: i64| Timestamp::from_seconds(days * DAY);
        let options = expiry_options(&Policy::default(), DaysFrom { since: at(0), now: at(40) });
        assert_eq!(options[0], SelectOption::new("60", "60 days (1970-03-02)"));
    }

    #[test]
    fn expiry_options_follow_the_policy() {
        assert_eq!(values(&Policy::default()), ["7", "30", "60", "90", "365", "date", "none"]);
        let only = ExpirationChoices { days: vec![7, 30], none: true };
        assert_eq!(values(&Policy { expiration_choices: Some(only), ..Policy::default() }), ["7", "30", "none"]);
        let short = Policy { max_lifetime_days: Some(60), ..Policy::default() };
        assert_eq!(values(&short), ["7", "30", "60", "date"]);
        assert!(!values(&Policy { expiry_required: true, ..Policy::default() }).contains(&"none".to_owned()));
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
