//! Organizations: which there are, making further ones and their first signing key. For owners of `default` only.

mod create;
mod list;
mod suspend;

use actix_web::{HttpResponse, web};

use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::domain::slug::Slug;
use crate::http::permission::{AdminOrganizations, Anyone};
use crate::node::Unavailable;
use crate::organizations::{self, RotateError};

/// Registers the routes.
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

/// Checks that the visitor manages organizations; to others there is nothing here.
fn check(visit: &Visit<Anyone>) -> Result<(), Trouble> {
    let may = visit.organization().is_default() && visit.may::<AdminOrganizations>();
    if may { Ok(()) } else { Err(Trouble::not_found()) }
}

/// Makes an organization's first signing key.
async fn bootstrap(submitted: Submitted<Anyone>, slug: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    check(&visit)?;
    let slug = Slug::parse(&slug).filter(|slug| visit.node().tenant(slug).is_some()).ok_or_else(Trouble::not_found)?;
    let (node, by) = (visit.node().clone(), visit.by());
    let made = async move { organizations::bootstrap(&node, &by, &slug).await.map_err(NotMade::Rotate) };
    match visit.node().run_to_end(made).await {
        Ok(Some(_)) => Ok(see_other(&visit.path("/organizations?done=bootstrapped"))),
        Ok(None) => Err(Trouble::conflict("The organization has a signing key already")),
        Err(error) => Err(error.into()),
    }
}

/// Why a signing key was not made.
enum NotMade {
    Rotate(RotateError),
    Unavailable(Unavailable),
}

impl From<Unavailable> for NotMade {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

impl From<NotMade> for Trouble {
    fn from(error: NotMade) -> Self {
        match error {
            NotMade::Rotate(RotateError::NotFound) => Self::not_found(),
            NotMade::Rotate(error @ (RotateError::Pending { .. } | RotateError::Raced | RotateError::TooMany)) => {
                Self::conflict(error.to_string())
            }
            NotMade::Rotate(RotateError::Found(cause)) => Self::unavailable(&cause),
            NotMade::Rotate(RotateError::Unavailable(cause)) | NotMade::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}
