//! The ID, the span, the metrics and the log line of each request.
//!
//! A line has IDs, addresses, route patterns and fixed words only, never a path, query, header or body as it was sent: a
//! client may have put a secret there.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use tracing::{Instrument, Span};

use crate::clock;
use crate::crypto::random;
use crate::domain::choices::LoggedRequests;
use crate::domain::networks::fold;
use crate::http::access::{Explanation, Identity, Refused};
use crate::http::body_chunks::in_chunks;
use crate::http::context::HttpContext;
use crate::http::denials;
use crate::http::operations::NOT_READY;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest request ID that is accepted from a proxy.
const MAX_ID: usize = 128;

/// A run of this many letters and digits in a request ID may be a secret.
const SECRET_RUN: usize = 40;

impl LoggedRequests {
    fn include(self, status: u16) -> bool {
        match self {
            Self::All => true,
            Self::Failed => status >= 400,
            Self::None => status >= 500,
        }
    }
}

/// Gives a request its ID and a span, and logs and counts its response.
pub async fn log_request(
    context: web::Data<HttpContext>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = clock::stopwatch();
    let peer = request.peer_addr().map(|peer| fold(peer.ip()));
    let ids = Ids::of(request.headers(), peer.is_some_and(|peer| context.trusted_proxies.trusts(peer)));
    context.public_path.strip(&mut request);
    let span = span(request.path(), &ids);
    let mut response = next.call(request).instrument(span).await?;

    let seconds = begun.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    let route = route(&context, response.request());
    context.node.metrics.request(route.clone(), status, seconds);
    if context.logged_requests.include(status) {
        write_line(&context, &response, &Line { ids: &ids, peer, route: &route, status, seconds });
    }
    if status >= 400 {
        denials::note(&context, &response, &ids.request, &route);
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(ids.request)) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    Ok(in_chunks(response))
}

/// The IDs by which a request is found in logs.
struct Ids {
    request: String,
    /// The trace ID of `traceparent`.
    trace: Option<String>,
}

impl Ids {
    /// The IDs that a trusted proxy sent, or a new request ID.
    fn of(headers: &HeaderMap, is_trusted: bool) -> Self {
        let sent = |name: HeaderName| if is_trusted { headers.get(name)?.to_str().ok() } else { None };
        let request = sent(X_REQUEST_ID).filter(|id| is_request_id(id)).map(str::to_owned);
        Self {
            request: request.unwrap_or_else(|| random::public_identifier().unwrap_or_default()),
            trace: sent(TRACEPARENT).and_then(trace_id).map(str::to_owned),
        }
    }
}

/// Whether a text is acceptable as a request ID and cannot be a secret.
fn is_request_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(is_allowed)
        && text.split(['.', '_', '-']).all(|run| run.len() < SECRET_RUN)
}

