//! The key form, shared by creating and editing a key.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::keys::api_fields::{ApiFields, combine, without_empty};
use crate::console::keys::expiry::{DaysFrom, ExpiryForm};
use crate::console::keys::network_fields::{NetworkFields, NetworkInputs, NetworkTexts};
use crate::console::keys::scope_rows::ScopeRows;
use crate::console::submitted::check_fields;
use crate::console::ui::attributes::{metadata_to_text, parse_metadata};
use crate::console::ui::{Area, Errors, Field, Labels, Select, SelectOption, html};
use crate::domain::api_key::ApiKey;
use crate::domain::apis::{ServedApi, find_audience};
use crate::domain::grants::Grants;
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::policy::{Expiry, Policy, ProposedKey};
use crate::domain::profile::SharedAccess;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;
use crate::node::Tenant;

/// The fields that show their own errors, with their labels.
const FIELDS: &Labels = &[
    ("name", "Name"),
    ("description", "Description"),
    ("metadata", "Metadata"),
    ("profile", "Profile"),
    ("scopes", "Scopes"),
    ("networks", "Network access"),
    ("allowed_cidrs", "Allowed networks"),
    ("named", "Named networks"),
    ("expires_at", "Expiry"),
    ("owner", "Owner"),
    ("customer", "Customer"),
];

/// The settings of the organization that a form of a key offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) policy: &'a Policy,
    pub(super) apis: &'a [ServedApi],
    pub(super) shared: &'a SharedAccess,
}

impl<'a> From<&'a Tenant> for Offer<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Self { policy: &tenant.organization.policy, apis: &tenant.apis, shared: &tenant.shared }
    }
}

/// The raw values of the form.
#[derive(Clone, Debug)]
pub(super) struct KeyForm {
    pub(super) name: String,
    pub(super) description: String,
    /// One pair per line.
    metadata: String,
    /// The name of a profile, or empty. `None` if the form had no such field: the key keeps its profile.
    profile: Option<String>,
    scopes: ScopeRows,
    apis: ApiFields,
    networks: NetworkFields,
    expiry: ExpiryForm,
}

html! { KeyFields }

/// The fields as rendered.
#[derive(Template)]
#[template(path = "console/keys/fields.html")]
pub(super) struct KeyFields {
    name: Field,
    /// `None` if the organization has no profiles.
    profile: Option<Select>,
    scopes: ScopeRows,
    apis: ApiFields,
    networks: NetworkInputs,
    expiry: Select,
    date: Option<Field>,
    description: Area,
    metadata: Area,
}

/// The parsed values of the form.
pub(super) struct ParsedKey {
    pub(super) metadata: Metadata,
    pub(super) profile: Option<Slug>,
    pub(super) grants: Grants,
    pub(super) networks: Networks,
    pub(super) named_networks: Vec<Slug>,
    /// The expiry. `None` keeps the current one.
    pub(super) expires_at: Option<Option<Timestamp>>,
}

