//! Changing a member's email and role. A lower role needs confirmation if it has side effects.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::members::show::Page;
use crate::console::members::{KeyLink, error_page, find_member, keys_exceeding_role, read_role, read_version};
use crate::console::reply::Reply;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Labels, to_sentence};
use crate::domain::member::{Member, Role};
use crate::domain::violation::Violation;
use crate::http::permission::AdminMembers;
use crate::members::{self, MemberEdit, MemberError};

const FIELDS: &Labels = &[("email", "Email"), ("role", "Role")];

/// The confirmation of a lower role.
#[derive(Template)]
#[template(path = "console/members/confirm_role.html")]
struct ConfirmRole {
    frame: Frame,
    id: String,
    version: u64,
    old_email: String,
    email: String,
    old_role: Role,
    role: Role,
    is_self: bool,
    excess: Vec<KeyLink>,
    excess_count: usize,
}

pub(super) async fn change(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let member = find_member(&visit, &id).await?;

    // 1. Read the form.
    let email = form.value("email").unwrap_or_default().trim().to_owned();
    let version = read_version(&form);
    let role = match read_role(&form) {
        Ok(role) => role,
        Err(fault) => {
            let errors = Errors::new(vec![Violation::new("role", fault)], FIELDS);
            return invalid_form(&Page::new(&visit, &member, &form, errors).await?);
        }
    };

    // 2. Confirm a lower role that leaves keys with more access than it, or that the visitor cannot undo.
    if role < member.role && form.value("confirmed").is_none() && version == Some(member.version) {
        let (excess, excess_count) = keys_exceeding_role(&visit, &Member { role, ..member.clone() }).await?;
        let is_self = member.id == visit.who.member.id;
        if excess_count > 0 || is_self {
            return page(&ConfirmRole {
                frame: visit.frame(Section::Members, "Change role?"),
                id: member.id.to_string(),
                version: member.version,
                old_email: member.email,
                email,
                old_role: member.role,
                role,
                is_self,
                excess,
                excess_count,
            });
        }
    }

    // 3. Apply the change.
    let edit = MemberEdit { email: Some(email), role: Some(role), resets_password: false };
    let (node, organization, by, id) = (visit.node(), visit.organization(), visit.by(), member.id.clone());
    let errors = match members::change(node, organization, &by, &id, version, edit).await {
        Ok((member, _)) => return visit.done(&format!("/members/{}", member.id), "Member updated."),
        Err(MemberError::Invalid(violations)) => Errors::new(violations, FIELDS),
        Err(MemberError::Conflict(detail)) => Errors::sentence(to_sentence(&detail)),
        Err(other) => return Err(error_page(other)),
    };
    invalid_form(&Page::new(&visit, &member, &form, errors).await?)
}
