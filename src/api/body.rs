//! JSON bodies, and the errors in them by field.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Payload};
use serde::de::DeserializeOwned;

use crate::api::problem::Problem;
use crate::http::body::{self, BodyError};
use crate::keys::IdempotentRequest;

/// Maximum size. Every valid body is smaller.
const MAX_BODY: usize = 64 * 1024;

/// Reads a body whole.
pub(super) async fn read(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    if body::is_encoded(request.headers()) {
        return Err(Problem::unsupported_media_type("Content-Encoding", "send the body without compression"));
    }
    body::read(payload, MAX_BODY).await.map_err(|error| match error {
        BodyError::TooLarge => Problem::too_large(MAX_BODY),
        BodyError::TooSlow => Problem::too_slow(),
        BodyError::Broken => Problem::invalid_field("body", "could not be read"),
    })
}

/// Returns the request's `Idempotency-Key` with a digest of the request.
pub(super) fn idempotency(request: &HttpRequest, body: &Bytes) -> Result<Option<IdempotentRequest>, Problem> {
    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    let wrong = |message: &str| Problem::invalid_field("Idempotency-Key", message);
    let mut given = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(key) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(wrong("given more than once"));
    }
    let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| wrong("must be 1 to 255 printable ASCII characters"))?;
    Ok(Some(IdempotentRequest::new(key, &format!("{} {}", request.method(), request.path()), body)))
}

/// Parses a JSON object. An empty body is an object without fields.
pub(super) fn parse<T: DeserializeOwned>(request: &HttpRequest, body: &Bytes) -> Result<T, Problem> {
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    // A PATCH changes the fields that it contains and clears those that are null, like a JSON merge patch (RFC 7396).
    let is_patch = |essence: &str| request.method() == Method::PATCH && essence == "application/merge-patch+json";
    if essence.is_some_and(|essence| essence != "application/json" && !is_patch(&essence)) && !body.is_empty() {
        return Err(Problem::unsupported_media_type("Content-Type", "must be application/json"));
    }
    let text = if body.is_empty() { b"{}" } else { body.as_ref() };
    // serde also accepts a struct as a list of its fields; the API does not.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::invalid_field("body", "must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // serde reports duplicates of known fields only.
        if let Some(twice) = error.inner().to_string().strip_prefix("duplicate field `") {
            let name = twice.split('`').next().unwrap_or("body");
            return Problem::invalid_field(name, "given twice");
        }
        if let Some(name) = error.inner().to_string().strip_prefix("missing field `").filter(|_| path == ".") {
            return Problem::invalid_field(name.split('`').next().unwrap_or("body"), "is missing");
        }
        // A name that no field of the API could have may be a misplaced secret.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let ours = |name: &str| name.len() <= 32 && (name.ends_with(']') || name.bytes().all(plain));
        let shown = path != "." && path.split(['.', '[']).all(ours);
        let field = if shown { path } else { "body".to_owned() };
        Problem::invalid_field(field, explain(error.inner()))
    })?;
    reader.end().map_err(|_| Problem::invalid_field("body", "has text after the JSON object"))?;
    Ok(value)
}

/// Describes what a deserializer expects, in JSON's terms.
fn in_json_words(expected: &str) -> Cow<'_, str> {
    Cow::Borrowed(match expected {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "u8" | "u16" | "u64" | "u128" | "usize" => "a whole number of 0 or more",
        "u32" => return Cow::Owned(format!("a whole number from 0 to {}", u32::MAX)),
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "unit" => "null",
        "a character" => "a string of one character",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("tuple ") || expected.starts_with("a tuple ") => "a list",
        other => other,
    })
}

/// Describes an error without any value from the body. serde's own text quotes strings, which may be secrets.
fn explain(error: &serde_json::Error) -> String {
    let place = format!("at line {} column {}", error.line(), error.column());
    if error.is_syntax() || error.is_eof() {
        return format!("invalid JSON {place}");
    }
    let text = error.to_string();
    match text.rsplit_once("expected ") {
        Some((before, expected)) if before.contains("unknown field") => {
            let known = expected.split(" at line").next().unwrap_or_default();
            format!("unknown field; must be one of {}", known.strip_prefix("one of ").unwrap_or(known))
        }
        Some((_, expected)) => {
            format!("expected {}", in_json_words(expected.split(" at line").next().unwrap_or_default()))
        }
        None if text.contains("unknown field") => "unknown field; no fields are allowed".to_owned(),
        None if text.contains("missing field") => text.split(" at line").next().unwrap_or_default().to_owned(),
        // An error of one of Keyturn's own types. They quote nothing.
        None => text.split(" at line").next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Inner {}

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    enum Color {
        Red,
        Blue,
    }

    fn explained<T: DeserializeOwned>(json: &str) -> String {
        explain(&serde_json::from_str::<T>(json).map(drop).unwrap_err())
    }

    #[test]
    fn expected_types_are_named_as_in_json() {
        assert_eq!(explained::<i64>("\"600\""), "expected a whole number");
        assert_eq!(explained::<i64>("1.5"), "expected a whole number");
        assert_eq!(explained::<u32>("-1"), "expected a whole number from 0 to 4294967295");
        assert_eq!(explained::<u32>("4294967296"), "expected a whole number from 0 to 4294967295");
        assert_eq!(explained::<u64>("-1"), "expected a whole number of 0 or more");
        assert_eq!(explained::<bool>("\"hunter2\""), "expected true or false");
        assert_eq!(explained::<String>("[]"), "expected a string");
        assert_eq!(explained::<Vec<String>>("{}"), "expected a list");
        assert_eq!(explained::<(i64, i64)>("{}"), "expected a list");
        assert_eq!(explained::<std::collections::BTreeMap<String, i64>>("[]"), "expected an object");
        assert_eq!(explained::<Inner>("1"), "expected an object");
        assert_eq!(explained::<f64>("true"), "expected a number");
        assert_eq!(explained::<()>("1"), "expected null");
        let shown = explained::<Color>("\"hunter2\"");
        assert!(shown.starts_with("expected ") && shown.contains("Red") && !shown.contains("hunter2"), "{shown}");
    }
}
