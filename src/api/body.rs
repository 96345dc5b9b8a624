//! JSON bodies: read whole, refused with the field's name.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Payload};
use serde::de::DeserializeOwned;

use crate::api::guard;
use crate::api::problem::Problem;
use crate::http::body::{self, BodyError};
use crate::keys::IdempotentRequest;

/// Larger than any body that is allowed.
const MAX_BODY: usize = 64 * 1024;

/// Reads a JSON body. Without one, every field is absent.
pub(super) async fn read<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, Problem> {
    parse(request, &bytes(request, payload).await?)
}

/// Reads a JSON body, and what makes the request one that is carried out once: its `Idempotency-Key`.
pub(super) async fn read_once<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<(T, Option<IdempotentRequest>), Problem> {
    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    let body = bytes(request, payload).await?;
    let parsed = parse(request, &body)?;
    let given: Vec<_> = request.headers().get_all(IDEMPOTENCY_KEY).collect();
    let once = match given.as_slice() {
        [] => None,
        [key] => {
            let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
            let wrong = || Problem::invalid_field("Idempotency-Key", "1 to 255 printable ASCII characters are allowed");
            let target = format!("{} {}", request.method(), request.path());
            Some(IdempotentRequest::new(key.ok_or_else(wrong)?, &target, &body))
        }
        _ => return Err(Problem::invalid_field("Idempotency-Key", "given more than once")),
    };
    Ok((parsed, once))
}

async fn bytes(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    if body::is_encoded(request.headers()) {
        return Err(Problem::unsupported_media_type("Content-Encoding", "send the body without compression"));
    }
    let body = body::read(payload, MAX_BODY).await.map_err(|error| match error {
        BodyError::TooLarge => Problem::too_large(MAX_BODY),
        BodyError::TooSlow => Problem::too_slow(),
        BodyError::Broken => Problem::invalid_field("body", "could not be read"),
    })?;
    guard::check_again(request).await?;
    Ok(body)
}

fn parse<T: DeserializeOwned>(request: &HttpRequest, body: &Bytes) -> Result<T, Problem> {
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    // A PATCH changes the members that it has and clears those that are null: a JSON merge patch (RFC 7396).
    let is_patch = |essence: &str| request.method() == Method::PATCH && essence == "application/merge-patch+json";
    if essence.is_some_and(|essence| essence != "application/json" && !is_patch(&essence)) && !body.is_empty() {
        return Err(Problem::unsupported_media_type("Content-Type", "application/json is expected"));
    }
    let text = if body.is_empty() { b"{}" } else { body.as_ref() };
    // The fields of a struct may be given as a list as well, which is not our API.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::invalid_field("body", "a JSON object is expected"));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // Only a field of ours can be given twice.
        if let Some(twice) = error.inner().to_string().strip_prefix("duplicate field `") {
            let name = twice.split('`').next().unwrap_or("body");
            return Problem::invalid_field(name, "given twice");
        }
        if let Some(name) = error.inner().to_string().strip_prefix("missing field `").filter(|_| path == ".") {
            return Problem::invalid_field(name.split('`').next().unwrap_or("body"), "is missing");
        }
        // A name that none of our fields could have may be a misplaced secret.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let ours = |name: &str| name.len() <= 32 && (name.ends_with(']') || name.bytes().all(plain));
        let shown = path != "." && path.split(['.', '[']).all(ours);
        let field = if shown { path } else { "body".to_owned() };
        Problem::invalid_field(field, explain(error.inner()))
    })?;
    reader.end().map_err(|_| Problem::invalid_field("body", "something follows the JSON value"))?;
    Ok(value)
}

/// What a deserializer expects, in the words of JSON instead of Rust's.
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

/// What is wrong, without any value that was sent: serde quotes strings, which may be secrets.
fn explain(error: &serde_json::Error) -> String {
    let place = format!("at line {} column {}", error.line(), error.column());
    if error.is_syntax() || error.is_eof() {
        return format!("not JSON {place}");
    }
    let text = error.to_string();
    match text.rsplit_once("expected ") {
        Some((before, expected)) if before.contains("unknown field") => {
            format!("unknown field; allowed is {}", expected.split(" at line").next().unwrap_or_default())
        }
        Some((_, expected)) => {
            format!("expected {}", in_json_words(expected.split(" at line").next().unwrap_or_default()))
        }
        None if text.contains("unknown field") => "unknown field; none is allowed".to_owned(),
        None if text.contains("missing field") => text.split(" at line").next().unwrap_or_default().to_owned(),
        // What a type of ours says, which repeats nothing of what was sent.
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

    fn told<T: DeserializeOwned>(json: &str) -> String {
        explain(&serde_json::from_str::<T>(json).map(drop).unwrap_err())
    }

    #[test]
    fn types_are_named_in_the_words_of_json() {
        assert_eq!(told::<i64>("\"600\""), "expected a whole number");
        assert_eq!(told::<i64>("1.5"), "expected a whole number");
        assert_eq!(told::<u32>("-1"), "expected a whole number from 0 to 4294967295");
        assert_eq!(told::<u32>("4294967296"), "expected a whole number from 0 to 4294967295");
        assert_eq!(told::<u64>("-1"), "expected a whole number of 0 or more");
        assert_eq!(told::<bool>("\"hunter2\""), "expected true or false");
        assert_eq!(told::<String>("[]"), "expected a string");
        assert_eq!(told::<Vec<String>>("{}"), "expected a list");
        assert_eq!(told::<(i64, i64)>("{}"), "expected a list");
        assert_eq!(told::<std::collections::BTreeMap<String, i64>>("[]"), "expected an object");
        assert_eq!(told::<Inner>("1"), "expected an object");
        assert_eq!(told::<f64>("true"), "expected a number");
        assert_eq!(told::<()>("1"), "expected null");
        let shown = told::<Color>("\"hunter2\"");
        assert!(shown.starts_with("expected ") && shown.contains("Red") && !shown.contains("hunter2"), "{shown}");
    }
}
