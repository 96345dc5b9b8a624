//! Which responses are compressed.
//!
//! The size of a compressed response depends on what its parts have in common. If a page holds a secret beside a text that an
//! attacker chose, and the attacker can have it loaded many times, its size reveals the secret (BREACH). So only responses to GET
//! are compressed: secrets are only ever in responses to POST. The token against cross-site requests, which is on each page, is
//! masked with other random bytes each time.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, COOKIE};
use actix_web::middleware::Next;

/// Compresses responses to GET alone, without exports, which are streams.
pub async fn pages(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if request.method() != Method::GET || is_stream(&request) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    next.call(request).await
}

/// Also leaves out responses to a browser's session, which another site can cause and which may hold the CSRF token.
pub async fn documents(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if request.method() != Method::GET || is_stream(&request) || request.headers().contains_key(COOKIE) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    next.call(request).await
}

/// Whether the response is an export of unlimited length.
fn is_stream(request: &ServiceRequest) -> bool {
    let accepts =
        request.headers().get(ACCEPT).is_some_and(|value| value.as_bytes().windows(6).any(|part| part == b"ndjson"));
    accepts || request.query_string().contains("ndjson") || request.path().ends_with("export")
}
