//! Members: the list, a member's page, and adding, changing and removing members.

mod add;
mod change;
mod list;
mod remove;
mod reset;
mod show;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::SelectOption;
use crate::domain::api_key::ApiKey;
use crate::domain::member::{Member, MemberId, Role};
use crate::http::form::Form;
use crate::keys;
use crate::members::{self, MemberError};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/members", [get(list::show)]))
        .service(resource("/members/new", [get(add::show), submit(add::add)]))
        .service(resource("/members/{id}", [get(show::show), submit(change::change)]))
        .service(resource("/members/{id}/reset-password", [get(reset::show), submit(reset::reset)]))
        .service(resource("/members/{id}/remove", [get(remove::show), submit(remove::remove)]))
        .service(resource("/members/{id}/sessions/{session}/end", [submit(show::end_session)]));
}

/// Returns the member with the ID from the path.
async fn find_member<P>(visit: &ConsoleRequest<P>, id: &str) -> Result<Member, ErrorPage> {
    let id = MemberId::parse(id).ok_or_else(ErrorPage::not_found)?;
    Ok(members::find(visit.node(), visit.organization(), &id).await?)
}

/// Whether the visitor can assign and remove a role.
fn may_change<P>(visit: &ConsoleRequest<P>, role: Role) -> bool {
    visit.by().may_change_role(role).is_ok()
}

/// Returns the roles that the visitor can assign, weakest first, with descriptions.
fn role_options<P>(visit: &ConsoleRequest<P>) -> Vec<SelectOption> {
    let given = Role::ALL.into_iter().filter(|role| may_change(visit, *role));
    given.map(|role| SelectOption::new(role.as_str(), format!("{role}: {}", describe_role(role)))).collect()
}

/// Describes a role.
fn describe_role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "can view keys, usage, policy and members",
        Role::Developer => "can create keys and manage their own",
        Role::Admin => "can manage all keys, members, policy, signing keys and webhooks, and read the audit log",
        Role::Owner => "can do everything, including adding and removing owners",
    }
}

/// Reads the role from a form.
fn read_role(form: &Form) -> Result<Role, &'static str> {
    let chosen = form.value("role").ok_or("Choose a role.")?;
    Role::parse(chosen).ok_or("Choose viewer, developer, admin or owner.")
}

/// Reads the version that the form was rendered with. Without one, returns a version that no member has.
fn read_version(form: &Form) -> Option<u64> {
    Some(form.value("version").and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Converts an error, with a message about roles instead of scopes.
fn error_page(error: MemberError) -> ErrorPage {
    match error {
        MemberError::GrantExceeded(_) => ErrorPage::not_permitted(
            "You can’t assign or remove a role higher than yours. Only owners can change owners.",
        ),
        other => other.into(),
    }
}

/// A key's ID and display name.
struct KeyLink {
    id: String,
    name: String,
}

impl From<&ApiKey> for KeyLink {
    fn from(key: &ApiKey) -> Self {
        let name = if key.name.is_empty() { key.hint.clone() } else { key.name.clone() };
        Self { id: key.id.to_string(), name }
    }
}

/// Returns the first keys with more access than the member's role can grant, and the number of all such keys.
async fn keys_exceeding_role<P>(
    visit: &ConsoleRequest<P>,
    member: &Member,
) -> Result<(Vec<KeyLink>, usize), ErrorPage> {
    const SHOWN: usize = 20;
    // An owner can grant everything.
    if member.role == Role::Owner {
        return Ok((Vec::new(), 0));
    }
    let excess = members::keys_beyond_role(visit.node(), member, visit.now).await?;
    let mut names = Vec::new();
    for id in excess.iter().take(SHOWN) {
        names.push(KeyLink::from(&keys::find(visit.node(), &member.organization, id).await?));
    }
    Ok((names, excess.len()))
}

async fn is_last_owner<P>(visit: &ConsoleRequest<P>, member: &Member) -> Result<bool, ErrorPage> {
    if member.role != Role::Owner {
        return Ok(false);
    }
    let all = members::list(visit.node(), &member.organization).await?;
    Ok(all.iter().filter(|other| other.role == Role::Owner).count() == 1)
}
