//! Editing a key. Changes that restrict it are reviewed first, with the recent requests that they would have denied.

use actix_web::web;
use askama::Template;

use crate::clock::rfc3339;
use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::policy;
use crate::console::keys::form::{FIELDS, KeyFields, KeyForm, ParsedKey, format_expiry, number_rows};
use crate::console::keys::{display_name, find, may_change, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, format_count};
use crate::domain::api_key::{ApiKey, Edit};
use crate::domain::networks::Networks;
use crate::domain::policy::Policy;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError};
use crate::usage::{self, DeniedUses, Impact, Narrowing};

/// Maximum number of listed addresses and scopes.
const MAX_LISTED: usize = 10;

#[derive(Template)]
#[template(path = "console/keys/edit.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    version: u64,
    fields: KeyFields,
}

#[derive(Template)]
#[template(path = "console/keys/review.html")]
struct Review {
    frame: Frame,
    id: String,
    key_name: String,
    /// The submitted form, to be submitted again.
    fields: Vec<(String, String)>,
    changes: Vec<Change>,
    total: u64,
    formatted_total: String,
    denied: Vec<DeniedTable>,
    uncounted: bool,
}

struct Change {
    setting: &'static str,
    old: String,
    new: String,
}

/// Recent requests that would have been denied, by address or by scope.
struct DeniedTable {
    column: &'static str,
    title: &'static str,
    rows: Vec<(String, String)>,
    more: usize,
}

pub(super) async fn show(visit: ConsoleRequest<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let key = find(&visit, &path).await?;
    if !may_change(&visit, &key) {
        return Err(ErrorPage::not_permitted("You can only manage your own keys. Ask the owner or an admin."));
    }
    let policy = policy(&visit)?;
    page(&build(&visit, &key, key.version, &policy, &KeyForm::of(&key, &policy), Errors::default()))
}

/// Saves the key, or shows the review if the change restricts it.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let policy = policy(&visit)?;
    let key_form = KeyForm::read(&form, &policy)?;
    let seen = version(&form)?;
    if form.value("more").is_some() || form.value("remove").is_some() {
        return page(&build(&visit, &key, seen, &policy, &key_form.change_rows(&form), Errors::default()));
    }
    let parsed = match key_form.parse(days_from(&key, &policy, visit.now)) {
        Ok(parsed) => parsed,
        Err(violations) => {
            let errors = Errors::new(violations, FIELDS);
            return invalid_form(&build(&visit, &key, seen, &policy, &key_form, errors));
        }
    };

    // 2. Review a change that restricts the key.
    let edit = edit(&key, &key_form, parsed);
    let is_narrower = key.clone().edit(edit.clone(), visit.now).is_ok_and(|new| new.generation != key.generation);
    if is_narrower && form.value("confirmed").is_none() {
        return review(&visit, &key, &edit, &form).await;
    }

    // 3. Apply the change.
    let (node, organization, by, id) = (visit.node(), visit.organization(), visit.by(), key.id);
    let errors = match keys::edit(node, organization, &by, &id, Some(seen), edit).await {
        Ok((new, is_narrower)) => {
            let is_opened = key.networks.is_restricted() && !new.networks.is_restricted();
            let done = match (is_opened, is_narrower) {
                (true, _) => "opened",
                (false, true) => "narrowed",
                (false, false) => "edited",
            };
            return Ok(Reply::see_other(visit.path(&format!("/keys/{id}?done={done}"))));
        }
        Err(KeyError::Invalid(violations)) => Errors::new(number_rows(violations, &key_form.scopes), FIELDS),
        Err(KeyError::GrantExceeded(excess)) => Errors::sentence(error_page::describe_excess(&excess)),
        Err(other) => return Err(other.into()),
    };
    invalid_form(&build(&visit, &key, seen, &policy, &key_form, errors))
}

/// Returns the moment from which a chosen number of days counts: the creation of the secret if the policy limits lifetimes.
fn days_from(key: &ApiKey, policy: &Policy, now: Timestamp) -> Timestamp {
    if policy.limits_lifetimes() { key.secret_since() } else { now }
}

