//! Editing a key. Changes that widen or restrict its access are reviewed first, with the recent requests that restrictions
//! would have denied.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::{describe_limits, tenant};
use crate::console::keys::expiry::{DaysFrom, format_expiry};
use crate::console::keys::form::{KeyFields, KeyForm, ParsedKey};
use crate::console::keys::granted::describe_detail;
use crate::console::keys::owner::{self, Holder, HolderFields};
use crate::console::keys::summary::{self, describe_networks};
use crate::console::keys::{display_name, find, may_change, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Errors, Notice, Tone, format_count, format_date};
use crate::domain::api_key::{ApiKey, Difference, Direction, Edit};
use crate::domain::apis::ServedApi;
use crate::domain::apis::api_name;
use crate::domain::grants::Grants;
use crate::domain::policy::Policy;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError, RequestedGrants};
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
    holder: HolderFields,
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
    widens: bool,
    restricts: bool,
    warnings: Vec<Notice>,
    total: u64,
    formatted_total: String,
    denied: Vec<DeniedTable>,
    uncounted: bool,
}

struct Change {
    setting: String,
    old: String,
    new: String,
    badge: Badge,
}

/// Recent requests that would have been denied, by address or by scope.
struct DeniedTable {
    column: &'static str,
    title: &'static str,
    rows: Vec<(String, String)>,
    more: usize,
}

pub(super) async fn show(
    visit: ConsoleRequest<WriteKeys>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<Reply, ErrorPage> {
    let key = find(&visit, &path).await?;
    if !may_change(&visit, &key) {
        return Err(ErrorPage::not_permitted("You can only manage your own keys. Ask the owner or an admin."));
    }
    let tenant = tenant(&visit)?;
    let policy = &tenant.organization.policy;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let key_form = KeyForm::of(&key, policy, &tenant.apis).widen(&key, policy, &tenant.apis, &query);
    let holder = Holder::of(&visit, &key).await?;
    page(&build(&visit, &key, key.version, policy, (&key_form, &holder), Errors::default()).await?)
}

/// Saves the key, or shows the review if the change widens or restricts its access.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let tenant = tenant(&visit)?;
    let policy = &tenant.organization.policy;
    let key_form = KeyForm::read(&form, policy, &tenant.apis)?;
    let seen = version(&form)?;
    let holder = Holder::read(&form);
    if form.value("more").is_some() || form.value("remove").is_some() {
        let changed = key_form.change_rows(&form);
        return page(&build(&visit, &key, seen, policy, (&changed, &holder), Errors::default()).await?);
    }
    if form.value("back").is_some() {
        return page(&build(&visit, &key, seen, policy, (&key_form, &holder), Errors::default()).await?);
    }
    let customer = holder.find_customer(&visit).await?;
    let (parsed, customer) = match (key_form.parse(days_from(&key, policy, visit.now), Some(&key.grants)), customer) {
        (Ok(parsed), Ok(customer)) => (parsed, customer),
        (parsed, customer) => {
            let violations = parsed.err().into_iter().flatten().chain(customer.err()).collect();
            let errors = key_form.errors(violations, &Grants::default());
            return invalid_form(&build(&visit, &key, seen, policy, (&key_form, &holder), errors).await?);
        }
    };

    // 2. Review a change of access.
    let new_owner = owner::read(&visit, &holder.owner).filter(|owner| *owner != key.owner);
    let new_customer = customer.filter(|customer| *customer != key.customer);
    let edit = Edit { owner: new_owner, customer: new_customer, ..edit(&key, &key_form, parsed) };
    if form.value("confirmed").is_none()
        && let Ok(new) = key.clone().edit(edit.clone(), visit.now)
    {
        // With its profile and named networks.
        let (old, new) = (tenant.shared.effective(&key), tenant.shared.effective(&new));
        if Difference::between(&*old, &*new) != Difference::default() {
            return review(&visit, (&old, &new, &tenant.apis), &form).await;
        }
    }

    // 3. Apply the change.
    let grants = edit.grants.clone().unwrap_or_default();
    let (node, organization, by, id) = (visit.node(), visit.organization(), visit.by(), key.id);
    let errors = match keys::edit(node, organization, &by, &id, Some(seen), edit, RequestedGrants::default()).await {
        Ok((new, is_narrower)) => {
            let is_restricted = |key: &ApiKey| tenant.shared.networks_of(key).is_restricted();
            let is_opened = is_restricted(&key) && !is_restricted(&new);
            let message = match (is_opened, is_narrower) {
                (true, _) => "Key updated. Warning: it can now be used from any network.",
                (false, true) => "Key updated. Tokens issued earlier no longer work.",
                (false, false) => "Key updated.",
            };
            return visit.done(&format!("/keys/{id}"), message);
        }
        Err(KeyError::Invalid(violations)) => key_form.errors(violations, &grants),
        Err(KeyError::GrantExceeded(excess)) => Errors::sentence(error_page::describe_excess(&excess)),
        Err(KeyError::LimitReached) => Errors::sentence(describe_limits(policy)),
        Err(other) => return Err(other.into()),
    };
    invalid_form(&build(&visit, &key, seen, policy, (&key_form, &holder), errors).await?)
}

