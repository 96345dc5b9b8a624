//! Responses of handlers.

use actix_web::body::BoxBody;
use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};

use crate::console::error_page::ErrorPage;
use crate::console::frame::{error_response, html_response};

/// A page or a redirect. Unlike `HttpResponse` it is `Send`, so the task of a change can return it.
pub(super) struct Reply {
    content: Content,
    cookies: Vec<Cookie<'static>>,
    /// A `Set-Cookie` header with an attribute that `Cookie` does not have.
    set_cookies: Vec<String>,
    retry_after: Option<u64>,
}

enum Content {
    Page(String),
    /// A page with errors: status, code for the access log, and HTML.
    Refused((StatusCode, &'static str), String),
    Redirect(String),
}

impl Reply {
    /// A page.
    pub(super) const fn page(html: String) -> Self {
        Self::new(Content::Page(html))
    }

    /// A page with errors, and the code for the access log.
    pub(super) const fn refused(refusal: (StatusCode, &'static str), html: String) -> Self {
        Self::new(Content::Refused(refusal, html))
    }

    /// A redirect to a page of the console.
    pub(super) const fn see_other(path: String) -> Self {
        Self::new(Content::Redirect(path))
    }

    const fn new(content: Content) -> Self {
        Self { content, cookies: Vec::new(), set_cookies: Vec::new(), retry_after: None }
    }

    /// Sets a cookie.
    pub(super) fn cookie(mut self, cookie: Cookie<'static>) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Sends a `Set-Cookie` header as it is.
    pub(super) fn set_cookies(self, headers: impl IntoIterator<Item = String>) -> Self {
        Self { set_cookies: headers.into_iter().collect(), ..self }
    }

    /// Sets the seconds in `Retry-After`.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = match self.content {
            Content::Page(html) => html_response(StatusCode::OK, html),
            Content::Refused(refusal, html) => error_response(refusal, html, None),
            Content::Redirect(path) => HttpResponse::SeeOther().insert_header((LOCATION, path)).finish(),
        };
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        for header in self.set_cookies.iter().filter_map(|header| HeaderValue::from_str(header).ok()) {
            response.headers_mut().append(SET_COOKIE, header);
        }
        for cookie in &self.cookies {
            if let Err(error) = response.add_cookie(cookie) {
                return ErrorPage::unavailable(&error).error_response();
            }
        }
        response
    }
}
