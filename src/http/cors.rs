//! CORS for endpoints that pages of configured origins can call.
//!
//! Not a library's middleware, which would wrap, allocate and await for every request. Without allowed origins, this costs
//! one comparison.

use actix_web::HttpResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderMap, HeaderValue, ORIGIN, VARY,
};

/// Request headers that a page can send: credentials, and the type of a form.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, X-Api-Key");

/// Response headers that a page can read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static("Retry-After, WWW-Authenticate, X-Request-Id");

/// Seconds that a browser can cache a preflight. A removed origin is blocked after that.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// The origins whose pages can read responses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<HeaderValue>);

impl AllowedOrigins {
    /// Returns the allowed origins, each in the form that browsers send.
    pub fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// Whether no origin is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets the page that sent a request read its response, if its origin is allowed. Browser credentials are never
    /// allowed: these endpoints read no cookies.
    pub fn apply(&self, request: &HeaderMap, response: &mut HttpResponse) {
        if self.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed(request) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }

    /// Returns the response to a preflight for `POST`, or `None` if its origin is not allowed.
    pub fn preflight(&self, request: &HeaderMap) -> Option<HttpResponse> {
        let origin = self.allowed(request)?;
        let response = HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()))
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "POST"))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
            .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE))
            .insert_header((ALLOW, "OPTIONS, POST"))
            .insert_header((VARY, "Origin"))
            .finish();
        Some(response)
    }

    fn allowed(&self, request: &HeaderMap) -> Option<&HeaderValue> {
        let origin = request.get(ORIGIN)?;
        self.0.iter().find(|allowed| *allowed == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        headers
    }

    #[test]
    fn origins_are_compared_byte_by_byte() {
        let allowed = AllowedOrigins::new(&["https://app.example".into()]);
        assert!(allowed.preflight(&from("https://app.example")).is_some());
        for other in [
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://evil-app.example",
            "https://APP.example",
            "null",
            "*",
            "",
        ] {
            assert!(allowed.preflight(&from(other)).is_none(), "{other}");
        }
        assert!(allowed.preflight(&HeaderMap::new()).is_none());
        assert!(AllowedOrigins::default().preflight(&from("")).is_none());
    }
}
