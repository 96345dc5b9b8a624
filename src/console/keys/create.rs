//! Creating a key.

use std::sync::Arc;

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::api_fields::split;
use crate::console::keys::expiry::DaysFrom;
use crate::console::keys::form::{KeyFields, KeyForm, Offer, ParsedKey};
use crate::console::keys::owner::{self, Holder, HolderFields};
use crate::console::keys::{Granted, secret, summary};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Moment, Notice};
use crate::domain::api_key::Access;
use crate::domain::apis::ServedApi;
use crate::domain::grants::Grants;
use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, IdempotentRequest, KeyError, NewKey};
use crate::node::Tenant;

/// Ties a ticket to this form.
const TARGET: &str = "console create";

#[derive(Template)]
#[template(path = "console/keys/create.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    ticket: String,
    fields: KeyFields,
    holder: HolderFields,
    has_no_signing_key: bool,
}

/// The review of a key with unusual access, before it exists.
#[derive(Template)]
#[template(path = "console/keys/create_review.html")]
struct Review {
    frame: Frame,
    /// The submitted form, to be submitted again.
    fields: Vec<(String, String)>,
    summary: String,
    warnings: Vec<Notice>,
    name: String,
    owner: String,
    /// The profile that limits the key.
    profile: Option<String>,
    /// The scopes in effect.
    scopes: Granted,
    /// The networks in effect.
    networks: Vec<String>,
    is_nowhere: bool,
    expires: Option<Moment>,
}

/// Shows the form. A link from the page of a customer or a profile fills it in.
pub(super) async fn show(visit: ConsoleRequest<WriteKeys>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let tenant = tenant(&visit)?;
    let offer = Offer::from(&*tenant);
    if visit.who.member.role < offer.policy.create_role {
        return Err(ErrorPage::role_required(visit.who.member.role, offer.policy.create_role));
    }
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let key_form = KeyForm::empty(offer).with_profile(query.value("profile"), offer);
    let holder = Holder { owner: "organization".into(), customer: query.value("customer").map(str::to_owned) };
    page(&build(&visit, offer, &key_form, &holder, Errors::default(), keys::ticket()?).await?)
}

/// Creates the key and shows its secret once. A key with unusual access is reviewed first.
pub(super) async fn send(submitted: Submitted<WriteKeys>) -> Result<Reply, ErrorPage> {
    // 1. Read the form. Without JavaScript, adding a row renders the form again.
    let Submitted { visit, form } = submitted;
    let tenant = tenant(&visit)?;
    let offer = Offer::from(&*tenant);
    let key_form = KeyForm::read(&form, offer)?;
    let (holder, ticket) = (Holder::read(&form), ticket(&form)?);
    if ["more", "remove"].iter().any(|button| form.value(button).is_some()) {
        return page(&build(&visit, offer, &key_form.change_rows(&form), &holder, Errors::default(), ticket).await?);
    }
    if form.value("back").is_some() {
        return page(&build(&visit, offer, &key_form, &holder, Errors::default(), ticket).await?);
    }
    let customer = holder.find_customer(&visit).await?;
    let (parsed, customer) = match (key_form.parse_new(offer, visit.now), customer) {
        (Ok(parsed), Ok(customer)) => (parsed, customer.flatten()),
        (parsed, customer) => {
            let violations = parsed.err().into_iter().flatten().chain(customer.err()).collect();
            let errors = key_form.errors(violations, &Grants::default());
            return invalid_form(&build(&visit, offer, &key_form, &holder, errors, ticket).await?);
        }
    };

    // 2. Review unusual access.
    let ParsedKey { metadata, profile, grants, networks, named_networks, expires_at } = parsed;
    let expires_at = expires_at.flatten();
    let in_effect = (
        tenant.shared.grants_with(profile.as_ref(), &grants),
        tenant.shared.networks_with(profile.as_ref(), &networks, &named_networks),
    );
    let access = Access { grants: &in_effect.0, networks: &in_effect.1, expires_at };
    let warnings = summary::warnings(access, &tenant.apis);
    if !warnings.is_empty() && form.value("confirmed").is_none() {
        let profile = profile.as_ref().map(Slug::to_string);
        return review(&visit, (&key_form, profile, &holder.owner), (access, &tenant.apis), warnings, &form).await;
    }

    // 3. Create the key. A repeated form creates no second key and shows no secret.
    let new = NewKey {
        metadata,
        customer,
        name: key_form.name.clone(),
        description: key_form.description.clone(),
        owner: owner::read(&visit, &holder.owner),
        grants: split(&grants, &tenant.apis),
        profile,
        networks,
        named_networks,
        expires_at,
    };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let once = IdempotentRequest::form(&ticket, TARGET);
    let errors = match keys::create(node, organization, &by, new, Some(&once)).await {
        Ok((key, text)) => return secret::show_new(&visit, &key, &text, false),
        Err(KeyError::AlreadyDone(id)) => return secret::show_already_submitted(&visit, &id),
        Err(KeyError::Invalid(violations)) => key_form.errors(violations, &grants),
        Err(KeyError::GrantExceeded(excess)) => Errors::sentence(error_page::describe_excess(&excess)),
        Err(KeyError::LimitReached) => Errors::sentence(describe_limits(offer.policy)),
        Err(other) => return Err(other.into()),
    };

    // 4. Show the errors.
    let page = build(&visit, offer, &key_form, &holder, errors, ticket).await?;
    invalid_form(&page)
}

