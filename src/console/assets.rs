//! Style sheet, script and icon. They are compiled in and named by their content, so browsers can cache them forever.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use crate::console::error_page::ErrorPage;
use crate::console::route::{get, resource};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// The file names of the assets.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) icon: String,
}

/// The file names of the assets.
pub(super) fn names() -> &'static Names {
    static NAMES: LazyLock<Names> =
        LazyLock::new(|| Names { style: name(STYLE, "css"), script: name(SCRIPT, "js"), icon: name(ICON, "svg") });
    &NAMES
}

fn name(text: &str, kind: &str) -> String {
    format!("{:08x}.{kind}", crc32fast::hash(text.as_bytes()))
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/assets/{name}", [get(serve)]));
}

async fn serve(name: web::Path<String>) -> Result<HttpResponse, ErrorPage> {
    let names = names();
    let (kind, text) = match name.into_inner() {
        name if name == names.style => ("text/css; charset=utf-8", STYLE),
        name if name == names.script => ("text/javascript; charset=utf-8", SCRIPT),
        name if name == names.icon => ("image/svg+xml", ICON),
        _ => return Err(ErrorPage::not_found()),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(text))
}
