//! Opening the URL of a session, and ending the session.
//!
//! `GET` shows a page that names the customer, and only its button opens the session. So a program that loads links in advance does
//! not use the URL up, and nobody gets into a session of another customer without seeing it.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::clock;
use crate::console::customers::display_name;
use crate::console::error_page::ErrorPage;
use crate::console::frame::page;
use crate::console::portal::frame::{PortalFrame, Site};
use crate::console::portal::request::{CodeForm, PortalForm, PortalRequest};
use crate::console::reply::Reply;
use crate::domain::portal::SESSION_SECONDS;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::members::SessionSecret;
use crate::portal::{self, PortalVisit};

#[derive(Template)]
#[template(path = "console/portal/open.html")]
struct Page {
    frame: PortalFrame,
    customer: String,
    code: String,
}

#[derive(Template)]
#[template(path = "console/portal/ended.html")]
struct Ended {
    frame: PortalFrame,
}

pub(super) async fn show(request: HttpRequest, context: web::Data<HttpContext>) -> Result<Reply, ErrorPage> {
    let site = Site::of(&request);
    let organization = organization(&site)?;
    let code = request.match_info().get("code").and_then(SessionSecret::parse);
    let code = code.ok_or_else(ErrorPage::portal_link_used)?;
    match portal::url_of_code(&context.node, organization, &code, clock::now()).await? {
        Some((_, customer)) => page(&Page {
            frame: PortalFrame::of_site(&site, "API keys"),
            customer: display_name(&customer),
            code: code.reveal().to_owned(),
        }),
        // The browser that has opened it can go back to it.
        None => match PortalRequest::begin(&request).await {
            Ok(visit) if visit.portal.was_opened_with(&context.node, &code).await? => Ok(visit.go("/keys")),
            _ => Err(ErrorPage::portal_link_used()),
        },
    }
}

pub(super) async fn send(submitted: CodeForm) -> Result<Reply, ErrorPage> {
    let CodeForm { site, form, address, earlier, context } = submitted;
    let organization = organization(&site)?;
    let code = form.value("code").and_then(SessionSecret::parse).ok_or_else(ErrorPage::portal_link_used)?;
    let secret = portal::open(&context.node, organization, &code, address, clock::now()).await?;
    let secret = secret.ok_or_else(ErrorPage::portal_link_used)?;
    // The browser loses its earlier session, so nobody could end that one.
    if let Some(earlier) = earlier {
        PortalVisit::end_replaced(&context.node, organization, &earlier, address, clock::now()).await?;
    }
    let cookies = site.cookies(&context.node.settings.public_url).ok_or_else(ErrorPage::not_found)?;
    Ok(Reply::see_other(format!("{}/keys", site.root)).set_cookies(cookies.store(&secret, SESSION_SECONDS)))
}

pub(super) async fn sign_out(submitted: PortalForm) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    visit.portal.end(visit.node()).await?;
    let cookies = visit.site.cookies(&visit.node().settings.public_url).ok_or_else(ErrorPage::not_found)?;
    Ok(visit.go("/ended").set_cookies(cookies.delete()))
}

pub(super) async fn ended(request: HttpRequest) -> Result<Reply, ErrorPage> {
    page(&Ended { frame: PortalFrame::of_site(&Site::of(&request), "Session ended") })
}

fn organization(site: &Site) -> Result<&Slug, ErrorPage> {
    site.organization.as_ref().ok_or_else(ErrorPage::not_found)
}
