//! The audit log: who did what to which, from where; filtered, page by page, and the trail of one key or member.

mod differences;
mod list;
mod query;
mod row;
mod trail;
mod words;

use actix_web::web;

pub(in crate::console) use trail::Trail;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/audit").route(web::get().to(list::show)));
}
