//! Rendering of error pages: within the frame if there is a session, otherwise without it.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use askama::Template;

use crate::console::assets;
use crate::console::error_page::{ErrorPage, return_path};
use crate::console::frame::{Frame, Section, error_response, root};
use crate::console::kept;
use crate::console::request::ConsoleRequest;
use crate::console::theme::Theme;
use crate::http::context::HttpContext;
use crate::http::permission::AnyCredential;

/// The page without a session.
#[derive(Template)]
#[template(path = "console/error_page.html")]
struct Page<'a> {
    root: String,
    assets: &'static assets::Names,
    theme: Theme,
    error: &'a ErrorPage,
}

/// The page within the frame, so that the navigation stays.
#[derive(Template)]
#[template(path = "console/error_in_frame.html")]
struct FramedPage<'a> {
    frame: Frame,
    error: &'a ErrorPage,
    /// Where to go: names and paths.
    ways: Vec<(String, String)>,
}

impl<'a> FramedPage<'a> {
    fn new(visit: &ConsoleRequest<AnyCredential>, request: &HttpRequest, error: &'a ErrorPage) -> Self {
        let path = request.path().strip_prefix("/console").unwrap_or_default();
        let frame = visit.frame(Section::of_path(path), error.title);
        let mut ways = Vec::new();
        // Not if the path may contain a misplaced secret.
        let form =
            kept::page_of(path).filter(|form| request.method() == Method::POST && return_path(form, "") == *form);
        if let Some(form) = form {
            ways.push(("Back to the form".to_owned(), format!("{}{form}", frame.root)));
        }
        if let Some(section) = frame.current() {
            ways.push((format!("Go to {}", section.name), format!("{}{}", frame.root, section.path)));
        }
        if frame.current().is_none_or(|section| section.path != "/keys") {
            ways.push(("Go to API keys".to_owned(), format!("{}/keys", frame.root)));
        }
        Self { frame, error, ways }
    }
}

/// Renders the error page of every failed handler or extractor.
pub(in crate::console) async fn render_errors(
    context: web::Data<HttpContext>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(page) = response.response().error().and_then(|error| error.as_error::<ErrorPage>()) else {
        return Ok(response);
    };
    if page.location.is_some() {
        return Ok(response);
    }
    let public_url = &context.node.settings.public_url;
    // Without the database there is no session to look up.
    let visit = match page.status {
        StatusCode::SERVICE_UNAVAILABLE => None,
        _ => ConsoleRequest::<AnyCredential>::begin(response.request()).await.ok(),
    };
    let html = match visit {
        Some(visit) => FramedPage::new(&visit, response.request(), page).render(),
        None => {
            let theme = Theme::read(response.request(), public_url);
            Page { root: root(public_url), assets: assets::names(), theme, error: page }.render()
        }
    };
    let html = html.unwrap_or_else(|_| page.to_string());
    let mut rendered = error_response((page.status, page.code), html, page.explanation.clone());
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = response.headers().get(&name) {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response.into_response(rendered))
}
