//! Usage: of the organization with its busiest keys; and the stretches of time that every chart of use can show.

mod organization;
mod range;

use actix_web::web;

pub(super) use range::{Range, Ranges, Totals};

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/usage").route(web::get().to(organization::show)));
}
