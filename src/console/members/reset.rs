//! Giving a member a new password.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::members::{may_change, named, trouble, version};
use crate::console::shown_once::ShownOnce;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
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

pub(super) async fn show(visit: Visit<AdminMembers>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let member = named(&visit, &id).await?;
    page(&Page {
        frame: visit.frame(Section::Members, "Reset the password?"),
        id: member.id.to_string(),
        email: member.email,
        version: member.version,
        may_change: may_change(&visit, member.role),
        is_self: member.id == visit.who.member.id,
    })
}

pub(super) async fn reset(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let member = named(&visit, &id).await?;
    if member.id == visit.who.member.id {
        return Err(Trouble::conflict("You change your own password on the page of your account."));
    }
    let edit = MemberEdit { resets_password: true, ..MemberEdit::default() };
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let version = version(&form);
    let changed = async move { members::change(&node, &organization, &by, &member.id, version, edit).await };
    let (member, password) = visit.node().run_to_end(changed).await.map_err(trouble)?;
    // Whoever asks for a new password gets one.
    let password = password.ok_or_else(|| trouble(MemberError::PreconditionFailed))?;
    ShownOnce {
        frame: visit.frame(Section::Members, "Password reset"),
        done: format!(
            "{} has a new password. The old one is worth nothing, and their sessions have ended.",
            member.email
        ),
        sign_in: visit.sign_in_url(),
        organization: member.organization.as_str(),
        email: &member.email,
        password: &password,
        next: visit.path(&format!("/members/{}", member.id)),
        said: "reset",
    }
    .answer()
}
