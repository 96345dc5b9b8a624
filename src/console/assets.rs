//! Style, script and icon: compiled in, named by what they hold, so that browsers may keep them for good.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use crate::console::trouble::Trouble;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// The names under which the assets are found.
#[derive(Debug)]
pub(super) struct Names {
    /// The style.
    pub(super) style: String,
    /// The script.
    pub(super) script: String,
    /// The icon.
    pub(super) icon: String,
}

/// The names under which the assets are found.
pub(super) fn names() -> &'static Names {
    static NAMES: LazyLock<Names> =
        LazyLock::new(|| Names { style: name(STYLE, "css"), script: name(SCRIPT, "js"), icon: name(ICON, "svg") });
    &NAMES
}

fn name(text: &str, kind: &str) -> String {
    format!("{:08x}.{kind}", crc32fast::hash(text.as_bytes()))
}

/// Registers the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource("/assets/{name}").route(web::get().to(serve)));
}

async fn serve(name: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let names = names();
    let (kind, text) = match name.into_inner() {
        name if name == names.style => ("text/css; charset=utf-8", STYLE),
        name if name == names.script => ("text/javascript; charset=utf-8", SCRIPT),
        name if name == names.icon => ("image/svg+xml", ICON),
        _ => return Err(Trouble::not_found()),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(text))
}
