//! The management API: `/api/v1`, JSON, RFC 9457 problem documents.
//!
//! A surface: a handler gets an authenticated request and its parsed body (`call.rs`), calls one use case and returns a
//! reply (`reply.rs`). A module adds its handlers to the table of routes (`route.rs`). Imports `domain`, `clock`, `store`
//! (list filters), the use cases, `node` and `http`, but no other surface.

mod api_impact;
mod apis;
mod audit;
mod body;
mod bulk;
mod call;
mod customers;
mod delivery_json;
mod denials;
mod etag;
mod explain;
mod fields;
mod guard;
mod impact;
mod key_json;
mod key_list;
mod keys;
mod lookup;
mod me;
mod member_json;
mod members;
mod networks;
mod openapi;
mod organizations;
mod policy;
mod portal;
mod preview;
mod problem;
mod profile_impact;
mod profiles;
mod query;
mod reply;
mod route;
mod session;
mod signing_keys;
mod stale;
mod usage;
mod warnings;
mod webhook_json;
mod webhooks;

use actix_web::middleware::{Compress, from_fn};
use actix_web::web;

use crate::api::route::Routes;
use crate::http::compression;

pub use openapi::text as openapi_text;
pub use problem::Problem;

/// Registers the routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config.configure(openapi::register).service(
        web::scope("/api/v1")
            .wrap(Compress::default())
            .wrap(from_fn(compression::documents))
            .configure(|config| table().register(config))
            .default_service(web::to(|| async { Problem::not_found() })),
    );
}

/// Returns the table of routes.
fn table() -> Routes {
    let mut routes = Routes::default();
    routes.group("keys", |keys| {
        key_list::routes(keys);
        keys::routes(keys);
        bulk::routes(keys);
        lookup::routes(keys);
    });
    routes.group("members", members::routes);
    routes.group("customers", customers::routes);
    routes.group("portal", portal::routes);
    routes.group("profiles", |profiles| {
        profiles::routes(profiles);
        networks::routes(profiles);
    });
    routes.group("sessions", |sessions| {
        me::routes(sessions);
        session::routes(sessions);
    });
    routes.group("organizations", |organizations| {
        organizations::routes(organizations);
        policy::routes(organizations);
    });
    routes.group("apis", apis::routes);
    routes.group("signing keys", signing_keys::routes);
    routes.group("usage", |usage| {
        usage::routes(usage);
        stale::routes(usage);
        denials::routes(usage);
        explain::routes(usage);
        preview::routes(usage);
        impact::routes(usage);
        api_impact::routes(usage);
        profile_impact::routes(usage);
    });
    routes.group("audit", audit::routes);
    routes.group("webhooks", webhooks::routes);
    routes
}
