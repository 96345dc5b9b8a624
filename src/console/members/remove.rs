//! Removing a member, and the keys they own with them.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::members::{KeyName, is_last_owner, keys_to_revoke, may_change, named, trouble, version};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::http::permission::AdminMembers;
use crate::members;

/// Keys that are listed by name.
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
    keys: Vec<KeyName>,
    has_more: bool,
}

pub(super) async fn show(visit: Visit<AdminMembers>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let member = named(&visit, &id).await?;
    let mut keys = keys_to_revoke(&visit, &member, SHOWN).await?;
    let has_more = keys.len() > SHOWN as usize;
    keys.truncate(SHOWN as usize);
    page(&Page {
        frame: visit.frame(Section::Members, "Remove the member?"),
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

pub(super) async fn remove(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let member = named(&visit, &id).await?;
    let is_self = member.id == visit.who.member.id;
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let version = version(&form);
    let removed = async move { members::remove(&node, &organization, &by, &member.id, version).await };
    visit.node().run_to_end(removed).await.map_err(trouble)?;
    Ok(see_other(&visit.path(if is_self { "/sign-in" } else { "/members?done=removed" })))
}
