//! Problem documents (RFC 9457), with the extra member `code`.

mod errors;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::decision::ClientAddress;
use crate::domain::member::Role;
use crate::domain::outcome::Code;
use crate::domain::violation::{FieldPath, Violation, ViolationKind};
use crate::http::access::{Explanation, Refused};
use crate::http::credentials::InvalidCredential;
use crate::limits::AddressLimit;
use crate::node::Unavailable;
use crate::store::StoreError;
use crate::verification::Refusal;

/// An error response.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    errors: Vec<Violation>,
    retry_after: Option<u64>,
    explanation: Option<Box<Explanation>>,
}

/// A problem document (RFC 9457 §3.1).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemJson {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The phrase of the status.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong, in a sentence.
    detail: String,
    /// What was wrong, for programs.
    #[schemars(schema_with = "crate::api::openapi::schemas::code")]
    code: &'static str,
    /// The fields that were wrong, with code `VALIDATION_FAILED`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldJson>,
}

/// A field and what is wrong with it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FieldError")]
struct FieldJson {
    field: String,
    message: String,
}

impl Problem {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (errors, retry_after, explanation) = (Vec::new(), None, None);
        Self { status, code, detail: detail.into(), errors, retry_after, explanation }
    }

    /// The same, with what the log says of it.
    pub(super) fn explained(self, explanation: Box<Explanation>) -> Self {
        Self { explanation: Some(explanation), ..self }
    }

    /// An object that does not exist, or that the caller may not see.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "Not found")
    }

    /// The code, and the detail with the invalid fields, on one line.
    pub(super) fn summary(self) -> (&'static str, String) {
        let errors: Vec<String> =
            self.errors.iter().map(|error| format!("{}: {}", error.field, error.message())).collect();
        let detail = if errors.is_empty() { self.detail } else { errors.join("; ") };
        (self.code.as_str(), detail)
    }

    /// No credentials.
    pub(super) fn credentials_required() -> Self {
        let detail = "an API key or an access token is required, as Authorization: Bearer or X-Api-Key, or a session";
        Self::new(Code::ApiKeyRequired, detail)
    }

    /// A credential without the scope that the route requires.
    pub(super) fn insufficient_scope(needed: &str) -> Self {
        Self::new(Code::InsufficientScope, format!("requires the scope {needed}"))
            .explained(Box::<Explanation>::default().missing(needed.to_owned()))
    }

    /// The previous secret, or a token of it, where only the current secret is accepted.
    pub(super) fn previous_secret(detail: &str) -> Self {
        Self::new(Code::PreviousSecret, detail)
    }

    /// A member whose role is too low.
    pub(super) fn role_required(role: Role) -> Self {
        Self::new(Code::RoleRequired, format!("requires the role {role} or a higher one"))
    }

    /// An operation that only the organization `default` may perform.
    pub(super) fn not_from_default() -> Self {
        let detail = "only credentials of the organization default can manage organizations";
        Self::new(Code::InsufficientScope, detail)
    }

    /// A change in a session without proof that the request comes from a page of Keyturn.
    pub(super) fn not_from_our_pages() -> Self {
        let detail = "X-CSRF-Token: send the token of this session, from a page of Keyturn itself";
        Self::new(Code::CsrfTokenInvalid, detail)
    }

    /// An unknown login or a wrong password.
    pub(super) fn sign_in_refused() -> Self {
        Self::new(Code::SignInRefused, "organization, login and password do not match")
    }

    /// Invalid fields.
    pub(super) fn invalid(errors: Vec<Violation>) -> Self {
        Self { errors, ..Self::new(Code::ValidationFailed, "Validation failed") }
    }

    /// One invalid field.
    pub(super) fn invalid_field(field: impl Into<FieldPath>, kind: impl Into<ViolationKind>) -> Self {
        Self::invalid(vec![Violation::new(field, kind)])
    }

    /// A body that is too large.
    pub(super) fn too_large(limit: usize) -> Self {
        let mut problem = Self::invalid_field("body", format!("too large; at most {limit} bytes are allowed"));
        problem.status = StatusCode::PAYLOAD_TOO_LARGE;
        problem
    }

    /// A body in a format or an encoding that is not accepted (RFC 9110 §15.5.16).
    pub(super) fn unsupported_media_type(header: &str, message: &str) -> Self {
        let mut problem = Self::invalid_field(header, message);
        problem.status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        problem
    }

    /// A body that took too long.
    pub(super) fn too_slow() -> Self {
        let mut problem = Self::invalid_field("body", "took too long to arrive");
        problem.status = StatusCode::REQUEST_TIMEOUT;
        problem
    }

    /// A method that the route does not support.
    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        let mut problem = Self::invalid_field("method", format!("only {allowed} is allowed here"));
        problem.status = StatusCode::METHOD_NOT_ALLOWED;
        problem
    }

    /// An object that has changed since the version in `If-Match`.
    pub(super) fn precondition_failed(what: &str) -> Self {
        let detail = format!("the {what} was changed since the version in If-Match; read it again");
        Self::new(Code::PreconditionFailed, detail)
    }

    /// A change that the current state does not allow.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Code::Conflict, detail)
    }

    /// The same, or another problem if it is one failure too many of its address.
    pub(super) fn limited_by(self, failures: &AddressLimit, address: ClientAddress) -> Self {
        if !self.code.counts_as_guess() {
            return self;
        }
        match failures.count(address) {
            Ok(()) => self,
            Err(seconds) => Self { explanation: self.explanation, ..Self::limited(seconds) },
        }
    }

    /// Too many failures from one address.
    pub(super) fn limited(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(Code::RateLimited, "too many failed attempts from this address")
        }
    }

    /// Too many changes with one credential.
    pub(super) fn too_many_changes(seconds: u64) -> Self {
        let detail = "too many changes with this credential; nothing was changed. Retry after the time in Retry-After";
        Self { retry_after: Some(seconds), ..Self::new(Code::TooManyChanges, detail) }
    }

    /// A request that cannot be carried out now. The cause is logged and not shown.
    pub(super) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        Self { retry_after: Some(1), ..Self::new(Code::Unavailable, "the request could not be carried out; retry") }
            .explained(Explanation::failure(cause))
    }

    /// The reason why a node cannot carry out a request.
    pub(super) fn not_now(cause: &Unavailable) -> Self {
        if matches!(cause, Unavailable::Store(StoreError::Superseded)) {
            return Self::conflict("Your permissions changed during this request; nothing was changed. Retry.");
        }
        if matches!(cause, Unavailable::Store(StoreError::CommitUnknown)) {
            return Self {
                detail: "The database did not confirm the change. It may have been made; check before you retry."
                    .into(),
                ..Self::unavailable(cause)
            };
        }
        let Unavailable::Busy = cause else { return Self::unavailable(cause) };
        let detail = "the server is hashing too many secrets; retry";
        Self { retry_after: Some(1), ..Self::new(Code::Unavailable, detail) }
    }
}

