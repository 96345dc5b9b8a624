//! The audit log: the filtered list, and the trail of a single key or member.

mod differences;
mod labels;
mod list;
mod query;
mod row;
mod trail;

use actix_web::web;

use crate::console::route::{get, resource};

pub(in crate::console) use trail::Trail;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/audit", [get(list::show)]));
}
