//! The key form, shared by creating and editing a key.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::keys::api_fields::{ApiFields, combine};
use crate::console::keys::expiry::{DaysFrom, ExpiryForm};
use crate::console::keys::scope_rows::ScopeRows;
use crate::console::submitted::check_fields;
use crate::console::ui::{Area, Choice, ChoiceOption, Errors, Field, Labels, Select, html};
use crate::domain::api_key::ApiKey;
use crate::domain::apis::{ServedApi, find_audience};
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::policy::{Expiry, Policy, ProposedKey};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;

/// The fields that show their own errors, with their labels.
const FIELDS: &Labels = &[
    ("name", "Name"),
    ("description", "Description"),
    ("scopes", "Scopes"),
    ("networks", "Network access"),
    ("allowed_cidrs", "Allowed networks"),
    ("expires_at", "Expiry"),
    ("owner", "Owner"),
    ("customer", "Customer"),
];

/// The raw values of the form.
#[derive(Clone, Debug)]
pub(super) struct KeyForm {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) scopes: ScopeRows,
    pub(super) apis: ApiFields,
    /// `listed`, or `any` for no restriction.
    pub(super) networks: String,
    /// Allowed networks, one per line.
    pub(super) listed: String,
    pub(super) expiry: ExpiryForm,
}

html! { KeyFields }

/// The fields as rendered.
#[derive(Template)]
#[template(path = "console/keys/fields.html")]
pub(super) struct KeyFields {
    name: Field,
    scopes: ScopeRows,
    apis: ApiFields,
    networks: Choice,
    listed: Area,
    expiry: Select,
    date: Option<Field>,
    description: Area,
}

/// The parsed values of the form.
pub(super) struct ParsedKey {
    pub(super) grants: Grants,
    pub(super) networks: Networks,
    /// The expiry. `None` keeps the current one.
    pub(super) expires_at: Option<Option<Timestamp>>,
}

