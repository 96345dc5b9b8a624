//! What a person is told when a page cannot be shown or a form cannot be carried out.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::console::assets;
use crate::console::frame::{before, denied, root};
use crate::domain::authority::Beyond;
use crate::domain::member::Role;
use crate::domain::policy::Violation;
use crate::http::access::Explanation;
use crate::http::context::HttpContext;
use crate::keys::KeyError;
use crate::members::MemberError;
use crate::node::Unavailable;
use crate::organizations::{PolicyError, RotateError};
use crate::store::StoreError;
use crate::webhooks::WebhookError;

/// Longest part of an address that is led back to after signing in: a word, a key's id. A longer one may be a misplaced
/// secret, which does not get into another address.
const MAX_PART: usize = 16;

/// A page that says what was wrong and what can be done, or a way to the sign-in page.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    /// What the log says of it.
    code: &'static str,
    title: &'static str,
    detail: String,
    /// Fields of a form that were wrong where the form could not say so itself.
    errors: Box<[Violation]>,
    retry_after: Option<u64>,
    location: Option<Box<str>>,
    explanation: Option<Box<Explanation>>,
}

#[derive(Template)]
#[template(path = "console/trouble.html")]
struct Page<'a> {
    root: String,
    assets: &'static assets::Names,
    trouble: &'a Trouble,
}

