//! Making an organization and its owner.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::organizations::check;
use crate::console::shown_once::ShownOnce;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Errors, Field};
use crate::console::visit::Visit;
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::http::form::Form;
use crate::http::permission::Anyone;
use crate::organizations::{self, CreateError};

const FIELDS: [&str; 2] = ["slug", "owner_email"];

#[derive(Template)]
#[template(path = "console/organizations/create.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    slug: Field,
    owner_email: Field,
}

pub(super) async fn show(visit: Visit<Anyone>) -> Result<HttpResponse, Trouble> {
    check(&visit)?;
    page(&Page::new(&visit, &Form::default(), Errors::default()))
}

pub(super) async fn create(submitted: Submitted<Anyone>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    check(&visit)?;
    let wrong = |field: &str, message: &str| {
        refused(&Page::new(&visit, &form, Errors::new(vec![Violation::new(field, message)], &FIELDS)))
    };
    let Some(slug) = Slug::parse(form.value("slug").unwrap_or_default().trim()) else {
        return wrong("slug", "1 to 40 of a-z, 0-9 and '-' are expected");
    };
    let (node, by) = (visit.node().clone(), visit.by());
    let email = form.value("owner_email").unwrap_or_default().trim().to_owned();
    let made = async move { organizations::create(&node, &by, slug, &email, false).await };
    match visit.node().run_to_end(made).await {
        Ok(made) => ShownOnce {
            frame: visit.frame(Section::Organizations, "Organization made"),
            done: format!("The organization {} is made, and {} is its owner.", made.organization.slug, made.email),
            sign_in: visit.sign_in_url(),
            organization: made.organization.slug.as_str(),
            email: &made.email,
            password: &made.password,
            next: visit.path("/organizations"),
            said: "made",
        }
        .answer(),
        Err(CreateError::Invalid(errors)) => refused(&Page::new(&visit, &form, Errors::new(errors, &FIELDS))),
        Err(CreateError::Exists) => wrong("slug", "there is an organization of this name already"),
        Err(CreateError::Unavailable(cause)) => Err(Trouble::not_now(&cause)),
    }
}

impl Page {
    fn new(visit: &Visit<Anyone>, form: &Form, errors: Errors) -> Self {
        let typed = |name: &str| form.value(name).unwrap_or_default();
        Self {
            frame: visit.frame(Section::Organizations, "Make an organization"),
            slug: Field::text("slug", "Name", typed("slug"))
                .hint("1 to 40 of a-z, 0-9 and '-'. It is part of the issuer and cannot be changed.")
                .required(true)
                .most(40)
                .errors(&errors),
            owner_email: Field::text("owner_email", "Login of its owner", typed("owner_email"))
                .hint("Their email address. You are shown a password to give to them.")
                .required(true)
                .most(254)
                .errors(&errors),
            errors,
        }
    }
}
