//! A new secret, shown once, with examples that use it.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::create::tenant;
use crate::console::keys::display_name;
use crate::console::keys::snippets::{Snippets, token_endpoint};
use crate::console::keys::summary::warnings_about;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Checkbox, Copyable, Notice};
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::{KeyId, KeyText};

#[derive(Template)]
#[template(path = "console/keys/secret.html")]
struct Page<'a> {
    frame: Frame,
    key: &'a ApiKey,
    name: String,
    is_rotated: bool,
    secret: &'a str,
    token_endpoint: String,
    snippets: Snippets<'a>,
    warnings: Vec<Notice>,
    saved: Checkbox,
}

#[derive(Template)]
#[template(path = "console/keys/already_submitted.html")]
struct AlreadySubmitted {
    frame: Frame,
    id: String,
}

/// Renders the secret of a key that was just created or rotated. It cannot be shown again.
pub(super) fn show_new<P>(
    visit: &ConsoleRequest<P>,
    key: &ApiKey,
    text: &KeyText,
    is_rotated: bool,
) -> Result<Reply, ErrorPage> {
    let secret = text.reveal();
    let page = Page {
        frame: visit.frame(Section::Keys, "Save your secret"),
        name: display_name(key),
        is_rotated,
        secret: &secret,
        token_endpoint: token_endpoint(visit),
        snippets: Snippets::new(visit, key, &secret),
        warnings: warnings_about(key, &tenant(visit)?.apis),
        saved: Checkbox::saved("I saved this secret"),
        key,
    };
    // The page contains the secret, so it must not be logged or cached.
    Ok(Reply::page(page.render()?))
}

/// Renders the response to a repeated form.
pub(super) fn show_already_submitted<P>(visit: &ConsoleRequest<P>, id: &KeyId) -> Result<Reply, ErrorPage> {
    page(&AlreadySubmitted { frame: visit.frame(Section::Keys, "Already submitted"), id: id.to_string() })
}
