//! Answers of the OAuth endpoints: RFC 6749 §5 JSON, never cached, and how each refusal is told.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use crate::domain::decision::{ClientAddress, Denial};
use crate::http::access::{Explanation, Refused};
use crate::http::credentials::InvalidCredential;
use crate::http::description::error_description;
use crate::http::form::FormError;
use crate::limits::AddressLimit;
use crate::node::Unavailable;
use crate::tokens::{ExchangeError, Refusal};

/// A refusal as the caller is told it (RFC 6749 §5.2), with the extra member `code`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OAuthError {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) code: &'static str,
    pub(super) description: String,
    pub(super) retry_after: Option<u64>,
    explanation: Option<Box<Explanation>>,
}

impl OAuthError {
    fn new(status: StatusCode, error: &'static str, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, code, description: description.into(), retry_after: None, explanation: None }
    }

    /// A request that is not as it should be.
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", "VALIDATION_FAILED", description)
    }

    /// A request at the authorization endpoint: there is no flow that begins there.
    pub(super) fn unsupported_response_type() -> Self {
        let description = "response_type: none is supported, because Keyturn has no authorization code flow; \
            request a token from the token endpoint with grant_type=client_credentials";
        Self::new(StatusCode::BAD_REQUEST, "unsupported_response_type", "VALIDATION_FAILED", description)
    }

    /// A grant type other than `client_credentials`.
    pub(super) fn unsupported_grant_type() -> Self {
        let description = "grant_type: only client_credentials is supported";
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", "VALIDATION_FAILED", description)
    }

    /// A scope that cannot be read.
    pub(super) fn malformed_scope(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", "VALIDATION_FAILED", description)
    }

    /// A body that is too large.
    pub(super) fn too_large(limit: usize) -> Self {
        let description = format!("the body is too large; at most {limit} bytes are allowed");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "VALIDATION_FAILED", description)
    }

    /// A body that took too long.
    pub(super) fn too_slow() -> Self {
        let description = "the body took too long to arrive";
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request", "VALIDATION_FAILED", description)
    }

    /// No credentials.
    pub(super) fn no_credentials() -> Self {
        let description =
            "no API key was presented; use HTTP Basic, client_secret in the body, Authorization: Bearer, or X-Api-Key";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "API_KEY_REQUIRED", description)
    }

    /// An `Authorization` header that holds no credential, and none elsewhere.
    pub(super) fn empty_authorization() -> Self {
        Self { description: "the Authorization header contains no secret".into(), ..Self::no_credentials() }
    }

    /// Not a key and its secret. The same, byte for byte, for an unknown id, a wrong or rotated-out secret,
    /// and a revoked key.
    pub(super) fn invalid_key() -> Self {
        let description = "the API key is not valid";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "API_KEY_INVALID", description)
    }

    /// Too many failures from one address.
    pub(super) fn limited(seconds: u64) -> Self {
        let description = "too many failed attempts from this address; try again later";
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "RATE_LIMITED", description);
        error.retry_after = Some(seconds);
        error
    }

    /// Too many revocations with one key.
    pub(super) fn too_many_revocations(seconds: u64) -> Self {
        let description =
            "this key has revoked too many tokens; nothing was revoked, retry after the time in Retry-After";
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "TOO_MANY_CHANGES", description);
        error.retry_after = Some(seconds);
        error
    }

    /// It cannot be decided safely.
    pub(super) fn unavailable(cause: &Unavailable) -> Self {
        let description = "the request could not be decided; try again";
        let mut error =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "UNAVAILABLE", description);
        error.retry_after = Some(1);
        error.explained(Explanation::failure(cause))
    }

    /// The same, with what the log says of it.
    pub(super) fn explained(self, explanation: Box<Explanation>) -> Self {
        Self { explanation: Some(explanation), ..self }
    }

    /// Whether the refusal counts against its address: guesses at keys do, mistakes do not.
    fn is_failure(&self) -> bool {
        self.code == "API_KEY_INVALID"
    }

    /// This refusal, or another when its address has made too many failures.
    pub(super) fn limited_by(self, failures: &AddressLimit, address: ClientAddress) -> Self {
        if !self.is_failure() {
            return self;
        }
        match failures.count(address) {
            Ok(()) => self,
            Err(seconds) => Self { explanation: self.explanation, ..Self::limited(seconds) },
        }
    }

    /// The answer. `challenge`: whether a 401 carries a Basic challenge.
    pub(super) fn respond(self, challenge: bool) -> HttpResponse {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'static str,
            error_description: &'a str,
            code: &'static str,
        }
        let mut response = no_store(HttpResponse::build(self.status));
        if challenge && self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, r#"Basic realm="keyturn", charset="UTF-8""#));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        let description = error_description(&self.description);
        let mut response = response.json(Body { error: self.error, error_description: &description, code: self.code });
        Refused::note(&mut response, self.code, self.explanation);
        response
    }
}

