//! The owner and the customer of a key, for members who manage all keys.

use crate::console::error_page::ErrorPage;
use crate::console::keys::list::MAX_OWNERS;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Errors, Field, Select, SelectOption};
use crate::customers;
use crate::domain::api_key::ApiKey;
use crate::domain::customer::{CustomerId, ExternalId};
use crate::domain::member::MemberId;
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::members;

/// The raw values of the fields.
#[derive(Clone, Default, Debug)]
pub(super) struct Holder {
    pub(super) owner: String,
    /// The external ID or ID of a customer. `None` if the form has no such field.
    pub(super) customer: Option<String>,
}

/// The fields as rendered; `None` for members who manage only their own keys.
pub(super) struct HolderFields {
    pub(super) owner: Option<Select>,
    pub(super) customer: Option<Field>,
}

impl Holder {
    /// Reads a submitted form.
    pub(super) fn read(form: &Form) -> Self {
        Self {
            owner: form.value("owner").unwrap_or_default().to_owned(),
            customer: form.value("customer").map(|text| text.trim().to_owned()),
        }
    }

    /// Returns the values of an existing key.
    pub(super) async fn of(visit: &ConsoleRequest<WriteKeys>, key: &ApiKey) -> Result<Self, ErrorPage> {
        let customer = visit.node().customer_of(key).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
        let customer = customer.map(|customer| customer.external_id.to_string()).unwrap_or_default();
        Ok(Self { owner: option_of(visit, key), customer: Some(customer) })
    }

    /// Finds the customer. `None` without such a field; an error for the form if there is no such customer.
    pub(super) async fn find_customer(
        &self,
        visit: &ConsoleRequest<WriteKeys>,
    ) -> Result<Result<Option<Option<CustomerId>>, Violation>, ErrorPage> {
        match self.customer.as_deref() {
            None => Ok(Ok(None)),
            Some("") => Ok(Ok(Some(None))),
            Some(text) => {
                let found = customers::find_named(visit.node(), visit.organization(), text).await?;
                let missing = || Violation::new("customer", "No customer has this external ID. Create it first.");
                Ok(found.map(|customer| Some(Some(customer.id))).ok_or_else(missing))
            }
        }
    }

    /// Renders the fields with their errors. `current` is the owner of an existing key.
    pub(super) async fn fields(
        &self,
        visit: &ConsoleRequest<WriteKeys>,
        current: Option<&MemberId>,
        errors: &Errors,
    ) -> Result<HolderFields, ErrorPage> {
        let owner = owner_field(visit, current, &self.owner, errors).await?;
        let customer = owner.is_some().then(|| {
            Field::text("customer", "Customer", self.customer.clone().unwrap_or_default())
                .hint("The external ID of the customer whom the key is given to. Such a key belongs to no member.")
                .max_length(ExternalId::MAX)
                .errors(errors)
        });
        Ok(HolderFields { owner, customer })
    }
}

/// Returns the field; `None` for members who manage only their own keys. `current` is the owner of an existing key.
pub(super) async fn owner_field(
    visit: &ConsoleRequest<WriteKeys>,
    current: Option<&MemberId>,
    chosen: &str,
    errors: &Errors,
) -> Result<Option<Select>, ErrorPage> {
    if !visit.by().may_manage_key_of(None) {
        return Ok(None);
    }
    let own = &visit.who.member;
    let mut options = vec![
        SelectOption::new("organization", "The organization (keeps working when members leave)"),
        SelectOption::new("me", format!("{} (you)", own.email)),
    ];
    let members = members::list(visit.node(), visit.organization()).await?;
    // With more members, other owners can be set only through the API.
    let is_few = members.len() <= MAX_OWNERS;
    let is_offered =
        |member: &crate::domain::member::Member| member.id != own.id && (is_few || Some(&member.id) == current);
    let others = members.into_iter().filter(is_offered);
    options.extend(others.map(|member| SelectOption::new(member.id.0, member.email)));
    let select = Select::new("owner", "Owner", options, chosen);
    Ok(Some(select.hint("When a member is removed, their keys are transferred or revoked.").errors(errors)))
}

/// Returns the option for a key's owner.
fn option_of(visit: &ConsoleRequest<WriteKeys>, key: &ApiKey) -> String {
    match &key.owner {
        None => "organization".into(),
        Some(owner) if *owner == visit.who.member.id => "me".into(),
        Some(owner) => owner.0.clone(),
    }
}

/// Reads a chosen option. `None` without a choice.
pub(super) fn read(visit: &ConsoleRequest<WriteKeys>, chosen: &str) -> Option<Option<MemberId>> {
    match chosen {
        "" => None,
        "me" => Some(Some(visit.who.member.id.clone())),
        "organization" => Some(None),
        id => Some(Some(MemberId(id.to_owned()))),
    }
}

/// Returns an owner's email.
pub(super) async fn describe(visit: &ConsoleRequest<WriteKeys>, owner: Option<&MemberId>) -> Result<String, ErrorPage> {
    let Some(owner) = owner else { return Ok("Organization".into()) };
    let members = members::list(visit.node(), visit.organization()).await?;
    let email = members.into_iter().find(|member| member.id == *owner).map(|member| member.email);
    Ok(email.unwrap_or_else(|| "Removed member".into()))
}
