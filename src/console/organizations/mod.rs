//! Organizations: the list, creating and suspending them, and creating their first signing key. For owners of `default` only.

mod create;
mod list;
mod suspend;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::Submitted;
use crate::domain::slug::Slug;
use crate::http::permission::{AdminOrganizations, AnyCredential};
use crate::organizations;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/organizations", [get(list::show)]))
        .service(resource("/organizations/new", [get(create::show), submit(create::create)]))
        .service(resource("/organizations/{slug}/bootstrap", [submit(bootstrap)]))
        .service(resource("/organizations/{slug}/suspend", [get(suspend::ask), submit(suspend::suspend)]))
        .service(resource("/organizations/{slug}/resume", [submit(suspend::resume)]));
}

/// Checks that the visitor manages organizations. Others get "not found".
fn check(visit: &ConsoleRequest<AnyCredential>) -> Result<(), ErrorPage> {
    let may = visit.organization().is_default() && visit.may::<AdminOrganizations>();
    if may { Ok(()) } else { Err(ErrorPage::not_found()) }
}

/// Creates an organization's first signing key.
async fn bootstrap(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    check(&visit)?;
    let slug =
        Slug::parse(&slug).filter(|slug| visit.node().tenant(slug).is_some()).ok_or_else(ErrorPage::not_found)?;
    let (node, by) = (visit.node(), visit.by());
    match organizations::bootstrap(node, &by, &slug).await {
        Ok(Some(_)) => Ok(Reply::see_other(visit.path("/organizations?done=bootstrapped"))),
        Ok(None) => Err(ErrorPage::conflict("This organization already has a signing key.")),
        Err(error) => Err(error.into()),
    }
}
