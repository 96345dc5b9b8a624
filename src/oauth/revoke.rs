//! `POST /oauth/revoke` (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::context::HttpContext;
use crate::oauth::answer::{OAuthError, no_store};
use crate::oauth::client::{ClientRequest, TokenForm};
use crate::oauth::pages::{readable, resource};
use crate::tokens::{RevokeError, RevokeRequest, revoke};

/// Registers the revocation endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig, has_origins: bool) {
    config.service(resource("/oauth/revoke", web::to(endpoint), has_origins));
}

async fn endpoint(
    context: web::Data<HttpContext>,
    request: HttpRequest,
    client: Result<ClientRequest<TokenForm>, OAuthError>,
) -> HttpResponse {
    let done = match client {
        Ok(client) => answer(&context, client).await,
        Err(error) => Err(error),
    };
    let response = match done.map_err(|error| error.limited_by(&context, &request)) {
        Ok(()) => no_store(HttpResponse::Ok()).json(serde_json::json!({})),
        Err(error) => error.respond(),
    };
    readable(&context, &request, response)
}

async fn answer(context: &HttpContext, client: ClientRequest<TokenForm>) -> Result<(), OAuthError> {
    let credential = client.credential()?;
    let ClientRequest { key, address, now, has_challenge, .. } = client;
    let (node, asked) = (context.node.clone(), RevokeRequest { caller: key, credential, address, now });
    let revoked = context.node.run_to_end(async move { revoke(&node, asked).await }).await;
    revoked.map_err(|error: RevokeError| match error {
        RevokeError::Refused(refusal) => OAuthError::from(refusal).with_challenge(has_challenge),
        RevokeError::Limited(seconds) => OAuthError::too_many_revocations(seconds),
    })
}