/// The trace ID in a `traceparent` header (W3C Trace Context §3.2).
fn trace_id(text: &str) -> Option<&str> {
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_long = [version, trace, parent, flags].map(str::len) == [2, 32, 16, 2];
    let is_valid = is_long && [version, trace, parent, flags].into_iter().all(is_hexadecimal);
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    (is_valid && is_known && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

/// The span that puts the request's IDs into other log lines. Decisions are many and write no other lines, so their span is
/// for debugging only.
fn span(path: &str, ids: &Ids) -> Span {
    const DECISIONS: [&str; 4] = ["oauth/token", "oauth/introspect", "verify", "o/"];
    let (request_id, trace_id) = (ids.request.as_str(), ids.trace.as_deref());
    let path = path.trim_start_matches('/');
    if DECISIONS.into_iter().any(|prefix| path.starts_with(prefix)) {
        tracing::debug_span!("request", request_id, trace_id)
    } else {
        tracing::error_span!("request", request_id, trace_id)
    }
}

/// The fields of every line.
struct Line<'a> {
    ids: &'a Ids,
    peer: Option<IpAddr>,
    route: &'a str,
    status: u16,
    seconds: f64,
}

fn write_line(context: &HttpContext, response: &ServiceResponse<impl MessageBody>, line: &Line<'_>) {
    let request = response.request();
    let of_response = response.response().extensions();
    let of_request = request.extensions();
    let refused = of_response.get::<Refused>();
    let explanation = refused.and_then(|refused| refused.explanation.as_deref());
    let Explanation { identity, reason, scope, cause, .. } = explanation.unwrap_or(&Explanation::NONE);
    let identity = of_request.get::<Identity>().unwrap_or(identity);
    macro_rules! line {
        ($level:expr, $message:literal) => {
            tracing::event!(
                target: "keyturn::access",
                $level,
                method = method(request.method()),
                route = line.route,
                status = line.status,
                code = refused.map(|refused| refused.code),
                reason = *reason,
                scope = scope.as_deref(),
                client_id = identity.client_id.as_ref().map(|id| id.as_str()),
                member = identity.member.as_ref().map(|id| id.0.as_str()),
                organization = identity.organization.as_ref().map(|slug| slug.as_str()),
                client_address = context.client_address(request).known().map(tracing::field::display),
                peer = line.peer.map(tracing::field::display),
                request_id = line.ids.request.as_str(),
                trace_id = line.ids.trace.as_deref(),
                milliseconds = (line.seconds * 1e6).round() / 1e3,
                error = cause.as_deref(),
                $message
            )
        };
    }
    match (line.status, cause) {
        // Probes come every second, and `operations` logs once that the node is not ready.
        (500.., None) if refused.is_some_and(|refused| refused.code == NOT_READY) => {
            line!(tracing::Level::DEBUG, "request failed");
        }
        (500.., Some(_)) => line!(tracing::Level::ERROR, "request failed"),
        (500.., None) => line!(tracing::Level::WARN, "request failed"),
        (400.., Some(_)) => line!(tracing::Level::WARN, "request denied"),
        (400.., None) => line!(tracing::Level::INFO, "request denied"),
        (_, _) => line!(tracing::Level::INFO, "request served"),
    }
}

/// A method as it is logged. Clients can send any word as a method, so only the usual ones are named.
fn method(method: &Method) -> &'static str {
    const USUAL: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    USUAL.into_iter().find(|usual| *usual == method.as_str()).unwrap_or("other")
}

/// The pattern of a request's route. A look-up walks all routes again, so the busiest are recognized by their path.
fn route(context: &HttpContext, request: &HttpRequest) -> Cow<'static, str> {
    match context.node.metrics.busy_route(request.path()) {
        Some(busy) => Cow::Borrowed(busy),
        None => request.match_pattern().map_or(Cow::Borrowed("unmatched"), Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(headers: &[(HeaderName, &str)], is_trusted: bool) -> Ids {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        Ids::of(&map, is_trusted)
    }

    #[test]
    fn request_id_is_taken_from_a_trusted_proxy_only() {
        let sent = |id: &str, is_trusted| ids(&[(X_REQUEST_ID, id)], is_trusted).request == id;
        let longest = ["a".repeat(32), "b".repeat(32), "c".repeat(32), "d".repeat(29)].join("-");
        assert_eq!(longest.len(), 128);
        for id in ["my-trace-1", "req_01HQ7Z.2", "0123abcd-4567-89ef-0123-456789abcdef", "a", &longest] {
            assert!(sent(id, true), "{id}");
            assert!(!sent(id, false), "{id}");
        }
        let secret = format!("kt_0123456789abcdef_{}", "0".repeat(49));
        for id in ["", "a b", "a/b", "a=b", "é", &format!("{longest}-"), &secret, &"0".repeat(40)] {
            assert!(!sent(id, true), "{id}");
        }
    }

    #[test]
    fn trace_id_is_read_as_w3c_trace_context_writes_it() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        let read = |text: &str, is_trusted| ids(&[(TRACEPARENT, text)], is_trusted).trace;
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        assert_eq!(read(&good, true).as_deref(), Some(TRACE));
        assert_eq!(read(&good, false), None);
        assert_eq!(read(&format!("cc-{TRACE}-b7ad6b7169203331-01-what.ever"), true).as_deref(), Some(TRACE));
        for bad in [
            format!("{good}-more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-b7ad6b7169203331"),
            TRACE.to_owned(),
        ] {
            assert_eq!(read(&bad, true), None, "{bad}");
        }
    }

    #[test]
    fn setting_says_which_requests_are_logged() {
        let logged = |requests: LoggedRequests| [200, 303, 401, 503].map(|status| requests.include(status));
        assert_eq!(logged(LoggedRequests::All), [true; 4]);
        assert_eq!(logged(LoggedRequests::Failed), [false, false, true, true]);
        assert_eq!(logged(LoggedRequests::None), [false, false, false, true]);
    }
}
