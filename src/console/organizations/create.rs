//! Creating an organization and its owner.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::new_password::NewPassword;
use crate::console::organizations::check;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Labels};
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::http::permission::AnyCredential;
use crate::organizations::{self, CreateError, Creation};

const FIELDS: &Labels = &[("name", "Name"), ("slug", "Slug"), ("owner_email", "Owner’s email")];

#[derive(Template)]
#[template(path = "console/organizations/create.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    name: Field,
    slug: Field,
    owner_email: Field,
}

pub(super) async fn show(visit: ConsoleRequest<AnyCredential>) -> Result<Reply, ErrorPage> {
    check(&visit)?;
    page(&Page::new(&visit, &Form::default(), Errors::default()))
}

pub(super) async fn create(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    check(&visit)?;
    let invalid = |field: &str, message: &str| {
        invalid_form(&Page::new(&visit, &form, Errors::new(vec![Violation::new(field, message)], FIELDS)))
    };
    let Some(slug) = Slug::parse(form.value("slug").unwrap_or_default().trim()) else {
        return invalid("slug", "Use 1–40 lowercase letters, digits or hyphens.");
    };
    let (node, by) = (visit.node(), visit.by());
    let email = form.value("owner_email").unwrap_or_default().trim().to_owned();
    let name = form.value("name").unwrap_or_default().trim();
    let name = Some(name).filter(|name| !name.is_empty());
    match organizations::create(node, &by, Creation { slug, name, owner_email: &email, with_key: false }).await {
        Ok(created) => NewPassword {
            frame: visit.frame(Section::Organizations, "Organization created"),
            result: format!(
                "Organization {} created with its signing key. Owner: {}.",
                created.organization.name, created.email
            ),
            sign_in: visit.sign_in_url_of(&created.organization.slug),
            organization: created.organization.slug.as_str(),
            email: &created.email,
            password: &created.password,
            next: visit.path("/organizations"),
            message: "Organization created. Its owner can sign in and create API keys.",
        }
        .respond(&visit),
        Err(CreateError::Invalid(errors)) => invalid_form(&Page::new(&visit, &form, Errors::new(errors, FIELDS))),
        Err(CreateError::Exists) => invalid("slug", "This slug is already taken."),
        Err(CreateError::Unavailable(cause)) => Err(ErrorPage::node_unavailable(&cause)),
    }
}

impl Page {
    fn new(visit: &ConsoleRequest<AnyCredential>, form: &Form, errors: Errors) -> Self {
        let value = |name: &str| form.value(name).unwrap_or_default();
        Self {
            frame: visit.frame(Section::Organizations, "Create organization"),
            name: Field::text("name", "Name", value("name"))
                .hint("Shown in the console. You can change it later.")
                .max_length(100)
                .errors(&errors),
            slug: Field::text("slug", "Slug", value("slug"))
                .hint("1–40 lowercase letters, digits or hyphens. Part of the issuer URL; can’t be changed later.")
                .required(true)
                .max_length(40)
                .errors(&errors),
            owner_email: Field::text("owner_email", "Owner’s email", value("owner_email"))
                .hint("You’ll get a temporary password to pass on.")
                .required(true)
                .max_length(254)
                .errors(&errors),
            errors,
        }
    }
}
