//! Members: who they are and what they may do; adding, changing and removing them.

mod add;
mod change;
mod list;
mod remove;
mod reset;
mod show;

use actix_web::web;

use crate::console::trouble::Trouble;
use crate::console::ui::Offer;
use crate::console::visit::Visit;
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::member::{Member, MemberId, Role};
use crate::http::form::Form;
use crate::keys::{self, KeyError};
use crate::members::{self, MemberError};
use crate::store::{KeyFilter, KeyOrder};

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/members").route(web::get().to(list::show)))
        .service(web::resource("/members/new").route(web::get().to(add::show)).route(web::post().to(add::add)))
        .service(web::resource("/members/{id}").route(web::get().to(show::show)).route(web::post().to(change::change)))
        .service(
            web::resource("/members/{id}/reset-password")
                .route(web::get().to(reset::show))
                .route(web::post().to(reset::reset)),
        )
        .service(
            web::resource("/members/{id}/remove")
                .route(web::get().to(remove::show))
                .route(web::post().to(remove::remove)),
        )
        .service(web::resource("/members/{id}/sessions/{session}/end").route(web::post().to(show::end_session)));
}

/// The member that a path names, of the visitor's organization.
async fn named<P>(visit: &Visit<P>, id: &str) -> Result<Member, Trouble> {
    let id = MemberId::parse(id).ok_or_else(Trouble::not_found)?;
    Ok(members::find(visit.node(), visit.organization(), &id).await?)
}

/// Whether the visitor may give and take a role.
fn may_change<P>(visit: &Visit<P>, role: Role) -> bool {
    visit.by().may_change_role(role).is_ok()
}

/// The roles that the visitor may give, weakest first, each with what it lets somebody do.
fn offers<P>(visit: &Visit<P>) -> Vec<Offer> {
    let given = Role::ALL.into_iter().filter(|role| may_change(visit, *role));
    given.map(|role| Offer::new(role.as_str(), format!("{role}: {}", duties(role)))).collect()
}

/// What a role lets somebody do.
fn duties(role: Role) -> &'static str {
    match role {
        Role::Viewer => "looks at keys, usage, policy and members",
        Role::Developer => "makes keys and manages their own",
        Role::Admin => "manages every key, members, policy, signing keys and webhooks; reads the audit log",
        Role::Owner => "may do everything, and changes owners",
    }
}

/// The role that was chosen in a form.
fn role(form: &Form) -> Result<Role, &'static str> {
    let chosen = form.value("role").ok_or("choose one")?;
    Role::parse(chosen).ok_or("choose viewer, developer, admin or owner")
}

/// The version that a form was made with; one that no member has, where it says none.
fn version(form: &Form) -> Option<u64> {
    Some(form.value("version").and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// What a person is told when something was not done to a member.
fn trouble(error: MemberError) -> Trouble {
    match error {
        MemberError::Beyond(_) => {
            Trouble::beyond("You cannot give or take a role that may do more than yours: only an owner changes owners.")
        }
        other => other.into(),
    }
}

/// A key as it is named to people.
struct KeyName {
    id: String,
    name: String,
}

impl From<&ApiKey> for KeyName {
    fn from(key: &ApiKey) -> Self {
        let name = if key.name.is_empty() { key.hint.clone() } else { key.name.clone() };
        Self { id: key.id.to_string(), name }
    }
}

/// The keys of a member that are not revoked yet, at most so many and one more of each state.
async fn keys_to_revoke<P>(visit: &Visit<P>, member: &Member, most: u32) -> Result<Vec<KeyName>, KeyError> {
    let mut names = Vec::new();
    for status in [Status::Active, Status::Disabled, Status::Expired] {
        let filter = KeyFilter {
            organization: member.organization.clone(),
            status: Some(status),
            now: visit.now,
            search: None,
            owner: Some(member.id.clone()),
            order: KeyOrder::Created,
            is_descending: true,
            after: None,
            limit: most.saturating_add(1),
        };
        names.extend(keys::list(visit.node(), filter).await?.keys.iter().map(KeyName::from));
    }
    Ok(names)
}

/// The first few of the keys that go beyond what a member's role could hand out, and how many there are.
async fn keys_beyond<P>(visit: &Visit<P>, member: &Member) -> Result<(Vec<KeyName>, usize), Trouble> {
    const SHOWN: usize = 20;
    // An owner holds everything.
    if member.role == Role::Owner {
        return Ok((Vec::new(), 0));
    }
    let beyond = members::keys_beyond_role(visit.node(), member, visit.now).await?;
    let mut names = Vec::new();
    for id in beyond.iter().take(SHOWN) {
        names.push(KeyName::from(&keys::find(visit.node(), &member.organization, id).await?));
    }
    Ok((names, beyond.len()))
}

/// Whether a member is the only owner.
async fn is_last_owner<P>(visit: &Visit<P>, member: &Member) -> Result<bool, Trouble> {
    if member.role != Role::Owner {
        return Ok(false);
    }
    let all = members::list(visit.node(), &member.organization).await?;
    Ok(all.iter().filter(|other| other.role == Role::Owner).count() == 1)
}
