//! Creating a key.

use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::form::{FIELDS, KeyFields, KeyForm, number_rows};
use crate::console::keys::list::MAX_OWNERS;
use crate::console::keys::secret;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Select, SelectOption};
use crate::domain::member::MemberId;
use crate::domain::policy::Policy;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, IdempotentRequest, KeyError, NewKey};
use crate::members;

/// Ties a ticket to this form.
const TARGET: &str = "console create";

#[derive(Template)]
#[template(path = "console/keys/create.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    ticket: String,
    fields: KeyFields,
    owner: Option<Select>,
    has_no_signing_key: bool,
}

pub(super) async fn show(visit: ConsoleRequest<WriteKeys>) -> Result<Reply, ErrorPage> {
    let policy = policy(&visit)?;
    if visit.who.member.role < policy.create_role {
        return Err(ErrorPage::role_required(visit.who.member.role, policy.create_role));
    }
    page(&build(&visit, &policy, &KeyForm::empty(&policy), "", Errors::default(), keys::ticket()?).await?)
}

/// Creates the key and shows its secret once.
pub(super) async fn send(submitted: Submitted<WriteKeys>) -> Result<Reply, ErrorPage> {
    // 1. Read the form. Without JavaScript, adding a row renders the form again.
    let Submitted { visit, form } = submitted;
    let policy = policy(&visit)?;
    let key_form = KeyForm::read(&form, &policy)?;
    let (owner, ticket) = (form.value("owner").unwrap_or_default(), ticket(&form)?);
    if form.value("more").is_some() || form.value("remove").is_some() {
        return page(&build(&visit, &policy, &key_form.change_rows(&form), owner, Errors::default(), ticket).await?);
    }
    let parsed = match key_form.parse(visit.now) {
        Ok(parsed) => parsed,
        Err(violations) => {
            let errors = Errors::new(violations, FIELDS);
            return invalid_form(&build(&visit, &policy, &key_form, owner, errors, ticket).await?);
        }
    };

    // 2. Create the key. A repeated form creates no second key and shows no secret.
    let new = NewKey {
        name: key_form.name.clone(),
        description: key_form.description.clone(),
        owner: match owner {
            "" | "me" => None,
            "organization" => Some(None),
            id => Some(Some(MemberId(id.to_owned()))),
        },
        scopes: parsed.scopes,
        networks: parsed.networks,
        expires_at: parsed.expires_at.flatten(),
    };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let once = IdempotentRequest::form(&ticket, TARGET);
    let errors = match keys::create(node, organization, &by, new, Some(&once)).await {
        Ok((key, text)) => return secret::show_new(&visit, &key, &text, false),
        Err(KeyError::AlreadyDone(id)) => return secret::show_already_submitted(&visit, &id),
        Err(KeyError::Invalid(violations)) => Errors::new(number_rows(violations, &key_form.scopes), FIELDS),
        Err(KeyError::GrantExceeded(excess)) => Errors::sentence(error_page::describe_excess(&excess)),
        Err(KeyError::LimitReached) => Errors::sentence(describe_limits(&policy)),
        Err(other) => return Err(other.into()),
    };

    // 3. Show the errors.
    let page = build(&visit, &policy, &key_form, owner, errors, ticket).await?;
    invalid_form(&page)
}

/// Describes the limits of the policy.
fn describe_limits(policy: &Policy) -> String {
    let of_user = policy.max_keys_per_user.map(|most| format!("each member can have {most} keys"));
    let of_all = policy.max_keys.map(|most| format!("the organization can have {most} keys"));
    let limits = [of_user, of_all].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    format!("Key limit reached: {limits} (not counting revoked and expired keys). Revoke a key you no longer need.")
}

/// Reads the form's ticket.
pub(super) fn ticket(form: &Form) -> Result<String, ErrorPage> {
    let ticket = form.value("ticket").filter(|ticket| (16..=64).contains(&ticket.len()));
    ticket.map(str::to_owned).ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))
}

/// Returns the organization's policy.
pub(super) fn policy<P>(visit: &ConsoleRequest<P>) -> Result<Policy, ErrorPage> {
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    Ok(tenant.organization.policy.clone())
}

async fn build(
    visit: &ConsoleRequest<WriteKeys>,
    policy: &Policy,
    key_form: &KeyForm,
    owner: &str,
    errors: Errors,
    ticket: String,
) -> Result<Page, ErrorPage> {
    let tenant = visit.node().tenant(visit.organization());
    Ok(Page {
        frame: visit.frame(Section::Keys, "Create API key"),
        ticket,
        fields: key_form.fields(policy, None, &errors),
        owner: owner_field(visit, owner, &errors).await?,
        has_no_signing_key: tenant.is_none_or(|tenant| tenant.ring.current(visit.now).is_none()),
        errors,
    })
}

/// Returns the owner field, for members who manage all keys.
async fn owner_field(
    visit: &ConsoleRequest<WriteKeys>,
    chosen: &str,
    errors: &Errors,
) -> Result<Option<Select>, ErrorPage> {
    if !visit.by().may_manage_key_of(None) {
        return Ok(None);
    }
    let own = &visit.who.member;
    let mut options = vec![
        SelectOption::new("me", format!("{} (you)", own.email)),
        SelectOption::new("organization", "The organization (keeps working when members leave)"),
    ];
    let members = members::list(visit.node(), visit.organization()).await?;
    // With more members, other owners can be set only through the API.
    let is_few = members.len() <= MAX_OWNERS;
    let others = members.into_iter().filter(|member| is_few && member.id != own.id);
    options.extend(others.map(|member| SelectOption::new(member.id.0, member.email)));
    let select = Select::new("owner", "Owner", options, chosen);
    Ok(Some(select.hint("When a member is removed, their keys are revoked.").errors(errors)))
}