impl From<Vec<Violation>> for Problem {
    fn from(errors: Vec<Violation>) -> Self {
        Self::invalid(errors)
    }
}

impl From<InvalidCredential> for Problem {
    fn from(invalid: InvalidCredential) -> Self {
        let explanation = invalid.explanation();
        Self::new(invalid.denial.code(), invalid.description()).explained(explanation)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let explanation = Explanation::of(&refusal);
        let problem = match refusal {
            Refusal::Denied(denial, _) => Self::new(denial.code(), denial.to_string()),
            Refusal::Unavailable(cause) => Self::unavailable(&cause),
        };
        problem.explained(explanation)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type("application/problem+json").insert_header((CACHE_CONTROL, "no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = if self.code == Code::ApiKeyRequired {
                r#"Bearer realm="keyturn""#
            } else {
                r#"Bearer realm="keyturn", error="invalid_token""#
            };
            response.insert_header((WWW_AUTHENTICATE, challenge));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        let error =
            |violation: &Violation| FieldJson { field: violation.field.to_string(), message: violation.message() };
        let body = ProblemJson {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.as_str(),
            errors: self.errors.iter().map(error).collect(),
        };
        let mut response = response.body(serde_json::to_string(&body).unwrap_or_default());
        Refused::note(&mut response, self.code.as_str(), self.explanation.clone());
        response
    }
}

impl Responder for Problem {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}
