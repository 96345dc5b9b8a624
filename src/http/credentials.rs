//! Credentials in headers: `Authorization` and `X-Api-Key`.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::domain::key_text::{CredentialFault, KeyId, KeyText, Secret, looks_like_key_text};
use crate::domain::outcome::Denial;
use crate::http::access::{Explanation, Identity};
use crate::http::form;
use crate::verification::{Credential, PresentedKey};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credentials in the headers.
pub enum HeaderCredentials<'a> {
    /// Nothing.
    None,
    /// An `Authorization` header without a credential, sent by programs that were configured without one:
    /// `Bearer`, `Bearer null`, Basic without a secret. It does not count as a second credential.
    Empty,
    /// `Authorization: Basic` (RFC 6749 §2.3.1): id and secret, form-decoded.
    Basic {
        /// May be empty.
        id: String,
        /// The secret, with or without prefix and ID.
        secret: Zeroizing<String>,
    },
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer(&'a str),
    /// `X-Api-Key`.
    ApiKey(&'a str),
    /// `Authorization` with an unsupported scheme.
    OtherScheme,
}

/// Headers that are not acceptable as credentials. The text names the header and the fault, and repeats no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderError(pub &'static str);

/// A credential whose text shows that it belongs to no key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidCredential {
    /// Why it is denied.
    pub denial: Denial,
    /// The fault, if it can be named. It repeats nothing of the credential.
    fault: Option<String>,
    /// The ID, if it is well-formed.
    client_id: Option<KeyId>,
}

impl InvalidCredential {
    /// What the log has about it.
    pub fn explanation(&self) -> Box<Explanation> {
        let identity = Identity { client_id: self.client_id, ..Identity::default() };
        Box::new(Explanation { identity, reason: self.denial.reason(), ..Explanation::default() })
    }

    /// The sentence for the client. A fault is found in the text alone, so it reveals nothing about any key.
    pub fn description(self) -> String {
        self.fault.unwrap_or_else(|| self.denial.to_string())
    }
}

/// Reads the credentials in the headers; there is at most one.
pub fn from_headers(headers: &HeaderMap) -> Result<HeaderCredentials<'_>, HeaderError> {
    let authorization = single(headers, &AUTHORIZATION, "more than one Authorization header")?;
    let api_key = single(headers, &X_API_KEY, "more than one X-Api-Key header")?;
    let authorization = authorization.map_or(Ok(HeaderCredentials::None), of_authorization);
    let api_key = match api_key {
        Some(value) => trim(ascii(value).ok_or(HeaderError("X-Api-Key: only printable ASCII is allowed"))?),
        None => "",
    };
    let api_key = if is_no_secret(api_key) { "" } else { api_key };
    match authorization {
        Ok(HeaderCredentials::None | HeaderCredentials::Empty) if !api_key.is_empty() => {
            Ok(HeaderCredentials::ApiKey(api_key))
        }
        Err(_) | Ok(_) if !api_key.is_empty() => {
            Err(HeaderError("both an Authorization and an X-Api-Key header; give one"))
        }
        authorization => authorization,
    }
}

/// Removes the white space that shells, editors and `echo` put around a credential.
pub fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Reads a secret as a client presents it: complete, or its random part beside the ID.
pub fn presented_key(id: Option<&str>, secret: &str) -> Result<PresentedKey, InvalidCredential> {
    let (id, secret) = (id.map(trim).filter(|id| !id.is_empty()), trim(secret));
    let invalid = |denial| {
        let of_secret = CredentialFault::of_secret(secret).map(|fault| format!("the secret {fault}"));
        let of_id = || id.and_then(CredentialFault::of_characters).map(|fault| format!("client_id: {fault}"));
        InvalidCredential { denial, fault: of_secret.or_else(of_id), client_id: id.and_then(KeyId::parse) }
    };
    if looks_like_key_text(secret) {
        let text = KeyText::parse(secret).map_err(|_| invalid(Denial::MalformedSecret))?;
        return match id {
            Some(id) if id != text.id().as_str() => Err(invalid(Denial::OtherClientId)),
            _ => Ok(PresentedKey { id: text.id(), secret: text.into_secret() }),
        };
    }
    match (id.and_then(KeyId::parse), Secret::parse(secret)) {
        (Some(id), Some(secret)) => Ok(PresentedKey { id, secret }),
        (None, _) => Err(invalid(Denial::MalformedClientId)),
        (Some(_), None) => Err(invalid(Denial::MalformedSecret)),
    }
}

