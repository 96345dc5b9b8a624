//! Authenticated requests. A handler that takes `ConsoleRequest<P>` is called only for signed-in members with permission `P`.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::clock;
use crate::console::error_page::ErrorPage;
use crate::console::flash::Flash;
use crate::console::frame::{Frame, Section};
use crate::console::kept;
use crate::console::reply::Reply;
use crate::console::switcher;
use crate::console::theme::Theme;
use crate::domain::authority::ChangeContext;
use crate::domain::decision::ClientAddress;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::access::Identity;
use crate::http::context::HttpContext;
use crate::http::permission::{Permission, check_role};
use crate::http::session;
use crate::members::{self, HeldSessions, SessionSecret, SignedIn};
use crate::node::Node;

/// A request by a signed-in member with permission `P`.
pub(super) struct ConsoleRequest<P> {
    /// The member and their session.
    pub(super) who: SignedIn,
    /// The secret of the session.
    pub(super) secret: SessionSecret,
    /// The person's sessions in other organizations.
    pub(super) held: HeldSessions,
    pub(super) address: ClientAddress,
    /// The time of the request.
    pub(super) now: Timestamp,
    pub(super) context: web::Data<HttpContext>,
    /// The CSRF token of the session.
    pub(super) csrf: String,
    /// The CSRF token, masked for the forms of this page.
    pub(super) form_token: String,
    /// The message about the last change.
    pub(super) flash: Flash,
    pub(super) theme: Theme,
    permission: PhantomData<P>,
}

impl<P> ConsoleRequest<P> {
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.context.node
    }

    /// The member's organization.
    pub(super) fn organization(&self) -> &Slug {
        &self.who.member.organization
    }

    /// Returns the actor of a change, for the use cases.
    pub(super) fn by(&self) -> ChangeContext {
        self.who.by(self.address, self.now)
    }

    /// Whether the member also has another permission.
    pub(super) fn may<Q: Permission>(&self) -> bool {
        Q::NEEDS.is_none_or(|need| check_role(self.who.member.role, need).is_ok())
    }

    pub(super) fn frame(&self, section: Section, title: impl Into<String>) -> Frame {
        Frame::new(self, section, title.into())
    }

    /// The absolute URL of an organization's sign-in page. It names the organization if there are several.
    pub(super) fn sign_in_url_of(&self, organization: &Slug) -> String {
        format!("{}{}", self.node().settings.public_url, sign_in_path(self.node(), organization))
    }

    /// The absolute URL of the sign-in page.
    pub(super) fn sign_in_url(&self) -> String {
        self.sign_in_url_of(self.organization())
    }

    /// Redirects to a page, which shows a message once.
    pub(super) fn done(&self, rest: &str, message: &str) -> Result<Reply, ErrorPage> {
        Ok(Reply::see_other(self.path(rest)).cookie(Flash::cookie(self.node(), &self.who, message)?))
    }

    /// Returns the absolute path of a page from its path below `/console`.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}{rest}", super::frame::root(&self.node().settings.public_url))
    }
}

/// Returns the path of an organization's sign-in page below the public URL.
pub(super) fn sign_in_path(node: &Node, organization: &Slug) -> String {
    match node.tenant_count() {
        0 | 1 => "/console/sign-in".into(),
        _ => format!("/console/sign-in?organization={organization}"),
    }
}

impl<P: Permission> ConsoleRequest<P> {
    /// Authenticates a request by its session cookie and checks the member's role.
    pub(super) async fn begin(request: &HttpRequest) -> Result<Self, ErrorPage> {
        let context =
            request.app_data::<web::Data<HttpContext>>().ok_or_else(|| ErrorPage::unavailable(&"no context"))?;
        let (now, public_url) = (clock::now(), &context.node.settings.public_url);
        let signed_out = || ErrorPage::signed_out(request, public_url);
        let secret = session::from_cookie(request, public_url).ok_or_else(signed_out)?;
        let resumed =
            members::resume(&context.node, &secret, now).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
        let who = resumed.ok_or_else(signed_out)?;
        Identity::of_member(&who.member).note(request);
        if let Some(need) = P::NEEDS {
            check_role(who.member.role, need).map_err(|least| ErrorPage::role_required(who.member.role, least))?;
        }
        kept::find(request, &context.node, &who.member.id, now);
        let csrf = secret.csrf_token();
        Ok(Self {
            address: context.client_address(request),
            now,
            context: context.clone(),
            form_token: members::mask_csrf_token(&csrf)?,
            csrf,
            flash: Flash::read(request, &context.node, &who),
            theme: Theme::read(request, public_url),
            held: switcher::read(request, &context.node, &secret, &who, now),
            secret,
            who,
            permission: PhantomData,
        })
    }
}

impl<P: Permission> FromRequest for ConsoleRequest<P> {
    type Error = ErrorPage;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ErrorPage>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::begin(&request).await })
    }
}
