//! Submitted forms. A handler that takes `Submitted<P>` is called only for members with permission `P`, and only for forms
//! from the console's own pages that carry the session's CSRF token.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, ORIGIN};
use actix_web::{FromRequest, HttpRequest, web};

use crate::console::error_page::ErrorPage;
use crate::console::kept;
use crate::console::keys::{GRANT, NAMED, OFFERED};
use crate::console::request::ConsoleRequest;
use crate::domain::slug::Slug;
use crate::http::body::{self, BodyError};
use crate::http::checks::Checks;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::http::permission::Permission;
use crate::http::session;
use crate::members;

/// Maximum size of a form. Every valid form is smaller.
pub(super) const MAX_BODY: usize = 256 * 1024;
/// Maximum number of fields. Every valid form has fewer.
const MAX_FIELDS: usize = 1_000;
/// Fields that can appear more than once.
const REPEATED: [&str; 5] = ["events", "key", GRANT, OFFERED, NAMED];
/// The field with the CSRF token.
pub(super) const CSRF_FIELD: &str = "csrf";

/// A form submitted from one of the console's pages.
pub(super) struct Submitted<P> {
    pub(super) visit: ConsoleRequest<P>,
    pub(super) form: Form,
}

impl<P: Permission> FromRequest for Submitted<P> {
    type Error = ErrorPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ErrorPage>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // The headers and the cookie are checked before the body is read. The session is checked after it, because a
            // slow body may arrive after the session has ended.
            let context = request.app_data::<web::Data<HttpContext>>();
            let context = context.ok_or_else(|| ErrorPage::unavailable(&"no context"))?;
            let public_url = &context.node.settings.public_url;
            check_origin(&request, public_url)?;
            let has_cookie = session::from_cookie(&request, public_url).is_some();
            if !has_cookie && !kept::is_kept(&request) {
                return Err(ErrorPage::signed_out(&request, public_url));
            }
            let form = read(&request, payload, if has_cookie { MAX_BODY } else { kept::MAX_BODY }).await?;
            let keep = |page: ErrorPage| match kept::keep(&context.node, &request, &form) {
                Some((form_page, cookie)) => page.keeping(public_url, &form_page, cookie),
                None => page,
            };
            if !has_cookie {
                return Err(keep(ErrorPage::signed_out(&request, public_url)));
            }
            let visit = ConsoleRequest::begin(&request).await.map_err(|page| match page.is_signed_out() {
                true => keep(page),
                false => page,
            })?;
            if !form.value(CSRF_FIELD).is_some_and(|sent| is_token(sent, &visit.csrf)) {
                // The page may be from an earlier session of the same member.
                let is_theirs = kept::member_of(&form).is_some_and(|member| member == visit.who.member.id);
                let page = ErrorPage::csrf_mismatch();
                return Err(if is_theirs { keep(page) } else { page });
            }
            let credential = format!("member:{}", visit.who.member.id);
            context.count_change(&credential, &request).map_err(ErrorPage::too_many_changes)?;
            Ok(Self { visit, form })
        })
    }
}

/// Whether a form's token, which the ID of a member can follow, is the session's.
pub(super) fn is_token(sent: &str, token: &str) -> bool {
    members::is_csrf_token(sent.split('.').next().unwrap_or_default(), token)
}

/// Checks the browser's `Sec-Fetch-Site` or `Origin` header, which every supported browser sends.
pub(super) fn check_origin(request: &HttpRequest, public_url: &str) -> Result<(), ErrorPage> {
    if is_from_our_browser(request, public_url) { Ok(()) } else { Err(ErrorPage::cross_site(public_url)) }
}

/// Whether the browser confirms that a form comes from one of Keyturn's pages.
pub(super) fn is_from_our_browser(request: &HttpRequest, public_url: &str) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let headers = request.headers();
    let says = headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN);
    says && session::is_from_our_pages(request, public_url)
}

/// Reads a form of at most `most` bytes.
pub(super) async fn read(request: &HttpRequest, payload: Payload, most: usize) -> Result<Form, ErrorPage> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/x-www-form-urlencoded" {
        return Err(ErrorPage::unreadable_form("its type is not application/x-www-form-urlencoded"));
    }
    if body::is_encoded(request.headers()) {
        return Err(ErrorPage::unreadable_form("it must not be compressed"));
    }
    let payload = web::Payload::from_request(request, &mut { payload }).into_inner();
    let payload = payload.map_err(|_| ErrorPage::unreadable_form("it could not be read"))?;
    let bytes = body::read(payload, most).await.map_err(|error| match error {
        BodyError::TooLarge => ErrorPage::unreadable_form("it is too large"),
        BodyError::TooSlow => ErrorPage::unreadable_form("it arrived too slowly"),
        BodyError::Broken => ErrorPage::unreadable_form("it could not be read"),
    })?;
    let form = Form::parse_long(&bytes, MAX_FIELDS).map_err(|error| ErrorPage::unreadable_form(&error.to_string()))?;
    form.check_repeats(&REPEATED).map_err(|error| ErrorPage::unreadable_form(&error.to_string()))?;
    Ok(form)
}

/// Parses the name of a new object that stands in URLs.
pub(super) fn parse_name(checks: &mut Checks, text: &str) -> Option<Slug> {
    let name = Slug::parse(text);
    if name.is_none() {
        checks.wrong("name", "Enter 1 to 40 lowercase letters, digits and hyphens.");
    }
    name
}

/// Checks that all fields are present, even if empty. A missing field would otherwise be saved as empty.
pub(super) fn check_fields(form: &Form, fields: &[&str]) -> Result<(), ErrorPage> {
    match fields.iter().find(|field| !form.has(field)) {
        Some(missing) => Err(ErrorPage::unreadable_form(&format!("the field {missing} is missing"))),
        None => Ok(()),
    }
}
