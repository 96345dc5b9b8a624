//! Resetting a member's password.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::members::{error_page, find_member, may_change, read_version};
use crate::console::new_password::NewPassword;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::http::permission::AdminMembers;
use crate::members::{self, MemberEdit, MemberError};

#[derive(Template)]
#[template(path = "console/members/reset.html")]
struct Page {
    frame: Frame,
    id: String,
    email: String,
    version: u64,
    may_change: bool,
    is_self: bool,
}

pub(super) async fn show(visit: ConsoleRequest<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let member = find_member(&visit, &id).await?;
    page(&Page {
        frame: visit.frame(Section::Members, "Reset password?"),
        id: member.id.to_string(),
        email: member.email,
        version: member.version,
        may_change: may_change(&visit, member.role),
        is_self: member.id == visit.who.member.id,
    })
}

pub(super) async fn reset(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let member = find_member(&visit, &id).await?;
    if member.id == visit.who.member.id {
        return Err(ErrorPage::conflict("To change your own password, go to your account."));
    }
    let edit = MemberEdit { resets_password: true, ..MemberEdit::default() };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let version = read_version(&form);
    let (member, password) =
        members::change(node, organization, &by, &member.id, version, edit).await.map_err(error_page)?;
    // A reset always returns a password.
    let password = password.ok_or_else(|| error_page(MemberError::PreconditionFailed))?;
    NewPassword {
        frame: visit.frame(Section::Members, "Password reset"),
        result: format!("Reset the password of {}. Their previous password and sessions no longer work.", member.email),
        sign_in: visit.sign_in_url(),
        organization: member.organization.as_str(),
        email: &member.email,
        password: &password,
        next: visit.path(&format!("/members/{}", member.id)),
        message: "Password reset. Their sessions ended.",
    }
    .respond(&visit)
}
