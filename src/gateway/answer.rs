//! Responses of `/verify`: 200 with every identity header, 401, 403 or 503, and nothing else.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::domain::attribute::AttributeValue;
use crate::domain::outcome::{Code, Denial};
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook;
use crate::http::access::{Explanation, Refused};
use crate::http::client_response::verify_error;
use crate::http::credentials::InvalidCredential;
use crate::http::description::error_description;
use crate::verification::{Caller, Refusal};

/// The characters of a name or an external ID that are escaped in a header: `%`, so that decoding is exact, and everything but ASCII.
const IN_HEADER: AsciiSet = CONTROLS.add(b'%');

const CLIENT_ID: HeaderName = HeaderName::from_static("x-keyturn-client-id");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-keyturn-organization");
const SCOPE: HeaderName = HeaderName::from_static("x-keyturn-scope");
const KEY_NAME: HeaderName = HeaderName::from_static("x-keyturn-key-name");
const EXTERNAL_ID: HeaderName = HeaderName::from_static("x-keyturn-external-id");
const TOKEN_ID: HeaderName = HeaderName::from_static("x-keyturn-token-id");

/// Every header that the result depends on, for caches between a gateway and Keyturn (RFC 9111 §4.1).
const DECIDED_BY: HeaderValue = HeaderValue::from_static(
    "Authorization, X-Api-Key, X-Forwarded-For, Forwarded, X-Original-Method, X-Forwarded-Method, X-Original-URI, \
     X-Original-URL, X-Forwarded-Uri",
);

/// The response to an allowed request. It always has every header, so that a header of the client is never taken for one of
/// Keyturn's.
pub(super) fn allowed(caller: &Caller, max_age_seconds: u32, now: Timestamp) -> HttpResponse {
    let (key, grant) = (&caller.key, &caller.grant);
    let token_id = caller.token.as_ref().map_or("", |token| &token.claims.jti);
    let name = Cow::from(utf8_percent_encode(key.name.trim(), &IN_HEADER));
    let external_id = caller.customer.as_ref().map_or("", |customer| customer.external_id.as_str());
    let external_id = Cow::from(utf8_percent_encode(external_id, &IN_HEADER));
    let left = grant.not_after.map_or(i64::MAX, |end| end.millis_since(now) / 1000);
    let max_age = i64::from(max_age_seconds).min(left);
    let policy = &caller.tenant.organization.policy;
    let cache = if max_age > 0 { format!("max-age={max_age}") } else { "no-store".to_owned() };
    let mut response = HttpResponse::Ok();
    for (name, source) in &policy.verify_headers {
        let value = source.value(key, caller.customer.as_deref()).map(AttributeValue::to_text).unwrap_or_default();
        response.insert_header((name.as_str(), &*Cow::from(utf8_percent_encode(&value, &IN_HEADER))));
    }
    response
        .insert_header((CLIENT_ID, key.id.as_str()))
        .insert_header((ORGANIZATION, key.organization.as_str()))
        .insert_header((SCOPE, grant.scopes.as_str()))
        .insert_header((KEY_NAME, &*name))
        .insert_header((TOKEN_ID, token_id))
        .insert_header((EXTERNAL_ID, &*external_id))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((VARY, DECIDED_BY))
        .finish()
}

/// An error response (RFC 6750 §3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct VerifyError {
    code: Code,
    /// The challenge's `error`; none if no credentials were sent (RFC 6750 §3.1).
    error: Option<&'static str>,
    description: String,
    scope: Option<String>,
    explanation: Option<Box<Explanation>>,
}

/// What a client needs to get a token for the API that a gateway requires.
#[derive(Debug)]
pub(super) struct RequiredResource {
    /// The URL of its metadata, at its own origin (RFC 9728 §3.1).
    pub(super) metadata: String,
    /// The scopes that the gateway requires by name, separated by spaces; may be empty.
    pub(super) scope: String,
}

impl VerifyError {
    fn new(code: Code, description: impl Into<String>) -> Self {
        let (error, _) = verify_error(code);
        Self { code, error, description: description.into(), scope: None, explanation: None }
    }