fn edit(key: &ApiKey, key_form: &KeyForm, parsed: ParsedKey) -> Edit {
    Edit {
        name: (key_form.name != key.name).then(|| key_form.name.clone()),
        description: (key_form.description != key.description).then(|| key_form.description.clone()),
        scopes: (parsed.scopes != key.scopes).then_some(parsed.scopes),
        networks: (parsed.networks != key.networks).then_some(parsed.networks),
        expires_at: parsed.expires_at,
    }
}

async fn review(visit: &ConsoleRequest<WriteKeys>, key: &ApiKey, edit: &Edit, form: &Form) -> Result<Reply, ErrorPage> {
    let to = Narrowing { scopes: edit.scopes.clone(), networks: edit.networks.clone() };
    let impact = usage::impact(visit.node(), visit.organization(), &key.id, &to, visit.now).await?;
    let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed"].contains(name));
    let fields = submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    page(&Review {
        frame: visit.frame(Section::Keys, "Restrict key?"),
        id: key.id.to_string(),
        key_name: display_name(key),
        fields,
        changes: changes(key, edit),
        total: impact.total().all(),
        formatted_total: format_count(impact.total().all()),
        uncounted: impact.by_address.uncounted.all() + impact.by_scope.uncounted.all() > 0,
        denied: denied_tables(&impact),
    })
}

fn changes(key: &ApiKey, edit: &Edit) -> Vec<Change> {
    let networks = |networks: &Networks| match networks.to_strings() {
        list if list.is_empty() => "any network".to_owned(),
        list => list.join(", "),
    };
    let mut changes = Vec::new();
    if let Some(new) = &edit.scopes {
        let only_in = |some: &ScopeSet, others: &ScopeSet| {
            let differs = |scope: &&Scope| !others.iter().any(|other| other == *scope);
            let scopes: Vec<String> = some.iter().filter(differs).map(ToString::to_string).collect();
            if scopes.is_empty() { "–".to_owned() } else { scopes.join(" ") }
        };
        changes.push(Change { setting: "Scopes", old: only_in(&key.scopes, new), new: only_in(new, &key.scopes) });
    }
    if let Some(new) = &edit.networks {
        changes.push(Change { setting: "Allowed networks", old: networks(&key.networks), new: networks(new) });
    }
    if let Some(new) = edit.expires_at.filter(|new| *new != key.expires_at) {
        let after = format_expiry(&ApiKey { expires_at: new, ..key.clone() });
        changes.push(Change { setting: "Expiry", old: format_expiry(key), new: after });
    }
    changes
}

fn denied_tables(impact: &Impact) -> Vec<DeniedTable> {
    let table = |title, column, denials: &DeniedUses| DeniedTable {
        title,
        column,
        more: denials.of.len().saturating_sub(MAX_LISTED),
        rows: denials
            .of
            .iter()
            .take(MAX_LISTED)
            .map(|detail| {
                let requests = detail.exchanges.saturating_add(detail.verifications);
                (detail.value.clone().unwrap_or_default(), format_count(requests))
            })
            .collect(),
    };
    let by_address = table("By IP address", "IP address", &impact.by_address);
    let by_scope = table("By scope", "Scope", &impact.by_scope);
    [by_address, by_scope].into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    version: u64,
    policy: &Policy,
    key_form: &KeyForm,
    errors: Errors,
) -> Page {
    let mut kept = format!("Keep current ({})", format_expiry(key));
    if policy.limits_lifetimes() {
        let since = rfc3339(key.secret_since());
        kept.push_str(&format!("; days count from {}", since.get(..10).unwrap_or_default()));
    }
    Page {
        frame: visit.frame(Section::Keys, "Edit key"),
        id: key.id.to_string(),
        key_name: display_name(key),
        version,
        fields: key_form.fields(policy, Some(&kept), &errors),
        errors,
    }
}
