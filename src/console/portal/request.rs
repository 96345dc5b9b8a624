//! Requests in a customer's session, and submitted forms.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::clock;
use crate::console::error_page::ErrorPage;
use crate::console::portal::frame::{PortalFrame, Site};
use crate::console::reply::Reply;
use crate::console::submitted::{self, CSRF_FIELD, MAX_BODY};
use crate::domain::api_key::ApiKey;
use crate::domain::authority::GrantExceeded;
use crate::domain::key_text::KeyId;
use crate::domain::portal::Capability;
use crate::domain::timestamp::Timestamp;
use crate::http::access::Identity;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::keys::KeyError;
use crate::members::{self, SessionSecret};
use crate::node::{Node, Tenant};
use crate::portal::{PortalError, PortalVisit};

/// A request in a valid session of a customer.
pub(super) struct PortalRequest {
    pub(super) portal: PortalVisit,
    pub(super) site: Arc<Site>,
    pub(super) context: web::Data<HttpContext>,
    /// The CSRF token of the session.
    csrf: String,
    /// The CSRF token, masked for the forms of this page.
    pub(super) form_token: String,
}

impl PortalRequest {
    /// Authenticates a request by the portal's cookie. The session must be one of the organization that the path names.
    pub(super) async fn begin(request: &HttpRequest) -> Result<Self, ErrorPage> {
        let context =
            request.app_data::<web::Data<HttpContext>>().ok_or_else(|| ErrorPage::unavailable(&"no context"))?;
        let site = Site::of(request);
        let secret = site
            .cookies(&context.node.settings.public_url)
            .and_then(|cookies| cookies.read(request))
            .ok_or_else(ErrorPage::portal_session_ended)?;
        let address = context.client_address(request);
        let resumed = PortalVisit::resume(&context.node, &secret, address, clock::now()).await;
        let portal = resumed
            .map_err(|cause| ErrorPage::node_unavailable(&cause))?
            .filter(|visit| site.organization.as_ref() == Some(&visit.session().organization))
            .ok_or_else(ErrorPage::portal_session_ended)?;
        let organization = Some(portal.session().organization.clone());
        Identity { organization, ..Identity::default() }.note(request);
        let csrf = secret.csrf_token();
        Ok(Self { portal, site, context: context.clone(), form_token: members::mask_csrf_token(&csrf)?, csrf })
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.context.node
    }

    pub(super) fn now(&self) -> Timestamp {
        self.portal.now()
    }

    pub(super) fn may(&self, capability: Capability) -> bool {
        self.portal.session().capabilities.include(capability)
    }

    /// Checks that the session has a capability.
    pub(super) fn check(&self, capability: Capability) -> Result<(), ErrorPage> {
        if self.may(capability) { Ok(()) } else { Err(ErrorPage::portal_not_allowed()) }
    }

    pub(super) fn frame(&self, title: impl Into<String>) -> PortalFrame {
        PortalFrame::new(self, title)
    }

    /// Returns the customer's key with the ID from the path.
    pub(super) async fn find(&self, id: &str) -> Result<ApiKey, ErrorPage> {
        let id = KeyId::parse(id).ok_or_else(ErrorPage::not_found)?;
        Ok(self.portal.key(self.node(), &id).await?)
    }

    /// Returns the organization with its APIs and its policy.
    pub(super) fn tenant(&self) -> Result<Arc<Tenant>, ErrorPage> {
        self.node().tenant(&self.portal.session().organization).ok_or_else(ErrorPage::not_found)
    }

    /// Redirects to a page of the portal.
    pub(super) fn go(&self, rest: &str) -> Reply {
        Reply::see_other(format!("{}{rest}", self.site.root))
    }

