//! The form of a profile, shared by creating and editing one.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::keys::{
    ApiFields, NetworkFields, NetworkInputs, NetworkTexts, ScopeRows, combine, number_rows, split, without_empty,
};
use crate::console::policy::{format_seconds, parse_lifetime};
use crate::console::submitted::{check_fields, parse_name};
use crate::console::ui::{Area, Errors, Field, Labels, html};
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::profile::Profile;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::keys::RequestedGrants;
use crate::node::Tenant;
use crate::profiles::{NewProfile, ProfileEdit};

/// The fields that show their own errors, with their labels.
const FIELDS: &Labels = &[
    ("name", "Name"),
    ("description", "Description"),
    ("scopes", "Scopes"),
    ("networks", "Network access"),
    ("allowed_cidrs", "Allowed networks"),
    ("named", "Named networks"),
    ("token_ttl_seconds", "Longest token lifetime"),
];

/// The raw values of the form.
#[derive(Clone, Debug)]
pub(super) struct ProfileForm {
    name: String,
    description: String,
    scopes: ScopeRows,
    apis: ApiFields,
    networks: NetworkFields,
    lifetime: String,
}

html! { ProfileFields }

/// The fields as rendered.
#[derive(Template)]
#[template(path = "console/profiles/fields.html")]
pub(super) struct ProfileFields {
    /// `None` for an existing profile, which cannot be renamed.
    name: Option<Field>,
    description: Area,
    scopes: ScopeRows,
    apis: ApiFields,
    networks: NetworkInputs,
    lifetime: Field,
}

/// The parsed values that both a new and an edited profile have.
struct Parsed {
    grants: Grants,
    networks: Networks,
    named_networks: Vec<Slug>,
    token_ttl_seconds: Option<u32>,
}

