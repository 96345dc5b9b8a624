//! The authorization endpoint. OpenID Connect Discovery §3 requires it in metadata, and strict clients fail without it.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use crate::http::methods;
use crate::oauth::answer::{OAuthError, method_not_allowed};

/// Registers the authorization endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let routes = [Method::GET, Method::HEAD, Method::POST].map(|method| (method, web::to(endpoint)));
    config.service(methods::resource("/oauth/authorize", routes, |_, allowed| method_not_allowed(allowed)));
}

/// Never redirects: no client has a registered redirection URI, and any other one may be an attacker's (RFC 6749
/// §4.1.2.1). Reads nothing of the request.
async fn endpoint() -> HttpResponse {
    let description = "response_type: none is supported, because Keyturn has no authorization code flow; \
        request a token from the token endpoint with grant_type=client_credentials";
    OAuthError::invalid("unsupported_response_type", description).respond()
}
