//! Usage: the organization's page, and the time ranges that every usage chart offers.

mod organization;
mod range;

use actix_web::web;

pub(super) use range::{Range, Ranges, Totals};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/usage").route(web::get().to(organization::show)));
}
