//! The path of `server.public_url`: requests arrive with it if the proxy in front does not strip it.

use std::borrow::Cow;

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use url::Url;

/// Where RFC 8414 §3.1 inserts the path of an issuer.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Endpoints of the operator, which a proxy may deny by their path: served without the prefix alone.
const OPERATIONS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// First segments of the paths of all routes. A prefix that begins with one of them is only ever stripped by the proxy:
/// with it and without it, a path would mean two things.
const SEGMENTS: [&str; 12] = [
    ".well-known",
    "api",
    "console",
    "docs",
    "healthz",
    "metrics",
    "o",
    "oauth",
    "openapi.json",
    "portal",
    "readyz",
    "verify",
];

/// The path of the public URL, without a trailing slash; empty if it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPath {
    path: String,
    is_ambiguous: bool,
}

impl PublicPath {
    /// The path of a URL.
    pub fn of(public_url: &str) -> Self {
        let path = Url::parse(public_url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        let first = path.split('/').nth(1).unwrap_or_default();
        let is_ambiguous = SEGMENTS.contains(&&*decoded(first));
        Self { path, is_ambiguous }
    }

    /// It, as it stands before the path of every link.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Takes it out of a request's path, where a client or a proxy has left it.
    pub fn strip(&self, request: &mut ServiceRequest) {
        if self.path.is_empty() {
            return;
        }
        let Some(path) = self.without(request.path()) else { return };
        if let Some(uri) = with_path(request.uri(), &path) {
            request.match_info_mut().get_mut().update(&uri);
            request.head_mut().uri = uri;
        }
    }

    /// A path without it; `None` if it is not in there.
    fn without(&self, path: &str) -> Option<String> {
        let inserted = path.strip_prefix(METADATA).and_then(|rest| rest.strip_prefix(self.path.as_str()));
        if let Some(rest) = inserted
            && (rest.is_empty() || rest.strip_prefix('/').is_some_and(|rest| rest.starts_with("o/")))
        {
            return Some(format!("{METADATA}{rest}"));
        }
        if self.is_ambiguous {
            return None;
        }
        let rest = path.strip_prefix(self.path.as_str()).filter(|rest| rest.starts_with('/'))?;
        (!OPERATIONS.contains(&&*decoded(rest))).then(|| rest.to_owned())
    }
}

/// As routes see it.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn without(public_url: &str, path: &str) -> Option<String> {
        PublicPath::of(public_url).without(path)
    }

    #[test]
    fn prefix_is_stripped_from_whole_segments_only() {
        let url = "https://keys.example.com/auth/eu";
        assert_eq!(without(url, "/auth/eu/oauth/token").as_deref(), Some("/oauth/token"));
        assert_eq!(without(url, "/auth/eu/").as_deref(), Some("/"));
        for path in ["/oauth/token", "/auth/eu", "/auth/europe/oauth/token", "/auth/oauth/token", "/x/auth/eu/verify"] {
            assert_eq!(without(url, path), None, "{path}");
        }
    }

    #[test]
    fn operations_are_not_served_below_the_prefix() {
        for path in ["/auth/metrics", "/auth/healthz", "/auth/readyz", "/auth/%6Detrics", "/auth/m%65trics"] {
            assert_eq!(without("https://keys.example.com/auth", path), None, "{path}");
        }
    }

    #[test]
    fn metadata_is_found_where_rfc_8414_inserts_the_path() {
        let url = "https://keys.example.com/auth";
        for (path, stripped) in [
            ("/.well-known/oauth-authorization-server/auth", Some("/.well-known/oauth-authorization-server")),
            (
                "/.well-known/oauth-authorization-server/auth/o/acme",
                Some("/.well-known/oauth-authorization-server/o/acme"),
            ),
            ("/.well-known/oauth-authorization-server/o/acme", None),
            ("/.well-known/oauth-authorization-server", None),
            ("/.well-known/oauth-authorization-server/author", None),
            ("/.well-known/oauth-authorization-server/auth/x", None),
        ] {
            assert_eq!(without(url, path).as_deref(), stripped, "{path}");
        }
        let inserted = without("https://keys.example.com/o", "/.well-known/oauth-authorization-server/o/o/acme");
        assert_eq!(inserted.as_deref(), Some("/.well-known/oauth-authorization-server/o/acme"));
    }

    #[test]
    fn prefix_that_begins_like_an_endpoint_is_left_to_the_proxy() {
        for prefix in ["/oauth", "/o", "/api/v1", "/console"] {
            let url = format!("https://keys.example.com{prefix}");
            assert_eq!(without(&url, &format!("{prefix}/oauth/token")), None, "{prefix}");
        }
    }

    #[test]
    fn query_is_kept() {
        let mut request = TestRequest::with_uri("/auth/verify?keyturn_require=read:x%2Fy").to_srv_request();
        PublicPath::of("https://keys.example.com/auth").strip(&mut request);
        assert_eq!(
            (request.path(), request.uri().to_string().as_str()),
            ("/verify", "/verify?keyturn_require=read:x%2Fy")
        );
        let mut request = TestRequest::with_uri("/auth/verify").to_srv_request();
        PublicPath::of("https://keys.example.com").strip(&mut request);
        assert_eq!(request.path(), "/auth/verify");
    }
}
