//! The message about the last change. The redirect after a change stores it in a cookie, encrypted and bound to the session, and
//! the next page shows it once. A link cannot show a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::MessageBody;
use actix_web::cookie::Cookie;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};

use crate::http::context::HttpContext;
use crate::http::session::ConsoleCookie;
use crate::members::{self, SignedIn};
use crate::node::{Node, Unavailable};

const PURPOSE: &str = "message";
/// A message that no page has shown by then is dropped.
const SECONDS: i64 = 300;
/// Browsers store cookies of up to 4 KiB.
const MAX_BYTES: usize = 1024;
/// The script sends this header when it loads a page into a dialog, which shows no message.
const DIALOG: HeaderName = HeaderName::from_static("x-keyturn-dialog");

/// The message for the next page, if any.
#[derive(Clone, Default)]
pub(super) struct Flash {
    text: Option<String>,
    is_shown: Arc<AtomicBool>,
}

impl Flash {
    /// Reads the message from the request's cookie.
    pub(super) fn read(request: &HttpRequest, node: &Node, who: &SignedIn) -> Self {
        let is_page = request.method() == Method::GET && !request.headers().contains_key(DIALOG);
        let cookie = is_page.then(|| ConsoleCookie::Flash.read(request, &node.settings.public_url)).flatten();
        let plain = cookie.and_then(|text| members::open_kept(node, PURPOSE, &who.session.id, &text));
        let flash = Self { text: plain.and_then(|plain| String::from_utf8(plain.to_vec()).ok()), ..Self::default() };
        if flash.text.is_some() {
            request.extensions_mut().insert(flash.clone());
        }
        flash
    }

    /// Returns the message. After the response it is gone.
    pub(super) fn take(&self) -> Option<String> {
        self.is_shown.store(self.text.is_some(), Ordering::Relaxed);
        self.text.clone()
    }

    /// Returns the cookie with a message for the next page.
    pub(super) fn cookie(node: &Node, who: &SignedIn, message: &str) -> Result<Cookie<'static>, Unavailable> {
        let end = (0..=MAX_BYTES.min(message.len())).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        let message = message.get(..end).unwrap_or_default();
        let value = members::seal_kept(node, PURPOSE, &who.session.id, message.as_bytes())?;
        Ok(ConsoleCookie::Flash.build(value, &node.settings.public_url, SECONDS))
    }
}

/// Deletes the cookie of a message that the page has shown.
pub(super) async fn delete_shown(
    context: web::Data<HttpContext>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    let is_shown =
        response.request().extensions().get::<Flash>().is_some_and(|flash| flash.is_shown.load(Ordering::Relaxed));
    if is_shown {
        let gone = ConsoleCookie::Flash.build(String::new(), &context.node.settings.public_url, 0);
        // A cookie that cannot be encoded is not possible here; the message would be shown twice.
        let _ = response.response_mut().add_cookie(&gone);
    }
    Ok(response)
}
