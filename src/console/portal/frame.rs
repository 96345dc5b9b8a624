//! The frame of the portal's pages: the brand, the link back, and the security headers.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ALLOW, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{base_path, error_response};
use crate::console::portal::request::PortalRequest;
use crate::console::ui::CsrfField;
use crate::domain::portal::{Origin, PortalSettings};
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::http::session::PortalCookies;
use crate::node::Node;
use crate::portal;

/// The portal of the organization that a path names.
#[derive(Clone, Default)]
pub(super) struct Site {
    /// `None` if there is no such organization.
    pub(super) organization: Option<Slug>,
    pub(super) settings: PortalSettings,
    /// The name that customers see.
    pub(super) name: String,
    /// The absolute path of the portal.
    pub(super) root: String,
}

impl Site {
    /// Returns the cookies of the organization's portal.
    pub(super) fn cookies<'a>(&'a self, public_url: &'a str) -> Option<PortalCookies<'a>> {
        let organization = self.organization.as_ref()?;
        Some(PortalCookies { public_url, organization, is_framed: self.settings.allows_frames() })
    }

    /// Returns the site that a request is for, which [`serve_site`] has loaded.
    pub(super) fn of(request: &HttpRequest) -> Arc<Self> {
        request.extensions().get::<Arc<Self>>().cloned().unwrap_or_default()
    }

    async fn load(node: &Node, request: &ServiceRequest) -> Result<Self, ErrorPage> {
        let named = request.match_info().get("org").and_then(Slug::parse);
        let Some(tenant) = named.and_then(|slug| node.tenant(&slug)) else { return Ok(Self::default()) };
        let organization = &tenant.organization;
        let (settings, _) = portal::read_settings(node, &organization.slug).await?;
        Ok(Self {
            name: settings.name.clone().unwrap_or_else(|| organization.name.clone()),
            root: format!("{}/portal/{}", base_path(&node.settings.public_url), organization.slug),
            organization: Some(organization.slug.clone()),
            settings,
        })
    }

    /// Returns the content security policy: no foreign content but the logo, and frames only on the listed sites.
    fn policy(&self) -> String {
        let logo = self.settings.logo_url.as_ref().map(|url| format!(" {}", url.origin())).unwrap_or_default();
        let frames = match self.settings.frame_origins.as_slice() {
            [] => "'none'".to_owned(),
            origins => origins.iter().map(Origin::as_str).collect::<Vec<_>>().join(" "),
        };
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
        )
    }
}

/// The parts of every page of the portal.
pub(super) struct PortalFrame {
    pub(super) title: String,
    pub(super) root: String,
    pub(super) assets: &'static Names,
    /// The name that customers see. Without an organization there is none.
    pub(super) name: String,
    pub(super) logo: Option<String>,
    /// The style sheet with the brand color.
    pub(super) brand: Option<String>,
    pub(super) return_url: Option<String>,
    /// The CSRF field for every form, if there is a session.
    pub(super) token: Option<CsrfField>,
}

impl PortalFrame {
    /// Returns the frame of a page without a session.
    pub(super) fn of_site(site: &Site, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            root: site.root.clone(),
            assets: assets::names(),
            name: site.name.clone(),
            logo: site.settings.logo_url.as_ref().map(ToString::to_string),
            brand: site.settings.color.map(assets::brand_name),
            return_url: site.settings.return_of(None).map(ToString::to_string),
            token: None,
        }
    }

    pub(super) fn new(visit: &PortalRequest, title: impl Into<String>) -> Self {
        let wanted = visit.portal.session().return_url.as_ref();
        Self {
            return_url: visit.site.settings.return_of(wanted).map(ToString::to_string),
            token: Some(CsrfField { token: visit.form_token.clone(), member: None }),
            ..Self::of_site(&visit.site, title)
        }
    }
}

#[derive(Template)]
#[template(path = "console/portal/error.html")]
struct ErrorTemplate<'a> {
    frame: PortalFrame,
    error: &'a ErrorPage,
    /// Whether there is a list of keys to go back to.
    has_session: bool,
}

/// Loads the site of a request, renders the errors of handlers and extractors in its frame, and sets its security headers. The
/// database is read for every page, so a site that may no longer show the portal in a frame cannot do so at once.
pub(super) async fn serve_site(
    context: web::Data<HttpContext>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // 1. The site.
    let loaded = Site::load(&context.node, &request).await;
    let (site, unavailable) = match loaded {
        Ok(site) => (Arc::new(site), None),
        Err(page) => (Arc::default(), Some(page)),
    };
    request.extensions_mut().insert(Arc::clone(&site));

    // 2. The page, or an error page.
    let response = match unavailable {
        Some(page) => request.error_response(page),
        None if site.organization.is_none() => request.error_response(ErrorPage::not_found()),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let mut response = render_error(response, &site).await;

    // 3. The headers.
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&site.policy()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With `no-referrer`, browsers would send no usable `Origin` with forms. Other sites get no referrer either way.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

async fn render_error(response: ServiceResponse<BoxBody>, site: &Site) -> ServiceResponse<BoxBody> {
    let Some(error) = response.response().error().and_then(|error| error.as_error::<ErrorPage>()) else {
        return response;
    };
    let (status, code) = error.status();
    // Without the database there is no session to look up.
    let visit = match status.is_server_error() {
        true => None,
        false => PortalRequest::begin(response.request()).await.ok(),
    };
    let frame = match &visit {
        Some(visit) => PortalFrame::new(visit, error.title()),
        None => PortalFrame::of_site(site, error.title()),
    };
    let html = ErrorTemplate { frame, error, has_session: visit.is_some() }.render();
    let html = html.unwrap_or_else(|_| error.to_string());
    let mut rendered = error_response((status, code), html, error.explanation());
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = response.headers().get(&name) {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    response.into_response(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::portal::RawPortalSettings;

    #[test]
    fn policy_names_exactly_the_listed_origins() {
        let site = |frames: &[&str], logo: &str| {
            let frame_origins = frames.iter().map(ToString::to_string).collect();
            let raw = RawPortalSettings { frame_origins, logo_url: logo.into(), ..RawPortalSettings::default() };
            Site { settings: raw.parse().unwrap(), ..Site::default() }.policy()
        };
        assert!(site(&[], "").ends_with(
            "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ));
        let listed = site(&["https://a.example", "http://localhost:3000"], "https://cdn.example/x;y.png");
        assert!(listed.ends_with("frame-ancestors https://a.example http://localhost:3000"), "{listed}");
        assert!(listed.contains("img-src 'self' https://cdn.example;"), "{listed}");
    }
}
