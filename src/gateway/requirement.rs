//! A gateway's requirements: `keyturn_require`, and `keyturn_map=http` for the request behind the gateway.
//!
//! All requirements must hold, so anything that a client manages to append only adds requirements. A misspelled parameter is
//! an error: if it were ignored, a requirement would be lost.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::domain::scope::{Action, Resource, ResourceFilter, Scope};
use crate::domain::slug::Slug;
use crate::gateway::answer::VerifyError;
use crate::gateway::target;
use crate::http::form::{self, Form};
use crate::verification::Required;

/// More requirements than any recipe has.
const MAX_REQUIRED: usize = 16;

/// The parameters, and whether each may be repeated.
const PARAMETERS: [(&str, bool); 5] = [
    ("keyturn_require", true),
    ("keyturn_audience", true),
    ("keyturn_api", false),
    ("keyturn_map", false),
    ("keyturn_organization", false),
];

const METHOD_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-method"), HeaderName::from_static("x-forwarded-method")];
const URI_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-forwarded-uri"),
];

/// The requirements of a gateway.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    /// Scopes that the caller must hold, all of them.
    pub required: Vec<Required>,
    /// The token must be for one of these audiences; empty for any.
    pub audiences: Vec<String>,
    /// The name of the API that the credential must be for, which the challenge describes.
    pub api: Option<Slug>,
    /// Whether the credentials of every organization are accepted.
    pub is_any_organization: bool,
}

/// Reads the requirements.
///
/// At the exact path the gateway wrote the whole query, so an unknown parameter is an error: it may be a misspelled
/// requirement. Behind `/verify/`, some gateways append the client's query. There, only names that begin with
/// `keyturn_` are errors, and nothing may loosen.
pub(super) fn read(request: &HttpRequest, has_client_query: bool) -> Result<Requirements, VerifyError> {
    let wrong = |message: String| VerifyError::bad_requirement(message);
    let text = request.query_string();
    let query = Form::parse(text.as_bytes()).map_err(|error| wrong(format!("query: {error}")))?;
    check_parameters(text, has_client_query).map_err(wrong)?;
    let mut required = Vec::new();
    for text in query.values("keyturn_require") {
        if required.len() == MAX_REQUIRED {
            return Err(wrong(format!("keyturn_require: at most {MAX_REQUIRED} are allowed")));
        }
        required.push(Required::parse_scope(text).map_err(|error| wrong(format!("keyturn_require: {error}")))?);
    }
    let audiences: Vec<String> = query.values("keyturn_audience").map(str::to_owned).collect();
    if audiences.len() > MAX_REQUIRED {
        return Err(wrong(format!("keyturn_audience: at most {MAX_REQUIRED} are allowed")));
    }
    let is_any_organization = match query.value("keyturn_organization") {
        None => false,
        Some("*") if !has_client_query => true,
        Some(_) => {
            return Err(wrong(
                "keyturn_organization: only * is allowed, and only at /verify; use /o/{slug}/verify".into(),
            ));
        }
    };
    // They choose the API whose scopes a secret has, so a client may not.
    for name in ["keyturn_api", "keyturn_audience"] {
        if has_client_query && query.value(name).is_some() {
            return Err(wrong(format!("{name}: only allowed at the exact path /verify, without the client's query")));
        }
    }
    let api = match query.value("keyturn_api") {
        None => None,
        Some(_) if is_any_organization => {
            return Err(wrong("keyturn_api: not allowed with keyturn_organization=*".into()));
        }
        Some(name) => Some(Slug::parse(name).ok_or_else(|| wrong("keyturn_api: not the name of an API".into()))?),
    };
    if query.values("keyturn_map").any(|value| value != "http") {
        return Err(wrong("keyturn_map: only http is allowed".into()));
    }
    if query.value("keyturn_map").is_some() {
        required.push(of_request(request.headers()).map_err(wrong)?);
    } else if let Some(uri) = agreed(request.headers(), &URI_HEADERS, "URI").map_err(wrong)? {
        // The gateway chose this requirement by a path that the API must not read differently.
        target::path(uri).map_err(|why| wrong(format!("the forwarded URI {why}")))?;
    }
    Ok(Requirements { required, audiences, api, is_any_organization })
}

