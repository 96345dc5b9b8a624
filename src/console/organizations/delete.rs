//! Deleting an organization, after typing its slug.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::organizations::{check, find, format_bounded};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Moment};
use crate::domain::violation::Violation;
use crate::http::permission::AnyCredential;
use crate::node::Tenant;
use crate::organizations::{self, DeleteError, SUSPENDED_DAYS};

#[derive(Template)]
#[template(path = "console/organizations/delete.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    slug: String,
    name: String,
    members: String,
    keys: String,
    active_keys: String,
    last_used: Option<Moment>,
    /// Whether it was suspended for 30 days.
    is_due: bool,
    suspended: Option<Moment>,
    confirm: Field,
}

pub(super) async fn ask(visit: ConsoleRequest<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    check(&visit)?;
    let tenant = find(&visit, &slug)?;
    if tenant.organization.slug.is_default() {
        return Err(DeleteError::IsDefault.into());
    }
    page(&Page::new(&visit, &tenant, "", Errors::default()).await?)
}

pub(super) async fn delete(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    check(&visit)?;
    let tenant = find(&visit, &slug)?;
    let (node, by, slug) = (visit.node(), visit.by(), &tenant.organization.slug);
    let typed = form.value("confirm").unwrap_or_default().trim();
    if typed != slug.as_str() {
        let errors = Errors::new([Violation::new("confirm", format!("Enter {slug}."))], &[("confirm", "Confirm")]);
        return invalid_form(&Page::new(&visit, &tenant, typed, errors).await?);
    }
    // The typed slug stands for `--now`.
    organizations::delete(node, &by, slug, true).await?;
    visit.done("/organizations", "Organization deleted, with all its data.")
}

impl Page {
    async fn new(
        visit: &ConsoleRequest<AnyCredential>,
        tenant: &Tenant,
        typed: &str,
        errors: Errors,
    ) -> Result<Self, ErrorPage> {
        let organization = &tenant.organization;
        let slug = &organization.slug;
        let counts = organizations::counts(visit.node(), &[slug], visit.now).await?;
        let counts = counts.get(slug).copied().unwrap_or_default();
        let due = organization.suspended_at.map(|at| at.plus_seconds(SUSPENDED_DAYS * 86_400));
        Ok(Self {
            frame: visit.frame(Section::Organizations, "Delete organization"),
            slug: slug.to_string(),
            name: organization.name.clone(),
            members: format_bounded(counts.members),
            keys: format_bounded(counts.keys),
            active_keys: format_bounded(counts.active_keys),
            last_used: counts.last_used_at.map(|at| Moment::from_now(at, visit.now)),
            is_due: due.is_some_and(|due| due <= visit.now),
            suspended: organization.suspended_at.map(|at| Moment::from_now(at, visit.now)),
            confirm: Field::text("confirm", "Confirm", typed)
                .hint(format!("Type {slug} to delete it now."))
                .required(true)
                .max_length(40)
                .errors(&errors),
            errors,
        })
    }
}

impl From<DeleteError> for ErrorPage {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::NotFound => Self::not_found(),
            DeleteError::IsDefault => {
                Self::conflict("The organization “default” manages the others and can’t be deleted.")
            }
            DeleteError::TooEarly(_) => {
                Self::conflict(format!("An organization can be deleted after {SUSPENDED_DAYS} days of suspension."))
            }
            DeleteError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}
