//! Responses of the OAuth endpoints: RFC 6749 §5 JSON, never cached, and the error of each denial.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;

use crate::domain::outcome::{Code, Denial};
use crate::http::access::{Explanation, Refused};
use crate::http::client_response::{oauth_error, oauth_error_of};
use crate::http::context::HttpContext;
use crate::http::credentials::InvalidCredential;
use crate::http::description::error_description;
use crate::http::form::FormError;
use crate::verification::Refusal;

/// An error response (RFC 6749 §5.2), with the extra member `code`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    pub(super) code: Code,
    description: Cow<'static, str>,
    retry_after: Option<u64>,
    has_challenge: bool,
    explanation: Option<Box<Explanation>>,
}

impl OAuthError {
    /// An error with the `error` and the status that RFC 6749 §5.2 has for its code.
    pub(super) fn new(code: Code, description: impl Into<Cow<'static, str>>) -> Self {
        let (error, status) = oauth_error(code);
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error,
            code,
            description: description.into(),
            retry_after: None,
            has_challenge: true,
            explanation: None,
        }
    }

    /// A request that is not valid.
    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ValidationFailed, description)
    }

    /// A request that is not valid, with the `error` that a standard has for it.
    pub(super) fn invalid(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { error, ..Self::invalid_request(description) }
    }

    /// A request that cannot be decided safely.
    pub(super) fn unavailable(cause: &dyn fmt::Display) -> Self {
        Self { retry_after: Some(1), ..Self::new(Code::Unavailable, "the request could not be decided; try again") }
            .explained(Explanation::failure(cause))
    }

    /// Too many revocations with one key.
    pub(super) fn too_many_revocations(seconds: u64) -> Self {
        let description =
            "this key has revoked too many tokens; nothing was revoked, retry after the time in Retry-After";
        Self { retry_after: Some(seconds), ..Self::new(Code::TooManyChanges, description) }
    }

    /// The same with another status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same; `has_challenge` is whether a 401 carries a Basic challenge.
    pub(super) fn with_challenge(self, has_challenge: bool) -> Self {
        Self { has_challenge, ..self }
    }

    /// The same, with what the log says of it.
    pub(super) fn explained(self, explanation: Box<Explanation>) -> Self {
        Self { explanation: Some(explanation), ..self }
    }

    /// The same, with what the token request asked for.
    pub(super) fn requesting(self, scope: Option<&str>, audiences: &[&str]) -> Self {
        let explanation = self.explanation.map(|explanation| explanation.requesting(scope, audiences));
        Self { explanation, ..self }
    }

    /// The same, or another error if it is one failure too many of its address.
    pub(super) fn limited_by(self, context: &HttpContext, request: &HttpRequest) -> Self {
        if !self.code.counts_as_guess() {
            return self;
        }
        match context.failures.count(context.client_address(request)) {
            Ok(()) => self,
            Err(seconds) => Self {
                retry_after: Some(seconds),
                explanation: self.explanation,
                ..Self::new(Code::RateLimited, "too many failed attempts from this address; try again later")
            },
        }
    }

    /// The response.
    pub(super) fn respond(&self) -> HttpResponse {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'static str,
            error_description: &'a str,
            code: &'static str,
        }
        let mut response = no_store(HttpResponse::build(self.status));
        if self.has_challenge && self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, r#"Basic realm="keyturn", charset="UTF-8""#));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        let (description, code) = (error_description(&self.description), self.code.as_str());
        let mut response = response.json(Body { error: self.error, error_description: &description, code });
        let mut explanation = self.explanation.clone();
        if self.code == Code::ValidationFailed {
            explanation.get_or_insert_default().reason.get_or_insert(self.error);
        }
        Refused::note(&mut response, code, explanation);
        response
    }
}

impl From<InvalidCredential> for OAuthError {
    fn from(invalid: InvalidCredential) -> Self {
        let explanation = invalid.explanation();
        Self::new(invalid.denial.code(), invalid.description()).explained(explanation)
    }
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<Denial> for OAuthError {
    fn from(denial: Denial) -> Self {
        let description = denial.to_string();
        Self { error: oauth_error_of(&denial).0, ..Self::new(denial.code(), description) }
    }
}

impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        let explanation = Explanation::of(&refusal);
        let error = match refusal {
            Refusal::Denied(denial, _) => denial.into(),
            Refusal::Unavailable(cause) => Self::unavailable(&cause),
        };
        error.explained(explanation)
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.respond()
    }
}

/// The response to a method that an endpoint does not support.
pub(super) fn method_not_allowed(allowed: &str) -> HttpResponse {
    let error = OAuthError::invalid_request(format!("only {allowed} is allowed here"));
    error.with_status(StatusCode::METHOD_NOT_ALLOWED).respond()
}

/// A response that no cache stores (RFC 6749 §5.1).
pub(super) fn no_store(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody;

    #[test]
    fn description_keeps_to_the_allowed_characters() {
        let response = OAuthError::invalid_request("scope: \"caf\u{e9}\" \\").respond();
        let body = response.into_body().try_into_bytes().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error_description"], "scope: 'caf?' ?");
    }
}
