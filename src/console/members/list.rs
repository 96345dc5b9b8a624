//! The list of members.

use actix_web::HttpRequest;
use askama::Template;
use url::form_urlencoded::byte_serialize;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::pages::Pages;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Field, Moment};
use crate::domain::member::{Member, Role};
use crate::http::form::Form;
use crate::http::permission::{AdminMembers, ReadMembers};
use crate::members;

#[derive(Template)]
#[template(path = "console/members/list.html")]
struct Page {
    frame: Frame,
    search: Field,
    is_searched: bool,
    may_add: bool,
    rows: Vec<Row>,
    pages: Pages,
}

struct Row {
    id: String,
    email: String,
    role: Role,
    is_self: bool,
    since: Moment,
    last_sign_in: Option<Moment>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadMembers>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let search = query.value("search").map(|text| text.trim().to_lowercase()).unwrap_or_default();
    let mut found = members::list(visit.node(), visit.organization()).await?;
    found.retain(|member| member.email.contains(&search));
    let sought: String = byte_serialize(search.as_bytes()).collect();
    let link = visit.path(&format!("/members?search={sought}&page="));
    let (found, pages) = Pages::cut(found, query.value("page"), link);
    let row = |member: Member| Row {
        is_self: member.id == visit.who.member.id,
        id: member.id.to_string(),
        email: member.email,
        role: member.role,
        since: Moment::day(member.created_at),
        last_sign_in: member.last_sign_in_at.map(|at| Moment::from_now(at, visit.now)),
    };
    page(&Page {
        frame: visit.frame(Section::Members, "Members"),
        is_searched: !search.is_empty(),
        search: Field::text("search", "Search by email", search).kind("search").max_length(254),
        may_add: visit.may::<AdminMembers>(),
        rows: found.into_iter().map(row).collect(),
        pages,
    })
}
