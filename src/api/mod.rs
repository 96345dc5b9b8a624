//! The management API: `/api/v1`, JSON, RFC 9457 problem documents.
//!
//! A surface: parses once into a complete type, calls one use case, renders. Imports `domain`, `clock`,
//! `store` (what a list may be filtered by), `tokens`, `keys`, `members`, `organizations`, `audit`, `webhooks`,
//! `node` and `http`; no
//! other surface.

mod audit;
mod body;
mod etag;
mod explain;
mod fields;
mod guard;
mod impact;
mod key_json;
mod key_list;
mod keys;
mod me;
mod member_json;
mod members;
mod openapi;
mod organizations;
mod policy;
mod problem;
mod query;
mod session;
mod signing_keys;
mod stale;
mod usage;
mod warnings;
mod webhook_json;
mod webhooks;

use actix_web::web;

pub use openapi::text as openapi_text;
pub use problem::Problem;

/// Registers the routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config.configure(openapi::routes).service(
        web::scope("/api/v1")
            .configure(me::routes)
            .configure(explain::routes)
            .configure(impact::routes)
            .configure(stale::routes)
            .configure(usage::routes)
            .configure(keys::routes)
            .configure(signing_keys::routes)
            .configure(session::routes)
            .configure(members::routes)
            .configure(organizations::routes)
            .configure(policy::routes)
            .configure(audit::routes)
            .configure(webhooks::routes)
            .default_service(web::to(|| async { Problem::not_found() })),
    );
}
