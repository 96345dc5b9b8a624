//! Creating a key, with scopes that the session allows.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{invalid_form, page};
use crate::console::keys::{DaysFrom, ExpiryForm, GRANT, split_entries, ticket};
use crate::console::portal::frame::PortalFrame;
use crate::console::portal::request::{PortalForm, PortalRequest};
use crate::console::portal::secret;
use crate::console::reply::Reply;
use crate::console::submitted::check_fields;
use crate::console::ui::{Area, Errors, Field, Labels, Select};
use crate::domain::apis::{Api, ApiId, ServedApi};
use crate::domain::grants::Grants;
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::policy::Policy;
use crate::domain::portal::Capability;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;
use crate::keys::{self, IdempotentRequest, KeyError, NewKey, RequestedGrant, RequestedGrants};
use crate::portal::PortalError;

/// Ties a ticket to this form.
const TARGET: &str = "portal create";
const FIELDS: &Labels =
    &[("name", "Name"), ("scopes", "Access"), ("expires_at", "Expiry"), ("allowed_cidrs", "Allowed networks")];

#[derive(Template)]
#[template(path = "console/portal/create.html")]
struct Page {
    frame: PortalFrame,
    errors: Errors,
    ticket: String,
    name: Field,
    scopes: Vec<Offered>,
    scopes_error: Option<String>,
    expiry: Select,
    date: Option<Field>,
    networks: Area,
}

/// A scope that new keys can have.
struct Offered {
    /// Its position among all of them.
    value: usize,
    scope: String,
    /// The API's name, if the session has scopes of several.
    api: Option<String>,
    description: String,
    is_checked: bool,
}

/// The raw values of the form.
struct RawForm {
    name: String,
    /// The positions of the chosen scopes.
    chosen: Vec<usize>,
    expiry: ExpiryForm,
    networks: String,
}

pub(super) async fn show(visit: PortalRequest) -> Result<Reply, ErrorPage> {
    visit.check(Capability::Create)?;
    let policy = visit.tenant()?.organization.policy.clone();
    let session = visit.portal.session();
    // A single scope needs no choice.
    let chosen = if session.grants.scopes().count() == 1 { vec![0] } else { Vec::new() };
    let bounds = &session.bounds.networks;
    let raw = RawForm {
        name: String::new(),
        chosen,
        expiry: ExpiryForm::preselected(&policy),
        networks: if bounds.is_restricted() { bounds.to_strings().join("\n") } else { String::new() },
    };
    page(&build(&visit, &policy, &raw, Errors::default(), keys::ticket()?)?)
}

pub(super) async fn send(submitted: PortalForm) -> Result<Reply, ErrorPage> {
    let PortalForm { visit, form } = submitted;
    visit.check(Capability::Create)?;
    let (raw, ticket) = (RawForm::read(&form)?, ticket(&form)?);
    let tenant = visit.tenant()?;
    let policy = &tenant.organization.policy;
    let grants = &visit.portal.session().grants;
    let new = match raw.parse(policy, grants, &tenant.apis, visit.now()) {
        Ok(new) => new,
        Err(violations) => {
            return invalid_form(&build(&visit, policy, &raw, Errors::new(violations, FIELDS), ticket)?);
        }
    };
    let once = IdempotentRequest::form(&ticket, TARGET);
    let errors = match visit.portal.create_key(visit.node(), new, &once).await {
        Ok((key, text)) => return secret::show(&visit, &key, &text, false),
        Err(PortalError::Key(KeyError::AlreadyDone(id))) => return secret::show_already_submitted(&visit, &id),
        Err(PortalError::Key(KeyError::Invalid(violations))) => Errors::new(violations, FIELDS),
        Err(PortalError::Key(error)) => match visit.describe(&error, &["allowed_cidrs", "expiry"]) {
            Some(sentence) => Errors::sentence(sentence),
            None => return Err(error.into()),
        },
        Err(other) => return Err(other.into()),
    };
    invalid_form(&build(&visit, policy, &raw, errors, ticket)?)
}

impl RawForm {
    fn read(form: &Form) -> Result<Self, ErrorPage> {
        check_fields(form, &["name", "expiry", "allowed_cidrs"])?;
        let value = |name| form.value(name).unwrap_or_default();
        let chosen = form.all().filter(|(name, _)| *name == GRANT).filter_map(|(_, value)| value.parse().ok());
        Ok(Self {
            name: value("name").trim().to_owned(),
            chosen: chosen.collect(),
            expiry: ExpiryForm::read(form),
            networks: value("allowed_cidrs").replace("\r\n", "\n"),
        })
    }

