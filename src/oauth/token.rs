//! `POST /oauth/token` (RFC 6749 §4.4).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::clock;
use crate::domain::decision::ClientAddress;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::oauth::answer::{OAuthError, no_store};
use crate::oauth::client;
use crate::oauth::pages::{readable, with_preflight};
use crate::tokens::{ExchangeRequest, Minted, exchange};

/// Room for as many scopes as a key can have, each at its longest.
const MAX_BODY: usize = 16 * 1024 - 1;

/// Registers the token endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(with_preflight(web::resource("/oauth/token").route(web::post().to(token))));
}

async fn token(context: web::Data<HttpContext>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let address = context.client_address(&request);
    let mut challenge = true;
    let asked = match client::body(payload, MAX_BODY).await {
        Ok(body) => read(&request, &body, address, clock::now(), &mut challenge),
        Err(error) => Err(error),
    };
    let answer = match asked {
        Ok(asked) => exchange(&context.node, asked).await.map_err(OAuthError::from),
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(minted) => {
            context.node.metrics.exchange(None);
            context.note_success(&request, &minted.key);
            granted(&minted)
        }
        Err(error) => {
            let error = error.limited_by(&context.failures, address);
            context.node.metrics.exchange(Some(error.code));
            error.respond(challenge)
        }
    };
    readable(&context, &request, response)
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
    // 1. The form, and the key, given in exactly one way.
    let (form, headers) = client::read_form(request, body, &["resource"], challenge)?;

    // 2. The grant.
    match form.value("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(OAuthError::unsupported_grant_type()),
        None => return Err(OAuthError::invalid_request("grant_type: missing; client_credentials is expected")),
    }

    // 3. The key, and what for.
    let key = client::presented_key(headers, &form)?;
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

fn granted(minted: &Minted) -> HttpResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        access_token: &'a str,
        token_type: &'static str,
        expires_in: i64,
        scope: &'a str,
    }
    no_store(HttpResponse::Ok()).json(Body {
        access_token: &minted.access_token,
        token_type: "Bearer",
        expires_in: minted.expires_in,
        scope: &minted.scope,
    })
}
