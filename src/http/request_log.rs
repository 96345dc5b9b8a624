//! One line and one count for every answered request, and the request's id.
//!
//! What is logged of a request is its method, its route's pattern and the answer: never its path or query
//! as sent, for a mistaken client may have put a secret there.

use std::borrow::Cow;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};

use crate::clock;
use crate::crypto::random;
use crate::http::context::HttpContext;
use crate::http::pieces::in_pieces;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a request its id, and logs and counts its answer.
pub async fn log_request(
    context: web::Data<HttpContext>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = clock::stopwatch();
    let id = given_id(&request).unwrap_or_else(|| random::identifier().unwrap_or_default());
    context.public_path.strip(&mut request);
    let mut response = next.call(request).await?;

    let seconds = begun.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    let route = route(response.request());
    context.node.metrics.request(route.clone(), status, seconds);
    let method = method(response.request().method());
    let milliseconds = (seconds * 1e6).round() / 1e3;
    if status >= 500 {
        tracing::warn!(request_id = id, method, %route, status, milliseconds, "answered");
    } else if status >= 400 {
        tracing::info!(request_id = id, method, %route, status, milliseconds, "answered");
    } else {
        tracing::debug!(request_id = id, method, %route, status, milliseconds, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    Ok(in_pieces(response))
}

/// A method as it is logged: one of the usual ones, for any word may be sent as one.
fn method(method: &Method) -> &'static str {
    const USUAL: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    USUAL.into_iter().find(|usual| *usual == method.as_str()).unwrap_or("other")
}

/// The pattern of the route that a request took. Looking it up walks every route again, so the busiest are
/// told by their path.
fn route(request: &HttpRequest) -> Cow<'static, str> {
    const BUSY: [&str; 3] = ["/oauth/token", "/verify", "/oauth/introspect"];
    match BUSY.into_iter().find(|busy| *busy == request.path()) {
        Some(busy) => Cow::Borrowed(busy),
        None => request.match_pattern().map_or(Cow::Borrowed("unmatched"), Cow::Owned),
    }
}

/// The id that a proxy gave, if it looks like one: 8 to 64 of `[0-9a-fA-F-]`, and so no secret.
fn given_id(request: &ServiceRequest) -> Option<String> {
    let text = request.headers().get(&X_REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    ((8..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}