impl Trouble {
    fn new((status, code): (StatusCode, &'static str), title: &'static str, detail: impl Into<String>) -> Self {
        let (errors, retry_after, location, explanation) = (Box::default(), None, None, None);
        Self { status, code, title, detail: detail.into(), errors, retry_after, location, explanation }
    }

    /// What does not exist, or what this person may not see.
    pub(super) fn not_found() -> Self {
        Self::new(
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            "Nothing here",
            "There is no such page, or none that you may see.",
        )
    }

    /// Nobody is signed in: on to the sign-in page, and from there back to a page that was only looked at.
    pub(super) fn signed_out(request: &HttpRequest, public_url: &str) -> Self {
        let mut trouble = Self::new(
            (StatusCode::SEE_OTHER, "SESSION_REQUIRED"),
            "Please sign in",
            "Your session has ended. Sign in and try again.",
        );
        let sign_in = format!("{}/sign-in", root(public_url));
        let is_look = request.method().is_safe();
        let wanted =
            is_look.then(|| led_back_to(&format!("{}{}", before(public_url), request.path()), request.query_string()));
        trouble.location = Some(match wanted {
            Some(wanted) => format!("{sign_in}?next={}", utf8_percent_encode(&wanted, NON_ALPHANUMERIC)).into(),
            None => format!("{sign_in}?ended=1").into(),
        });
        trouble
    }

    /// A role that is too low.
    pub(super) fn role_required(have: Role, least: Role) -> Self {
        let detail = format!(
            "This takes the role {least} or a higher one, and yours is {have}. Somebody who manages members can change it."
        );
        Self::new((StatusCode::FORBIDDEN, "ROLE_REQUIRED"), "Not with your role", detail)
    }

    /// A form without the proof that it is one of ours.
    pub(super) fn foreign_form() -> Self {
        let detail = "This form does not belong to your present session: you may have signed in again since the page \
            was opened. Nothing was changed. Go back, reload the page and try again.";
        Self::new((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID"), "Form out of date", detail)
    }

    /// A form from somewhere else.
    pub(super) fn foreign_origin(public_url: &str) -> Self {
        let detail = format!(
            "Your browser does not say that this form comes from this console. Nothing was changed. Open the console at \
             {public_url}/console, which is its address as configured, and try again."
        );
        Self::new((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID"), "Form from elsewhere", detail)
    }

    /// A form that cannot be read.
    pub(super) fn bad_form(detail: &str) -> Self {
        Self::new(
            (StatusCode::BAD_REQUEST, "VALIDATION_FAILED"),
            "Form not readable",
            format!("The form cannot be read: {detail}."),
        )
    }

    /// Fields that a page cannot show beside them.
    pub(super) fn invalid(errors: Vec<Violation>) -> Self {
        let detail = "Some of what was sent is not as it should be. Go back and try again.";
        Self {
            errors: errors.into(),
            ..Self::new((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), "Not possible like this", detail)
        }
    }

    /// Something that the present state does not allow.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new((StatusCode::CONFLICT, "CONFLICT"), "Not possible now", sentence(&detail.into()))
    }

    /// Something that somebody else changed since the page was opened.
    pub(super) fn changed_meanwhile(what: &str) -> Self {
        let detail = format!(
            "The {what} was changed by somebody else since you opened the page. Nothing of yours was changed. Go back, \
             reload the page, look at what is there now, and try again."
        );
        Self::new((StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"), "Changed meanwhile", detail)
    }

    /// More than this person holds.
    pub(super) fn beyond(detail: impl Into<String>) -> Self {
        Self::new((StatusCode::FORBIDDEN, "INSUFFICIENT_SCOPE"), "Beyond what you hold", detail)
    }

    /// Too many attempts.
    pub(super) fn limited(seconds: u64) -> Self {
        let detail = format!("There were too many attempts. Try again in {seconds} seconds.");
        Self {
            retry_after: Some(seconds),
            ..Self::new((StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"), "Too many attempts", detail)
        }
    }

    /// Too many changes by one person.
    pub(super) fn too_many_changes(seconds: u64) -> Self {
        let detail =
            format!("You made too many changes in a short time. Nothing was changed. Try again in {seconds} seconds.");
        Self {
            retry_after: Some(seconds),
            ..Self::new((StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_CHANGES"), "Too many changes", detail)
        }
    }

    /// It cannot be done now. The cause is logged and not told.
    pub(super) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        let detail = "The server cannot do this at the moment. Nothing is lost; try again soon.";
        let trouble = Self::new((StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"), "Not available", detail);
        Self { retry_after: Some(1), explanation: Some(Explanation::failure(cause)), ..trouble }
    }

    /// What keeps a node from doing something.
    pub(super) fn not_now(cause: &Unavailable) -> Self {
        match cause {
            Unavailable::Store(StoreError::Superseded) => {
                Self::conflict("What you may do was changed meanwhile. Nothing was done; reload the page.")
            }
            Unavailable::Store(StoreError::CommitUnknown) => Self {
                detail: "The database did not confirm the change. It may have been made; check before you retry."
                    .into(),
                ..Self::unavailable(cause)
            },
            Unavailable::Busy => {
                let detail = "Too many secrets are being hashed at the moment. Try again.";
                Self {
                    retry_after: Some(1),
                    ..Self::new((StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"), "Busy", detail)
                }
            }
            other => Self::unavailable(other),
        }
    }
}

/// The address that is led back to after signing in: the one that was asked for, as far as its parts are short.
fn led_back_to(path: &str, query: &str) -> String {
    let is_short = |part: &&str| part.len() <= MAX_PART;
    let kept: Vec<&str> = path.split('/').take_while(is_short).collect();
    let is_whole = kept.len() == path.split('/').count() && query.split(['&', '=']).all(|part| is_short(&part));
    let kept = kept.join("/");
    if is_whole && !query.is_empty() { format!("{kept}?{query}") } else { kept }
}

/// A reason as a sentence of its own.
pub(super) fn sentence(reason: &str) -> String {
    let mut rest = reason.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if reason.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", rest.as_str())
}

/// What somebody holds too little of, in a sentence.
pub(super) fn beyond(beyond: &Beyond) -> String {
    match beyond {
        Beyond::Scope(scope) => format!("You cannot hand out {scope}: it lies within none of your own scopes."),
        Beyond::Networks => "You cannot hand out networks beyond those that you are restricted to yourself.".into(),
        Beyond::Lifetime(end) => {
            format!("You cannot hand out a life beyond your own, which ends {}.", crate::clock::rfc3339(*end))
        }
    }
}

impl From<KeyError> for Trouble {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::not_found(),
            KeyError::Invalid(errors) => Self::invalid(errors),
            KeyError::Beyond(too_much) => Self::beyond(beyond(&too_much)),
            KeyError::RoleRequired(role) => Self::beyond(format!("This takes the role {role} or a higher one.")),
            KeyError::PreconditionFailed => Self::changed_meanwhile("key"),
            KeyError::Repeated | KeyError::OtherRequest => {
                Self::conflict("The same form is being carried out already.")
            }
            KeyError::AlreadyDone(_) => {
                Self::conflict("This form was carried out before; the secret that it made was shown then, once.")
            }
            KeyError::Conflict(detail) => Self::conflict(detail),
            KeyError::LimitReached => Self::conflict("The limit of keys is reached. Revoke one that is not needed."),
            KeyError::NotBootstrapped => {
                Self::conflict("The organization has no signing key yet. Make it on the page of signing keys first.")
            }
            KeyError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<MemberError> for Trouble {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::Invalid(errors) => Self::invalid(errors),
            MemberError::Beyond(too_much) => Self::beyond(beyond(&too_much)),
            MemberError::PreconditionFailed => Self::changed_meanwhile("member"),
            MemberError::Conflict(detail) => Self::conflict(detail),
            MemberError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<PolicyError> for Trouble {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::NotFound => Self::not_found(),
            PolicyError::Invalid(errors) => Self::invalid(errors),
            PolicyError::PreconditionFailed | PolicyError::Raced => Self::changed_meanwhile("policy"),
            PolicyError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<RotateError> for Trouble {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Pending { kid, from } => Self::conflict(format!(
                "The next signing key, {kid}, is published already and signs from {from} on. Rotate again after that, \
                 or have a new one sign at once."
            )),
            RotateError::NotFound => Self::not_found(),
            RotateError::TooMany => Self::conflict(
                "An organization has at most 8 signing keys that have not expired. Wait until the oldest has expired, or \
                 rotate and delete the current key.",
            ),
            RotateError::Raced => Self::conflict("The signing key was rotated by somebody else at the same time."),
            RotateError::Found(cause) => Self::unavailable(&cause),
            RotateError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<WebhookError> for Trouble {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::not_found(),
            WebhookError::PreconditionFailed => Self::changed_meanwhile("webhook"),
            WebhookError::Conflict(detail) => Self::conflict(sentence(&detail)),
            WebhookError::Unavailable(cause) => Self::not_now(&cause),
            WebhookError::Sealing(cause) => Self::unavailable(&cause),
        }
    }
}

impl From<Unavailable> for Trouble {
    fn from(cause: Unavailable) -> Self {
        Self::not_now(&cause)
    }
}

impl From<askama::Error> for Trouble {
    fn from(cause: askama::Error) -> Self {
        Self::unavailable(&cause)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Trouble {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        if let Some(location) = &self.location {
            return HttpResponse::SeeOther().insert_header((LOCATION, &**location)).finish();
        }
        // The page itself is made where it is known what the public URL has before its path.
        let mut response = HttpResponse::build(self.status).finish();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Makes a page of each trouble that a handler or what it takes has met.
pub(super) async fn show(
    context: web::Data<HttpContext>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(trouble) = response.response().error().and_then(|error| error.as_error::<Trouble>()) else {
        return Ok(response);
    };
    if trouble.location.is_some() {
        return Ok(response);
    }
    let root = root(&context.node.settings.public_url);
    let html = Page { root, assets: assets::names(), trouble }.render().unwrap_or_else(|_| trouble.to_string());
    let mut page = denied((trouble.status, trouble.code), html, trouble.explanation.clone());
    if let Some(seconds) = trouble.retry_after {
        page.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response.into_response(page))
}

#[cfg(test)]
mod tests {
    use super::led_back_to;

    #[test]
    fn the_way_back_holds_nothing_long() {
        assert_eq!(led_back_to("/console/keys", "status=all&search=a+b"), "/console/keys?status=all&search=a+b");
        assert_eq!(led_back_to("/console/keys/0123456789abcdef/edit", ""), "/console/keys/0123456789abcdef/edit");
        assert_eq!(led_back_to("/console/keys/kt_0123456789abcdef_0", "a=b"), "/console/keys");
        assert_eq!(led_back_to("/console/keys", "search=kt_0123456789abcdef_0"), "/console/keys");
    }
}
