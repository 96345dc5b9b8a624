//! Examples that request a token, with a secret or a placeholder.

use askama::Template;

use crate::console::request::ConsoleRequest;
use crate::console::ui::html;
use crate::domain::api_key::ApiKey;

/// Stands for the secret where it is not shown.
pub(super) const PLACEHOLDER: &str = "YOUR_SECRET";

html! { Snippets<'a> }

#[derive(Template)]
#[template(path = "console/keys/snippets.html")]
pub(super) struct Snippets<'a> {
    client_id: String,
    secret: &'a str,
    token_endpoint: String,
    issuer: String,
    is_plain: bool,
}

impl<'a> Snippets<'a> {
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, key: &ApiKey, secret: &'a str) -> Self {
        let public_url = &visit.node().settings.public_url;
        Self {
            client_id: key.id.to_string(),
            secret,
            token_endpoint: token_endpoint(visit),
            issuer: key.organization.issuer(public_url),
            is_plain: public_url.starts_with("http://"),
        }
    }
}

/// Returns the URL of the token endpoint.
pub(super) fn token_endpoint<P>(visit: &ConsoleRequest<P>) -> String {
    format!("{}/oauth/token", visit.node().settings.public_url)
}
