//! Editing a key. Changes that widen or restrict its access are reviewed first, with the recent requests that restrictions
//! would have denied.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::changes::{Changes, DeniedRequests};
use crate::console::keys::create::{describe_limits, tenant};
use crate::console::keys::expiry::{DaysFrom, format_expiry};
use crate::console::keys::form::{KeyFields, KeyForm, Offer, ParsedKey};
use crate::console::keys::owner::{self, Holder, HolderFields};
use crate::console::keys::{display_name, find, may_change, summary, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Notice, format_date};
use crate::domain::api_key::{ApiKey, Difference, Direction, Edit};
use crate::domain::grants::Grants;
use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError, RequestedGrants};
use crate::usage::{self, Narrowing};

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
    changes: Changes,
    widens: bool,
    restricts: bool,
    /// Whether earlier tokens stop working although the key's access stays the same or is widened.
    ends_tokens: bool,
    warnings: Vec<Notice>,
    /// Recent requests that a restriction would have denied.
    denied: Option<DeniedRequests>,
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
    let offer = Offer::from(&*tenant);
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let key_form = KeyForm::of(&key, offer).widen(&key, offer, &query);
    let holder = Holder::of(&visit, &key).await?;
    page(&build(&visit, &key, key.version, offer, (&key_form, &holder), Errors::default()).await?)
}

/// Saves the key, or shows the review if the change widens or restricts its access.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let tenant = tenant(&visit)?;
    let offer = Offer::from(&*tenant);
    let policy = offer.policy;
    let key_form = KeyForm::read(&form, offer)?;
    let seen = version(&form)?;
    let holder = Holder::read(&form);
    if form.value("more").is_some() || form.value("remove").is_some() {
        let changed = key_form.change_rows(&form);
        return page(&build(&visit, &key, seen, offer, (&changed, &holder), Errors::default()).await?);
    }
    if form.value("back").is_some() {
        return page(&build(&visit, &key, seen, offer, (&key_form, &holder), Errors::default()).await?);
    }
    let customer = holder.find_customer(&visit).await?;
    let (parsed, customer) = match (key_form.parse(days_from(&key, policy, visit.now), Some(&key)), customer) {
        (Ok(parsed), Ok(customer)) => (parsed, customer),
        (parsed, customer) => {
            let violations = parsed.err().into_iter().flatten().chain(customer.err()).collect();
            let errors = key_form.errors(violations, &Grants::default());
            return invalid_form(&build(&visit, &key, seen, offer, (&key_form, &holder), errors).await?);
        }
    };

    // 2. Review a change of access.
    let new_owner = owner::read(&visit, &holder.owner).filter(|owner| *owner != key.owner);
    let new_customer = customer.filter(|customer| *customer != key.customer);
    let edit = Edit { owner: new_owner, customer: new_customer, ..edit(&key, &key_form, parsed) };
    if form.value("confirmed").is_none()
        && let Ok(new) = key.clone().edit(edit.clone(), visit.now)
    {
        let ends_tokens = new.profile != key.profile || new.named_networks != key.named_networks;
        let is_access = Difference::between(&*tenant.shared.effective(&key), &*tenant.shared.effective(&new))
            != Difference::default();
        if ends_tokens || is_access {
            return review(&visit, (&key, &new, offer), &form).await;
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
    invalid_form(&build(&visit, &key, seen, offer, (&key_form, &holder), errors).await?)
}

/// Returns the moment from which a chosen number of days counts: the creation of the secret if the policy limits lifetimes.
fn days_from(key: &ApiKey, policy: &Policy, now: Timestamp) -> Timestamp {
    if policy.limits_lifetimes() { key.secret_since() } else { now }
}

fn edit(key: &ApiKey, key_form: &KeyForm, parsed: ParsedKey) -> Edit {
    Edit {
        metadata: (parsed.metadata != key.metadata).then_some(parsed.metadata),
        name: (key_form.name != key.name).then(|| key_form.name.clone()),
        description: (key_form.description != key.description).then(|| key_form.description.clone()),
        grants: (parsed.grants != key.grants).then_some(parsed.grants),
        networks: (parsed.networks != key.networks).then_some(parsed.networks),
        named_networks: (parsed.named_networks != key.named_networks).then_some(parsed.named_networks),
        profile: (parsed.profile != key.profile).then_some(parsed.profile),
        expires_at: parsed.expires_at,
        owner: None,
        customer: None,
    }
}

/// Shows the review of a change, with the key's access in effect before and after.
async fn review(
    visit: &ConsoleRequest<WriteKeys>,
    (stored, edited, offer): (&ApiKey, &ApiKey, Offer<'_>),
    form: &Form,
) -> Result<Reply, ErrorPage> {
    let (key, new) = (&*offer.shared.effective(stored), &*offer.shared.effective(edited));
    let difference = Difference::between(key, new);
    let denied = match difference.restricts() {
        true => {
            let to = Narrowing {
                grants: (key.grants != new.grants).then(|| new.grants.clone()),
                networks: (key.networks != new.networks).then(|| new.networks.clone()),
            };
            let impact = usage::impact(visit.node(), visit.organization(), &key.id, &to, visit.now).await?;
            Some(DeniedRequests::new(&impact, offer.apis))
        }
        false => None,
    };
    let title = match difference.overall() {
        Direction::Restricted => "Restrict key?",
        Direction::Widened => "Widen key?",
        Direction::WidenedAndRestricted | Direction::Unchanged => "Change key?",
    };
    let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
    let known = summary::warnings_about(key, offer.apis);
    let is_new = |warning: &Notice| known.iter().all(|known| known.text != warning.text);
    page(&Review {
        frame: visit.frame(Section::Keys, title),
        id: key.id.to_string(),
        key_name: display_name(key),
        fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        changes: changes(stored, edited, offer),
        widens: difference.widens(),
        restricts: difference.restricts(),
        ends_tokens: stored.profile != edited.profile || stored.named_networks != edited.named_networks,
        warnings: summary::warnings_about(new, offer.apis).into_iter().filter(is_new).collect(),
        denied,
    })
}

/// Returns the references that change, and the fields whose access in effect changes.
fn changes(stored: &ApiKey, edited: &ApiKey, offer: Offer<'_>) -> Changes {
    let (key, new) = (&*offer.shared.effective(stored), &*offer.shared.effective(edited));
    let profile = |key: &ApiKey| key.profile.as_ref().map_or("none".to_owned(), Slug::to_string);
    let named = |key: &ApiKey| match key.named_networks.as_slice() {
        [] => "none".to_owned(),
        names => names.iter().map(Slug::to_string).collect::<Vec<_>>().join(", "),
    };
    Changes::default()
        .reference("Profile", profile(stored), profile(edited))
        .reference("Named networks", named(stored), named(edited))
        .grants(&key.grants, &new.grants, offer.apis)
        .networks(&key.networks, &new.networks)
        .lifetime(offer.shared.token_ttl_of(stored), offer.shared.token_ttl_of(edited))
        .limit("Expiry", (format_expiry(key), format_expiry(new)), Difference::between(key, new).expiry)
}

async fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    version: u64,
    offer: Offer<'_>,
    (key_form, holder): (&KeyForm, &Holder),
    errors: Errors,
) -> Result<Page, ErrorPage> {
    let policy = offer.policy;
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
        fields: key_form.fields(offer, Some(&kept), days, &errors),
        holder: holder.fields(visit, key.owner.as_ref(), &errors).await?,
        errors,
    })
}
