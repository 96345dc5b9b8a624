//! Credentials as they come in headers: `Authorization` and `X-Api-Key`.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::domain::key_text::{KeyText, looks_like_key_text};
use crate::http::form;
use crate::tokens::{Credential, PresentedKey};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What the headers carry.
#[derive(Debug)]
pub enum HeaderCredentials {
    /// Nothing.
    None,
    /// `Authorization: Basic` (RFC 6749 §2.3.1): id and secret, form-decoded.
    Basic {
        /// May be empty.
        id: String,
        /// The key text or the bare secret.
        secret: Zeroizing<String>,
    },
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer(Zeroizing<String>),
    /// `X-Api-Key`.
    ApiKey(Zeroizing<String>),
    /// `Authorization` of a scheme that is not taken.
    OtherScheme,
}

/// Headers that cannot be taken for credentials. The text says which and why, and no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderError(pub &'static str);

/// Reads the credentials in the headers; there is at most one.
pub fn from_headers(headers: &HeaderMap) -> Result<HeaderCredentials, HeaderError> {
    let authorization = single(headers, &AUTHORIZATION, "more than one Authorization header")?;
    let api_key = single(headers, &X_API_KEY, "more than one X-Api-Key header")?;
    match (authorization, api_key) {
        (None, None) => Ok(HeaderCredentials::None),
        (Some(_), Some(_)) => Err(HeaderError("both an Authorization and an X-Api-Key header; give one")),
        (None, Some(value)) => {
            let text = ascii(value).ok_or(HeaderError("X-Api-Key: only printable ASCII is allowed"))?;
            match text.trim() {
                "" => Ok(HeaderCredentials::None),
                text => Ok(HeaderCredentials::ApiKey(Zeroizing::new(text.to_owned()))),
            }
        }
        (Some(value), None) => {
            let text = ascii(value).ok_or(HeaderError("Authorization: only printable ASCII is allowed"))?;
            if text.trim().is_empty() {
                return Ok(HeaderCredentials::None);
            }
            let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            let rest = rest.trim_start();
            if scheme.eq_ignore_ascii_case("bearer") {
                bearer(rest)
            } else if scheme.eq_ignore_ascii_case("basic") {
                basic(rest)
            } else {
                Ok(HeaderCredentials::OtherScheme)
            }
        }
    }
}

/// A credential as a gateway or the management API takes it: a key text, or else a token. `None` is a
/// key text that its own checksum refutes.
pub fn key_or_token(text: &str) -> Option<Credential> {
    if !looks_like_key_text(text) {
        return Some(Credential::Token(Zeroizing::new(text.to_owned())));
    }
    let key = KeyText::parse(text).ok()?;
    Some(Credential::Key(PresentedKey { id: key.id(), secret: key.into_secret() }))
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    twice: &'static str,
) -> Result<Option<&'a HeaderValue>, HeaderError> {
    let mut values = headers.get_all(name);
    let first = values.next();
    if values.next().is_some() { Err(HeaderError(twice)) } else { Ok(first) }
}

/// The value as text if it is ASCII. A header value holds no control character but tabs, which no credential has inside.
/// `HeaderValue::to_str` looks at each byte on its own, which costs more than all the rest of reading a long token.
fn ascii(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    if bytes.is_ascii() { std::str::from_utf8(bytes).ok() } else { None }
}

fn bearer(text: &str) -> Result<HeaderCredentials, HeaderError> {
    if text.is_empty() || text.contains(' ') {
        return Err(HeaderError("Authorization: Bearer must be followed by one token or key text"));
    }
    Ok(HeaderCredentials::Bearer(Zeroizing::new(text.to_owned())))
}

fn basic(text: &str) -> Result<HeaderCredentials, HeaderError> {
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| HeaderError("Authorization: Basic is not base64"))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| HeaderError("Authorization: Basic does not hold UTF-8"))?;
    let (id, secret) = text
        .split_once(':')
        .ok_or(HeaderError("Authorization: Basic holds no colon; client_id:client_secret is expected"))?;
    let read = |part| {
        form::decode(part).map_err(|_| HeaderError("Authorization: Basic holds a NUL or a bad percent-escape; both parts are form-encoded (RFC 6749 section 2.3.1)"))
    };
    Ok(HeaderCredentials::Basic { id: read(id)?, secret: Zeroizing::new(read(secret)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Result<String, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        match from_headers(&map).map_err(|error| error.0)? {
            HeaderCredentials::None => Ok("none".into()),
            HeaderCredentials::Basic { id, secret } => Ok(format!("basic {id}|{}", *secret)),
            HeaderCredentials::Bearer(text) => Ok(format!("bearer {}", *text)),
            HeaderCredentials::ApiKey(text) => Ok(format!("api-key {}", *text)),
            HeaderCredentials::OtherScheme => Ok("other".into()),
        }
    }

    fn basic_of(text: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }

    #[test]
    fn each_way_is_read() {
        assert_eq!(read(&[]).as_deref(), Ok("none"));
        assert_eq!(read(&[("x-api-key", "")]).as_deref(), Ok("none"), "empty counts as omitted");
        assert_eq!(read(&[("authorization", " ")]).as_deref(), Ok("none"));
        assert_eq!(read(&[("authorization", &basic_of("a%3Ab:c+d:e"))]).as_deref(), Ok("basic a:b|c d:e"));
        assert_eq!(read(&[("authorization", &basic_of("a:b").replace("Basic", "bASIC"))]).as_deref(), Ok("basic a|b"));
        assert_eq!(read(&[("authorization", "basic YTpi")]).as_deref(), Ok("basic a|b"));
        assert_eq!(read(&[("authorization", "basic YTo")]).as_deref(), Ok("basic a|"), "no padding");
        assert_eq!(read(&[("authorization", "bearer x.y.z")]).as_deref(), Ok("bearer x.y.z"));
        assert_eq!(read(&[("x-api-key", " k ")]).as_deref(), Ok("api-key k"));
        assert_eq!(read(&[("authorization", "Digest x")]).as_deref(), Ok("other"));
    }

    #[test]
    fn what_is_ambiguous_or_unreadable_is_refused() {
        let (no_colon, bad_escape, nul) = (basic_of("ab"), basic_of("a:%zz"), basic_of("a:\0"));
        for headers in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")][..],
            &[("x-api-key", "a"), ("x-api-key", "a")],
            &[("authorization", "Bearer a"), ("x-api-key", "a")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer a b")],
            &[("authorization", "Basic !!!")],
            &[("authorization", "Basic /w==")],
            &[("authorization", &no_colon)],
            &[("authorization", &bad_escape)],
            &[("authorization", &nul)],
            &[("authorization", "Bearer k\u{e4}")],
            &[("x-api-key", "k\u{a0}")],
        ] {
            assert!(read(headers).is_err(), "{headers:?}");
        }
    }
}