/// Checks the names of all parameters, and that each has a value.
fn check_parameters(query: &str, has_client_query: bool) -> Result<(), String> {
    let mut seen = [0_usize; PARAMETERS.len()];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = form::decode(name).map_err(|_| "query: a name holds a bad percent-escape".to_owned())?;
        let known = PARAMETERS.iter().zip(&mut seen).find(|((known, _), _)| *known == name);
        match known {
            Some(((name, _), _)) if value.is_empty() => return Err(format!("{name}: a value is required")),
            Some(((name, is_repeatable), count)) => {
                *count += 1;
                if *count > 1 && !is_repeatable {
                    return Err(format!("{name}: may be given once"));
                }
            }
            None if has_client_query && !resembles_ours(&name) => {}
            None => {
                return Err(
                    "query: unknown parameter; allowed are keyturn_require, keyturn_audience, keyturn_api, keyturn_map \
                            and keyturn_organization"
                        .into(),
                );
            }
        }
    }
    Ok(())
}

/// Whether a name begins with `keyturn_`, in any case, with `-` for `_`, and after any white space.
fn resembles_ours(name: &str) -> bool {
    let name = name.trim().replace('-', "_");
    name.get(..8).is_some_and(|head| head.eq_ignore_ascii_case("keyturn_"))
}

/// The access that the request behind the gateway requires: its method's action on its path's resource.
fn of_request(headers: &HeaderMap) -> Result<Required, String> {
    let missing = |what: &str| format!("keyturn_map: the gateway sent no {what}, as X-Original-* or X-Forwarded-*");
    let method = agreed(headers, &METHOD_HEADERS, "method")?.ok_or_else(|| missing("method"))?;
    let uri = agreed(headers, &URI_HEADERS, "URI")?.ok_or_else(|| missing("URI"))?;
    let action = match method {
        "GET" | "HEAD" | "OPTIONS" => "read",
        method if !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') => {
            "write"
        }
        _ => return Err("keyturn_map: the forwarded method is not one".into()),
    };
    let action = Action::parse(action).map_err(|error| error.to_string())?;
    required_of(action, target::path(uri).map_err(|why| format!("keyturn_map: the forwarded URI {why}"))?)
}

/// The value that all of several headers agree on. A gateway sets one of them, and others may come from the client: all that
/// are present must be equal, and none may be repeated.
fn agreed<'a>(headers: &'a HeaderMap, names: &[HeaderName], what: &str) -> Result<Option<&'a str>, String> {
    let mut found = None;
    for name in names {
        for (count, value) in headers.get_all(name).enumerate() {
            if count > 0 {
                return Err(format!("{name} is repeated"));
            }
            let text = value.to_str().map_err(|_| format!("the forwarded {what} is not ASCII"))?;
            match found {
                Some(other) if other != text => return Err(format!("two forwarded {what}s disagree")),
                _ => found = Some(text),
            }
        }
    }
    Ok(found)
}