impl KeyForm {
    /// Returns an empty form.
    pub(super) fn empty(offer: Offer<'_>) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            metadata: String::new(),
            profile: Some(String::new()),
            scopes: ScopeRows::of(&ScopeSet::default(), offer.policy),
            apis: ApiFields::of(&Grants::default(), offer.apis),
            networks: NetworkFields::empty(),
            expiry: ExpiryForm::preselected(offer.policy),
        }
    }

    /// Returns an empty form with a profile, if there is one with this name.
    pub(super) fn with_profile(self, name: Option<&str>, offer: Offer<'_>) -> Self {
        let profile = name.filter(|name| offer.shared.profiles().any(|profile| profile.name.as_str() == *name));
        match profile {
            // All that the profile allows.
            Some(name) => {
                Self { profile: Some(name.to_owned()), networks: NetworkFields::of(&Networks::all(), &[]), ..self }
            }
            None => self,
        }
    }

    /// Fills the form from a key.
    pub(super) fn of(key: &ApiKey, offer: Offer<'_>) -> Self {
        Self {
            name: key.name.clone(),
            description: key.description.clone(),
            metadata: metadata_to_text(&key.metadata),
            profile: Some(key.profile.as_ref().map(Slug::to_string).unwrap_or_default()),
            scopes: ScopeRows::of(key.grants.of_default_api(), offer.policy),
            apis: ApiFields::of(&key.grants, offer.apis),
            networks: NetworkFields::of(&key.networks, &key.named_networks),
            expiry: ExpiryForm::keep(),
        }
    }

    /// Adds the network `add_network` and the scope `add_scope` of a link from a denial, or the API of the audience `add_audience`.
    /// Nothing is saved by it.
    pub(super) fn widen(mut self, key: &ApiKey, offer: Offer<'_>, query: &Form) -> Self {
        let network = query.value("add_network").and_then(|text| text.parse::<std::net::IpAddr>().ok());
        if let Some(network) = network.filter(|network| !offer.shared.allows(key, *network)) {
            self.networks.add(network);
        }
        let api = query.value("add_audience").and_then(|audience| find_audience(offer.apis, audience));
        if let Some((served, _)) = api.filter(|(served, _)| !served.api.is_default()) {
            self.apis.add(served.api.id, query.value("add_scope"));
        } else if let Some(scope) = query.value("add_scope").and_then(|text| Scope::parse(text).ok())
            && let Ok(scopes) = ScopeSet::from_scopes(key.grants.of_default_api().iter().cloned().chain([scope]))
        {
            self.scopes = ScopeRows::of(&scopes, offer.policy);
        }
        self
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form, offer: Offer<'_>) -> Result<Self, ErrorPage> {
        check_fields(form, &["name", "description", "metadata", "expiry"])?;
        let networks = NetworkFields::read(form)?;
        if !form.all().any(|(name, _)| name.starts_with("scope-")) {
            return Err(ErrorPage::unreadable_form("it is incomplete"));
        }
        let value = |name| form.value(name).unwrap_or_default();
        Ok(Self {
            name: value("name").trim().to_owned(),
            description: value("description").replace("\r\n", "\n").trim().to_owned(),
            metadata: value("metadata").replace("\r\n", "\n"),
            profile: form.has("profile").then(|| value("profile").to_owned()),
            scopes: ScopeRows::read(form, offer.policy),
            apis: ApiFields::read(form, offer.apis),
            networks,
            expiry: ExpiryForm::read(form),
        })
    }

    /// Removes or adds a scope row, as the form asks.
    pub(super) fn change_rows(self, form: &Form) -> Self {
        Self { scopes: self.scopes.change_rows(form), ..self }
    }

    /// Parses the values, or returns everything that is wrong with them. `held` is the existing key.
    /// A number of days counts from `since`, the creation of the secret.
    pub(super) fn parse(&self, since: Timestamp, held: Option<&ApiKey>) -> Result<ParsedKey, Vec<Violation>> {
        let mut checks = Checks::default();
        checks.name(&self.name);
        checks.text("description", &self.description);
        let metadata = parse_metadata(&mut checks, &self.metadata).unwrap_or_default();
        let profile = self.parse_profile(&mut checks, held);
        let scopes = checks.scopes(self.scopes.inputs());
        let (others, wrong) = match self.apis.parse() {
            Ok(others) => (others, Vec::new()),
            Err(violations) => (Vec::new(), violations),
        };
        let grants = combine(scopes, others, held.map(|key| &key.grants));
        let (networks, named_networks) = self.networks.parse(&mut checks);
        let parsed = ParsedKey {
            metadata,
            grants: match profile {
                Some(_) => without_empty(grants, held.filter(|key| key.profile.is_some()).map(|key| &key.grants)),
                None => grants,
            },
            profile,
            networks,
            named_networks,
            expires_at: self.expiry.parse(&mut checks, since),
        };
        let mut violations = checks.done().err().unwrap_or_default();
        violations.extend(wrong);
        if violations.is_empty() { Ok(parsed) } else { Err(violations) }
    }

    /// Parses the values of a new key, which needs a name, and checks them against the policy.
    pub(super) fn parse_new(&self, offer: Offer<'_>, now: Timestamp) -> Result<ParsedKey, Vec<Violation>> {
        let mut violations = Vec::new();
        if self.name.is_empty() {
            violations.push(Violation::new("name", ViolationKind::NameRequired));
        }
        match self.parse(now, None) {
            Err(others) => violations.extend(others),
            Ok(parsed) => {
                let granted = offer.shared.grants_with(parsed.profile.as_ref(), &parsed.grants);
                let proposed = ProposedKey {
                    grants: Some(&granted),
                    expiry: Expiry::Set { expires_at: parsed.expires_at.flatten(), since: now },
                    ..ProposedKey::default()
                };
                violations.extend(offer.policy.violations(&proposed, now));
                if violations.is_empty() {
                    return Ok(parsed);
                }
            }
        }
        Err(violations)
    }

    fn parse_profile(&self, checks: &mut Checks, held: Option<&ApiKey>) -> Option<Slug> {
        match self.profile.as_deref() {
            None => held.and_then(|key| key.profile.clone()),
            Some("") => None,
            Some(text) => {
                let profile = Slug::parse(text);
                if profile.is_none() {
                    checks.wrong("profile", "Choose a profile.");
                }
                profile
            }
        }
    }

    /// Describes errors, each with its field. `grants` are those that a use case checked.
    pub(super) fn errors(&self, violations: Vec<Violation>, grants: &Grants) -> Errors {
        let located = violations
            .into_iter()
            .map(|violation| NetworkFields::locate(self.apis.locate(violation, grants)))
            .collect();
        let errors = Errors::new(number_rows(located, &self.scopes), FIELDS);
        self.apis.labels().fold(errors, |errors, (name, label)| errors.label(&name, &label))
    }

    /// Renders the fields with their errors. `kept` describes the key's current expiry; without it, the key is new.
    pub(super) fn fields(&self, offer: Offer<'_>, kept: Option<&str>, days: DaysFrom, errors: &Errors) -> KeyFields {
        let (expiry, date) = self.expiry.fields(offer.policy, kept, days, errors);
        let description = Area { rows: 2, ..Area::new("description", "Description", &self.description) };
        let metadata = Area { rows: 2, ..Area::new("metadata", "Metadata", &self.metadata) };
        let has_profiles = offer.shared.profiles().len() > 0;
        KeyFields {
            name: Field::text("name", "Name", &self.name)
                .hint("What the key is used for, for example “orders-worker production”.")
                .required(offer.policy.name_required || kept.is_none())
                .max_length(MAX_NAME)
                .errors(errors),
            profile: has_profiles.then(|| self.profile_field(offer.shared, errors)),
            scopes: self.scopes.clone().errors(errors),
            apis: self.apis.clone().errors(errors),
            networks: self.networks.inputs(
                offer.shared,
                NetworkTexts {
                    hint: "IP addresses that can use this key and its tokens.",
                    any: match has_profiles {
                        false => "Not recommended: a leaked secret works from anywhere.",
                        true => {
                            "With a profile, all networks that it allows. Not recommended without one: a leaked secret works \
                             from anywhere."
                        }
                    },
                },
                errors,
            ),
            expiry,
            date,
            description: description.hint("Notes for your team: who owns it, where it runs.").errors(errors),
            metadata: metadata
                .hint("One name=value per line, for example plan=pro. Custom claims of tokens can come from it.")
                .errors(errors),
        }
    }

    fn profile_field(&self, shared: &SharedAccess, errors: &Errors) -> Select {
        let names = shared.profiles().map(|profile| SelectOption::new(profile.name.as_str(), profile.name.as_str()));
        let options = std::iter::once(SelectOption::new("", "None")).chain(names).collect();
        Select::new("profile", "Profile", options, self.profile.clone().unwrap_or_default())
            .hint(
                "Limits the key to what the profile grants and to its networks. Without scopes of its own, the key has all that \
                 the profile grants.",
            )
            .errors(errors)
    }
}

