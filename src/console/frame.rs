//! The frame of every page: navigation, the signed-in member and the security headers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::error_page::ErrorPage;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::CsrfField;
use crate::domain::member::Role;
use crate::http::access::{Explanation, Refused};
use crate::http::permission::{
    AdminOrganizations, ReadAudit, ReadKeys, ReadMembers, ReadPolicy, ReadSigningKeys, ReadUsage, ReadWebhooks,
};
use crate::http::public_path::PublicPath;

/// No third-party or inline content, no framing, and forms only to this origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The sections of the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    Welcome,
    Keys,
    Usage,
    Audit,
    Members,
    Policy,
    SigningKeys,
    Webhooks,
    Gateways,
    Organizations,
    Account,
}

/// A link in the navigation.
pub(super) struct NavItem {
    /// The path below `/console`.
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) is_current: bool,
}

pub(super) struct Frame {
    /// The first part of the page's title.
    pub(super) title: String,
    /// The absolute path of `/console`, including the public URL's path.
    pub(super) root: String,
    pub(super) assets: &'static Names,
    pub(super) nav: Vec<NavItem>,
    pub(super) is_account: bool,
    /// The member's organization.
    pub(super) organization: String,
    pub(super) email: String,
    pub(super) role: Role,
    /// The CSRF field for every form.
    pub(super) token: CsrfField,
    /// The message about the last change.
    pub(super) done: Option<String>,
}

impl Frame {
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, section: Section, title: String) -> Self {
        let member = &visit.who.member;
        let is_from_default = member.organization.is_default();
        let sections = [
            (Section::Keys, "/keys", "API keys", visit.may::<ReadKeys>()),
            (Section::Usage, "/usage", "Usage", visit.may::<ReadUsage>()),
            (Section::Audit, "/audit", "Audit log", visit.may::<ReadAudit>()),
            (Section::Members, "/members", "Members", visit.may::<ReadMembers>()),
            (Section::Policy, "/policy", "Policy", visit.may::<ReadPolicy>()),
            (Section::SigningKeys, "/signing-keys", "Signing keys", visit.may::<ReadSigningKeys>()),
            (Section::Webhooks, "/webhooks", "Webhooks", visit.may::<ReadWebhooks>()),
            (Section::Gateways, "/gateways", "Gateways", true),
            (
                Section::Organizations,
                "/organizations",
                "Organizations",
                is_from_default && visit.may::<AdminOrganizations>(),
            ),
            (Section::Welcome, "/welcome", "Getting started", true),
        ];
        let visible = sections.into_iter().filter(|(.., may)| *may);
        Self {
            title,
            root: root(&visit.node().settings.public_url),
            assets: assets::names(),
            nav: visible.map(|(item, path, name, _)| NavItem { path, name, is_current: item == section }).collect(),
            is_account: section == Section::Account,
            organization: member.organization.to_string(),
            email: member.email.clone(),
            role: member.role,
            token: CsrfField(visit.csrf.clone()),
            done: None,
        }
    }

    /// Adds a message about the last change.
    pub(super) fn done(self, done: Option<impl Into<String>>) -> Self {
        Self { done: done.map(Into::into), ..self }
    }
}

/// The absolute path of `/console`, including the public URL's path.
pub(super) fn root(public_url: &str) -> String {
    format!("{}/console", base_path(public_url))
}

/// Returns the path of the public URL.
pub(super) fn base_path(public_url: &str) -> String {
    PublicPath::of(public_url).as_str().to_owned()
}

/// Renders a page.
pub(super) fn page(template: &impl Template) -> Result<Reply, ErrorPage> {
    Ok(Reply::page(template.render()?))
}

/// Renders a form with its validation errors.
pub(super) fn invalid_form(template: &impl Template) -> Result<Reply, ErrorPage> {
    Ok(Reply::refused((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), template.render()?))
}

/// Returns an error page, with the code for the access log.
pub(super) fn error_response(
    (status, code): (StatusCode, &'static str),
    html: String,
    explanation: Option<Box<Explanation>>,
) -> HttpResponse {
    let mut response = html_response(status, html);
    Refused::note(&mut response, code, explanation);
    response
}

/// The headers of every response of the console, including redirects and exports.
pub(super) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // With `no-referrer`, browsers would send no usable `Origin` with forms.
        .add((REFERRER_POLICY, "same-origin"))
}

/// Returns an HTML response. It is never cached, because pages are personal and may show secrets.
pub(super) fn html_response(status: StatusCode, html: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .body(html)
}
