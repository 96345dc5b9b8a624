//! Adding a member.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::members::{error_page, read_role, role_options};
use crate::console::new_password::NewPassword;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Labels, Select};
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::http::permission::AdminMembers;
use crate::members::{self, MemberError, NewMember};

const FIELDS: &Labels = &[("email", "Email"), ("role", "Role")];

#[derive(Template)]
#[template(path = "console/members/add.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    email: Field,
    role: Select,
}

pub(super) async fn show(visit: ConsoleRequest<AdminMembers>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit, &Form::default(), Errors::default()))
}

pub(super) async fn add(submitted: Submitted<AdminMembers>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let role = match read_role(&form) {
        Ok(role) => role,
        Err(fault) => {
            let errors = Errors::new(vec![Violation::new("role", fault)], FIELDS);
            return invalid_form(&Page::new(&visit, &form, errors));
        }
    };
    let new = NewMember { email: form.value("email").unwrap_or_default().trim().to_owned(), role };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    match members::add(node, organization, &by, new).await {
        Ok((member, password)) => NewPassword {
            frame: visit.frame(Section::Members, "Member added"),
            result: format!("Added {} with the role {}.", member.email, member.role),
            sign_in: visit.sign_in_url(),
            organization: member.organization.as_str(),
            email: &member.email,
            password: &password,
            next: visit.path("/members"),
            message: "Member added.",
        }
        .respond(&visit),
        Err(MemberError::Invalid(violations)) => {
            invalid_form(&Page::new(&visit, &form, Errors::new(violations, FIELDS)))
        }
        Err(other) => Err(error_page(other)),
    }
}

impl Page {
    fn new(visit: &ConsoleRequest<AdminMembers>, form: &Form, errors: Errors) -> Self {
        Self {
            frame: visit.frame(Section::Members, "Add member"),
            email: Field::text("email", "Email", form.value("email").unwrap_or_default())
                .hint("Keyturn doesn’t send email. You’ll get a temporary password to pass on.")
                .required(true)
                .max_length(254)
                .errors(&errors),
            role: Select::new("role", "Role", role_options(visit), form.value("role").unwrap_or("developer"))
                .errors(&errors),
            errors,
        }
    }
}