impl From<InvalidCredential> for OAuthError {
    /// A fault is read from the text alone, and so says nothing about any key.
    fn from(invalid: InvalidCredential) -> Self {
        let error = Self::invalid_key().explained(invalid.explanation());
        match invalid.fault {
            Some(fault) => Self { description: fault, ..error },
            None => error,
        }
    }
}

impl From<FormError> for OAuthError {
    fn from(error: FormError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<ExchangeError> for OAuthError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Denied(denial, subject) => Refusal::Denied(denial, subject).into(),
            ExchangeError::UnknownAction(unknown, key) => {
                let hint = if unknown.is_openid { "OpenID Connect scopes are not supported; " } else { "" };
                Self::malformed_scope(format!(
                    "scope: item {} has an unknown action; {hint}allowed are {}",
                    unknown.place, unknown.allowed
                ))
                .explained(Box::new(Explanation { reason: Some("unknown_action"), ..*Explanation::of_key(&key) }))
            }
            ExchangeError::ScopeNotHeld { place, scope, key } => {
                let mut explanation = Explanation::of_key(&key);
                if let Some(scope) = scope {
                    explanation = explanation.missing(scope.to_string());
                }
                Self::from(Denial::ScopeNotHeld(place)).explained(explanation)
            }
            ExchangeError::AudienceNotAllowed(key) => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_target",
                "VALIDATION_FAILED",
                "resource or audience: not one of the audiences that this organization allows",
            )
            .explained(Box::new(Explanation { reason: Some("audience_not_allowed"), ..*Explanation::of_key(&key) })),
            ExchangeError::Unavailable(cause) => Self::unavailable(&cause),
        }
    }
}

impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        let explanation = Explanation::of(&refusal);
        let error = match refusal {
            Refusal::Denied(denial, _) => denial.into(),
            Refusal::Token(..) => Self::invalid_key(),
            Refusal::Unavailable(cause) => Self::unavailable(&cause),
        };
        error.explained(explanation)
    }
}

impl From<Denial> for OAuthError {
    fn from(denial: Denial) -> Self {
        let forbidden =
            |code, description: String| Self::new(StatusCode::FORBIDDEN, "unauthorized_client", code, description);
        match denial {
            Denial::NotAuthentic | Denial::Revoked | Denial::Stale => Self::invalid_key(),
            Denial::Expired => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "API_KEY_EXPIRED", "the API key has expired")
            }
            Denial::Disabled => forbidden("API_KEY_DISABLED", "the API key is disabled".into()),
            Denial::OrganizationSuspended => {
                forbidden("ORGANIZATION_SUSPENDED", "the organization is suspended".into())
            }
            Denial::NetworkNotAllowed(address) => {
                forbidden("API_KEY_IP_NOT_ALLOWED", format!("the API key may not be used from {address}"))
            }
            Denial::AddressUnreadable(reason) => {
                forbidden("API_KEY_IP_NOT_ALLOWED", format!("the client's address is unknown: {reason}"))
            }
            Denial::ScopeNotHeld(place) => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "INSUFFICIENT_SCOPE",
                format!("scope: item {place} is not granted to this key"),
            ),
        }
    }
}

/// The answer to a method that an endpoint does not take.
pub(super) fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let mut error = OAuthError::invalid_request(format!("only {allowed} is allowed here"));
    error.status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = error.respond(false);
    response.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static(allowed));
    response
}

/// An answer that nobody may keep (RFC 6749 §5.1).
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
        let response = OAuthError::invalid_request("scope: \"caf\u{e9}\" \\").respond(false);
        let body = response.into_body().try_into_bytes().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error_description"], "scope: 'caf?' ?");
    }
}
