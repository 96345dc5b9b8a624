//! OAuth 2.0: the token endpoint, metadata, and the public signing keys.
//!
//! A surface: parses once into a complete type, calls one use case, renders. Imports `domain`, `tokens`,
//! `node` and `http`; no other surface.

mod answer;
mod metadata;
mod token;

use actix_web::web;

/// Registers the routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    token::routes(config);
    metadata::routes(config);
}
