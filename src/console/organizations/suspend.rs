//! Suspending an organization, and ending its suspension.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::organizations::check;
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::domain::slug::Slug;
use crate::http::permission::Anyone;
use crate::organizations::{self, SuspendError};

#[derive(Template)]
#[template(path = "console/organizations/suspend.html")]
struct Page {
    frame: Frame,
    slug: String,
}

/// Asks for confirmation.
pub(super) async fn ask(visit: Visit<Anyone>, slug: web::Path<String>) -> Result<HttpResponse, Trouble> {
    check(&visit)?;
    let slug = known(&visit, &slug)?;
    if slug.is_default() {
        return Err(SuspendError::IsDefault.into());
    }
    page(&Page { frame: visit.frame(Section::Organizations, "Suspend organization"), slug: slug.to_string() })
}

pub(super) async fn suspend(submitted: Submitted<Anyone>, slug: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    check(&visit)?;
    let (node, by, slug) = (visit.node().clone(), visit.by(), known(&visit, &slug)?);
    visit.node().run_to_end(async move { organizations::suspend(&node, &by, &slug).await }).await?;
    Ok(see_other(&visit.path("/organizations?done=suspended")))
}

pub(super) async fn resume(submitted: Submitted<Anyone>, slug: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    check(&visit)?;
    let (node, by, slug) = (visit.node().clone(), visit.by(), known(&visit, &slug)?);
    visit.node().run_to_end(async move { organizations::resume(&node, &by, &slug).await }).await?;
    Ok(see_other(&visit.path("/organizations?done=resumed")))
}

fn known(visit: &Visit<Anyone>, slug: &str) -> Result<Slug, Trouble> {
    Slug::parse(slug).filter(|slug| visit.node().tenant(slug).is_some()).ok_or_else(Trouble::not_found)
}

impl From<SuspendError> for Trouble {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::NotFound => Self::not_found(),
            SuspendError::IsDefault => {
                Self::conflict("Organization default manages the others and cannot be suspended.")
            }
            SuspendError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}
