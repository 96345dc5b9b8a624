//! The console: server-rendered pages under `/console`, and the customer portal under `/portal`. Everything except copy buttons and dialogs works without
//! JavaScript.
//!
//! Each handler parses its input into a complete type, calls one use case and renders a page. Each folder or file is a page
//! with its templates beside it. `ui/` has the components, `request.rs` and `submitted.rs` check sessions and forms, and
//! `error_page.rs` renders errors. Imports `domain`, `clock`, `store` (list filters), `signing`, the use cases, `node` and
//! `http`, but no other surface.

mod account;
mod actor;
mod apis;
mod assets;
mod audit;
mod check;
mod customers;
mod denials;
mod emergency;
mod error_page;
mod find;
mod flash;
mod frame;
mod gateways;
mod kept;
mod keys;
mod members;
mod networks;
mod new_password;
mod organizations;
mod overview;
mod pages;
mod policy;
mod portal;
mod portal_settings;
mod profiles;
mod reply;
mod request;
mod route;
mod sign_in;
mod signing_keys;
mod submitted;
mod switcher;
mod theme;
mod ui;
mod usage;
mod webhooks;
mod welcome;

use actix_web::middleware::{Compress, from_fn};
use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::reply::Reply;
use crate::console::route::{get, resource};
use crate::http::compression;
use crate::http::context::HttpContext;

/// Registers the console's routes.
pub fn routes(config: &mut web::ServiceConfig) {
    config.configure(portal::routes).service(resource("/", [get(home)])).service(
        web::scope("/console")
            .wrap(from_fn(error_page::render_errors))
            .wrap(from_fn(flash::delete_shown))
            .wrap(from_fn(kept::fill_in))
            .wrap(frame::headers())
            .wrap(Compress::default())
            .wrap(from_fn(compression::pages))
            .service(resource("", [get(home)]))
            .service(resource("/", [get(home)]))
            .configure(assets::routes)
            .configure(sign_in::routes)
            .configure(switcher::routes)
            .configure(account::routes)
            .configure(check::routes)
            .configure(overview::routes)
            .configure(emergency::routes)
            .configure(find::routes)
            .configure(keys::routes)
            .configure(customers::routes)
            .configure(apis::routes)
            .configure(profiles::routes)
            .configure(networks::routes)
            .configure(usage::routes)
            .configure(denials::routes)
            .configure(members::routes)
            .configure(audit::routes)
            .configure(policy::routes)
            .configure(portal_settings::routes)
            .configure(signing_keys::routes)
            .configure(webhooks::routes)
            .configure(gateways::routes)
            .configure(organizations::routes)
            .configure(welcome::routes)
            .configure(theme::routes)
            .default_service(web::to(|| async { Err::<Reply, _>(ErrorPage::not_found()) })),
    );
}

/// Redirects to the first page.
async fn home(context: web::Data<HttpContext>) -> Reply {
    Reply::see_other(format!("{}/overview", frame::root(&context.node.settings.public_url)))
}
