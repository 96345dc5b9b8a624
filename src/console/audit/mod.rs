//! The audit log: the filtered list, and the trail of a single key or member.

mod differences;
mod labels;
mod list;
mod query;
mod row;
mod trail;

use actix_web::web;

pub(in crate::console) use trail::Trail;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/audit").route(web::get().to(list::show)));
}
