//! Removing a member and revoking their keys.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::members::{
    KeyLink, error_page, find_member, is_last_owner, keys_to_revoke, may_change, read_version,
};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::http::permission::AdminMembers;
use crate::members;

/// Maximum number of listed keys.
const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "console/members/remove.html")]
struct Page {
    frame: Frame,
    id: String,
    email: String,
    version: u64,
    may_change: bool,
    is_last_owner: bool,
    is_self: bool,
    keys: Vec<KeyLink>,
    has_more: bool,
}

pub(super) async fn show(visit: ConsoleRequest<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let member = find_member(&visit, &id).await?;
    let mut keys = keys_to_revoke(&visit, &member, SHOWN).await?;
    let has_more = keys.len() > SHOWN as usize;
    keys.truncate(SHOWN as usize);
    page(&Page {
        frame: visit.frame(Section::Members, "Remove member?"),
        version: member.version,
        may_change: may_change(&visit, member.role),
        is_last_owner: is_last_owner(&visit, &member).await?,
        is_self: member.id == visit.who.member.id,
        id: member.id.to_string(),
        email: member.email,
        keys,
        has_more,
    })
}

pub(super) async fn remove(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let member = find_member(&visit, &id).await?;
    let is_self = member.id == visit.who.member.id;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let version = read_version(&form);
    members::remove(node, organization, &by, &member.id, version).await.map_err(error_page)?;
    Ok(Reply::see_other(visit.path(if is_self { "/sign-in" } else { "/members?done=removed" })))
}
