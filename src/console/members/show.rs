//! A member's page: profile, role, sessions and audit trail.

use actix_web::web;
use askama::Template;

use crate::console::account::{MAX_SESSIONS, SessionRow};
use crate::console::audit::Trail;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::members::{
    KeyLink, describe_role, error_page, find_member, is_last_owner, keys_exceeding_role, may_change, role_options,
};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Moment, Select};
use crate::domain::member::{Member, MemberId, Role};
use crate::http::form::Form;
use crate::http::permission::{AdminMembers, Permission, ReadMembers};
use crate::members::{self, MemberError};

#[derive(Template)]
#[template(path = "console/members/show.html")]
pub(super) struct Page {
    frame: Frame,
    id: String,
    role: Role,
    role_description: &'static str,
    is_self: bool,
    is_last_owner: bool,
    since: Moment,
    last_sign_in: Option<Moment>,
    /// The first keys with more access than the role can grant, and the number of all such keys.
    excess: Vec<KeyLink>,
    excess_count: usize,
    /// Whether the visitor manages members.
    manages: bool,
    may_change: bool,
    errors: Errors,
    version: u64,
    email: Field,
    new_role: Select,
    sessions: Vec<SessionRow>,
    trail: Option<Trail>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let member = find_member(&visit, &id).await?;
    page(&Page::new(&visit, &member, &Form::default(), Errors::default()).await?)
}

pub(super) async fn end_session(
    submitted: Submitted<AdminMembers>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (id, session) = path.into_inner();
    let member = find_member(&visit, &id).await?;
    // Session IDs have the format of member IDs.
    let MemberId(session) = MemberId::parse(&session).ok_or_else(ErrorPage::not_found)?;
    let (node, by, of) = (visit.node(), visit.by(), member.clone());
    match members::end(node, &by, &of, &session).await {
        // The session may have ended already.
        Ok(()) | Err(MemberError::NotFound) => visit.done(&format!("/members/{}", member.id), "Session ended."),
        Err(other) => Err(error_page(other)),
    }
}

impl Page {
    /// Loads the page. The form has the submitted values, if any.
    pub(super) async fn new<P: Permission>(
        visit: &ConsoleRequest<P>,
        member: &Member,
        typed: &Form,
        errors: Errors,
    ) -> Result<Self, ErrorPage> {
        let now = visit.now;
        let manages = visit.may::<AdminMembers>();
        let mut sessions = Vec::new();
        if manages {
            sessions = members::of_member(visit.node(), member, now).await?;
            sessions.sort_by_key(|session| std::cmp::Reverse(session.last_seen_at));
        }
        let (excess, excess_count) =
            if manages { keys_exceeding_role(visit, member).await? } else { Default::default() };
        let this = &visit.who.session.id;
        Ok(Self {
            frame: visit.frame(Section::Members, member.email.clone()),
            id: member.id.to_string(),
            role: member.role,
            role_description: describe_role(member.role),
            is_self: member.id == visit.who.member.id,
            is_last_owner: manages && is_last_owner(visit, member).await?,
            since: Moment::day(member.created_at),
            last_sign_in: member.last_sign_in_at.map(|at| Moment::from_now(at, now)),
            excess,
            excess_count,
            manages,
            may_change: manages && may_change(visit, member.role),
            version: member.version,
            email: Field::text("email", "Email", typed.value("email").unwrap_or(&member.email))
                .required(true)
                .max_length(254)
                .errors(&errors),
            new_role: Select::new(
                "role",
                "Role",
                role_options(visit),
                typed.value("role").unwrap_or(member.role.as_str()),
            )
            .errors(&errors),
            sessions: sessions
                .into_iter()
                .take(MAX_SESSIONS)
                .map(|session| SessionRow::new(session, this, now))
                .collect(),
            errors,
            trail: Trail::load(visit, &member.id).await?,
        })
    }
}
