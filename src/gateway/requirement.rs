//! What a gateway requires: `keyturn_require`, and `keyturn_map=http` for the request it asks about.
//!
//! All requirements must hold, so whatever a client manages to append can only tighten. A parameter of
//! ours that is misspelt is an error: ignored, it would loosen.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::domain::scope::{Action, Resource, ResourceFilter, Scope};
use crate::gateway::answer::VerifyError;
use crate::http::form::Form;
use crate::tokens::Required;

/// More requirements than any recipe has.
const MAX_REQUIRED: usize = 16;

/// What must be held.
pub(super) fn read(request: &HttpRequest) -> Result<Vec<Required>, VerifyError> {
    let wrong = |message: String| VerifyError::bad_requirement(message);
    let query = Form::parse(request.query_string().as_bytes()).map_err(|error| wrong(format!("query: {error}")))?;
    let mut required = Vec::new();
    for text in query.values("keyturn_require") {
        if required.len() == MAX_REQUIRED {
            return Err(wrong(format!("keyturn_require: at most {MAX_REQUIRED} are allowed")));
        }
        if !text.contains(':') {
            return Err(wrong("keyturn_require: action:resource is expected".into()));
        }
        let scope = Scope::parse(text).map_err(|error| wrong(format!("keyturn_require: {error}")))?;
        required.push(Required::Scope(scope));
    }
    if query.values("keyturn_map").any(|value| value != "http") {
        return Err(wrong("keyturn_map: only http is allowed".into()));
    }
    let names = query.names().chain(names_without_value(request.query_string()));
    for name in names.filter(|name| name.get(..8).is_some_and(|head| head.eq_ignore_ascii_case("keyturn_"))) {
        if name != "keyturn_require" && name != "keyturn_map" {
            return Err(wrong(
                "the query: of the parameters that begin with keyturn_, only keyturn_require and keyturn_map are known"
                    .into(),
            ));
        }
    }
    if names_without_value(request.query_string()).any(|name| name == "keyturn_require" || name == "keyturn_map") {
        return Err(wrong("keyturn_require and keyturn_map need a value".into()));
    }
    if query.value("keyturn_map").is_some() {
        required.push(of_request(request.headers()).map_err(wrong)?);
    }
    Ok(required)
}

/// Names of parameters that have no value, which the form leaves out.
fn names_without_value(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter_map(|pair| match pair.split_once('=') {
        None => Some(pair),
        Some((name, "")) => Some(name),
        Some(_) => None,
    })
}

/// What the request behind the gateway needs: its method's action on its path's resource.
fn of_request(headers: &HeaderMap) -> Result<Required, String> {
    let method = agreed(headers, &["x-original-method", "x-forwarded-method"], "method")?;
    let uri = agreed(headers, &["x-original-uri", "x-original-url", "x-forwarded-uri"], "URI")?;
    let action = match method {
        "GET" | "HEAD" | "OPTIONS" => "read",
        method if !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') => {
            "write"
        }
        _ => return Err("keyturn_map: the forwarded method is not one".into()),
    };
    let action = Action::parse(action).map_err(|error| error.to_string())?;
    required_of(action, path(uri)?)
}

/// The one value of several headers. A gateway sets one of them; another may have come from the client,
/// so all that are there must say the same.
fn agreed<'a>(headers: &'a HeaderMap, names: &[&'static str], what: &str) -> Result<&'a str, String> {
    let mut found = None;
    for name in names {
        for value in headers.get_all(HeaderName::from_static(name)) {
            let text = value.to_str().map_err(|_| format!("keyturn_map: the forwarded {what} is not ASCII"))?;
            match found {
                Some(other) if other != text => return Err(format!("keyturn_map: two forwarded {what}s disagree")),
                _ => found = Some(text),
            }
        }
    }
    found.ok_or_else(|| format!("keyturn_map: the gateway sent no {what}, as X-Original-* or X-Forwarded-*"))
}

/// The path of a URI, in origin form or whole (RFC 9112 §3.2).
fn path(uri: &str) -> Result<&str, String> {
    let after_host = match uri.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => {
            rest.find('/').map_or("/", |at| rest.split_at(at).1)
        }
        _ => uri,
    };
    let path = after_host.split(['?', '#']).next().unwrap_or_default();
    path.strip_prefix('/').ok_or_else(|| "keyturn_map: the forwarded URI has no path".to_owned())
}

