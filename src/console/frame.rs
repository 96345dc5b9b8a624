//! What surrounds every page: the way to the others, who is signed in, and the headers that keep it safe.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::trouble::Trouble;
use crate::console::ui::Token;
use crate::console::visit::Visit;
use crate::domain::member::Role;
use crate::http::access::{Explanation, Refused};
use crate::http::permission::{
    AdminOrganizations, ReadAudit, ReadKeys, ReadMembers, ReadPolicy, ReadSigningKeys, ReadUsage, ReadWebhooks,
};
use crate::http::public_path::PublicPath;

/// Nothing from elsewhere, nothing inline, no frame around it, forms only to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The parts of the console, as they are listed beside every page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    /// Getting started.
    Welcome,
    /// API keys.
    Keys,
    /// Usage of the organization.
    Usage,
    /// The audit log.
    Audit,
    /// Members.
    Members,
    /// The policy.
    Policy,
    /// Signing keys.
    SigningKeys,
    /// Webhooks.
    Webhooks,
    /// Settings of gateways.
    Gateways,
    /// Organizations.
    Organizations,
    /// The person's own account.
    Account,
}

/// A way to another part.
pub(super) struct Way {
    /// Where: what follows `/console`.
    pub(super) path: &'static str,
    /// What it is called.
    pub(super) name: &'static str,
    /// Whether the page belongs to it.
    pub(super) is_current: bool,
}

/// What surrounds a page.
pub(super) struct Frame {
    /// The page's heading, and the first part of its title.
    pub(super) title: String,
    /// The path before every page's own: `/console`, with what the public URL has before it.
    pub(super) root: String,
    /// The names of style and script.
    pub(super) assets: &'static Names,
    /// The ways to other parts.
    pub(super) ways: Vec<Way>,
    /// Whether the page is the person's own account.
    pub(super) is_account: bool,
    /// Their organization.
    pub(super) organization: String,
    /// Their login.
    pub(super) email: String,
    /// Their role.
    pub(super) role: Role,
    /// What every form sends along.
    pub(super) token: Token,
    /// What was done just now.
    pub(super) done: Option<String>,
}

impl Frame {
    /// What surrounds a page of that part.
    pub(super) fn new<P>(visit: &Visit<P>, section: Section, title: String) -> Self {
        let member = &visit.who.member;
        let is_from_default = member.organization.is_default();
        let parts = [
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
        let ways = parts.into_iter().filter(|(.., may)| *may);
        Self {
            title,
            root: root(&visit.node().settings.public_url),
            assets: assets::names(),
            ways: ways.map(|(part, path, name, _)| Way { path, name, is_current: part == section }).collect(),
            is_account: section == Section::Account,
            organization: member.organization.to_string(),
            email: member.email.clone(),
            role: member.role,
            token: Token(visit.csrf.clone()),
            done: None,
        }
    }

    /// The same, saying what was done just now.
    pub(super) fn done(self, done: Option<impl Into<String>>) -> Self {
        Self { done: done.map(Into::into), ..self }
    }
}

/// The path before every page's own: `/console`, with what the public URL has before it.
pub(super) fn root(public_url: &str) -> String {
    format!("{}/console", before(public_url))
}

/// What the public URL has before every path.
pub(super) fn before(public_url: &str) -> String {
    PublicPath::of(public_url).as_str().to_owned()
}

/// A rendered page.
pub(super) fn page(template: &impl Template) -> Result<HttpResponse, Trouble> {
    Ok(answer(StatusCode::OK, template.render()?))
}

/// A rendered page that shows a form again, with what was wrong with it.
pub(super) fn refused(template: &impl Template) -> Result<HttpResponse, Trouble> {
    Ok(denied((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), template.render()?, None))
}

/// A page that says why something was refused, with the code for the log.
pub(super) fn denied(
    (status, code): (StatusCode, &'static str),
    html: String,
    explanation: Option<Box<Explanation>>,
) -> HttpResponse {
    let mut response = answer(status, html);
    Refused::note(&mut response, code, explanation);
    response
}

/// What every answer of the console says, a redirect and an export too.
pub(super) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // With none at all, a browser would not say where a form comes from.
        .add((REFERRER_POLICY, "same-origin"))
}

/// HTML with the headers of every page: kept by nobody, for a page may show a secret, and is one person's.
pub(super) fn answer(status: StatusCode, html: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .body(html)
}
