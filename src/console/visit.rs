//! Who looks at a page: a handler that takes `Visit<P>` is called only for a person who may.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::clock;
use crate::console::frame::{Frame, Section};
use crate::console::trouble::Trouble;
use crate::domain::authority::By;
use crate::domain::decision::ClientAddress;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::access::Identity;
use crate::http::context::HttpContext;
use crate::http::permission::{Permission, check_role};
use crate::http::session;
use crate::members::{self, SignedIn};
use crate::node::Node;

/// A person whose role lets them see a page of their own organization.
pub(super) struct Visit<P> {
    /// Who, by which session.
    pub(super) who: SignedIn,
    /// Where from.
    pub(super) address: ClientAddress,
    /// When.
    pub(super) now: Timestamp,
    /// What every handler is given.
    pub(super) context: web::Data<HttpContext>,
    /// What a form of theirs sends along.
    pub(super) csrf: String,
    permission: PhantomData<P>,
}

impl<P> Visit<P> {
    /// The node.
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.context.node
    }

    /// Their organization.
    pub(super) fn organization(&self) -> &Slug {
        &self.who.member.organization
    }

    /// Who makes a change, for the use cases.
    pub(super) fn by(&self) -> By {
        self.who.by(self.address, self.now)
    }

    /// Whether they may see or do what asks for another permission.
    pub(super) fn may<Q: Permission>(&self) -> bool {
        Q::NEEDS.is_none_or(|need| check_role(self.who.member.role, need).is_ok())
    }

    /// What surrounds a page.
    pub(super) fn frame(&self, section: Section, title: impl Into<String>) -> Frame {
        Frame::new(self, section, title.into())
    }

    /// Where people sign in.
    pub(super) fn sign_in_url(&self) -> String {
        format!("{}/console/sign-in", self.node().settings.public_url)
    }

    /// The path of a page: what follows `/console`, with what the public URL has before it.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}{rest}", super::frame::root(&self.node().settings.public_url))
    }
}

impl<P: Permission> Visit<P> {
    /// The person whose session a request carries, if it holds.
    pub(super) async fn begin(request: &HttpRequest) -> Result<Self, Trouble> {
        let context =
            request.app_data::<web::Data<HttpContext>>().ok_or_else(|| Trouble::unavailable(&"no context"))?;
        let (now, public_url) = (clock::now(), &context.node.settings.public_url);
        let signed_out = || Trouble::signed_out(request, public_url);
        let secret = session::from_cookie(request, public_url).ok_or_else(signed_out)?;
        let resumed = members::resume(&context.node, &secret, now).await.map_err(|cause| Trouble::not_now(&cause))?;
        let who = resumed.ok_or_else(signed_out)?;
        Identity::of_member(&who.member).note(request);
        if let Some(need) = P::NEEDS {
            check_role(who.member.role, need).map_err(|least| Trouble::role_required(who.member.role, least))?;
        }
        Ok(Self {
            address: context.client_address(request),
            now,
            context: context.clone(),
            csrf: secret.csrf_token(),
            who,
            permission: PhantomData,
        })
    }
}

impl<P: Permission> FromRequest for Visit<P> {
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Trouble>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::begin(&request).await })
    }
}