/// Splits a typed list at whitespace, commas and semicolons.
pub(in crate::console) fn split_entries(text: &str) -> Vec<String> {
    text.split([',', ';']).flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Replaces the index of a scope among the scopes by the index of its row in the form.
pub(in crate::console) fn number_rows(violations: Vec<Violation>, rows: &ScopeRows) -> Vec<Violation> {
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
    use crate::domain::api_key::tests::key;

    #[test]
    fn empty_scopes_below_a_profile_are_all_that_it_grants() {
        let policy = Policy::default();
        let shared = SharedAccess::empty();
        let offer = Offer { policy: &policy, apis: &[], shared: &shared };
        let parsed = |profile: &str, held: Option<&ApiKey>| {
            let form = KeyForm { profile: Some(profile.into()), ..KeyForm::empty(offer) };
            let form = KeyForm { networks: NetworkFields::of(&Networks::all(), &[]), ..form };
            form.parse(Timestamp::from_seconds(0), held).unwrap().grants
        };
        let none = Grants::of_default(ScopeSet::default());
        assert_eq!(parsed("", None), none, "tokens without scopes");
        assert_eq!(parsed("readers", None), Grants::default());
        let without = ApiKey { grants: none.clone(), ..key("", &[]) };
        assert_eq!(parsed("readers", Some(&without)), Grants::default());
        let limited = ApiKey { profile: Slug::parse("readers"), ..without };
        assert_eq!(parsed("readers", Some(&limited)), none, "an unchanged form changes nothing");
    }

    #[test]
    fn entries_are_split_at_any_separator() {
        assert_eq!(split_entries("10.0.0.0/8, 192.0.2.1\n\n ::1;*"), ["10.0.0.0/8", "192.0.2.1", "::1", "*"]);
        assert!(split_entries(" \n").is_empty());
    }
}