    /// Parses the values, or returns everything that is wrong with them.
    fn parse(
        &self,
        policy: &Policy,
        grants: &Grants,
        apis: &[ServedApi],
        now: Timestamp,
    ) -> Result<NewKey, Vec<Violation>> {
        let mut checks = Checks::default();
        checks.name(&self.name);
        if policy.name_required && self.name.is_empty() {
            checks.wrong("name", ViolationKind::NameRequired);
        }
        let offered: Vec<(ApiId, &Scope)> = grants.scopes().collect();
        let is_offered =
            |place: &usize| offered.get(*place).is_some_and(|(id, scope)| api_of(apis, *id, scope).is_some());
        if self.chosen.is_empty() {
            checks.wrong("scopes", "Choose what the key can do.");
        } else if !self.chosen.iter().all(is_offered) {
            checks.wrong("scopes", "Some of this access is no longer available. Choose again what the key can do.");
        }
        let entries = split_entries(&self.networks);
        let networks = if entries.is_empty() { Networks::all() } else { checks.networks(&entries) };
        let expires_at = self.expiry.parse(&mut checks, now).flatten();
        checks.done()?;
        let chosen =
            offered.iter().enumerate().filter(|(place, _)| self.chosen.contains(place)).map(|(_, scope)| *scope);
        Ok(NewKey {
            metadata: Metadata::default(),
            profile: None,
            named_networks: Vec::new(),
            name: self.name.clone(),
            description: String::new(),
            owner: None,
            customer: None,
            grants: requested(chosen, apis),
            networks,
            expires_at,
        })
    }
}

/// Returns the API of a scope, if it still has the scope and allows it to be granted.
fn api_of<'a>(apis: &'a [ServedApi], id: ApiId, scope: &Scope) -> Option<&'a Api> {
    let served = apis.iter().find(|served| served.api.id == id)?;
    Some(&served.api).filter(|api| api.has_scope(scope) && api.is_grantable(scope))
}

/// Returns the grants of a key with these scopes.
fn requested<'a>(chosen: impl Iterator<Item = (ApiId, &'a Scope)>, apis: &[ServedApi]) -> RequestedGrants {
    let (mut default, mut others) = (Vec::new(), Vec::<RequestedGrant>::new());
    for (id, scope) in chosen {
        if id == ApiId::DEFAULT {
            default.push(scope.clone());
            continue;
        }
        let Some(served) = apis.iter().find(|served| served.api.id == id) else { continue };
        let api = served.api.name.to_string();
        match others.iter_mut().find(|grant| grant.api == api) {
            Some(grant) => grant.scopes.push(scope.to_string()),
            None => others.push(RequestedGrant { api, scopes: vec![scope.to_string()] }),
        }
    }
    let scopes = ScopeSet::from_scopes(default).ok().filter(|scopes| !scopes.is_empty());
    RequestedGrants { scopes, apis: (!others.is_empty()).then_some(others) }
}

fn offered(visit: &PortalRequest, apis: &[ServedApi], chosen: &[usize]) -> Vec<Offered> {
    let grants = &visit.portal.session().grants;
    let offer = |(value, (id, scope)): (usize, (ApiId, &Scope))| {
        let api = api_of(apis, id, scope)?;
        let listed = api.scopes.iter().find(|listed| listed.scope == *scope);
        Some(Offered {
            value,
            scope: scope.to_string(),
            api: (grants.len() > 1).then(|| api.name.to_string()),
            description: listed.map(|listed| listed.description.clone()).unwrap_or_default(),
            is_checked: chosen.contains(&value),
        })
    };
    grants.scopes().enumerate().filter_map(offer).collect()
}

fn build(
    visit: &PortalRequest,
    policy: &Policy,
    raw: &RawForm,
    errors: Errors,
    ticket: String,
) -> Result<Page, ErrorPage> {
    let days = DaysFrom { since: visit.now(), now: visit.now() };
    let (expiry, date) = raw.expiry.fields(policy, None, days, &errors);
    Ok(Page {
        frame: visit.frame("Create API key"),
        ticket,
        name: Field::text("name", "Name", &raw.name)
            .hint("What you use the key for, for example “orders-worker production”.")
            .required(policy.name_required)
            .max_length(MAX_NAME)
            .errors(&errors),
        scopes: offered(visit, &visit.tenant()?.apis, &raw.chosen),
        scopes_error: errors.of("scopes"),
        expiry,
        date,
        networks: Area::new("allowed_cidrs", "Allowed networks", &raw.networks)
            .hint("Optional. The key works only from these addresses: one address or CIDR range per line.")
            .errors(&errors),
        errors,
    })
}
