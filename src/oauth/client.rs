//! How a client authenticates, the same at every OAuth endpoint: its key, given in exactly one way.

use actix_web::{HttpRequest, web};
use percent_encoding::percent_decode_str;

use crate::domain::key_text::looks_like_key_text;
use crate::http::access::Explanation;
use crate::http::body::{self, BodyError};
use crate::http::credentials::{self, HeaderCredentials};
use crate::http::form::Form;
use crate::oauth::answer::OAuthError;
use crate::tokens::PresentedKey;

/// Reads a body of at most so many bytes.
pub(super) async fn body(payload: web::Payload, most: usize) -> Result<web::Bytes, OAuthError> {
    body::read(payload, most).await.map_err(|error| match error {
        BodyError::TooLarge => OAuthError::too_large(most),
        BodyError::TooSlow => OAuthError::too_slow(),
        BodyError::Broken => OAuthError::invalid_request("the body could not be read"),
    })
}

/// Reads the form and the credentials in the headers. `challenge` is whether a 401 carries a challenge:
/// clients that sent their credentials in the body hide the error behind one.
pub(super) fn read_form<'a>(
    request: &'a HttpRequest,
    body: &[u8],
    repeatable: &[&str],
    challenge: &mut bool,
) -> Result<(Form, HeaderCredentials<'a>), OAuthError> {
    let headers = credentials::from_headers(request.headers()).map_err(|error| OAuthError::invalid_request(error.0))?;
    *challenge = !matches!(headers, HeaderCredentials::ApiKey(_));
    check_query(request.query_string())?;
    if body::is_encoded(request.headers()) {
        return Err(OAuthError::invalid_request("Content-Encoding: send the body without compression"));
    }
    check_content_type(request, body)?;
    let form = Form::parse(body)?;
    form.check_repeats(repeatable)?;
    if matches!(headers, HeaderCredentials::None | HeaderCredentials::Empty) && form.value("client_secret").is_some() {
        *challenge = false;
    }
    Ok((form, headers))
}

/// The key, from the headers or else from the form.
pub(super) fn presented_key(headers: &HeaderCredentials<'_>, form: &Form) -> Result<PresentedKey, OAuthError> {
    let filled = |name: &str| form.value(name).map(credentials::trim).filter(|value| !value.is_empty());
    let body_id = filled("client_id");
    let body_secret = filled("client_secret").filter(|secret| !credentials::is_no_secret(secret));
    if form.value("client_assertion").is_some() {
        return Err(OAuthError::invalid_request("client_assertion: not supported; present the API key itself"));
    }
    let (id, secret) = match (headers, body_secret) {
        (HeaderCredentials::None | HeaderCredentials::Empty, Some(secret)) => (None, secret),
        (HeaderCredentials::None, None) => return Err(OAuthError::no_credentials()),
        (HeaderCredentials::Empty, None) => return Err(OAuthError::empty_authorization()),
        (HeaderCredentials::OtherScheme, None) => return Err(OAuthError::no_credentials()),
        (HeaderCredentials::OtherScheme, Some(_)) => {
            return Err(OAuthError::invalid_request(
                "client_secret: there is also an Authorization header of another scheme; send credentials in one way",
            ));
        }
        (HeaderCredentials::ApiKey(_), Some(_)) => {
            return Err(OAuthError::invalid_request(
                "client_secret: there is also an X-Api-Key header; send credentials in one way",
            ));
        }
        (HeaderCredentials::Basic { .. } | HeaderCredentials::Bearer(_), Some(_)) => {
            return Err(OAuthError::invalid_request(
                "client_secret: there are also credentials in the Authorization header; send them in one way",
            ));
        }
        (HeaderCredentials::Basic { id, secret }, None) => (Some(id.as_str()), secret.as_str()),
        (HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text), None) => (None, *text),
    };
    let header_id = id.map(credentials::trim).filter(|id| !id.is_empty());
    if let (Some(one), Some(other)) = (header_id, body_id)
        && one != other
    {
        return Err(OAuthError::invalid_key().explained(Explanation::because("other_client_id")));
    }
    credentials::presented_key(header_id.or(body_id), secret).map_err(OAuthError::from)
}

/// Nothing that belongs in a header or the body may stand in the URL, where logs would keep it.
fn check_query(query: &str) -> Result<(), OAuthError> {
    const SECRET: [&str; 7] =
        ["client_secret", "client_id", "client_assertion", "access_token", "api_key", "token", "password"];
    if query.is_empty() {
        return Ok(());
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let secret = query.split('&').find(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        SECRET.contains(&name.to_ascii_lowercase().as_str())
            || looks_like_key_text(&name)
            || looks_like_key_text(&value)
    });
    match secret {
        Some(_) => Err(OAuthError::invalid_request(
            "credentials in the URL are refused, and should be replaced: URLs are logged; use a header or the body",
        )),
        None => Ok(()),
    }
}

fn check_content_type(request: &HttpRequest, body: &[u8]) -> Result<(), OAuthError> {
    let content_type = request.headers().get(actix_web::http::header::CONTENT_TYPE);
    let essence = content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let is_form = essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if is_form || (content_type.is_none() && body.is_empty()) {
        return Ok(());
    }
    Err(OAuthError::invalid_request("Content-Type: application/x-www-form-urlencoded is expected"))
}
