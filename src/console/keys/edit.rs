//! Editing a key. What narrows it is shown first, with what it would have refused of late.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::clock::rfc3339;
use crate::console::frame::{Frame, Section, page, refused};
use crate::console::keys::create::policy;
use crate::console::keys::wish::{FIELDS, KeyFields, Read, Wish, ends, numbered};
use crate::console::keys::{find, may_change, name, version};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::{self, Trouble};
use crate::console::ui::{Errors, count};
use crate::console::visit::Visit;
use crate::domain::api_key::{ApiKey, Edit};
use crate::domain::networks::Networks;
use crate::domain::policy::Policy;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError};
use crate::usage::{self, Impact, Narrowing, Refusals};

/// Addresses, and things asked for, that are named at most.
const NAMED: usize = 10;

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
#[template(path = "console/keys/narrow.html")]
struct Review {
    frame: Frame,
    id: String,
    key_name: String,
    /// The form as it was sent, to be sent again.
    fields: Vec<(String, String)>,
    changes: Vec<Change>,
    total: u64,
    shown_total: String,
    refused: Vec<Account>,
    uncounted: bool,
}

/// A field before and after.
struct Change {
    what: &'static str,
    old: String,
    new: String,
}

/// What would have been refused on one account.
struct Account {
    title: &'static str,
    rows: Vec<(String, String)>,
    more: usize,
}

/// Shows the form.
pub(super) async fn show(visit: Visit<WriteKeys>, path: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let key = find(&visit, &path).await?;
    if !may_change(&visit, &key) {
        return Err(Trouble::beyond("You manage your own keys only. Ask its owner or an admin."));
    }
    let policy = policy(&visit)?;
    page(&build(&visit, &key, key.version, &policy, &Wish::of(&key, &policy), Errors::default()))
}

/// Saves, or shows first what would be refused.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<HttpResponse, Trouble> {
    // 1. What was typed.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let policy = policy(&visit)?;
    let wish = Wish::read(&form, &policy)?;
    let seen = version(&form)?;
    if form.value("more").is_some() || form.value("remove").is_some() {
        return page(&build(&visit, &key, seen, &policy, &wish.without(&form), Errors::default()));
    }
    let read = match wish.check(days_from(&key, &policy, visit.now)) {
        Ok(read) => read,
        Err(wrong) => return refused(&build(&visit, &key, seen, &policy, &wish, Errors::new(wrong, &FIELDS))),
    };

    // 2. What narrows the key is looked at before it is done.
    let edit = edit(&key, &wish, read);
    let is_narrower = key.clone().edit(edit.clone(), visit.now).is_ok_and(|new| new.generation != key.generation);
    if is_narrower && form.value("confirmed").is_none() {
        return review(&visit, &key, &edit, &form).await;
    }

    // 3. The change.
    let (node, organization, by, id) = (visit.node().clone(), visit.organization().clone(), visit.by(), key.id);
    let edited = async move { keys::edit(&node, &organization, &by, &id, Some(seen), edit).await };
    let errors = match visit.node().run_to_end(edited).await {
        Ok((new, is_narrower)) => {
            let is_opened = key.networks.is_restricted() && !new.networks.is_restricted();
            let done = match (is_opened, is_narrower) {
                (true, _) => "opened",
                (false, true) => "narrowed",
                (false, false) => "edited",
            };
            return Ok(see_other(&visit.path(&format!("/keys/{id}?done={done}"))));
        }
        Err(KeyError::Invalid(wrong)) => Errors::new(numbered(wrong, &wish.scopes), &FIELDS),
        Err(KeyError::Beyond(too_much)) => Errors::sentence(trouble::beyond(&too_much)),
        Err(other) => return Err(other.into()),
    };
    refused(&build(&visit, &key, seen, &policy, &wish, errors))
}

