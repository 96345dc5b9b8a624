//! Problem documents (RFC 9457), with the extra member `code`.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::rfc3339;
use crate::customers::CustomerError;
use crate::domain::apis::MAX_APIS;
use crate::domain::authority::GrantExceeded;
use crate::domain::decision::ClientAddress;
use crate::domain::member::Role;
use crate::domain::outcome::Code;
use crate::domain::profile::{MAX_NAMED_NETWORKS, MAX_PROFILES};
use crate::domain::violation::{FieldPath, Violation, ViolationKind};
use crate::http::access::{Explanation, Refused};
use crate::http::credentials::InvalidCredential;
use crate::http::sign_in::SignInRefused;
use crate::keys::KeyError;
use crate::limits::AddressLimit;
use crate::members::{MemberError, SignInError};
use crate::node::Unavailable;
use crate::organizations::{
    ApiError, CreateError, DeleteError, PolicyError, RenameError, SUSPENDED_DAYS, SuspendError,
};
use crate::portal::PortalError;
use crate::profiles::ProfileError;
use crate::store::StoreError;
use crate::verification::Refusal;
use crate::webhooks::WebhookError;

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

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::not_found(),
            KeyError::Invalid(errors) => Self::invalid(errors),
            KeyError::GrantExceeded(beyond) => beyond.into(),
            KeyError::RoleRequired(role) => Self::role_required(role),
            KeyError::PreconditionFailed => Self::precondition_failed("key"),
            KeyError::Repeated => Self::conflict("a request with this Idempotency-Key is still running; retry"),
            KeyError::AlreadyDone(_) => Self::conflict("this request was already carried out"),
            KeyError::OtherRequest => {
                Self::invalid_field("Idempotency-Key", "was already used for a different request")
            }
            KeyError::Conflict(detail) => Self::conflict(detail),
            KeyError::LimitReached => {
                Self::new(Code::KeyLimitReached, "the limit of keys is reached; revoke a key that nobody needs")
            }
            KeyError::NotBootstrapped => {
                Self::new(Code::NotBootstrapped, "the organization has no signing key yet; bootstrap it first")
            }
            KeyError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::Invalid(errors) => Self::invalid(errors),
            MemberError::GrantExceeded(beyond) => beyond.into(),
            MemberError::PreconditionFailed => Self::precondition_failed("member"),
            MemberError::Conflict(detail) => Self::conflict(detail),
            MemberError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<CustomerError> for Problem {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::NotFound => Self::not_found(),
            CustomerError::Invalid(errors) => Self::invalid(errors),
            CustomerError::PreconditionFailed => Self::precondition_failed("customer"),
            CustomerError::HasKeys => {
                Self::conflict("the customer has keys that work; revoke them first, or use revoke_keys=true")
            }
            CustomerError::Raced => Self::conflict("the customer was changed at the same time; retry"),
            CustomerError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<PortalError> for Problem {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::NotFound => Self::not_found(),
            PortalError::Invalid(errors) => Self::invalid(errors),
            PortalError::GrantExceeded(beyond) => beyond.into(),
            PortalError::RoleRequired(role) => Self::role_required(role),
            PortalError::Suspended => Self::conflict("the customer is suspended; reinstate it first"),
            PortalError::PreconditionFailed => Self::precondition_failed("portal"),
            PortalError::Raced => Self::conflict(
                "the customer or the settings were changed at the same time; nothing was changed. Retry.",
            ),
            PortalError::NotAllowed(capability) => Self::new(
                Code::InsufficientScope,
                format!("the session does not have the capability {}", capability.as_str()),
            ),
            PortalError::Key(error) => error.into(),
            PortalError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::NotFound => Self::not_found(),
            ProfileError::Invalid(errors) => Self::invalid(errors),
            ProfileError::GrantExceeded(beyond) => beyond.into(),
            ProfileError::PreconditionFailed => Self::precondition_failed("profile or network"),
            ProfileError::LimitReached => Self::conflict(format!(
                "the maximum is reached: {MAX_PROFILES} profiles and {MAX_NAMED_NETWORKS} networks in an organization"
            )),
            ProfileError::HasKeys => Self::conflict(
                "keys refer to it; give them another one first, or delete a profile with move_keys_to or revoke_keys=true",
            ),
            ProfileError::HasProfiles => Self::conflict("profiles refer to the network; take it out of them first"),
            ProfileError::Raced => Self::conflict("the organization was changed at the same time; retry"),
            ProfileError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::not_found(),
            WebhookError::PreconditionFailed => Self::precondition_failed("webhook"),
            WebhookError::Conflict(detail) => Self::conflict(detail),
            WebhookError::Unavailable(cause) => Self::not_now(&cause),
            WebhookError::Sealing(cause) => Self::unavailable(&cause),
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound => Self::not_found(),
            ApiError::Invalid(errors) => Self::invalid(errors),
            ApiError::PreconditionFailed => Self::precondition_failed("API"),
            ApiError::LimitReached => Self::conflict(format!("the organization has {MAX_APIS} APIs, the maximum")),
            ApiError::IsDefault => Self::conflict("the default API cannot be deleted"),
            ApiError::AlgorithmChanging(until) => Self::conflict(format!(
                "the algorithm was changed, and earlier tokens may be valid until {}; change it again after that",
                rfc3339(until)
            )),
            ApiError::SigningKey(cause) => cause.into(),
            ApiError::Raced => Self::conflict("the organization was changed at the same time; retry"),
            ApiError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<PolicyError> for Problem {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::NotFound => Self::not_found(),
            PolicyError::Invalid(errors) => Self::invalid(errors),
            PolicyError::PreconditionFailed => Self::precondition_failed("policy"),
            PolicyError::Raced => Self::conflict("the policy was changed at the same time; retry"),
            PolicyError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<SuspendError> for Problem {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::NotFound => Self::not_found(),
            SuspendError::IsDefault => {
                Self::conflict("organization default manages the others and cannot be suspended")
            }
            SuspendError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::NotFound => Self::not_found(),
            DeleteError::IsDefault => Self::conflict("organization default manages the others and cannot be deleted"),
            DeleteError::TooEarly(from) => {
                let from = from.map(|from| format!(", from {}", crate::clock::rfc3339(from))).unwrap_or_default();
                let rule = format!("it can be deleted after {SUSPENDED_DAYS} days of suspension{from}");
                Self::conflict(format!("{rule}; suspend it and wait, or use now=true"))
            }
            DeleteError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<RenameError> for Problem {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::NotFound => Self::not_found(),
            RenameError::Invalid(violation) => Self::invalid(vec![violation]),
            RenameError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Invalid(errors) => Self::invalid(errors),
            CreateError::Exists => Self::conflict("an organization with this slug already exists"),
            CreateError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<SignInRefused> for Problem {
    fn from(refused: SignInRefused) -> Self {
        match refused {
            SignInRefused::Invalid(violation) => Self::invalid(vec![violation]),
            SignInRefused::Limited(seconds) => Self::limited(seconds),
            SignInRefused::Error(error) => error.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::sign_in_refused(),
            SignInError::Changed => Self::conflict("the member was changed at the same time; sign in again"),
            SignInError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(cause: Unavailable) -> Self {
        Self::not_now(&cause)
    }
}

impl From<GrantExceeded> for Problem {
    fn from(beyond: GrantExceeded) -> Self {
        let detail = match beyond {
            GrantExceeded::Scope(scope) => {
                format!("Cannot grant {scope}: it is not covered by your own scopes")
            }
            GrantExceeded::Api(_) => "Cannot grant an API that you are not granted yourself".into(),
            GrantExceeded::Networks => "Cannot grant networks outside your own allow-list".into(),
            GrantExceeded::Lifetime(end) => {
                format!("Cannot grant an expiry after your own, {}", crate::clock::rfc3339(end))
            }
        };
        Self::new(Code::InsufficientScope, detail)
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