/// An action on a path's segments. One slash at the end makes no difference; the root is every resource.
fn required_of(action: Action, path: &str) -> Result<Required, String> {
    let wrong = |error: crate::domain::scope::ScopeError| format!("keyturn_map: {error}");
    match path.strip_suffix('/').unwrap_or(path) {
        "" => Ok(Required::Scope(Scope::new(action, ResourceFilter::parse("*").map_err(wrong)?))),
        // Some servers cut a segment off at its semicolon and read what is left: `..;` as `..`.
        path if path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | ".." | ""))) => {
            Err("keyturn_map: the path has an empty segment, or one of dots".into())
        }
        path => Ok(Required::Access(action, Resource::parse(path).map_err(wrong)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    fn required(query: &str, headers: &[(&'static str, &str)]) -> Result<String, String> {
        let mut request = TestRequest::with_uri(&format!("/verify?{query}"));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let required = read(&request.to_http_request()).map_err(|error| error.to_string())?;
        let shown = required.iter().map(|required| match required {
            Required::Scope(scope) => scope.to_string(),
            Required::Access(action, resource) => format!("{action}:{resource}"),
        });
        Ok(shown.collect::<Vec<_>>().join(" "))
    }

    const GET: (&str, &str) = ("x-original-method", "GET");

    #[test]
    fn requirements_add_up() {
        assert_eq!(required("", &[]).as_deref(), Ok(""));
        assert_eq!(
            required("keyturn_require=read:a/b&x=1&keyturn_require=write%3Ac", &[]).as_deref(),
            Ok("read:a/b write:c")
        );
        let both = required("keyturn_require=read:a&keyturn_map=http", &[GET, ("x-original-uri", "/b?keyturn_map=no")]);
        assert_eq!(both.as_deref(), Ok("read:a read:b"));
    }

    #[test]
    fn methods_and_paths_become_scopes() {
        for (method, uri, scope) in [
            ("GET", "/projects/acme", "read:projects/acme"),
            ("HEAD", "/projects/acme/?q=1", "read:projects/acme"),
            ("OPTIONS", "https://api.example/a/b", "read:a/b"),
            ("POST", "/a", "write:a"),
            ("DELETE", "/a;v=1", "write:a;v=1"),
            ("get", "/a", "write:a"),
            ("GET", "/", "read:*"),
            ("GET", "/keyturn/keys", "read:keyturn/keys"),
        ] {
            let headers = [("x-forwarded-method", method), ("x-forwarded-uri", uri)];
            assert_eq!(required("keyturn_map=http", &headers).as_deref(), Ok(scope), "{method} {uri}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_met_by_nobody() {
        for query in [
            "keyturn_require=",
            "keyturn_require",
            "keyturn_require=read",
            "keyturn_require=read:a//b",
            "keyturn_require=read:../a",
            "keyturn_require=%zz",
            "keyturn_map=https",
            "keyturn_map=",
            "keyturn_requires=read:a",
            "Keyturn_require=read:a",
            "keyturn_map=http",
        ] {
            assert!(required(query, &[]).is_err(), "{query}");
        }
        for uri in
            ["/a//b", "/a/../b", "/a/..;/b", "/a/.;x/b", "/a/;x/b", "/a%2fb", "/a/*", "a", "", "//", "https://host"]
        {
            let result = required("keyturn_map=http", &[GET, ("x-original-uri", uri)]);
            assert!(result.is_err() || uri == "https://host" || uri == "//", "{uri}: {result:?}");
        }
        let disagree = [GET, ("x-original-uri", "/a"), ("x-forwarded-uri", "/b")];
        assert!(required("keyturn_map=http", &disagree).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_appended_only_tightens(tail in "[a-z_=:/&%?#*.]{0,40}") {
            let base = required("keyturn_require=read:a", &[]).unwrap();
            if let Ok(longer) = required(&format!("keyturn_require=read:a&{tail}"), &[]) {
                prop_assert!(longer.starts_with(&base));
            }
        }
    }
}