    /// No credentials.
    pub(super) fn credentials_required() -> Self {
        let description =
            "an API key or an access token is required, as Authorization: Bearer, HTTP Basic or X-Api-Key";
        Self::new(Code::ApiKeyRequired, description)
    }

    /// Credentials that cannot be read, or more than one.
    pub(super) fn ambiguous(description: &str) -> Self {
        Self { error: Some("invalid_request"), ..Self::new(Code::ApiKeyInvalid, description) }
    }

    /// A requirement that cannot be read: nobody meets it.
    pub(super) fn bad_requirement(description: String) -> Self {
        Self::new(Code::ValidationFailed, description)
    }

    /// The machine-readable code.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The status.
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(verify_error(self.code).1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same, with what the log says of it.
    pub(super) fn explained(self, explanation: Box<Explanation>) -> Self {
        Self { explanation: Some(explanation), ..self }
    }

    /// The response, with a challenge that describes the required resource, if there is one.
    pub(super) fn respond(self, resource: Option<&RequiredResource>) -> HttpResponse {
        let description = error_description(&self.description);
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            error_description: &'a str,
            code: &'static str,
        }
        let mut response = HttpResponse::build(self.status());
        response.insert_header((CACHE_CONTROL, "no-store")).insert_header((VARY, DECIDED_BY));
        if self.code == Code::Unavailable {
            response.insert_header((RETRY_AFTER, 1));
        } else {
            let mut challenge = String::from(r#"Bearer realm="keyturn""#);
            if let Some(error) = self.error {
                challenge.push_str(&format!(r#", error="{error}", error_description="{description}""#));
            }
            let required = resource.map(|resource| &resource.scope);
            if let Some(scope) = required.filter(|scope| !scope.is_empty()).or(self.scope.as_ref()) {
                challenge.push_str(&format!(r#", scope="{scope}""#));
            }
            if let Some(RequiredResource { metadata, .. }) = resource {
                challenge.push_str(&format!(r#", resource_metadata="{metadata}""#));
            }
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        let (error, code) = (self.error.unwrap_or("invalid_token"), self.code.as_str());
        let mut response = response.json(Body { error, error_description: &description, code });
        Refused::note(&mut response, code, self.explanation);
        response
    }
}

impl From<Denial> for VerifyError {
    fn from(denial: Denial) -> Self {
        // A path may be as long as a request line; and a segment as long as a password may be one.
        // A webhook's secret may have slashes anywhere.
        let is_short = |scope: &String| scope.len() <= 300 && scope.split([':', '/']).all(|part| part.len() < 22);
        let scope = denial.missing_scope();
        let scope = scope.filter(|scope| is_short(scope) && !scope.contains(webhook::SECRET_PREFIX));
        Self { scope, ..Self::new(denial.code(), denial.to_string()) }
    }
}

impl From<InvalidCredential> for VerifyError {
    fn from(invalid: InvalidCredential) -> Self {
        let explanation = invalid.explanation();
        Self::new(invalid.denial.code(), invalid.description()).explained(explanation)
    }
}

impl From<Refusal> for VerifyError {
    fn from(refusal: Refusal) -> Self {
        let explanation = Explanation::of(&refusal);
        let error = match refusal {
            Refusal::Denied(denial, _) => denial.into(),
            Refusal::Unavailable(_) => Self::new(Code::Unavailable, "the request could not be decided; try again"),
        };
        error.explained(explanation)
    }
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody;

    #[test]
    fn description_keeps_to_the_allowed_characters() {
        let response = VerifyError::bad_requirement("a \"caf\u{e9}\"\r\n".into()).respond(None);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let challenge = response.headers().get(WWW_AUTHENTICATE).unwrap().to_str().unwrap().to_owned();
        assert!(challenge.ends_with(r#"error_description="a 'caf?'??""#), "{challenge}");
        let body = response.into_body().try_into_bytes().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error_description"], "a 'caf?'??");
    }
}
