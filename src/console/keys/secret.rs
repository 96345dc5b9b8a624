//! A secret, shown once: to copy, with what uses it, behind "I have copied it".

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::frame::{Frame, Section, answer, page};
use crate::console::keys::name;
use crate::console::trouble::{Trouble, sentence};
use crate::console::ui::{Notice, Tick, Tone};
use crate::console::visit::Visit;
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::{KeyId, KeyText};
use crate::http::warnings;

#[derive(Template)]
#[template(path = "console/keys/secret.html")]
struct Page<'a> {
    frame: Frame,
    key: &'a ApiKey,
    name: String,
    what: &'static str,
    secret: &'a str,
    token_endpoint: String,
    issuer: String,
    is_plain: bool,
    warnings: Vec<Notice>,
    copied: Tick,
}

#[derive(Template)]
#[template(path = "console/keys/shown_before.html")]
struct ShownBefore {
    frame: Frame,
    id: String,
}

/// The page, the only time that the secret is known. `what` was done: `made` or `rotated`.
pub(super) fn shown<P>(
    visit: &Visit<P>,
    key: &ApiKey,
    text: &KeyText,
    what: &'static str,
) -> Result<HttpResponse, Trouble> {
    let settings = &visit.node().settings;
    let warnings = warnings::of_rights(&key.networks, Some(&key.scopes));
    let secret = text.reveal();
    let page = Page {
        frame: visit.frame(Section::Keys, "Copy the key now"),
        name: name(key),
        what,
        secret: &secret,
        token_endpoint: format!("{}/oauth/token", settings.public_url),
        issuer: key.organization.issuer(&settings.public_url),
        is_plain: settings.public_url.starts_with("http://"),
        warnings: warnings.into_iter().map(|warning| Notice::new(Tone::Warning, sentence(warning.message))).collect(),
        copied: Tick::copied(),
        key,
    };
    // The rendered page holds the secret: it goes to the person and nowhere else.
    Ok(answer(StatusCode::OK, page.render()?))
}

/// The page of a form that was sent again.
pub(super) fn shown_before<P>(visit: &Visit<P>, id: &KeyId) -> Result<HttpResponse, Trouble> {
    page(&ShownBefore { frame: visit.frame(Section::Keys, "Done before"), id: id.to_string() })
}
