//! Organizations: the list, creating and suspending them, and creating their first signing key. For owners of `default` only.

mod create;
mod list;
mod suspend;

use actix_web::{HttpResponse, web};

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::domain::slug::Slug;
use crate::http::permission::{AdminOrganizations, AnyCredential};
use crate::node::Unavailable;
use crate::organizations::{self, RotateError};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/organizations").route(web::get().to(list::show)))
        .service(
            web::resource("/organizations/new")
                .route(web::get().to(create::show))
                .route(web::post().to(create::create)),
        )
        .service(web::resource("/organizations/{slug}/bootstrap").route(web::post().to(bootstrap)))
        .service(
            web::resource("/organizations/{slug}/suspend")
                .route(web::get().to(suspend::ask))
                .route(web::post().to(suspend::suspend)),
        )
        .service(web::resource("/organizations/{slug}/resume").route(web::post().to(suspend::resume)));
}

/// Checks that the visitor manages organizations. Others get "not found".
fn check(visit: &ConsoleRequest<AnyCredential>) -> Result<(), ErrorPage> {
    let may = visit.organization().is_default() && visit.may::<AdminOrganizations>();
    if may { Ok(()) } else { Err(ErrorPage::not_found()) }
}

/// Creates an organization's first signing key.
async fn bootstrap(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<HttpResponse, ErrorPage> {
    let visit = submitted.visit;
    check(&visit)?;
    let slug =
        Slug::parse(&slug).filter(|slug| visit.node().tenant(slug).is_some()).ok_or_else(ErrorPage::not_found)?;
    let (node, by) = (visit.node().clone(), visit.by());
    let created = async move { organizations::bootstrap(&node, &by, &slug).await.map_err(BootstrapError::Rotate) };
    match visit.node().run_to_end(created).await {
        Ok(Some(_)) => Ok(see_other(&visit.path("/organizations?done=bootstrapped"))),
        Ok(None) => Err(ErrorPage::conflict("This organization already has a signing key.")),
        Err(error) => Err(error.into()),
    }
}

/// Why a signing key was not created.
enum BootstrapError {
    Rotate(RotateError),
    Unavailable(Unavailable),
}

impl From<Unavailable> for BootstrapError {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

impl From<BootstrapError> for ErrorPage {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Rotate(error) => error.into(),
            BootstrapError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}
