//! The console: pages under `/console` for people, rendered here, which work without a script but for copying and
//! dialogs.
//!
//! A surface: parses once into a complete type, calls one use case, renders. Each folder or file is a page of the
//! console with its template beside it; `ui/` holds what pages are made of, `visit.rs` and `submitted.rs` who asks and
//! what they sent. Imports `domain`, `clock`, `store` (what a list may be filtered by), `signing`, the use cases,
//! `node` and `http`; no other surface.

mod account;
mod actor;
mod assets;
mod audit;
mod check;
mod frame;
mod gateways;
mod keys;
mod members;
mod organizations;
mod pages;
mod policy;
mod shown_once;
mod sign_in;
mod signing_keys;
mod submitted;
mod trouble;
mod ui;
mod usage;
mod visit;
mod webhooks;
mod welcome;

use actix_web::http::header::LOCATION;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};

use crate::console::trouble::Trouble;
use crate::http::context::HttpContext;

/// Registers the routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/").route(web::get().to(home))).service(
        web::scope("/console")
            .wrap(from_fn(trouble::show))
            .wrap(frame::headers())
            .service(web::resource(["", "/"]).route(web::get().to(home)))
            .configure(assets::routes)
            .configure(sign_in::routes)
            .configure(account::routes)
            .configure(check::routes)
            .configure(keys::routes)
            .configure(usage::routes)
            .configure(members::routes)
            .configure(audit::routes)
            .configure(policy::routes)
            .configure(signing_keys::routes)
            .configure(webhooks::routes)
            .configure(gateways::routes)
            .configure(organizations::routes)
            .configure(welcome::routes)
            .default_service(web::to(|| async { Err::<HttpResponse, _>(Trouble::not_found()) })),
    );
}

/// The first page.
async fn home(context: web::Data<HttpContext>) -> HttpResponse {
    see_other(&format!("{}/keys", frame::root(&context.node.settings.public_url)))
}

/// Sends the browser on to a page of ours, after a form too.
fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}
