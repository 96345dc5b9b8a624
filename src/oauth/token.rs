//! `POST /oauth/token` (RFC 6749 §4.4).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::{KeyId, KeyText, Secret, looks_like_key_text};
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::http::credentials::{self, HeaderCredentials};
use crate::http::form::Form;
use crate::oauth::answer::{OAuthError, method_not_allowed, no_store};
use crate::telemetry::Outcome;
use crate::tokens::{ExchangeRequest, Minted, PresentedKey, exchange};

/// Larger than any form that asks for what can be granted.
const MAX_BODY: usize = 12 * 1024;

/// Registers the token endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/oauth/token")
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .route(web::post().to(token))
            .default_service(web::to(|| async { method_not_allowed("POST") })),
    );
}

async fn token(
    context: web::Data<HttpContext>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    let address = context.client_address(&request);
    let mut challenge = true;
    let asked = match body {
        Ok(body) => read(&request, &body, address, clock::now(), &mut challenge),
        Err(error) if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(OAuthError::too_large(MAX_BODY))
        }
        Err(_) => Err(OAuthError::invalid_request("the body could not be read")),
    };
    let answer = match asked {
        Ok(asked) => exchange(&context.node, asked).await.map_err(OAuthError::from),
        Err(error) => Err(error),
    };
    match answer {
        Ok(minted) => {
            context.node.metrics.exchange(Outcome::Minted);
            granted(&minted)
        }
        Err(mut error) => {
            if error.is_failure()
                && let Err(seconds) = context.failures.count(address)
            {
                error = OAuthError::limited(seconds);
            }
            context.node.metrics.exchange(error.outcome);
            error.respond(challenge)
        }
    }
}

/// Reads a request whole. `challenge` is whether a 401 carries a challenge: clients that sent their
/// credentials in the body hide the error behind one.
fn read(
    request: &HttpRequest,
    body: &[u8],
    address: ClientAddress,
    now: Timestamp,
    challenge: &mut bool,
) -> Result<ExchangeRequest, OAuthError> {
    // 1. Credentials in the headers.
    let headers = credentials::from_headers(request.headers()).map_err(|error| OAuthError::invalid_request(error.0))?;
    *challenge = !matches!(headers, HeaderCredentials::ApiKey(_));

    // 2. The form.
    check_query(request.query_string())?;
    check_content_type(request, body)?;
    let form = Form::parse(body)?;
    form.check_repeats(&["resource"])?;
    if matches!(headers, HeaderCredentials::None) && form.value("client_secret").is_some() {
        *challenge = false;
    }

    // 3. The grant.
    match form.value("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(OAuthError::unsupported_grant_type()),
        None => return Err(OAuthError::invalid_request("grant_type: missing; client_credentials is expected")),
    }

    // 4. The key, given in exactly one way.
    let key = presented_key(headers, &form)?;

    // 5. What for.
    let scopes = form.value("scope").map(ScopeSet::parse).transpose();
    let scopes = scopes.map_err(|error| OAuthError::malformed_scope(format!("scope: {error}")))?;
    let mut audiences: Vec<String> = Vec::new();
    for audience in form.values("resource").chain(form.values("audience")) {
        if !audiences.iter().any(|known| known == audience) {
            audiences.push(audience.to_owned());
        }
    }
    let scopes = scopes.filter(|scopes| !scopes.is_empty());
    Ok(ExchangeRequest { key, scopes, audiences, address, now })
}

/// Nothing that belongs in a header or the body may stand in the URL, where logs would keep it.
fn check_query(query: &str) -> Result<(), OAuthError> {
    const SECRET: [&str; 7] =
        ["client_secret", "client_id", "client_assertion", "access_token", "api_key", "token", "password"];
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    let secret = query.split('&').find(|pair| SECRET.contains(&name(pair).as_str()) || looks_like_key_text(pair));
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

fn presented_key(headers: HeaderCredentials, form: &Form) -> Result<PresentedKey, OAuthError> {
    let body_id = form.value("client_id");
    let body_secret = form.value("client_secret").map(|secret| Zeroizing::new(secret.to_owned()));
    if form.value("client_assertion").is_some() {
        return Err(OAuthError::invalid_request("client_assertion: not supported; present the API key itself"));
    }
    if body_secret.is_some() && !matches!(headers, HeaderCredentials::None) {
        return Err(OAuthError::invalid_request("client_secret: the API key is also in a header; give it in one way"));
    }
    let (id, secret) = match headers {
        HeaderCredentials::OtherScheme => return Err(OAuthError::no_credentials()),
        HeaderCredentials::None => (None, body_secret.ok_or_else(OAuthError::no_credentials)?),
        HeaderCredentials::Basic { id, secret } => (Some(id).filter(|id| !id.is_empty()), secret),
        HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text) => (None, text),
    };
    if let (Some(one), Some(other)) = (id.as_deref(), body_id)
        && one != other
    {
        return Err(OAuthError::invalid_request("client_id: not the one in the Authorization header"));
    }
    let id = id.as_deref().or(body_id);
    if looks_like_key_text(&secret) {
        let text = KeyText::parse(&secret).map_err(|_| OAuthError::invalid_key())?;
        if id.is_some_and(|id| id != text.id().as_str()) {
            return Err(OAuthError::invalid_request("client_id: not the one in the key text"));
        }
        return Ok(PresentedKey { id: text.id(), secret: text.into_secret() });
    }
    match (id.and_then(KeyId::parse), Secret::parse(&secret)) {
        (Some(id), Some(secret)) => Ok(PresentedKey { id, secret }),
        _ => Err(OAuthError::invalid_key()),
    }
}

fn granted(minted: &Minted) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: i64,
        scope: String,
    }
    no_store(HttpResponse::Ok()).json(Body {
        access_token: &minted.access_token,
        token_type: "Bearer",
        expires_in: minted.expires_in,
        scope: minted.scopes.to_string(),
    })
}