async fn review(
    visit: &ConsoleRequest<WriteKeys>,
    (key_form, profile, owner): (&KeyForm, Option<String>, &str),
    (access, apis): (Access<'_>, &[ServedApi]),
    warnings: Vec<Notice>,
    form: &Form,
) -> Result<Reply, ErrorPage> {
    let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
    let owner = owner::read(visit, owner).unwrap_or_else(|| Some(visit.who.member.id.clone()));
    page(&Review {
        frame: visit.frame(Section::Keys, "Review API key"),
        fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        summary: summary::describe_access(access, apis),
        warnings,
        name: key_form.name.clone(),
        profile,
        owner: owner::describe(visit, owner.as_ref()).await?,
        scopes: Granted::new(access.grants, apis),
        is_nowhere: access.networks.is_none(),
        networks: access.networks.to_strings(),
        expires: access.expires_at.map(Moment::day),
    })
}

/// Describes the limits of the policy.
pub(super) fn describe_limits(policy: &Policy) -> String {
    let of_user = policy.max_keys_per_user.map(|most| {
        format!("each member and each customer can have {most} keys, unless the customer has its own limit")
    });
    let of_all = policy.max_keys.map(|most| format!("the organization can have {most} keys"));
    let limits = [of_user, of_all].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    format!("Key limit reached: {limits} (not counting revoked and expired keys). Revoke a key you no longer need.")
}

/// Reads the form's ticket.
pub(in crate::console) fn ticket(form: &Form) -> Result<String, ErrorPage> {
    let ticket = form.value("ticket").filter(|ticket| (16..=64).contains(&ticket.len()));
    ticket.map(str::to_owned).ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))
}

/// Returns the organization's policy.
pub(super) fn policy<P>(visit: &ConsoleRequest<P>) -> Result<Policy, ErrorPage> {
    Ok(tenant(visit)?.organization.policy.clone())
}

/// Returns the organization with its APIs.
pub(super) fn tenant<P>(visit: &ConsoleRequest<P>) -> Result<Arc<Tenant>, ErrorPage> {
    visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)
}

async fn build(
    visit: &ConsoleRequest<WriteKeys>,
    offer: Offer<'_>,
    key_form: &KeyForm,
    holder: &Holder,
    errors: Errors,
    ticket: String,
) -> Result<Page, ErrorPage> {
    let tenant = visit.node().tenant(visit.organization());
    Ok(Page {
        frame: visit.frame(Section::Keys, "Create API key"),
        ticket,
        fields: key_form.fields(offer, None, DaysFrom { since: visit.now, now: visit.now }, &errors),
        holder: holder.fields(visit, None, &errors).await?,
        has_no_signing_key: tenant.is_none_or(|tenant| tenant.ring.is_empty()),
        errors,
    })
}
