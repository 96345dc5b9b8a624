//! Error pages of the console.

mod causes;
mod render;

use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::console::frame::{base_path, root};
use crate::console::ui::{Errors, format_date_and_time, to_sentence};
use crate::domain::authority::GrantExceeded;
use crate::domain::member::Role;
use crate::domain::violation::Violation;
use crate::http::access::Explanation;
use crate::node::Unavailable;
use crate::store::StoreError;

pub(super) use render::render_errors;

/// Maximum length of a path segment or query value that is kept for the return after sign-in. A longer one may be a
/// misplaced secret.
const MAX_PART: usize = 16;

/// A page that says what went wrong and what to do next, or a redirect to the sign-in page.
#[derive(Debug)]
pub(super) struct ErrorPage {
    status: StatusCode,
    /// The code for the access log.
    code: &'static str,
    title: &'static str,
    detail: String,
    /// Violations that the form itself could not show.
    errors: Box<Errors>,
    retry_after: Option<u64>,
    location: Option<Box<str>>,
    /// The cookie with the form that was not accepted.
    cookie: Option<Box<Cookie<'static>>>,
    explanation: Option<Box<Explanation>>,
}

impl ErrorPage {
    fn new((status, code): (StatusCode, &'static str), title: &'static str, detail: impl Into<String>) -> Self {
        let (errors, retry_after, location, cookie, explanation) = (Box::default(), None, None, None, None);
        Self { status, code, title, detail: detail.into(), errors, retry_after, location, cookie, explanation }
    }

    /// The page does not exist, or the member cannot see it.
    pub(super) fn not_found() -> Self {
        Self::new(
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            "Page not found",
            "This page doesn’t exist, or you don’t have access to it.",
        )
    }

    /// The page does not accept the request's method.
    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        Self::new(
            (StatusCode::METHOD_NOT_ALLOWED, "VALIDATION_FAILED"),
            "Invalid request",
            format!("This page only accepts {allowed}."),
        )
    }

    /// Redirects to the sign-in page. After sign-in the browser returns to the requested page, unless it submitted a form.
    pub(super) fn signed_out(request: &HttpRequest, public_url: &str) -> Self {
        let mut page = Self::new(
            (StatusCode::SEE_OTHER, "SESSION_REQUIRED"),
            "Sign in",
            "Your session expired. Sign in and try again.",
        );
        let sign_in = format!("{}/sign-in", root(public_url));
        let is_read = request.method().is_safe();
        let wanted = is_read
            .then(|| return_path(&format!("{}{}", base_path(public_url), request.path()), request.query_string()));
        page.location = Some(match wanted {
            Some(wanted) => format!("{sign_in}?next={}", utf8_percent_encode(&wanted, NON_ALPHANUMERIC)).into(),
            None => format!("{sign_in}?ended=1").into(),
        });
        page
    }

    /// Whether there is no valid session.
    pub(super) fn is_signed_out(&self) -> bool {
        self.code == "SESSION_REQUIRED"
    }

    /// Keeps the form in the browser and leads to its page, after sign-in if there is no session.
    pub(super) fn keeping(self, public_url: &str, form_page: &str, cookie: Cookie<'static>) -> Self {
        let page = format!("{}{form_page}", root(public_url));
        let location = match self.is_signed_out() {
            true => format!("{}/sign-in?next={}", root(public_url), utf8_percent_encode(&page, NON_ALPHANUMERIC)),
            false => page,
        };
        Self { status: StatusCode::SEE_OTHER, location: Some(location.into()), cookie: Some(Box::new(cookie)), ..self }
    }

    /// The member's role is too low.
    pub(super) fn role_required(have: Role, least: Role) -> Self {
        let detail = format!("You need the {least} role or higher; yours is {have}. Ask an admin to change it.");
        Self::new((StatusCode::FORBIDDEN, "ROLE_REQUIRED"), "You don’t have permission", detail)
    }