/// Reads a secret or a token.
pub fn key_or_token(text: &str) -> Result<Credential, InvalidCredential> {
    let text = trim(text);
    if let Some(fault) = CredentialFault::of_secret(text) {
        let fault = Some(format!("the credential {fault}"));
        return Err(InvalidCredential { denial: Denial::MalformedSecret, fault, client_id: None });
    }
    if looks_like_key_text(text) {
        return presented_key(None, text).map(Credential::Key);
    }
    Ok(Credential::Token(Zeroizing::new(text.to_owned())))
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

/// The value as text if it is ASCII. A header value contains no control characters but tabs.
/// `HeaderValue::to_str` checks byte by byte, which costs more than everything else about reading a long token.
fn ascii(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    if bytes.is_ascii() { std::str::from_utf8(bytes).ok() } else { None }
}

fn of_authorization(value: &HeaderValue) -> Result<HeaderCredentials<'_>, HeaderError> {
    let text = trim(ascii(value).ok_or(HeaderError("Authorization: only printable ASCII is allowed"))?);
    if text.is_empty() {
        return Ok(HeaderCredentials::None);
    }
    let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let rest = trim(rest);
    if scheme.eq_ignore_ascii_case("bearer") {
        bearer(rest)
    } else if scheme.eq_ignore_ascii_case("basic") {
        basic(rest)
    } else {
        Ok(HeaderCredentials::OtherScheme)
    }
}

/// Whether this is a placeholder that programs send if they have no secret.
pub fn is_no_secret(text: &str) -> bool {
    matches!(text, "" | "null" | "undefined")
}

fn bearer(text: &str) -> Result<HeaderCredentials<'_>, HeaderError> {
    if is_no_secret(text) {
        return Ok(HeaderCredentials::Empty);
    }
    if text.as_bytes().contains(&b' ') || text.as_bytes().contains(&b'\t') {
        return Err(HeaderError("Authorization: Bearer must be followed by one token or key text"));
    }
    Ok(HeaderCredentials::Bearer(text))
}

fn basic(text: &str) -> Result<HeaderCredentials<'static>, HeaderError> {
    if is_no_secret(text) {
        return Ok(HeaderCredentials::Empty);
    }
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| HeaderError("Authorization: Basic is not base64"))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| HeaderError("Authorization: Basic does not hold UTF-8"))?;
    let (id, secret) = text
        .split_once(':')
        .ok_or(HeaderError("Authorization: Basic holds no colon; client_id:client_secret is expected"))?;
    let read = |part| {
        form::decode(part).map_err(|_| HeaderError("Authorization: Basic holds a NUL or a bad percent-escape; both parts are form-encoded (RFC 6749 section 2.3.1)"))
    };
    let (id, secret) = (read(id)?, Zeroizing::new(read(secret)?));
    if is_no_secret(trim(&secret)) {
        return Ok(HeaderCredentials::Empty);
    }
    Ok(HeaderCredentials::Basic { id, secret })
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
            HeaderCredentials::Empty => Ok("empty".into()),
            HeaderCredentials::Basic { id, secret } => Ok(format!("basic {id}|{}", *secret)),
            HeaderCredentials::Bearer(text) => Ok(format!("bearer {text}")),
            HeaderCredentials::ApiKey(text) => Ok(format!("api-key {text}")),
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
        assert_eq!(read(&[("authorization", "basic YTpi")]).as_deref(), Ok("basic a|b"), "no padding");
        assert_eq!(read(&[("authorization", "bearer x.y.z")]).as_deref(), Ok("bearer x.y.z"));
        assert_eq!(read(&[("x-api-key", " k ")]).as_deref(), Ok("api-key k"));
        assert_eq!(read(&[("authorization", "Digest x")]).as_deref(), Ok("other"));
    }

    #[test]
    fn header_without_a_credential_is_empty() {
        let (no_secret, null) = (basic_of("a:"), basic_of("a:null"));
        for text in ["Bearer", "Bearer null", "bearer  undefined", "Basic", "Basic Og==", &no_secret, &null] {
            assert_eq!(read(&[("authorization", text)]).as_deref(), Ok("empty"), "{text}");
            assert_eq!(read(&[("authorization", text), ("x-api-key", "k")]).as_deref(), Ok("api-key k"), "{text}");
        }
        assert_eq!(read(&[("authorization", ""), ("x-api-key", "k")]).as_deref(), Ok("api-key k"));
        for text in [" ", "null", "undefined"] {
            assert_eq!(read(&[("authorization", "Bearer a"), ("x-api-key", text)]).as_deref(), Ok("bearer a"));
            assert_eq!(read(&[("x-api-key", text)]).as_deref(), Ok("none"));
        }
        assert_eq!(read(&[("authorization", "Bearer nullable")]).as_deref(), Ok("bearer nullable"));
    }

    #[test]
    fn what_is_ambiguous_or_unreadable_is_refused() {
        let (no_colon, bad_escape, nul) = (basic_of("ab"), basic_of("a:%zz"), basic_of("a:\0"));
        for headers in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")][..],
            &[("x-api-key", "a"), ("x-api-key", "a")],
            &[("authorization", "Bearer a"), ("x-api-key", "a")],
            &[("authorization", "Digest a"), ("x-api-key", "a")],
            &[("authorization", "Basic !!!"), ("x-api-key", "a")],
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
