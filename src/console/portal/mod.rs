//! The customer portal, under `/portal/{org}`: a customer opens the URL of a session and manages its own keys. It shares components
//! with the console, but no session, no navigation and no link.

mod create;
mod frame;
mod key;
mod list;
mod open;
mod request;
mod revoke;
mod rotate;
mod secret;

use actix_web::middleware::{Compress, from_fn};
use actix_web::web;

use crate::console::assets;
use crate::console::error_page::ErrorPage;
use crate::console::frame::headers;
use crate::console::reply::Reply;
use crate::console::route::{get, resource, submit};
use crate::http::compression;

/// Registers the portal's routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::scope("/portal/{org}/assets")
                .wrap(headers())
                .wrap(Compress::default())
                .service(resource("/{name}", [get(assets::serve)])),
        )
        .service(
            web::scope("/portal/{org}")
                .wrap(from_fn(frame::serve_site))
                .wrap(Compress::default())
                .wrap(from_fn(compression::pages))
                .service(resource("/open", [submit(open::send)]))
                .service(resource("/open/{code}", [get(open::show)]))
                .service(resource("/ended", [get(open::ended)]))
                .service(resource("/sign-out", [submit(open::sign_out)]))
                .service(resource("/keys", [get(list::show)]))
                .service(resource("/keys/new", [get(create::show), submit(create::send)]))
                .service(resource("/keys/{id}", [get(key::show)]))
                .service(resource("/keys/{id}/rotate", [get(rotate::show), submit(rotate::send)]))
                .service(resource("/keys/{id}/revoke", [get(revoke::show), submit(revoke::send)]))
                .default_service(web::to(|| async { Err::<Reply, _>(ErrorPage::not_found()) })),
        );
}