    /// Describes why a key was not created or rotated, if the form can show it. `fields` are those that the form has.
    pub(super) fn describe(&self, error: &KeyError, fields: &[&str]) -> Option<String> {
        let name = &self.site.name;
        Some(match error {
            KeyError::GrantExceeded(GrantExceeded::Networks) if fields.contains(&"allowed_cidrs") => {
                format!("Keys can be used only from networks that {name} has set. Enter addresses within them.")
            }
            KeyError::GrantExceeded(GrantExceeded::Lifetime(end)) if fields.contains(&"expiry") => {
                format!("Choose an expiry before {}.", crate::console::ui::format_date_and_time(*end))
            }
            KeyError::GrantExceeded(_) => {
                format!("This key has access that can’t be given out here. Ask {name} to change it.")
            }
            KeyError::LimitReached => {
                "You have as many keys as you can have. Revoke a key that you no longer need.".into()
            }
            KeyError::NotBootstrapped => format!("{name} can’t create keys yet. Try again later."),
            KeyError::Conflict(detail) => crate::console::ui::to_sentence(detail),
            KeyError::ReferencesChanged | KeyError::PreconditionFailed => {
                "This key was changed meanwhile. Reload the page and try again.".into()
            }
            _ => return None,
        })
    }
}

impl FromRequest for PortalRequest {
    type Error = ErrorPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ErrorPage>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::begin(&request).await })
    }
}

/// A form submitted from one of the portal's pages, with the CSRF token of the session.
pub(super) struct PortalForm {
    pub(super) visit: PortalRequest,
    pub(super) form: Form,
}

impl FromRequest for PortalForm {
    type Error = ErrorPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ErrorPage>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // As for forms of the console: the session is checked after the body, which may be slow.
            let context = request.app_data::<web::Data<HttpContext>>();
            let context = context.ok_or_else(|| ErrorPage::unavailable(&"no context"))?;
            let public_url = &context.node.settings.public_url;
            check_origin(&request, public_url)?;
            let site = Site::of(&request);
            let secret = site.cookies(public_url).and_then(|cookies| cookies.read(&request));
            secret.ok_or_else(ErrorPage::portal_session_ended)?;
            let form = submitted::read(&request, payload, MAX_BODY).await?;
            let visit = PortalRequest::begin(&request).await?;
            if !form.value(CSRF_FIELD).is_some_and(|sent| submitted::is_token(sent, &visit.csrf)) {
                return Err(ErrorPage::csrf_mismatch());
            }
            let session = visit.portal.session();
            for name in [session.actor(), format!("customer:{}", session.customer)] {
                context.count_change(&name, &request).map_err(ErrorPage::too_many_changes)?;
            }
            Ok(Self { visit, form })
        })
    }
}

/// Checks that the browser confirms that a form comes from one of Keyturn's pages.
pub(super) fn check_origin(request: &HttpRequest, public_url: &str) -> Result<(), ErrorPage> {
    if submitted::is_from_our_browser(request, public_url) { Ok(()) } else { Err(ErrorPage::portal_cross_site()) }
}

/// The form of a session's URL, before there is a session.
pub(super) struct CodeForm {
    pub(super) site: Arc<Site>,
    pub(super) form: Form,
    pub(super) address: crate::domain::decision::ClientAddress,
    /// The session that the browser has until then.
    pub(super) earlier: Option<SessionSecret>,
    pub(super) context: web::Data<HttpContext>,
}

impl FromRequest for CodeForm {
    type Error = ErrorPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ErrorPage>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let context = request.app_data::<web::Data<HttpContext>>();
            let context = context.ok_or_else(|| ErrorPage::unavailable(&"no context"))?;
            check_origin(&request, &context.node.settings.public_url)?;
            let form = submitted::read(&request, payload, MAX_BODY).await?;
            let address = context.client_address(&request);
            let site = Site::of(&request);
            let earlier = site.cookies(&context.node.settings.public_url).and_then(|cookies| cookies.read(&request));
            Ok(Self { site, form, address, earlier, context: context.clone() })
        })
    }
}

impl From<PortalError> for ErrorPage {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::NotFound => Self::not_found(),
            PortalError::Invalid(violations) => Self::invalid(violations),
            PortalError::PreconditionFailed => Self::edit_conflict("portal"),
            PortalError::Raced => Self::conflict("someone else made a change at the same time; try again"),
            PortalError::Suspended | PortalError::GrantExceeded(_) | PortalError::RoleRequired(_) => {
                Self::portal_not_allowed()
            }
            PortalError::NotAllowed(_) => Self::portal_not_allowed(),
            PortalError::Key(error) => error.into(),
            PortalError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}
