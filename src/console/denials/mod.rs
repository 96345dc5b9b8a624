//! Recent denials, and the search for the reason of one.

mod list;
mod panel;
mod reasons;
mod row;
mod show;
mod why;

use actix_web::web;

use crate::console::route::{get, resource, submit};

pub(in crate::console) use panel::DenialPanel;
pub(in crate::console) use why::find_denial;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/denials", [get(list::show)]))
        .service(resource("/denials/explain", [get(why::show), submit(why::send)]))
        .service(resource("/denials/{id}", [get(show::show)]));
}
