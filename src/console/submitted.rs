//! Forms: a handler that takes `Submitted<P>` is called only for a person who may, from our own page, with what that
//! page gave them to send along.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, ORIGIN};
use actix_web::{FromRequest, HttpRequest, web};

use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::http::body::{self, BodyError};
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::http::permission::Permission;
use crate::http::session;

/// Larger than any form that is allowed.
const MAX_BODY: usize = 256 * 1024;
/// More fields than any form has.
const MAX_FIELDS: usize = 1_000;
/// Fields of which there may be several.
const REPEATED: [&str; 1] = ["events"];
/// The field that proves that the form is one of ours.
pub(super) const CSRF_FIELD: &str = "csrf";

/// A form that a person sent from one of our pages.
pub(super) struct Submitted<P> {
    /// Who.
    pub(super) visit: Visit<P>,
    /// What.
    pub(super) form: Form,
}

impl<P: Permission> FromRequest for Submitted<P> {
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Trouble>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // Who sends nothing that a browser of ours would send is not listened to. Whoever sends a form slowly is looked
            // at when it is there.
            let context = request.app_data::<web::Data<HttpContext>>();
            let context = context.ok_or_else(|| Trouble::unavailable(&"no context"))?;
            let public_url = &context.node.settings.public_url;
            check_origin(&request, public_url)?;
            if session::from_cookie(&request, public_url).is_none() {
                return Err(Trouble::signed_out(&request, public_url));
            }
            let form = read(&request, payload, MAX_BODY).await?;
            let visit = Visit::begin(&request).await?;
            if form.value(CSRF_FIELD) != Some(visit.csrf.as_str()) {
                return Err(Trouble::foreign_form());
            }
            let credential = format!("member:{}", visit.who.member.id);
            context.count_change(&credential, &request).map_err(Trouble::too_many_changes)?;
            Ok(Self { visit, form })
        })
    }
}

/// Checks that the browser says that a form comes from our own pages. All browsers say so.
pub(super) fn check_origin(request: &HttpRequest, public_url: &str) -> Result<(), Trouble> {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let headers = request.headers();
    let says = headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN);
    if says && session::is_from_our_pages(request, public_url) {
        Ok(())
    } else {
        Err(Trouble::foreign_origin(public_url))
    }
}

/// Reads a form of at most so many bytes.
pub(super) async fn read(request: &HttpRequest, payload: Payload, most: usize) -> Result<Form, Trouble> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/x-www-form-urlencoded" {
        return Err(Trouble::bad_form("application/x-www-form-urlencoded is expected"));
    }
    if body::is_encoded(request.headers()) {
        return Err(Trouble::bad_form("send it without compression"));
    }
    let payload = web::Payload::from_request(request, &mut { payload }).into_inner();
    let payload = payload.map_err(|_| Trouble::bad_form("it could not be read"))?;
    let bytes = body::read(payload, most).await.map_err(|error| match error {
        BodyError::TooLarge => Trouble::bad_form("it is too large"),
        BodyError::TooSlow => Trouble::bad_form("it took too long to arrive"),
        BodyError::Broken => Trouble::bad_form("it could not be read"),
    })?;
    let form = Form::parse_long(&bytes, MAX_FIELDS).map_err(|error| Trouble::bad_form(&error.to_string()))?;
    form.check_repeats(&REPEATED).map_err(|error| Trouble::bad_form(&error.to_string()))?;
    Ok(form)
}

/// Checks that a form has all its fields, if only empty ones: what is missing would else be taken away.
pub(super) fn check_fields(form: &Form, fields: &[&str]) -> Result<(), Trouble> {
    match fields.iter().find(|field| !form.has(field)) {
        Some(missing) => Err(Trouble::bad_form(&format!("its field {missing} is missing"))),
        None => Ok(()),
    }
}
