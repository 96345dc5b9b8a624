//! `POST /oauth/token` (RFC 6749 §4.4).

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

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

const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
    let key = client::presented_key(&headers, &form)?;
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

/// The response of RFC 6749 §5.1. Neither a compact JWS (RFC 7515 §7.1) nor a scope (RFC 6749 §3.3) has a character that
/// JSON escapes, so the body is put together: a serializer looks at each byte of a long token.
fn granted(minted: &Minted) -> HttpResponse {
    let Minted { access_token, scopes, expires_in, .. } = minted;
    let (expires_in, scope) = (expires_in.to_string(), scopes.as_str());
    let body = [
        r#"{"access_token":""#,
        access_token,
        r#"","token_type":"Bearer","expires_in":"#,
        &expires_in,
        r#","scope":""#,
        scope,
        r#""}"#,
    ];
    no_store(HttpResponse::Ok()).insert_header((CONTENT_TYPE, JSON)).body(body.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use actix_web::body::MessageBody;

    #[test]
    fn response_is_json_whatever_the_scopes_are() {
        let every_character: String =
            ('!'..='~').filter(|c| !matches!(c, '"' | '%' | ',' | '\\' | '*' | '#')).collect();
        let scopes = ScopeSet::parse(&format!("read:{every_character} write")).unwrap();
        let key = Arc::new(crate::domain::api_key::tests::key("read", &[]));
        let minted = Minted { key, access_token: "e30.e30-_.AA".into(), expires_in: 600, scopes };
        let body = granted(&minted).into_body().try_into_bytes().unwrap();
        let expected = serde_json::json!({
            "access_token": "e30.e30-_.AA",
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": format!("read:{every_character} write"),
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), expected);
    }
}
