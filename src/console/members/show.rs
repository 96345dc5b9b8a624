//! A member's page: who they are, what they may do, where they are signed in.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::account::{SESSIONS, SessionRow};
use crate::console::audit::Trail;
use crate::console::frame::{Frame, Section, page};
use crate::console::members::{KeyName, duties, is_last_owner, keys_beyond, may_change, named, offers, trouble};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Errors, Field, Moment, Select};
use crate::console::visit::Visit;
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
    duties: &'static str,
    is_self: bool,
    is_last_owner: bool,
    since: Moment,
    last_sign_in: Option<Moment>,
    /// Keys that do more than the role could hand out: the first of them, and how many there are.
    beyond: Vec<KeyName>,
    beyond_count: usize,
    /// Whether the visitor manages members, and this one's role is not beyond theirs.
    manages: bool,
    may_change: bool,
    errors: Errors,
    version: u64,
    email: Field,
    new_role: Select,
    sessions: Vec<SessionRow>,
    trail: Option<Trail>,
}

pub(super) async fn show(
    visit: Visit<ReadMembers>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let done = match query.value("done") {
        Some("changed") => Some("The member is changed."),
        Some("reset") => Some("The member has a new password. Their sessions have ended."),
        Some("session") => Some("The session has ended."),
        _ => None,
    };
    let member = named(&visit, &id).await?;
    let built = Page::new(&visit, &member, &Form::default(), Errors::default()).await?;
    page(&Page { frame: built.frame.done(done), ..built })
}

pub(super) async fn end_session(
    submitted: Submitted<AdminMembers>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    let (id, session) = path.into_inner();
    let member = named(&visit, &id).await?;
    // It looks like a member's id.
    let MemberId(session) = MemberId::parse(&session).ok_or_else(Trouble::not_found)?;
    let (node, by, of) = (visit.node().clone(), visit.by(), member.clone());
    let ended = async move { members::end(&node, &by, &of, &session).await };
    match visit.node().run_to_end(ended).await {
        // Ended already, or by itself a moment ago.
        Ok(()) | Err(MemberError::NotFound) => {
            Ok(see_other(&visit.path(&format!("/members/{}?done=session", member.id))))
        }
        Err(other) => Err(trouble(other)),
    }
}

impl Page {
    /// The page, with what was typed into the form of changes, if anything was.
    pub(super) async fn new<P: Permission>(
        visit: &Visit<P>,
        member: &Member,
        typed: &Form,
        errors: Errors,
    ) -> Result<Self, Trouble> {
        let now = visit.now;
        let manages = visit.may::<AdminMembers>();
        let mut sessions = Vec::new();
        if manages {
            sessions = members::of_member(visit.node(), member, now).await?;
            sessions.sort_by_key(|session| std::cmp::Reverse(session.last_seen_at));
        }
        let (beyond, beyond_count) = if manages { keys_beyond(visit, member).await? } else { Default::default() };
        let this = &visit.who.session.id;
        Ok(Self {
            frame: visit.frame(Section::Members, member.email.clone()),
            id: member.id.to_string(),
            role: member.role,
            duties: duties(member.role),
            is_self: member.id == visit.who.member.id,
            is_last_owner: manages && is_last_owner(visit, member).await?,
            since: Moment::day(member.created_at),
            last_sign_in: member.last_sign_in_at.map(|at| Moment::from_now(at, now)),
            beyond,
            beyond_count,
            manages,
            may_change: manages && may_change(visit, member.role),
            version: member.version,
            email: Field::text("email", "Login", typed.value("email").unwrap_or(&member.email))
                .required(true)
                .most(254)
                .errors(&errors),
            new_role: Select::new("role", "Role", offers(visit), typed.value("role").unwrap_or(member.role.as_str()))
                .errors(&errors),
            sessions: sessions.into_iter().take(SESSIONS).map(|session| SessionRow::new(session, this, now)).collect(),
            errors,
            trail: Trail::of(visit, &member.id).await?,
        })
    }
}
