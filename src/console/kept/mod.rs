//! Forms that were submitted without a valid session, or with one that has ended meanwhile. The browser keeps what was typed in a
//! cookie, encrypted and bound to the member whose page the form was on. The form's page shows it filled in after the same
//! member has signed in. Nothing is ever submitted again by itself, and no password is kept.

mod fill;

use actix_web::body::{self, BoxBody, MessageBody};
use actix_web::cookie::Cookie;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::console::frame::base_path;
use crate::console::submitted::CSRF_FIELD;
use crate::domain::member::MemberId;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::http::session::ConsoleCookie;
use crate::members;
use crate::node::Node;

const PURPOSE: &str = "form";
/// How long a form is kept, in seconds.
const SECONDS: i64 = 15 * 60;
/// Browsers store cookies of up to 4 KiB, name and attributes included.
const MAX_COOKIE: usize = 3_900;
/// Maximum size of a form that is read without a session: what is kept is smaller.
pub(super) const MAX_BODY: usize = 8 * 1024;
/// Fields that are never kept. Passwords are also recognized by their name.
const DROPPED: [&str; 3] = [CSRF_FIELD, "ticket", "confirmed"];
/// The script sends this header when it loads a page into a dialog.
const DIALOG: HeaderName = HeaderName::from_static("x-keyturn-dialog");

/// A form that was not accepted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptForm {
    /// The path to which the form is submitted, below `/console`.
    action: String,
    fields: Vec<(String, String)>,
    at: i64,
}

/// Returns the page with the form that is submitted to a path, both below `/console`; `None` for forms without typed values.
pub(super) fn page_of(action: &str) -> Option<String> {
    const PAGES_OF_THEIR_OWN: [&str; 7] = ["new", "edit", "rotate", "disable", "enable", "revoke", "remove"];
    match action.split('/').skip(1).collect::<Vec<_>>().as_slice() {
        ["policy"] => Some("/policy/change".into()),
        ["apis"] => Some("/apis/new".into()),
        ["apis", id] => Some(format!("/apis/{id}/edit")),
        ["webhooks"] => Some("/webhooks/new".into()),
        ["webhooks", id] => Some(format!("/webhooks/{id}/edit")),
        ["members", _] => Some(action.to_owned()),
        [_, .., last] if PAGES_OF_THEIR_OWN.contains(last) => Some(action.to_owned()),
        _ => None,
    }
}

/// Returns the path of a request below `/console`.
fn path(request: &HttpRequest) -> &str {
    request.path().strip_prefix("/console").unwrap_or_default()
}

/// Whether the form of a request is kept if it is not accepted.
pub(super) fn is_kept(request: &HttpRequest) -> bool {
    page_of(path(request)).is_some()
}

/// Returns the page with the form of a request, below `/console`, and the cookie that keeps it. `None` if it is not kept: it is
/// too large, or its page was not a member's.
pub(super) fn keep(node: &Node, request: &HttpRequest, form: &Form) -> Option<(String, Cookie<'static>)> {
    let action = path(request);
    let page = page_of(action)?;
    let MemberId(member) = member_of(form)?;
    let is_kept = |name: &str| !DROPPED.contains(&name) && !name.contains("password") && !name.contains("secret");
    let fields = form.all().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let kept = KeptForm { action: action.to_owned(), fields: fields.collect(), at: clock::now().as_seconds() };
    let plain = serde_json::to_vec(&kept).ok()?;
    let value = members::seal_kept(node, PURPOSE, &member, &plain).ok().filter(|value| value.len() <= MAX_COOKIE)?;
    Some((page, ConsoleCookie::Form.build(value, &node.settings.public_url, SECONDS)))
}

/// Returns the member whose page a form is on. It grants nothing: it selects who can see the form again.
pub(super) fn member_of(form: &Form) -> Option<MemberId> {
    MemberId::parse(form.value(CSRF_FIELD)?.split_once('.')?.1)
}

/// Whether a browser keeps a form.
pub(super) fn has_form(request: &HttpRequest, public_url: &str) -> bool {
    ConsoleCookie::Form.read(request, public_url).is_some()
}

/// Finds the form that belongs on the requested page, for [`fill_in`].
pub(super) fn find(request: &HttpRequest, node: &Node, member: &MemberId, now: Timestamp) {
    if request.method() != Method::GET || request.headers().contains_key(DIALOG) {
        return;
    }
    let Some(text) = ConsoleCookie::Form.read(request, &node.settings.public_url) else { return };
    let plain = members::open_kept(node, PURPOSE, &member.0, &text);
    let kept = plain.and_then(|plain| serde_json::from_slice::<KeptForm>(&plain).ok());
    let is_wanted = |kept: &KeptForm| {
        page_of(&kept.action).as_deref() == Some(path(request)) && now.as_seconds() < kept.at.saturating_add(SECONDS)
    };
    if let Some(kept) = kept.filter(is_wanted) {
        request.extensions_mut().insert(kept);
    }
}

/// Fills in the kept form on its page, and deletes the cookie.
pub(super) async fn fill_in(
    context: web::Data<HttpContext>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let kept = response.request().extensions_mut().remove::<KeptForm>();
    let is_page = response.status() == StatusCode::OK
        && response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let Some(kept) = kept.filter(|_| is_page) else { return Ok(response) };
    let public_url = &context.node.settings.public_url;
    let (request, response) = response.into_parts();
    let (head, page) = response.into_parts();
    let page = body::to_bytes(page).await.map_err(actix_web::error::ErrorInternalServerError)?;
    let page = String::from_utf8_lossy(&page);
    let action = format!("{}/console{}", base_path(public_url), kept.action);
    let filled = fill::fill(&page, &action, &kept.fields);
    let mut response: HttpResponse<BoxBody> = head.set_body(BoxBody::new(filled));
    let gone = ConsoleCookie::Form.build(String::new(), public_url, 0);
    // A constant cookie can be encoded.
    let _ = response.add_cookie(&gone);
    Ok(ServiceResponse::new(request, response))
}

#[cfg(test)]
mod tests {
    use super::page_of;

    #[test]
    fn only_forms_with_typed_values_have_a_page() {
        for (action, page) in [
            ("/keys/new", Some("/keys/new")),
            ("/keys/AbCd/edit", Some("/keys/AbCd/edit")),
            ("/policy", Some("/policy/change")),
            ("/apis", Some("/apis/new")),
            ("/apis/x", Some("/apis/x/edit")),
            ("/profiles/new", Some("/profiles/new")),
            ("/networks/named/x/edit", Some("/networks/named/x/edit")),
            ("/webhooks", Some("/webhooks/new")),
            ("/webhooks/x", Some("/webhooks/x/edit")),
            ("/members/x", Some("/members/x")),
            ("/account/password", None),
            ("/sign-out", None),
            ("/theme", None),
            ("/members/x/sessions/y/end", None),
            ("/webhooks/x/test", None),
            ("", None),
        ] {
            assert_eq!(page_of(action).as_deref(), page, "{action}");
        }
    }
}