impl ProfileForm {
    pub(super) fn empty(tenant: &Tenant) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            scopes: ScopeRows::of(&ScopeSet::default(), &tenant.organization.policy),
            apis: ApiFields::of(&Grants::default(), &tenant.apis),
            networks: NetworkFields::empty(),
            lifetime: String::new(),
        }
    }

    /// Fills the form from a profile.
    pub(super) fn of(profile: &Profile, tenant: &Tenant) -> Self {
        Self {
            name: profile.name.to_string(),
            description: profile.description.clone(),
            scopes: ScopeRows::of(profile.grants.of_default_api(), &tenant.organization.policy),
            apis: ApiFields::of(&profile.grants, &tenant.apis),
            networks: NetworkFields::of(&profile.networks, &profile.named_networks),
            lifetime: profile.token_ttl_seconds.map(format_seconds).unwrap_or_default(),
        }
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    pub(super) fn read(form: &Form, edited: Option<&Profile>, tenant: &Tenant) -> Result<Self, ErrorPage> {
        check_fields(form, &["description", "token_ttl_seconds"])?;
        if edited.is_none() {
            check_fields(form, &["name"])?;
        }
        if !form.all().any(|(name, _)| name.starts_with("scope-")) {
            return Err(ErrorPage::unreadable_form("it is incomplete"));
        }
        let value = |name| form.value(name).unwrap_or_default();
        Ok(Self {
            name: edited.map_or_else(|| value("name").trim().to_owned(), |profile| profile.name.to_string()),
            description: value("description").replace("\r\n", "\n").trim().to_owned(),
            scopes: ScopeRows::read(form, &tenant.organization.policy),
            apis: ApiFields::read(form, &tenant.apis),
            networks: NetworkFields::read(form)?,
            lifetime: value("token_ttl_seconds").trim().to_owned(),
        })
    }

    /// Removes or adds a scope row, as the form asks.
    pub(super) fn change_rows(self, form: &Form) -> Self {
        Self { scopes: self.scopes.change_rows(form), ..self }
    }

    /// Parses the values of a new profile.
    pub(super) fn parse_new(&self, tenant: &Tenant) -> Result<NewProfile, Vec<Violation>> {
        let mut checks = Checks::default();
        let name = parse_name(&mut checks, &self.name);
        let parsed = self.parse(checks, None);
        let (parsed, name) = match (parsed, name) {
            (Ok(parsed), Some(name)) => (parsed, name),
            (parsed, _) => return Err(parsed.err().unwrap_or_default()),
        };
        Ok(NewProfile {
            name,
            description: self.description.clone(),
            grants: split(&parsed.grants, &tenant.apis),
            networks: parsed.networks,
            named_networks: parsed.named_networks,
            token_ttl_seconds: parsed.token_ttl_seconds,
        })
    }

    /// Parses the values of an edited profile.
    pub(super) fn parse_edit(&self, old: &Profile, tenant: &Tenant) -> Result<ProfileEdit, Vec<Violation>> {
        let parsed = self.parse(Checks::default(), Some(&old.grants))?;
        let requested = split(&parsed.grants, &tenant.apis);
        let is_same = parsed.grants == old.grants;
        // A list of all APIs, so that those that are left out are not kept.
        let requested = RequestedGrants { apis: Some(requested.apis.unwrap_or_default()), ..requested };
        Ok(ProfileEdit {
            description: Some(self.description.clone()),
            grants: if is_same { RequestedGrants::default() } else { requested },
            networks: Some(parsed.networks),
            named_networks: Some(parsed.named_networks),
            token_ttl_seconds: Some(parsed.token_ttl_seconds),
        })
    }

    fn parse(&self, mut checks: Checks, held: Option<&Grants>) -> Result<Parsed, Vec<Violation>> {
        checks.text("description", &self.description);
        let scopes = checks.scopes(self.scopes.inputs());
        let (others, wrong) = match self.apis.parse() {
            Ok(others) => (others, Vec::new()),
            Err(violations) => (Vec::new(), violations),
        };
        let (networks, named_networks) = self.networks.parse(&mut checks);
        let parsed = Parsed {
            grants: without_empty(combine(scopes, others, held), held),
            networks,
            named_networks,
            token_ttl_seconds: parse_lifetime(&mut checks, &self.lifetime),
        };
        let mut violations = checks.done().err().unwrap_or_default();
        violations.extend(wrong);
        if violations.is_empty() { Ok(parsed) } else { Err(violations) }
    }

    /// Describes errors, each with its field. `grants` are those that a use case checked.
    pub(super) fn errors(&self, violations: Vec<Violation>, grants: &Grants) -> Errors {
        let locate = |violation| NetworkFields::locate(self.apis.locate(violation, grants));
        let located = violations.into_iter().map(locate).collect();
        let errors = Errors::new(number_rows(located, &self.scopes), FIELDS);
        self.apis.labels().fold(errors, |errors, (name, label)| errors.label(&name, &label))
    }

    /// Returns the grants that the form requests, to locate errors.
    pub(super) fn grants(&self, held: Option<&Grants>) -> Grants {
        self.parse(Checks::default(), held).map(|parsed| parsed.grants).unwrap_or_default()
    }

    /// Renders the fields with their errors.
    pub(super) fn fields(&self, is_new: bool, tenant: &Tenant, errors: &Errors) -> ProfileFields {
        ProfileFields {
            name: is_new.then(|| name_field(&self.name, "Keys refer to the profile by this name.", errors)),
            description: describe(&self.description, "what the profile is for, who asked for it", errors),
            scopes: self.scopes.clone().errors(errors),
            apis: self.apis.clone().errors(errors),
            networks: self.networks.inputs(
                &tenant.shared,
                NetworkTexts {
                    hint: "IP addresses that can use keys with this profile, and their tokens. A key can restrict them further.",
                    any: "Keys with this profile can still have networks of their own.",
                },
                errors,
            ),
            lifetime: Field::text("token_ttl_seconds", "Longest token lifetime", &*self.lifetime)
                .hint("From 1 minute to 1 hour, for example 5 minutes. Leave blank for the lifetime of the API, which also counts if it is shorter.")
                .errors(errors),
        }
    }
}

/// Returns the field with the name of a new profile or network.
pub(in crate::console) fn name_field(name: &str, purpose: &str, errors: &Errors) -> Field {
    Field::text("name", "Name", name)
        .hint(format!("{purpose} Lowercase letters, digits and hyphens. Can’t be changed later."))
        .required(true)
        .max_length(40)
        .errors(errors)
}

/// Returns the field with the description of a profile or network.
pub(in crate::console) fn describe(text: &str, notes: &str, errors: &Errors) -> Area {
    Area { rows: 2, ..Area::new("description", "Description", text) }
        .hint(format!("Notes for your team: {notes}."))
        .errors(errors)
}
