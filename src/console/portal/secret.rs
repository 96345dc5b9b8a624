//! A new secret, shown once in the customer's browser.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::page;
use crate::console::keys::display_name;
use crate::console::portal::frame::PortalFrame;
use crate::console::portal::request::PortalRequest;
use crate::console::reply::Reply;
use crate::console::ui::{Checkbox, Copyable};
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::{KeyId, KeyText};

#[derive(Template)]
#[template(path = "console/portal/secret.html")]
struct Page<'a> {
    frame: PortalFrame,
    id: String,
    name: String,
    is_rotated: bool,
    secret: &'a str,
    token_endpoint: String,
    saved: Checkbox,
}

#[derive(Template)]
#[template(path = "console/portal/already_submitted.html")]
struct AlreadySubmitted {
    frame: PortalFrame,
    id: String,
}

/// Renders the secret of a key that was just created or rotated. It cannot be shown again.
pub(super) fn show(visit: &PortalRequest, key: &ApiKey, text: &KeyText, is_rotated: bool) -> Result<Reply, ErrorPage> {
    let secret = text.reveal();
    page(&Page {
        frame: visit.frame("Save your secret"),
        id: key.id.to_string(),
        name: display_name(key),
        is_rotated,
        secret: &secret,
        token_endpoint: format!("{}/oauth/token", visit.node().settings.public_url),
        saved: Checkbox::saved("I saved this secret"),
    })
}

/// Renders the response to a repeated form.
pub(super) fn show_already_submitted(visit: &PortalRequest, id: &KeyId) -> Result<Reply, ErrorPage> {
    page(&AlreadySubmitted { frame: visit.frame("Already submitted"), id: id.to_string() })
}