/// An action on a path; the root means every resource.
fn required_of(action: Action, path: &str) -> Result<Required, String> {
    let wrong = |error: crate::domain::scope::ScopeError| format!("keyturn_map: {error}");
    match path {
        "" => Ok(Required::Filter(Scope::new(action, ResourceFilter::parse("*").map_err(wrong)?))),
        path => Ok(Required::Access(action, Resource::parse(path).map_err(wrong)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scope::{ScopeSet, ScopeStyle};
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    fn required(query: &str, headers: &[(&'static str, &str)]) -> Result<String, String> {
        read_at(query, headers, false).map(|read| shown(&read.required))
    }

    fn shown(required: &[Required]) -> String {
        required.iter().map(Required::to_string).collect::<Vec<_>>().join(" ")
    }

    fn read_at(query: &str, headers: &[(&'static str, &str)], has_client_query: bool) -> Result<Requirements, String> {
        let mut request = TestRequest::with_uri(&format!("/verify?{query}"));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        read(&request.to_http_request(), has_client_query).map_err(|error| error.to_string())
    }

    const GET: (&str, &str) = ("x-original-method", "GET");

    #[test]
    fn requirements_add_up() {
        assert_eq!(required("", &[]).as_deref(), Ok(""));
        assert_eq!(
            required("keyturn_require=read:a/b&keyturn_require=write%3Ac", &[]).as_deref(),
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
            "keyturn_require=read%20a",
            "keyturn_require=%zz",
            "keyturn_map=https",
            "keyturn_map=",
            "keyturn_requires=read:a",
            "Keyturn_require=read:a",
            "keytrun_require=read:a",
            "x=1",
            "x",
            "keyturn%5Frequire",
            "keyturn%5Frequire=",
            "%4Beyturn_require=read:a",
            "keyturn_audience",
            "keyturn_api",
            "keyturn_api=",
            "keyturn_api=A%20b",
            "keyturn_api=a&keyturn_api=a",
            "keyturn_api=a&keyturn_organization=*",
            "keyturn_organization=acme",
            "keyturn_organization=",
            "keyturn_organization=*&keyturn_organization=*",
            "keyturn_map=http",
        ] {
            assert!(required(query, &[]).is_err(), "{query}");
        }
        for uri in
            ["/a//b", "/a/../b", "/a/..;/b", "/a/.;x/b", "/a/;x/b", "/a%2fb", "/a/*", "a", "", "//", "https://host"]
        {
            let result = required("keyturn_map=http", &[GET, ("x-original-uri", uri)]);
            assert!(result.is_err(), "{uri}: {result:?}");
        }
        let disagree = [GET, ("x-original-uri", "/a"), ("x-forwarded-uri", "/b")];
        assert!(required("keyturn_map=http", &disagree).is_err());
    }

    #[test]
    fn scope_without_a_colon_or_with_a_bad_filter_is_plain() {
        let wide = ScopeSet::parse("*:* read:keyturn/*").unwrap();
        for text in ["read", "read:a//b", "read:../a", "https://api.example/photos"] {
            let required = read_at(&format!("keyturn_require={text}"), &[], false).unwrap().required;
            let plain = ScopeSet::parse_as(ScopeStyle::Plain, text).unwrap();
            assert!(required.iter().all(|one| one.is_held_by(&plain) && !one.is_held_by(&wide)), "{text}");
        }
        let required = &read_at("keyturn_require=read:a", &[], false).unwrap().required[0];
        assert!(
            required.is_held_by(&wide) && !required.is_held_by(&ScopeSet::parse_as(ScopeStyle::Plain, "*:*").unwrap())
        );
    }

    #[test]
    fn query_of_the_client_cannot_loosen() {
        assert!(read_at("x=1&y&keyturn=2", &[], true).is_ok());
        for query in [
            "keyturn_organization=*",
            "keyturn%5frequire=",
            "%6beyturn_x=1",
            "KEYTURN_REQUIRE=read:a",
            "keyturn-map=http",
        ] {
            assert!(read_at(query, &[], true).is_err(), "{query}");
        }
        assert!(read_at("keyturn_organization=*", &[], false).unwrap().is_any_organization);
        for query in ["keyturn_api=a", "keyturn_audience=a"] {
            assert!(read_at(query, &[], false).is_ok() && read_at(query, &[], true).is_err(), "{query}");
        }
    }

    #[test]
    fn fixed_requirement_denies_ambiguous_targets() {
        let of = |uri| required("keyturn_require=read:a", &[("x-forwarded-uri", uri)]);
        assert!(of("/a/b?x=..").is_ok());
        for uri in ["/a/..;/admin", "/a/x\\..\\..\\admin", "/a/#/../../admin", "/a/%2e%2e/b"] {
            assert!(of(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn repeated_parameters_and_headers_are_denied() {
        let uri = ("x-original-uri", "/a");
        assert!(required("keyturn_map=http", &[GET, uri]).is_ok());
        assert!(required("keyturn_map=http&keyturn_map=http", &[GET, uri]).is_err());
        assert!(required("keyturn_map=http", &[GET, uri, uri]).is_err());
        assert!(required("keyturn_map=http", &[GET, GET, uri]).is_err());
        let audiences = read_at("keyturn_audience=a&keyturn_audience=b", &[], false).unwrap().audiences;
        assert_eq!(audiences, ["a", "b"]);
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
