//! `POST /oauth/token` (RFC 6749 §4.4).

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::oauth::answer::{OAuthError, no_store};
use crate::oauth::client::{ClientForm, ClientRequest};
use crate::oauth::pages::{readable, resource};
use crate::tokens::{ExchangeRequest, Minted, exchange};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The form of a token request.
struct GrantForm;

impl ClientForm for GrantForm {
    /// Room for as many scopes as a key can have, each at its longest.
    const MAX_BYTES: usize = 16 * 1024 - 1;

    const REPEATABLE: &'static [&'static str] = &["resource"];

    fn check(form: &Form) -> Result<(), OAuthError> {
        match form.value("grant_type") {
            Some("client_credentials") => Ok(()),
            Some(_) => {
                Err(OAuthError::invalid("unsupported_grant_type", "grant_type: only client_credentials is supported"))
            }
            None => Err(OAuthError::invalid_request("grant_type: missing; client_credentials is expected")),
        }
    }
}

/// Registers the token endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig, has_origins: bool) {
    config.service(resource("/oauth/token", web::to(token), has_origins));
}

async fn token(
    context: web::Data<HttpContext>,
    request: HttpRequest,
    client: Result<ClientRequest<GrantForm>, OAuthError>,
) -> HttpResponse {
    let minted = match client {
        Ok(client) => mint(&context, client).await,
        Err(error) => Err(error),
    };
    let minted = minted.map_err(|error| error.limited_by(&context, &request));
    context.node.metrics.exchange(minted.as_ref().err().map(|error| error.code));
    let response = match minted {
        Ok(minted) => {
            context.note_success(&request, &minted.key);
            granted(&minted)
        }
        Err(error) => error.respond(),
    };
    readable(&context, &request, response)
}

async fn mint(context: &HttpContext, client: ClientRequest<GrantForm>) -> Result<Minted, OAuthError> {
    let ClientRequest { form, key, address, now, has_challenge, .. } = client;
    let mut audiences: Vec<String> = Vec::new();
    for audience in form.values("resource").chain(form.values("audience")) {
        if !audiences.iter().any(|known| known == audience) {
            audiences.push(audience.to_owned());
        }
    }
    let scope = form.value("scope").map(str::to_owned);
    let minted = exchange(&context.node, ExchangeRequest { key, scope, audiences, address, now }).await;
    minted.map_err(|refusal| {
        let asked: Vec<&str> = form.values("resource").chain(form.values("audience")).collect();
        OAuthError::from(refusal).with_challenge(has_challenge).requesting(form.value("scope"), &asked)
    })
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
    use crate::domain::scope::ScopeSet;
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
