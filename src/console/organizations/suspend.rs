//! Suspending and resuming an organization.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::organizations::{check, format_bounded};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Moment, was_used_recently};
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::permission::AnyCredential;
use crate::organizations::{self, SuspendError};

#[derive(Template)]
#[template(path = "console/organizations/suspend.html")]
struct Page {
    frame: Frame,
    slug: String,
    name: String,
    active_keys: String,
    last_used: Option<Moment>,
    confirm: Option<Field>,
    errors: Errors,
}

pub(super) async fn ask(visit: ConsoleRequest<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    check(&visit)?;
    let slug = find_slug(&visit, &slug)?;
    if slug.is_default() {
        return Err(SuspendError::IsDefault.into());
    }
    page(&Page::new(&visit, &slug, None).await?)
}

impl Page {
    /// `typed` is the text of a confirmation that does not match.
    async fn new(visit: &ConsoleRequest<AnyCredential>, slug: &Slug, typed: Option<&str>) -> Result<Self, ErrorPage> {
        let tenant = visit.node().tenant(slug).ok_or_else(ErrorPage::not_found)?;
        let counts = organizations::counts(visit.node(), &[slug], visit.now).await?;
        let counts = counts.get(slug).copied().unwrap_or_default();
        let errors = typed.map(|_| Violation::new("confirm", format!("Enter {slug}.")));
        let errors = Errors::new(errors, &[("confirm", "Confirm")]);
        let confirm = Field::text("confirm", "Confirm", typed.unwrap_or_default())
            .hint(format!("Its keys were used in the last 30 days. Type {slug} to confirm."))
            .required(true)
            .max_length(40)
            .errors(&errors);
        Ok(Self {
            frame: visit.frame(Section::Organizations, "Suspend organization"),
            slug: slug.to_string(),
            name: tenant.organization.name.clone(),
            active_keys: format_bounded(counts.active_keys),
            last_used: counts.last_used_at.map(|at| Moment::from_now(at, visit.now)),
            confirm: was_used_recently(counts.last_used_at, visit.now).then_some(confirm),
            errors,
        })
    }
}

pub(super) async fn suspend(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    check(&visit)?;
    let (node, by, slug) = (visit.node(), visit.by(), find_slug(&visit, &slug)?);
    let typed = form.value("confirm").unwrap_or_default().trim();
    if !slug.is_default() && typed != slug.as_str() {
        let page = Page::new(&visit, &slug, Some(typed)).await?;
        if page.confirm.is_some() {
            return invalid_form(&page);
        }
    }
    organizations::suspend(node, &by, &slug).await?;
    visit.done(&format!("/organizations/{slug}"), "Organization suspended. Its keys and tokens no longer work.")
}

pub(super) async fn resume(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    check(&visit)?;
    let (node, by, slug) = (visit.node(), visit.by(), find_slug(&visit, &slug)?);
    organizations::resume(node, &by, &slug).await?;
    visit.done(&format!("/organizations/{slug}"), "Organization resumed. Its keys work again.")
}

fn find_slug(visit: &ConsoleRequest<AnyCredential>, slug: &str) -> Result<Slug, ErrorPage> {
    Slug::parse(slug).filter(|slug| visit.node().tenant(slug).is_some()).ok_or_else(ErrorPage::not_found)
}

impl From<SuspendError> for ErrorPage {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::NotFound => Self::not_found(),
            SuspendError::IsDefault => {
                Self::conflict("The organization “default” manages the others and can’t be suspended.")
            }
            SuspendError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}
