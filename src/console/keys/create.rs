//! Making a key.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::keys::list::MOST_OFFERED;
use crate::console::keys::secret;
use crate::console::keys::wish::{FIELDS, KeyFields, Wish};
use crate::console::submitted::Submitted;
use crate::console::trouble::{self, Trouble};
use crate::console::ui::{Errors, Offer, Select};
use crate::console::visit::Visit;
use crate::domain::member::MemberId;
use crate::domain::policy::Policy;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError, NewKey, Once};
use crate::members;

/// Where the form is sent, which makes its ticket this form's own.
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

/// Shows the form.
pub(super) async fn show(visit: Visit<WriteKeys>) -> Result<HttpResponse, Trouble> {
    let policy = policy(&visit)?;
    if visit.who.member.role < policy.create_role {
        return Err(Trouble::role_required(visit.who.member.role, policy.create_role));
    }
    page(&build(&visit, &policy, &Wish::empty(&policy), "", Errors::default(), keys::ticket()?).await?)
}

/// Makes the key and shows its secret, once.
pub(super) async fn send(submitted: Submitted<WriteKeys>) -> Result<HttpResponse, Trouble> {
    // 1. What was typed. Without a script another row is a form with more rows.
    let Submitted { visit, form } = submitted;
    let policy = policy(&visit)?;
    let wish = Wish::read(&form, &policy)?;
    let (owner, ticket) = (form.value("owner").unwrap_or_default(), ticket(&form)?);
    if form.value("more").is_some() || form.value("remove").is_some() {
        return page(&build(&visit, &policy, &wish.without(&form), owner, Errors::default(), ticket).await?);
    }
    let read = match wish.check(visit.now) {
        Ok(read) => read,
        Err(wrong) => {
            let errors = Errors::new(wrong, &FIELDS);
            return refused(&build(&visit, &policy, &wish, owner, errors, ticket).await?);
        }
    };

    // 2. The key. Sent again, the form makes no second one and shows no secret.
    let new = NewKey {
        name: wish.name.clone(),
        description: wish.description.clone(),
        owner: match owner {
            "" | "me" => None,
            "organization" => Some(None),
            id => Some(Some(MemberId(id.to_owned()))),
        },
        scopes: read.scopes,
        networks: read.networks,
        expires_at: read.expires_at.flatten(),
    };
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let once = Once::form(&ticket, TARGET);
    let made = async move { keys::create(&node, &organization, &by, new, Some(&once)).await };
    let errors = match visit.node().run_to_end(made).await {
        Ok((key, text)) => return secret::shown(&visit, &key, &text, "made"),
        Err(KeyError::AlreadyDone(id)) => return secret::shown_before(&visit, &id),
        Err(KeyError::Invalid(wrong)) => Errors::new(super::wish::numbered(wrong, &wish.scopes), &FIELDS),
        Err(KeyError::Beyond(too_much)) => Errors::sentence(trouble::beyond(&too_much)),
        Err(KeyError::LimitReached) => Errors::sentence(limit(&policy)),
        Err(other) => return Err(other.into()),
    };

    // 3. What was wrong with it.
    let page = build(&visit, &policy, &wish, owner, errors, ticket).await?;
    refused(&page)
}

/// The limit that is reached, in a sentence.
fn limit(policy: &Policy) -> String {
    let of_user = policy.max_keys_per_user.map(|most| format!("a member may have {most} keys"));
    let of_all = policy.max_keys.map(|most| format!("the organization may have {most} keys"));
    let limits = [of_user, of_all].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    format!(
        "The limit of keys is reached: {limits} that are neither revoked nor expired. Revoke one that is not needed."
    )
}

/// The ticket that the form carries.
pub(super) fn ticket(form: &Form) -> Result<String, Trouble> {
    let ticket = form.value("ticket").filter(|ticket| (16..=64).contains(&ticket.len()));
    ticket.map(str::to_owned).ok_or_else(|| Trouble::bad_form("its ticket is missing"))
}

/// The policy in force.
pub(super) fn policy<P>(visit: &Visit<P>) -> Result<Policy, Trouble> {
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(Trouble::not_found)?;
    Ok(tenant.organization.policy.clone())
}

async fn build(
    visit: &Visit<WriteKeys>,
    policy: &Policy,
    wish: &Wish,
    owner: &str,
    errors: Errors,
    ticket: String,
) -> Result<Page, Trouble> {
    let tenant = visit.node().tenant(visit.organization());
    Ok(Page {
        frame: visit.frame(Section::Keys, "Create API key"),
        ticket,
        fields: wish.fields(policy, None, &errors),
        owner: owners(visit, owner, &errors).await?,
        has_no_signing_key: tenant.is_none_or(|tenant| tenant.ring.current(visit.now).is_none()),
        errors,
    })
}

/// To whom a key may belong, for those who may choose.
async fn owners(visit: &Visit<WriteKeys>, chosen: &str, errors: &Errors) -> Result<Option<Select>, Trouble> {
    if !visit.by().may_manage_key_of(None) {
        return Ok(None);
    }
    let own = &visit.who.member;
    let mut offers = vec![
        Offer::new("me", format!("You, {}", own.email)),
        Offer::new("organization", "The organization: it outlives every member"),
    ];
    let members = members::list(visit.node(), visit.organization()).await?;
    // Of more, a key is given to somebody else over the API.
    let is_few = members.len() <= MOST_OFFERED;
    let others = members.into_iter().filter(|member| is_few && member.id != own.id);
    offers.extend(others.map(|member| Offer::new(member.id.0, member.email)));
    let select = Select::new("owner", "Owner", offers, chosen);
    Ok(Some(select.hint("The keys of a member are revoked when the member is removed.").errors(errors)))
}
