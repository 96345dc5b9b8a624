//! The request of a client, the same at every OAuth endpoint: a form, and a key that is presented in exactly one way.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, web};
use percent_encoding::percent_decode_str;

use crate::clock;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::looks_like_key_text;
use crate::domain::outcome::{Code, Denial};
use crate::domain::timestamp::Timestamp;
use crate::http::access::Explanation;
use crate::http::body::{self, BodyError};
use crate::http::context::HttpContext;
use crate::http::credentials::{self, HeaderCredentials, key_or_token};
use crate::http::form::Form;
use crate::oauth::answer::OAuthError;
use crate::signing::VERIFY_MAX_BYTES;
use crate::verification::{Credential, PresentedKey};

/// What an endpoint accepts in its form.
pub(super) trait ClientForm: 'static {
    /// The longest body in bytes.
    const MAX_BYTES: usize;

    /// The parameters that may be repeated.
    const REPEATABLE: &'static [&'static str] = &[];

    /// Checks what must be right before the credential is read.
    fn check(_: &Form) -> Result<(), OAuthError> {
        Ok(())
    }
}

/// The form of a request about a token: introspection and revocation.
pub(super) struct TokenForm;

impl ClientForm for TokenForm {
    /// A token of ours, however long, and the credentials beside it.
    const MAX_BYTES: usize = VERIFY_MAX_BYTES + 4096;
}

/// A client's request, read completely. Whether its key may act is not decided yet.
pub(super) struct ClientRequest<F> {
    /// The parameters.
    pub(super) form: Form,
    /// The key that the client presents.
    pub(super) key: PresentedKey,
    /// Where the client is.
    pub(super) address: ClientAddress,
    /// The one reading of the clock, before anything is checked.
    pub(super) now: Timestamp,
    /// Whether a 401 carries a challenge: clients that sent their credentials in the body hide the error behind one.
    pub(super) has_challenge: bool,
    kind: PhantomData<F>,
}

impl<F: ClientForm> FromRequest for ClientRequest<F> {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let broken = || OAuthError::invalid_request("the body could not be read");
            let body = body::read(payload.await.map_err(|_| broken())?, F::MAX_BYTES).await;
            let body = body.map_err(|error| match error {
                BodyError::TooLarge => too_large(F::MAX_BYTES),
                BodyError::TooSlow => OAuthError::invalid_request("the body took too long to arrive")
                    .with_status(StatusCode::REQUEST_TIMEOUT),
                BodyError::Broken => broken(),
            })?;
            Self::read(&request, &body)
        })
    }
}

fn too_large(limit: usize) -> OAuthError {
    let description = format!("the body is too large; at most {limit} bytes are allowed");
    OAuthError::invalid_request(description).with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

impl<F: ClientForm> ClientRequest<F> {
    fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, OAuthError> {
        let context = request.app_data::<web::Data<HttpContext>>();
        let context = context.ok_or_else(|| OAuthError::unavailable(&"no context"))?;
        let (address, now) = (context.client_address(request), clock::now());

        // 1. The headers and the form.
        let headers =
            credentials::from_headers(request.headers()).map_err(|error| OAuthError::invalid_request(error.0))?;
        check_query(request.query_string())?;
        if body::is_encoded(request.headers()) {
            return Err(OAuthError::invalid_request("Content-Encoding: send the body without compression"));
        }
        check_content_type(request, body)?;
        let form = Form::parse(body)?;
        form.check_repeats(F::REPEATABLE)?;
        F::check(&form)?;

        // 2. The key.
        let has_challenge = match headers {
            HeaderCredentials::ApiKey(_) => false,
            HeaderCredentials::None | HeaderCredentials::Empty => form.value("client_secret").is_none(),
            HeaderCredentials::Basic { .. } | HeaderCredentials::Bearer(_) | HeaderCredentials::OtherScheme => true,
        };
        let key = presented_key(&headers, &form).map_err(|error| error.with_challenge(has_challenge))?;
        Ok(Self { form, key, address, now, has_challenge, kind: PhantomData })
    }
}

impl ClientRequest<TokenForm> {
    /// The token or the key's secret that the request is about; `None` if it is neither. `token_type_hint` is ignored: the
    /// text itself shows what it is.
    pub(super) fn credential(&self) -> Result<Option<Credential>, OAuthError> {
        let token = self.form.value("token").ok_or_else(|| OAuthError::invalid_request("token: missing"))?;
        Ok(key_or_token(token).ok())
    }
}

/// The key, from the headers or else from the form.
fn presented_key(headers: &HeaderCredentials<'_>, form: &Form) -> Result<PresentedKey, OAuthError> {
    let filled = |name: &str| form.value(name).map(credentials::trim).filter(|value| !value.is_empty());
    let body_id = filled("client_id");
    let body_secret = filled("client_secret").filter(|secret| !credentials::is_no_secret(secret));
    if form.value("client_assertion").is_some() {
        return Err(OAuthError::invalid_request("client_assertion: not supported; present the API key itself"));
    }
    let twice = |other: &str| {
        OAuthError::invalid_request(format!("client_secret: there is also {other}; send credentials in one way"))
    };
    let (id, secret) = match (headers, body_secret) {
        (HeaderCredentials::None | HeaderCredentials::Empty, Some(secret)) => (None, secret),
        (HeaderCredentials::Empty, None) => {
            return Err(OAuthError::new(Code::ApiKeyRequired, "the Authorization header contains no secret"));
        }
        (HeaderCredentials::None | HeaderCredentials::OtherScheme, None) => {
            return Err(OAuthError::new(
                Code::ApiKeyRequired,
                "no API key was presented; use HTTP Basic, client_secret in the body, Authorization: Bearer, or X-Api-Key",
            ));
        }
        (HeaderCredentials::OtherScheme, Some(_)) => return Err(twice("an Authorization header of another scheme")),
        (HeaderCredentials::ApiKey(_), Some(_)) => return Err(twice("an X-Api-Key header")),
        (HeaderCredentials::Basic { .. } | HeaderCredentials::Bearer(_), Some(_)) => {
            return Err(twice("a credential in the Authorization header"));
        }
        (HeaderCredentials::Basic { id, secret }, None) => (Some(id.as_str()), secret.as_str()),
        (HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text), None) => (None, *text),
    };
    let header_id = id.map(credentials::trim).filter(|id| !id.is_empty());
    if let (Some(one), Some(other)) = (header_id, body_id)
        && one != other
    {
        let denial = Denial::OtherClientId;
        let reason = denial.reason();
        return Err(OAuthError::from(denial).explained(Box::new(Explanation { reason, ..Explanation::default() })));
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