    /// The form's CSRF token does not match the session.
    pub(super) fn csrf_mismatch() -> Self {
        let detail = "This form is from an earlier session, so nothing was changed. Reload the page and try again.";
        Self::new((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID"), "Form expired", detail)
    }

    /// The form was submitted from another site.
    pub(super) fn cross_site(public_url: &str) -> Self {
        let detail = format!(
            "Your browser didn’t confirm that this request came from the console, so nothing was changed. Open the \
             console at its configured address, {public_url}/console, and try again."
        );
        Self::new((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID"), "Cross-site request blocked", detail)
    }

    /// A form of the portal was submitted from another site.
    pub(super) fn portal_cross_site() -> Self {
        let detail = "Your browser didn’t confirm that this request came from this page, so nothing was changed. Reload the \
                      page and try again.";
        Self::new((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID"), "Request blocked", detail)
    }

    /// There is no valid session in the portal.
    pub(super) fn portal_session_ended() -> Self {
        let detail = "Your session has ended, or your browser blocks its cookie. Go back to the page that you came from and \
                      open your API keys again.";
        Self::new((StatusCode::UNAUTHORIZED, "SESSION_REQUIRED"), "Session ended", detail)
    }

    /// The URL of a session in the portal was opened before, has expired or was withdrawn.
    pub(super) fn portal_link_used() -> Self {
        let detail = "This link works once, within 15 minutes, and was used or has expired. Go back to the page that you came \
                      from and open your API keys again.";
        Self::new((StatusCode::GONE, "SESSION_REQUIRED"), "Link expired", detail)
    }

    /// The session does not allow the change.
    pub(super) fn portal_not_allowed() -> Self {
        Self::not_permitted("This session doesn’t allow that.")
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The status, and the code for the access log.
    pub(super) const fn status(&self) -> (StatusCode, &'static str) {
        (self.status, self.code)
    }

    /// Takes the explanation for the recent denials and the log.
    pub(super) fn explanation(&self) -> Option<Box<Explanation>> {
        self.explanation.clone()
    }

    /// The form could not be parsed. `detail` completes "Keyturn couldn't read the form:".
    pub(super) fn unreadable_form(detail: &str) -> Self {
        Self::new(
            (StatusCode::BAD_REQUEST, "VALIDATION_FAILED"),
            "Invalid request",
            format!("Keyturn couldn’t read the form: {detail}."),
        )
    }

    /// The form has errors that it cannot show itself.
    pub(super) fn invalid(errors: Vec<Violation>) -> Self {
        let detail = "Some fields are not valid. Go back and correct them.";
        Self {
            errors: Box::new(Errors::new(errors, &[])),
            ..Self::new((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), "Invalid input", detail)
        }
    }

    /// The current state does not allow the change.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new((StatusCode::CONFLICT, "CONFLICT"), "This isn’t possible right now", to_sentence(&detail.into()))
    }

    /// Someone else changed the object after the page was opened.
    pub(super) fn edit_conflict(what: &str) -> Self {
        let detail = format!(
            "Someone else changed this {what} after you opened the page. Your changes were not saved. Reload the page, \
             review the current values and try again."
        );
        Self::new((StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"), "Edit conflict", detail)
    }

    /// The member's rights do not allow the change.
    pub(super) fn not_permitted(detail: impl Into<String>) -> Self {
        Self::new((StatusCode::FORBIDDEN, "INSUFFICIENT_SCOPE"), "You don’t have permission", detail)
    }

    /// The member tried to grant more than they have.
    fn excess(excess: &GrantExceeded) -> Self {
        Self::new((StatusCode::FORBIDDEN, "INSUFFICIENT_SCOPE"), "You can’t grant that", describe_excess(excess))
    }

    pub(super) fn rate_limited(seconds: u64) -> Self {
        let detail = format!("Too many attempts. Try again in {seconds} seconds.");
        Self {
            retry_after: Some(seconds),
            ..Self::new((StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"), "Too many attempts", detail)
        }
    }

    pub(super) fn too_many_changes(seconds: u64) -> Self {
        let detail = format!("Too many changes in a short time. Nothing was changed. Try again in {seconds} seconds.");
        Self {
            retry_after: Some(seconds),
            ..Self::new((StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_CHANGES"), "Too many changes", detail)
        }
    }

    /// The server cannot do this now. The cause is logged and not shown.
    pub(super) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        let detail = "Keyturn can’t do this right now. Try again in a few seconds.";
        let page = Self::new((StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"), "Temporarily unavailable", detail);
        Self { retry_after: Some(1), explanation: Some(Explanation::failure(cause)), ..page }
    }

    /// The node cannot do this now.
    pub(super) fn node_unavailable(cause: &Unavailable) -> Self {
        match cause {
            Unavailable::Store(StoreError::Superseded) => {
                Self::conflict("Your permissions changed during this request. Nothing was changed. Reload the page.")
            }
            Unavailable::Store(StoreError::CommitUnknown) => Self {
                detail:
                    "The database didn’t confirm the change, so it may or may not have been saved. Check before you \
                         try again."
                        .into(),
                ..Self::unavailable(cause)
            },
            Unavailable::Busy => {
                let detail = "The server is busy. Try again in a few seconds.";
                Self {
                    retry_after: Some(1),
                    ..Self::new((StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"), "Server busy", detail)
                }
            }
            other => Self::unavailable(other),
        }
    }
}

/// Returns the path for the return after sign-in: the requested one, up to the first part that is too long.
fn return_path(path: &str, query: &str) -> String {
    let is_short = |part: &&str| part.len() <= MAX_PART;
    let kept: Vec<&str> = path.split('/').take_while(is_short).collect();
    let is_whole = kept.len() == path.split('/').count() && query.split(['&', '=']).all(|part| is_short(&part));
    let kept = kept.join("/");
    if is_whole && !query.is_empty() { format!("{kept}?{query}") } else { kept }
}

/// Describes a grant beyond the member's own rights.
pub(super) fn describe_excess(excess: &GrantExceeded) -> String {
    match excess {
        GrantExceeded::Scope(scope) => format!("You can’t grant {scope}: it is outside your own scopes."),
        GrantExceeded::Api(_) => "You can’t grant an API that you are not granted yourself.".into(),
        GrantExceeded::Networks => "You can’t grant networks outside your own allow-list.".into(),
        GrantExceeded::Lifetime(end) => {
            format!("You can’t set an expiry later than your own ({}).", format_date_and_time(*end))
        }
    }
}

impl std::fmt::Display for ErrorPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for ErrorPage {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        if let Some(location) = &self.location {
            let mut response = HttpResponse::SeeOther();
            response.insert_header((LOCATION, &**location));
            if let Some(cookie) = &self.cookie {
                response.cookie((**cookie).clone());
            }
            return response.finish();
        }
        // `render_errors` renders the page: it knows the public URL's path.
        let mut response = HttpResponse::build(self.status).finish();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::return_path;

    #[test]
    fn return_path_drops_long_parts() {
        assert_eq!(return_path("/console/keys", "status=all&search=a+b"), "/console/keys?status=all&search=a+b");
        assert_eq!(return_path("/console/keys/0123456789abcdef/edit", ""), "/console/keys/0123456789abcdef/edit");
        assert_eq!(return_path("/console/keys/kt_0123456789abcdef_0", "a=b"), "/console/keys");
        assert_eq!(return_path("/console/keys", "search=kt_0123456789abcdef_0"), "/console/keys");
    }
}
