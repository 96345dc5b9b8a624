//! Suspending and resuming an organization.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::organizations::check;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::domain::slug::Slug;
use crate::http::permission::AnyCredential;
use crate::organizations::{self, SuspendError};

#[derive(Template)]
#[template(path = "console/organizations/suspend.html")]
struct Page {
    frame: Frame,
    slug: String,
}

pub(super) async fn ask(visit: ConsoleRequest<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    check(&visit)?;
    let slug = find_slug(&visit, &slug)?;
    if slug.is_default() {
        return Err(SuspendError::IsDefault.into());
    }
    page(&Page { frame: visit.frame(Section::Organizations, "Suspend organization"), slug: slug.to_string() })
}

pub(super) async fn suspend(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    check(&visit)?;
    let (node, by, slug) = (visit.node(), visit.by(), find_slug(&visit, &slug)?);
    organizations::suspend(node, &by, &slug).await?;
    Ok(Reply::see_other(visit.path("/organizations?done=suspended")))
}

pub(super) async fn resume(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    check(&visit)?;
    let (node, by, slug) = (visit.node(), visit.by(), find_slug(&visit, &slug)?);
    organizations::resume(node, &by, &slug).await?;
    Ok(Reply::see_other(visit.path("/organizations?done=resumed")))
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