/// Returns the moment from which a chosen number of days counts: the creation of the secret if the policy limits lifetimes.
fn days_from(key: &ApiKey, policy: &Policy, now: Timestamp) -> Timestamp {
    if policy.limits_lifetimes() { key.secret_since() } else { now }
}

fn edit(key: &ApiKey, key_form: &KeyForm, parsed: ParsedKey) -> Edit {
    Edit {
        metadata: None,
        name: (key_form.name != key.name).then(|| key_form.name.clone()),
        description: (key_form.description != key.description).then(|| key_form.description.clone()),
        grants: (parsed.grants != key.grants).then_some(parsed.grants),
        networks: (parsed.networks != key.networks).then_some(parsed.networks),
        expires_at: parsed.expires_at,
        named_networks: None,
        profile: None,
        owner: None,
        customer: None,
    }
}

async fn review(
    visit: &ConsoleRequest<WriteKeys>,
    (key, new, apis): (&ApiKey, &ApiKey, &[ServedApi]),
    form: &Form,
) -> Result<Reply, ErrorPage> {
    let difference = Difference::between(key, new);
    let impact = match difference.restricts() {
        true => {
            let to = Narrowing {
                grants: (key.grants != new.grants).then(|| new.grants.clone()),
                networks: (key.networks != new.networks).then(|| new.networks.clone()),
            };
            Some(usage::impact(visit.node(), visit.organization(), &key.id, &to, visit.now).await?)
        }
        false => None,
    };
    let total = impact.as_ref().map_or(0, |impact| impact.total().all());
    let title = match difference.overall() {
        Direction::Restricted => "Restrict key?",
        Direction::Widened => "Widen key?",
        Direction::WidenedAndRestricted | Direction::Unchanged => "Change key?",
    };
    let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
    let known = summary::warnings_about(key, apis);
    let is_new = |warning: &Notice| known.iter().all(|known| known.text != warning.text);
    page(&Review {
        frame: visit.frame(Section::Keys, title),
        id: key.id.to_string(),
        key_name: display_name(key),
        fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        changes: changes(key, new, apis),
        widens: difference.widens(),
        restricts: difference.restricts(),
        warnings: summary::warnings_about(new, apis).into_iter().filter(is_new).collect(),
        total,
        formatted_total: format_count(total),
        uncounted: impact.as_ref().is_some_and(|impact| impact.uncounted() > 0),
        denied: impact.as_ref().map(|impact| denied_tables(impact, apis)).unwrap_or_default(),
    })
}

