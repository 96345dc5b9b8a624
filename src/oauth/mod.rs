//! OAuth 2.0: the token, introspection, revocation and authorization endpoints, metadata, the public signing keys.
//!
//! Each endpoint parses the request once into a complete type, calls one use case and renders its result.

mod answer;
mod authorize;
mod client;
mod introspect;
mod metadata;
mod pages;
mod revoke;
mod token;

use actix_web::web;

/// Registers the endpoints. `has_origins`: whether pages of other origins may use them (CORS).
pub fn routes(config: &mut web::ServiceConfig, has_origins: bool) {
    token::routes(config, has_origins);
    authorize::routes(config);
    introspect::routes(config);
    revoke::routes(config, has_origins);
}

/// Registers the documents that every issuer publishes.
pub fn document_routes(config: &mut web::ServiceConfig) {
    metadata::routes(config);
}
