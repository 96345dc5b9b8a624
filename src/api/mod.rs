//! The management API: `/api/v1`, JSON, RFC 9457 problem documents.
//!
//! A surface: parses once into a complete type, calls one use case, renders. Imports `domain`, `clock`,
//! `store` (what a list may be filtered by), `tokens`, `keys`, `organizations`, `node` and `http`; no
//! other surface.

mod body;
mod explain;
mod fields;
mod guard;
mod impact;
mod key_json;
mod keys;
mod me;
mod problem;
mod query;
mod signing_keys;
mod stale;
mod usage;

use actix_web::web;

pub use problem::Problem;

/// Registers the routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/api/v1")
            .configure(me::routes)
            .configure(explain::routes)
            .configure(impact::routes)
            .configure(stale::routes)
            .configure(usage::routes)
            .configure(keys::routes)
            .configure(signing_keys::routes)
            .default_service(web::to(|| async { Problem::not_found() })),
    );
}