/// The moment from which an edit counts days: where the policy limits lifetimes, the creation of the secret.
fn days_from(key: &ApiKey, policy: &Policy, now: Timestamp) -> Timestamp {
    if policy.limits_lifetimes() { key.secret_since() } else { now }
}

fn edit(key: &ApiKey, wish: &Wish, read: Read) -> Edit {
    Edit {
        name: (wish.name != key.name).then(|| wish.name.clone()),
        description: (wish.description != key.description).then(|| wish.description.clone()),
        scopes: (read.scopes != key.scopes).then_some(read.scopes),
        networks: (read.networks != key.networks).then_some(read.networks),
        expires_at: read.expires_at,
    }
}

async fn review(visit: &Visit<WriteKeys>, key: &ApiKey, edit: &Edit, form: &Form) -> Result<HttpResponse, Trouble> {
    let to = Narrowing { scopes: edit.scopes.clone(), networks: edit.networks.clone() };
    let impact = usage::impact(visit.node(), visit.organization(), &key.id, &to, visit.now).await?;
    let sent = form.all().filter(|(name, _)| !["csrf", "confirmed"].contains(name));
    let fields = sent.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    page(&Review {
        frame: visit.frame(Section::Keys, "Narrow this key?"),
        id: key.id.to_string(),
        key_name: name(key),
        fields,
        changes: changes(key, edit),
        total: impact.total().all(),
        shown_total: count(impact.total().all()),
        uncounted: impact.by_address.uncounted.all() + impact.by_scope.uncounted.all() > 0,
        refused: accounts(&impact),
    })
}

fn changes(key: &ApiKey, edit: &Edit) -> Vec<Change> {
    let networks = |networks: &Networks| match networks.to_strings() {
        list if list.is_empty() => "everywhere".to_owned(),
        list => list.join(", "),
    };
    let mut changes = Vec::new();
    if let Some(new) = &edit.scopes {
        let only_in = |some: &ScopeSet, others: &ScopeSet| {
            let differs = |scope: &&Scope| !others.iter().any(|other| other == *scope);
            let scopes: Vec<String> = some.iter().filter(differs).map(ToString::to_string).collect();
            if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") }
        };
        changes.push(Change {
            what: "Scopes that differ",
            old: only_in(&key.scopes, new),
            new: only_in(new, &key.scopes),
        });
    }
    if let Some(new) = &edit.networks {
        changes.push(Change { what: "Allowed networks", old: networks(&key.networks), new: networks(new) });
    }
    if let Some(new) = edit.expires_at.filter(|new| *new != key.expires_at) {
        let after = ends(&ApiKey { expires_at: new, ..key.clone() });
        changes.push(Change { what: "Expiry", old: ends(key), new: after });
    }
    changes
}

fn accounts(impact: &Impact) -> Vec<Account> {
    let account = |title, refusals: &Refusals| Account {
        title,
        more: refusals.of.len().saturating_sub(NAMED),
        rows: refusals
            .of
            .iter()
            .take(NAMED)
            .map(|detail| {
                let uses = detail.exchanges.saturating_add(detail.verifications);
                (detail.value.clone().unwrap_or_default(), count(uses))
            })
            .collect(),
    };
    let both = [account("From addresses", &impact.by_address), account("For scopes", &impact.by_scope)];
    both.into_iter().filter(|account| !account.rows.is_empty()).collect()
}

fn build(visit: &Visit<WriteKeys>, key: &ApiKey, version: u64, policy: &Policy, wish: &Wish, errors: Errors) -> Page {
    let mut kept = format!("As it is: {}", ends(key));
    if policy.limits_lifetimes() {
        let since = rfc3339(key.secret_since());
        kept.push_str(&format!("; days are counted from {}", since.get(..10).unwrap_or_default()));
    }
    Page {
        frame: visit.frame(Section::Keys, "Edit this key"),
        id: key.id.to_string(),
        key_name: name(key),
        version,
        fields: wish.fields(policy, Some(&kept), &errors),
        errors,
    }
}