/// Returns the fields whose access changes, in words.
fn changes(key: &ApiKey, new: &ApiKey, apis: &[ServedApi]) -> Vec<Change> {
    let difference = Difference::between(key, new);
    let mut changes: Vec<Change> = apis.iter().filter_map(|served| change_of_api(key, new, served, apis)).collect();
    if difference.networks != Direction::Unchanged {
        let (old, new) = (describe_networks(&key.networks), describe_networks(&new.networks));
        changes.push(Change { setting: "Allowed networks".into(), old, new, badge: badge(difference.networks) });
    }
    if difference.expiry != Direction::Unchanged {
        let (old, new) = (format_expiry(key), format_expiry(new));
        changes.push(Change { setting: "Expiry".into(), old, new, badge: badge(difference.expiry) });
    }
    changes
}

/// Returns how the scopes of one API change.
fn change_of_api(key: &ApiKey, new: &ApiKey, served: &ServedApi, apis: &[ServedApi]) -> Option<Change> {
    let (old, new) = (key.grants.get(served.api.id), new.grants.get(served.api.id));
    let direction = direction_of_api(old, new);
    if direction == Direction::Unchanged {
        return None;
    }
    let only_in = |some: Option<&ScopeSet>, others: Option<&ScopeSet>| {
        let Some(some) = some else { return "not granted".to_owned() };
        let differs = |scope: &&Scope| !others.is_some_and(|others| others.iter().any(|other| other == *scope));
        let scopes: Vec<String> = some.iter().filter(differs).map(ToString::to_string).collect();
        if scopes.is_empty() { "–".to_owned() } else { scopes.join(" ") }
    };
    let setting = match api_name(apis, served.api.id) {
        Some(name) if apis.len() > 1 => format!("Scopes of {name}"),
        _ => "Scopes".into(),
    };
    Some(Change { setting, old: only_in(old, new), new: only_in(new, old), badge: badge(direction) })
}

fn direction_of_api(old: Option<&ScopeSet>, new: Option<&ScopeSet>) -> Direction {
    match (old, new) {
        (None, None) => Direction::Unchanged,
        (None, Some(_)) => Direction::Widened,
        (Some(_), None) => Direction::Restricted,
        (Some(old), Some(new)) => Direction::of_scopes(old, new),
    }
}

fn badge(direction: Direction) -> Badge {
    match direction {
        Direction::Unchanged => Badge::new(Tone::Plain, "Unchanged"),
        Direction::Widened => Badge::new(Tone::Warning, "Widened"),
        Direction::Restricted => Badge::new(Tone::Plain, "Restricted"),
        Direction::WidenedAndRestricted => Badge::new(Tone::Warning, "Widened and restricted"),
    }
}

fn denied_tables(impact: &Impact, apis: &[ServedApi]) -> Vec<DeniedTable> {
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
                (describe_detail(detail.api, detail.value.as_deref(), apis), format_count(requests))
            })
            .collect(),
    };
    let by_address = table("By IP address", "IP address", &impact.by_address);
    let by_api = table("By API that is no longer granted", "API", &impact.by_api);
    let by_scope = table("By scope", "Scope", &impact.by_scope);
    [by_address, by_api, by_scope].into_iter().filter(|table| !table.rows.is_empty()).collect()
}

async fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    version: u64,
    policy: &Policy,
    (key_form, holder): (&KeyForm, &Holder),
    errors: Errors,
) -> Result<Page, ErrorPage> {
    let mut kept = format!("Keep current ({})", format_expiry(key));
    if policy.limits_lifetimes() {
        kept.push_str(&format!("; days count from {}", format_date(key.secret_since())));
    }
    let days = DaysFrom { since: days_from(key, policy, visit.now), now: visit.now };
    Ok(Page {
        frame: visit.frame(Section::Keys, "Edit key"),
        id: key.id.to_string(),
        key_name: display_name(key),
        version,
        fields: key_form.fields(policy, Some(&kept), days, &errors),
        holder: holder.fields(visit, key.owner.as_ref(), &errors).await?,
        errors,
    })
}
