//! Style sheet, script and icon. They are compiled in and named by their content, so browsers can cache them forever.

use std::borrow::Cow;
use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::console::error_page::ErrorPage;
use crate::console::route::{get, resource};
use crate::domain::portal::Color;

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Later files overrule earlier ones.
const STYLE: &str = concat!(
    include_str!("assets/style/base.css"),
    include_str!("assets/style/layout.css"),
    include_str!("assets/style/forms.css"),
    include_str!("assets/style/content.css"),
    include_str!("assets/style/charts.css"),
    include_str!("assets/style/keys.css"),
    include_str!("assets/style/ops.css"),
    include_str!("assets/style/dialogs.css"),
    include_str!("assets/style/figures.css"),
    include_str!("assets/style/find.css"),
    include_str!("assets/style/steps.css"),
    include_str!("assets/style/views.css"),
    include_str!("assets/style/deliveries.css"),
    include_str!("assets/style/gateways.css"),
    include_str!("assets/style/switcher.css"),
    include_str!("assets/style/emergency.css"),
    include_str!("assets/style/palette.css"),
    include_str!("assets/style/apis.css"),
    include_str!("assets/style/portal.css"),
    include_str!("assets/style/screens.css"),
    // Tables become cards where their columns do not fit: the more columns, the earlier.
    "@container (max-width: 68rem) { table.cards:has(thead th:nth-child(9)) {",
    include_str!("assets/style/cards.css"),
    "} } @container (max-width: 56rem) { table.cards:has(thead th:nth-child(7)) {",
    include_str!("assets/style/cards.css"),
    "} } @container (max-width: 46rem) { table.cards:has(thead th:nth-child(5)) {",
    include_str!("assets/style/cards.css"),
    "} } @container (max-width: 36rem) { table.cards {",
    include_str!("assets/style/cards.css"),
    "} }\n",
);
/// Each file is a function of its own. All but the first listen to `keyturn:shown`, which `page.js` sends to each part of a page that is
/// shown, the document first.
const SCRIPT: &str = concat!(
    include_str!("assets/script/page.js"),
    include_str!("assets/script/frame.js"),
    include_str!("assets/script/figures.js"),
    include_str!("assets/script/find.js"),
    include_str!("assets/script/select.js"),
    include_str!("assets/script/choices.js"),
    include_str!("assets/script/summary.js"),
    include_str!("assets/script/ops.js"),
    include_str!("assets/script/deliveries.js"),
    include_str!("assets/script/switcher.js"),
    include_str!("assets/script/palette.js"),
);
/// The portal has dialogs and charts, but nothing that belongs to the console.
const PORTAL_SCRIPT: &str = concat!(
    include_str!("assets/script/page.js"),
    include_str!("assets/script/frame.js"),
    include_str!("assets/script/figures.js")
);
const ICON: &str = include_str!("assets/icon.svg");
const ICONS: &str = include_str!("assets/icons.svg");

/// The file names of the assets.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) style: String,
    pub(super) script: String,
    /// The script of the portal.
    pub(super) portal_script: String,
    pub(super) icon: String,
    /// The sprite with the symbols.
    pub(super) icons: String,
}

/// The file names of the assets.
pub(super) fn names() -> &'static Names {
    static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
        style: name(STYLE, "css"),
        script: name(SCRIPT, "js"),
        portal_script: name(PORTAL_SCRIPT, "js"),
        icon: name(ICON, "svg"),
        icons: name(ICONS, "svg"),
    });
    &NAMES
}

fn name(text: &str, kind: &str) -> String {
    format!("{:08x}.{kind}", crc32fast::hash(text.as_bytes()))
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/assets/{name}", [get(serve)]));
}

/// Serves the file that the last segment of the path names. The paths of the portal have an organization before it.
pub(super) async fn serve(request: HttpRequest) -> Result<HttpResponse, ErrorPage> {
    let names = names();
    let name = request.match_info().get("name").unwrap_or_default();
    let (kind, text) = match name {
        name if name == names.style => (CSS, STYLE.into()),
        name if name == names.script => (JAVASCRIPT, SCRIPT.into()),
        name if name == names.portal_script => (JAVASCRIPT, PORTAL_SCRIPT.into()),
        name if name == names.icon => (SVG, ICON.into()),
        name if name == names.icons => (SVG, ICONS.into()),
        name => (CSS, Cow::Owned(brand_style(name).ok_or_else(ErrorPage::not_found)?)),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(text))
}

/// Returns the name of the style sheet with a brand color, which pages cannot set themselves.
pub(super) fn brand_name(color: Color) -> String {
    format!("brand-{}.css", color.digits())
}

/// Returns the style sheet of that name. Only buttons and a line have the color: text of any color would not be readable.
fn brand_style(name: &str) -> Option<String> {
    let color = Color::parse_digits(name.strip_prefix("brand-")?.strip_suffix(".css")?)?;
    let text = color.text();
    Some(format!(
        ":is(button, .button).primary:not(.danger) {{ background: {color}; border-color: var(--edge); color: {text}; }}\n\
         :is(button, .button).primary:not(.danger):hover {{ background: {color}; text-decoration: underline; }}\n\
         .portal > .top {{ border-top: 4px solid {color}; }}\n"
    ))
}