impl KeyForm {
    /// Returns an empty form.
    pub(super) fn empty(policy: &Policy, apis: &[ServedApi]) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            scopes: ScopeRows::of(&ScopeSet::default(), policy),
            apis: ApiFields::of(&Grants::default(), apis),
            networks: "listed".into(),
            listed: String::new(),
            expiry: ExpiryForm::preselected(policy),
        }
    }

    /// Fills the form from a key.
    pub(super) fn of(key: &ApiKey, policy: &Policy, apis: &[ServedApi]) -> Self {
        Self {
            name: key.name.clone(),
            description: key.description.clone(),
            scopes: ScopeRows::of(key.grants.of_default_api(), policy),
            apis: ApiFields::of(&key.grants, apis),
            networks: if key.networks.iter().len() == 0 { "any" } else { "listed" }.into(),
            listed: key.networks.to_strings().join("\n"),
            expiry: ExpiryForm::keep(),
        }
    }

    /// Adds the network `add_network` and the scope `add_scope` of a link from a denial, or the API of the audience `add_audience`.
    /// Nothing is saved by it.
    pub(super) fn widen(mut self, key: &ApiKey, policy: &Policy, apis: &[ServedApi], query: &Form) -> Self {
        let network = query.value("add_network").and_then(|text| text.parse::<std::net::IpAddr>().ok());
        if let Some(network) = network.filter(|network| !key.networks.allows(*network)) {
            self.listed.push_str(&format!("\n{network}"));
        }
        let api = query.value("add_audience").and_then(|audience| find_audience(apis, audience));
        if let Some((served, _)) = api.filter(|(served, _)| !served.api.is_default()) {
            self.apis.add(served.api.id, query.value("add_scope"));
        } else if let Some(scope) = query.value("add_scope").and_then(|text| Scope::parse(text).ok())
            && let Ok(scopes) = ScopeSet::from_scopes(key.grants.of_default_api().iter().cloned().chain([scope]))
        {
            self.scopes = ScopeRows::of(&scopes, policy);
        }
        self
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form, policy: &Policy, apis: &[ServedApi]) -> Result<Self, ErrorPage> {
        check_fields(form, &["name", "description", "networks", "expiry"])?;
        // The list is hidden while any network is allowed, so browsers do not send it.
        if form.value("networks") != Some("any") {
            check_fields(form, &["allowed_cidrs"])?;
        }
        if !form.all().any(|(name, _)| name.starts_with("scope-")) {
            return Err(ErrorPage::unreadable_form("it is incomplete"));
        }
        let value = |name| form.value(name).unwrap_or_default();
        Ok(Self {
            name: value("name").trim().to_owned(),
            description: value("description").replace("\r\n", "\n").trim().to_owned(),
            scopes: ScopeRows::read(form, policy),
            apis: ApiFields::read(form, apis),
            networks: value("networks").to_owned(),
            listed: value("allowed_cidrs").replace("\r\n", "\n"),
            expiry: ExpiryForm::read(form),
        })
    }

    /// Removes or adds a scope row, as the form asks.
    pub(super) fn change_rows(self, form: &Form) -> Self {
        Self { scopes: self.scopes.change_rows(form), ..self }
    }

    /// Parses the values, or returns everything that is wrong with them. `held` are the grants of an existing key.
    /// A number of days counts from `since`, the creation of the secret.
    pub(super) fn parse(&self, since: Timestamp, held: Option<&Grants>) -> Result<ParsedKey, Vec<Violation>> {
        let mut checks = Checks::default();
        checks.name(&self.name);
        checks.text("description", &self.description);
        let scopes = checks.scopes(self.scopes.inputs());
        let (others, wrong) = match self.apis.parse() {
            Ok(others) => (others, Vec::new()),
            Err(violations) => (Vec::new(), violations),
        };
        let parsed = ParsedKey {
            grants: combine(scopes, others, held),
            networks: self.parse_networks(&mut checks),
            expires_at: self.expiry.parse(&mut checks, since),
        };
        let mut violations = checks.done().err().unwrap_or_default();
        violations.extend(wrong);
        if violations.is_empty() { Ok(parsed) } else { Err(violations) }
    }

    /// Parses the values of a new key, which needs a name, and checks them against the policy.
    pub(super) fn parse_new(&self, policy: &Policy, now: Timestamp) -> Result<ParsedKey, Vec<Violation>> {
        let mut violations = Vec::new();
        if self.name.is_empty() {
            violations.push(Violation::new("name", ViolationKind::NameRequired));
        }
        match self.parse(now, None) {
            Err(others) => violations.extend(others),
            Ok(parsed) => {
                let proposed = ProposedKey {
                    grants: Some(&parsed.grants),
                    expiry: Expiry::Set { expires_at: parsed.expires_at.flatten(), since: now },
                    ..ProposedKey::default()
                };
                violations.extend(policy.violations(&proposed, now));
                if violations.is_empty() {
                    return Ok(parsed);
                }
            }
        }
        Err(violations)
    }

    /// Parses the networks. No restriction must be chosen; an empty list is an error, and so is a list that would be ignored.
    fn parse_networks(&self, checks: &mut Checks) -> Networks {
        let entries = split_entries(&self.listed);
        match (self.networks.as_str(), entries.is_empty()) {
            ("any", true) => return Networks::all(),
            ("any", false) => checks.wrong("networks", "Choose “Only these addresses”, or clear the list."),
            ("listed", true) => checks.wrong("allowed_cidrs", "Enter an address or range, or choose “Any network”."),
            ("listed", false) => return checks.networks(&entries),
            _ => checks.wrong("networks", "Choose which networks can use the key."),
        }
        Networks::all()
    }

    /// Describes errors, each with its field. `grants` are those that a use case checked.
    pub(super) fn errors(&self, violations: Vec<Violation>, grants: &Grants) -> Errors {
        let located = violations.into_iter().map(|violation| self.apis.locate(violation, grants)).collect();
        let errors = Errors::new(number_rows(located, &self.scopes), FIELDS);
        self.apis.labels().fold(errors, |errors, (name, label)| errors.label(&name, &label))
    }

    /// Renders the fields with their errors. `kept` describes the key's current expiry; without it, the key is new.
    pub(super) fn fields(&self, policy: &Policy, kept: Option<&str>, days: DaysFrom, errors: &Errors) -> KeyFields {
        let (expiry, date) = self.expiry.fields(policy, kept, days, errors);
        let description = Area { rows: 2, ..Area::new("description", "Description", &self.description) };
        KeyFields {
            name: Field::text("name", "Name", &self.name)
                .hint("What the key is used for, for example “orders-worker production”.")
                .required(policy.name_required || kept.is_none())
                .max_length(MAX_NAME)
                .errors(errors),
            scopes: self.scopes.clone().errors(errors),
            apis: self.apis.clone().errors(errors),
            networks: Choice::new(
                "networks",
                "Network access",
                vec![
                    ChoiceOption::new("listed", "Only these addresses"),
                    ChoiceOption::new("any", "Any network")
                        .hint("Not recommended: a leaked secret works from anywhere."),
                ],
                &self.networks,
            )
            .hint("IP addresses that can use this key and its tokens.")
            .errors(errors),
            listed: Area::new("allowed_cidrs", "Allowed networks", &self.listed)
                .hint("One address or CIDR range per line, for example 10.0.0.0/8.")
                .live("networks")
                .errors(errors),
            expiry,
            date,
            description: description.hint("Notes for your team: who owns it, where it runs.").errors(errors),
        }
    }
}

/// Splits a typed list at whitespace, commas and semicolons.
pub(in crate::console) fn split_entries(text: &str) -> Vec<String> {
    text.split([',', ';']).flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Replaces the index of a scope among the scopes by the index of its row in the form.
fn number_rows(violations: Vec<Violation>, rows: &ScopeRows) -> Vec<Violation> {
    let number = |mut violation: Violation| {
        if violation.field.name == "scopes" {
            violation.field.index = violation.field.index.map(|index| rows.row_of(index));
        }
        violation
    };
    violations.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_listed_or_any_but_not_both() {
        let parsed = |networks: &str, listed: &str| {
            let policy = Policy::default();
            let form = KeyForm { networks: networks.into(), listed: listed.into(), ..KeyForm::empty(&policy, &[]) };
            let mut checks = Checks::default();
            let networks = form.parse_networks(&mut checks);
            checks.done().ok().map(|()| networks.to_strings())
        };
        assert_eq!(parsed("any", " "), Some(vec![]));
        assert_eq!(parsed("listed", "10.0.0.0/8"), Some(vec!["10.0.0.0/8".to_owned()]));
        for (networks, listed) in [("any", "10.0.0.0/8"), ("listed", ""), ("", ""), ("", "10.0.0.0/8"), ("listed", "x")]
        {
            assert_eq!(parsed(networks, listed), None, "{networks} {listed}");
        }
    }

    #[test]
    fn entries_are_split_at_any_separator() {
        assert_eq!(split_entries("10.0.0.0/8, 192.0.2.1\n\n ::1;*"), ["10.0.0.0/8", "192.0.2.1", "::1", "*"]);
        assert!(split_entries(" \n").is_empty());
    }
}
