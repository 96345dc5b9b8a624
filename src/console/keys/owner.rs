//! The owner field of a key, for members who manage all keys.

use crate::console::error_page::ErrorPage;
use crate::console::keys::list::MAX_OWNERS;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Errors, Select, SelectOption};
use crate::domain::api_key::ApiKey;
use crate::domain::member::MemberId;
use crate::http::permission::WriteKeys;
use crate::members;

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
pub(super) fn option_of(visit: &ConsoleRequest<WriteKeys>, key: &ApiKey) -> String {
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
