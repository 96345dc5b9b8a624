//! Usage: the organization's page, and the time ranges that every usage chart offers.

mod organization;
mod range;

use actix_web::web;

use crate::console::route::{get, resource};

pub(super) use range::{Range, Ranges, Totals};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/usage", [get(organization::show)]));
}
