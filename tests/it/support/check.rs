//! Checks that apply to all responses of a surface.

use serde_json::Value;

use crate::support::client::Answer;

/// Checks an OAuth error (RFC 6749 section 5.2) and returns its description.
#[track_caller]
pub fn oauth_error(answer: &Answer, status: u16, error: &str, code: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    no_store(answer);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "error", "error_description"], "{body}");
    assert_eq!((body["error"].as_str(), body["code"].as_str()), (Some(error), Some(code)), "{body}");
    let description = body["error_description"].as_str().unwrap();
    let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(!description.is_empty() && description.bytes().all(allowed), "{description}");
    if status != 401 {
        assert_eq!(answer.header("www-authenticate"), None);
    }
    description.to_owned()
}

/// Checks a problem document (RFC 9457).
#[track_caller]
pub fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["status"], status, "{body}");
    for member in ["type", "title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{body}");
    assert_eq!(body.get("errors").is_some(), code == "VALIDATION_FAILED", "{body}");
    for error in body.get("errors").and_then(Value::as_array).into_iter().flatten() {
        assert!(error["field"].is_string() && error["message"].is_string(), "{body}");
    }
    body
}

/// Checks a validation error of one field and returns its message.
#[track_caller]
pub fn wrong_field(answer: &Answer, field: &str) -> String {
    one_field(&problem(answer, 422, "VALIDATION_FAILED"), field)
}

/// Checks an error for the media type or the encoding of a body (RFC 9110 section 15.5.16).
#[track_caller]
pub fn unsupported_media_type(answer: &Answer, header: &str) -> String {
    one_field(&problem(answer, 415, "VALIDATION_FAILED"), header)
}

#[track_caller]
fn one_field(body: &Value, field: &str) -> String {
    assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{body}");
    assert_eq!(body["errors"][0]["field"], field, "{body}");
    body["errors"][0]["message"].as_str().unwrap().to_owned()
}

/// Checks that a response must not be cached.
#[track_caller]
pub fn no_store(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
}

/// Checks that no field is null at any depth.
#[track_caller]
pub fn no_nulls(value: &Value) {
    match value {
        Value::Null => panic!("a null"),
        Value::Array(list) => list.iter().for_each(no_nulls),
        Value::Object(members) => members.values().for_each(no_nulls),
        _ => {}
    }
}
