//! Adding a member.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::members::{offers, role, trouble};
use crate::console::shown_once::ShownOnce;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Errors, Field, Select};
use crate::console::visit::Visit;
use crate::domain::policy::Violation;
use crate::http::form::Form;
use crate::http::permission::AdminMembers;
use crate::members::{self, MemberError, NewMember};

const FIELDS: [&str; 2] = ["email", "role"];

#[derive(Template)]
#[template(path = "console/members/add.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    email: Field,
    role: Select,
}

pub(super) async fn show(visit: Visit<AdminMembers>) -> Result<HttpResponse, Trouble> {
    page(&Page::new(&visit, &Form::default(), Errors::default()))
}

pub(super) async fn add(submitted: Submitted<AdminMembers>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let role = match role(&form) {
        Ok(role) => role,
        Err(fault) => {
            let errors = Errors::new(vec![Violation::new("role", fault)], &FIELDS);
            return refused(&Page::new(&visit, &form, errors));
        }
    };
    let new = NewMember { email: form.value("email").unwrap_or_default().trim().to_owned(), role };
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let added = async move { members::add(&node, &organization, &by, new).await };
    match visit.node().run_to_end(added).await {
        Ok((member, password)) => ShownOnce {
            frame: visit.frame(Section::Members, "Member added"),
            done: format!("{} is a member now, with the role {}.", member.email, member.role),
            sign_in: visit.sign_in_url(),
            organization: member.organization.as_str(),
            email: &member.email,
            password: &password,
            next: visit.path("/members"),
            said: "added",
        }
        .answer(),
        Err(MemberError::Invalid(wrong)) => refused(&Page::new(&visit, &form, Errors::new(wrong, &FIELDS))),
        Err(other) => Err(trouble(other)),
    }
}

impl Page {
    fn new(visit: &Visit<AdminMembers>, form: &Form, errors: Errors) -> Self {
        Self {
            frame: visit.frame(Section::Members, "Add a member"),
            email: Field::text("email", "Login", form.value("email").unwrap_or_default())
                .hint("Their email address. Keyturn sends no mail: you are shown a password to give to them.")
                .required(true)
                .most(254)
                .errors(&errors),
            role: Select::new("role", "Role", offers(visit), form.value("role").unwrap_or("developer")).errors(&errors),
            errors,
        }
    }
}
