//! Changing a member's login and role; a lower role is confirmed where it leaves something to know.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::members::show::Page;
use crate::console::members::{KeyName, keys_beyond, named, role, trouble, version};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::{Trouble, sentence};
use crate::console::ui::Errors;
use crate::domain::member::{Member, Role};
use crate::domain::policy::Violation;
use crate::http::permission::AdminMembers;
use crate::members::{self, MemberEdit, MemberError};

const FIELDS: [&str; 2] = ["email", "role"];

/// What is to be known before a role is lowered.
#[derive(Template)]
#[template(path = "console/members/lower.html")]
struct Lower {
    frame: Frame,
    id: String,
    version: u64,
    old_email: String,
    email: String,
    old_role: Role,
    role: Role,
    is_self: bool,
    beyond: Vec<KeyName>,
    beyond_count: usize,
}

pub(super) async fn change(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let member = named(&visit, &id).await?;

    // 1. What was typed.
    let email = form.value("email").unwrap_or_default().trim().to_owned();
    let version = version(&form);
    let role = match role(&form) {
        Ok(role) => role,
        Err(fault) => {
            let errors = Errors::new(vec![Violation::new("role", fault)], &FIELDS);
            return refused(&Page::new(&visit, &member, &form, errors).await?);
        }
    };

    // 2. A lower role may leave keys that do more than it, and one's own is not taken back.
    if role < member.role && form.value("confirmed").is_none() && version == Some(member.version) {
        let (beyond, beyond_count) = keys_beyond(&visit, &Member { role, ..member.clone() }).await?;
        let is_self = member.id == visit.who.member.id;
        if beyond_count > 0 || is_self {
            return page(&Lower {
                frame: visit.frame(Section::Members, "Lower the role?"),
                id: member.id.to_string(),
                version: member.version,
                old_email: member.email,
                email,
                old_role: member.role,
                role,
                is_self,
                beyond,
                beyond_count,
            });
        }
    }

    // 3. The change.
    let edit = MemberEdit { email: Some(email), role: Some(role), resets_password: false };
    let (node, organization, by, id) =
        (visit.node().clone(), visit.organization().clone(), visit.by(), member.id.clone());
    let changed = async move { members::change(&node, &organization, &by, &id, version, edit).await };
    let errors = match visit.node().run_to_end(changed).await {
        Ok((member, _)) => return Ok(see_other(&visit.path(&format!("/members/{}?done=changed", member.id)))),
        Err(MemberError::Invalid(wrong)) => Errors::new(wrong, &FIELDS),
        Err(MemberError::Conflict(detail)) => Errors::sentence(sentence(&detail)),
        Err(other) => return Err(trouble(other)),
    };
    refused(&Page::new(&visit, &member, &form, errors).await?)
}
