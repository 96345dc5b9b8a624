//! Organizations: the list, creating, renaming and suspending them. For owners of `default`; other owners see their own.

mod create;
mod delete;
mod list;
mod settings;
mod suspend;

use std::sync::Arc;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Tone, format_count};
use crate::domain::slug::Slug;
use crate::http::permission::{AdminOrganizations, AnyCredential};
use crate::node::Tenant;
use crate::organizations;
use crate::store::MAX_COUNT;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/organizations", [get(list::show)]))
        .service(resource("/organizations/new", [get(create::show), submit(create::create)]))
        .service(resource("/organizations/{slug}", [get(settings::show), submit(settings::rename)]))
        .service(resource("/organizations/{slug}/bootstrap", [submit(bootstrap)]))
        .service(resource("/organizations/{slug}/suspend", [get(suspend::ask), submit(suspend::suspend)]))
        .service(resource("/organizations/{slug}/delete", [get(delete::ask), submit(delete::delete)]))
        .service(resource("/organizations/{slug}/resume", [submit(suspend::resume)]));
}

/// Checks that the visitor manages organizations. Others get "not found".
fn check(visit: &ConsoleRequest<AnyCredential>) -> Result<(), ErrorPage> {
    let may = visit.organization().is_default() && visit.may::<AdminOrganizations>();
    if may { Ok(()) } else { Err(ErrorPage::not_found()) }
}

/// Returns an organization that the visitor manages: an owner of `default` any, other owners their own.
fn find(visit: &ConsoleRequest<AnyCredential>, slug: &str) -> Result<Arc<Tenant>, ErrorPage> {
    let own = visit.organization();
    let slug = Slug::parse(slug).filter(|slug| own.is_default() || slug == own);
    let tenant = slug.filter(|_| visit.may::<AdminOrganizations>()).and_then(|slug| visit.node().tenant(&slug));
    tenant.ok_or_else(ErrorPage::not_found)
}

fn state(tenant: &Tenant) -> Badge {
    match tenant.is_suspended() {
        false => Badge::new(Tone::Good, "Active"),
        true => Badge::new(Tone::Warning, "Suspended"),
    }
}

/// Formats a count that is exact up to a limit.
fn format_bounded(count: u64) -> String {
    if count > MAX_COUNT { format!("{}+", format_count(MAX_COUNT)) } else { format_count(count) }
}

/// Creates the signing key of an organization without one.
async fn bootstrap(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    check(&visit)?;
    let slug =
        Slug::parse(&slug).filter(|slug| visit.node().tenant(slug).is_some()).ok_or_else(ErrorPage::not_found)?;
    let (node, by) = (visit.node(), visit.by());
    match organizations::bootstrap(node, &by, &slug).await {
        Ok(Some(_)) => visit.done(&format!("/organizations/{slug}"), "Signing key created."),
        Ok(None) => Err(ErrorPage::conflict("This organization already has a signing key.")),
        Err(error) => Err(error.into()),
    }
}
