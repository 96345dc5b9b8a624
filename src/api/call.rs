//! The arguments of a handler: an authenticated request, and its body.

use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, web};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::api::body;
use crate::api::etag::if_match;
use crate::api::guard::{self, Permission, Principal};
use crate::api::problem::Problem;
use crate::api::query::{Query, QueryReader};
use crate::api::route::{Accepts, SchemaOf};
use crate::clock;
use crate::domain::apis::ServedApi;
use crate::domain::authority::ChangeContext;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::http::permission::RequiredPermission;
use crate::http::session;
use crate::keys::IdempotentRequest;
use crate::node::{Node, Tenant};

/// A request by a caller with permission `P` in the organization that the path names.
pub(super) struct Call<P> {
    pub(super) principal: Principal,
    /// The time of authentication, for the whole request.
    pub(super) now: Timestamp,
    /// The version in `If-Match`, at routes that declare it.
    pub(super) if_match: Option<u64>,
    /// The `Idempotency-Key` and the request's digest, at routes that declare it.
    pub(super) idempotency: Option<IdempotentRequest>,
    pub(super) context: web::Data<HttpContext>,
    address: ClientAddress,
    organization: Slug,
    path: Vec<(String, String)>,
    query: Query,
    accept: String,
    permission: PhantomData<P>,
}

/// A request without credentials, from one of Keyturn's own pages or from outside a browser.
pub(super) struct OpenCall {
    pub(super) request: HttpRequest,
    pub(super) context: web::Data<HttpContext>,
}

/// The arguments of a handler. A body is read only if the handler takes one.
pub(super) trait Arguments: Sized + 'static {
    /// The permission that the caller needs.
    const NEEDS: Option<RequiredPermission>;

    /// Whether a request with that method changes something.
    fn is_change(method: &Method) -> bool;

    /// The schema of the body.
    fn body() -> Option<SchemaOf>;

    /// Checks a request and reads it.
    async fn read(request: &HttpRequest, payload: web::Payload, accepts: &Accepts) -> Result<Self, Problem>;
}

/// Returns the context of a request.
pub(super) fn context(request: &HttpRequest) -> Result<&web::Data<HttpContext>, Problem> {
    request.app_data::<web::Data<HttpContext>>().ok_or_else(|| Problem::unavailable(&"no context"))
}

impl<P: Permission> Arguments for (Call<P>,) {
    const NEEDS: Option<RequiredPermission> = P::NEEDS;

    fn is_change(method: &Method) -> bool {
        guard::is_change::<P>(method)
    }

    fn body() -> Option<SchemaOf> {
        None
    }

    async fn read(request: &HttpRequest, _: web::Payload, accepts: &Accepts) -> Result<Self, Problem> {
        Ok((Call::begin(request, accepts).await?,))
    }
}

impl<P: Permission, B: DeserializeOwned + JsonSchema + 'static> Arguments for (Call<P>, B) {
    const NEEDS: Option<RequiredPermission> = P::NEEDS;

    fn is_change(method: &Method) -> bool {
        guard::is_change::<P>(method)
    }

    fn body() -> Option<SchemaOf> {
        Some(|schemas| schemas.subschema_for::<B>())
    }

    async fn read(request: &HttpRequest, payload: web::Payload, accepts: &Accepts) -> Result<Self, Problem> {
        let mut call = Call::begin(request, accepts).await?;
        let bytes = body::read(request, payload).await?;
        // The caller's rights may have changed while the body arrived.
        call.principal.check_unchanged(request, &call.context, (call.address, call.now)).await?;
        let body = body::parse(request, &bytes)?;
        if accepts.idempotency_key {
            call.idempotency = body::idempotency(request, &bytes)?;
        }
        Ok((call, body))
    }
}

impl<B: DeserializeOwned + JsonSchema + 'static> Arguments for (OpenCall, B) {
    const NEEDS: Option<RequiredPermission> = None;

    fn is_change(method: &Method) -> bool {
        !method.is_safe()
    }

    fn body() -> Option<SchemaOf> {
        Some(|schemas| schemas.subschema_for::<B>())
    }

    async fn read(request: &HttpRequest, payload: web::Payload, accepts: &Accepts) -> Result<Self, Problem> {
        let context = context(request)?.clone();
        if !session::is_from_our_pages(request, &context.node.settings.public_url) {
            return Err(Problem::not_from_our_pages());
        }
        Query::read(request, accepts)?;
        let bytes = body::read(request, payload).await?;
        Ok((OpenCall { request: request.clone(), context }, body::parse(request, &bytes)?))
    }
}

impl<P: Permission> Call<P> {
    /// Authenticates a request and checks its permission, before its body is read.
    async fn begin(request: &HttpRequest, accepts: &Accepts) -> Result<Self, Problem> {
        let context = context(request)?;
        let (address, now) = (context.client_address(request), clock::now());
        let admitted = guard::admit::<P>(context, request, address, now).await;
        let (principal, organization) = admitted.map_err(|problem| problem.limited_by(&context.failures, address))?;
        let accept = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
        Ok(Self {
            query: Query::read(request, accepts)?,
            if_match: if accepts.if_match { if_match(request) } else { None },
            idempotency: None,
            path: request.match_info().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            accept: accept.collect::<Vec<_>>().join(","),
            context: context.clone(),
            principal,
            organization,
            address,
            now,
            permission: PhantomData,
        })
    }
}

/// The APIs of an organization; none if it is unknown.
pub(super) struct Apis(Option<Arc<Tenant>>);

impl std::ops::Deref for Apis {
    type Target = [ServedApi];

    fn deref(&self) -> &[ServedApi] {
        self.0.as_deref().map_or(&[], |tenant| &tenant.apis)
    }
}

impl<P> Call<P> {
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.context.node
    }

    /// The organization that the path names, otherwise the caller's own.
    pub(super) fn organization(&self) -> &Slug {
        &self.organization
    }

    /// The organization's APIs, for display.
    pub(super) fn apis(&self) -> Apis {
        Apis(self.node().tenant(&self.organization))
    }

    /// Returns the context of a change, for the use cases.
    pub(super) fn by(&self) -> ChangeContext {
        self.principal.by(self.address, self.now)
    }

    /// Whether the caller has another permission as well.
    pub(super) fn may<Q: Permission>(&self) -> bool {
        self.check::<Q>().is_ok()
    }

    /// Checks that the caller has another permission as well.
    pub(super) fn check<Q: Permission>(&self) -> Result<(), Problem> {
        Q::NEEDS.map_or(Ok(()), |need| self.principal.check(need))
    }

    /// Parses a parameter of the path. A value that cannot be parsed names nothing: 404.
    pub(super) fn path<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| parse(value)).ok_or_else(Problem::not_found)
    }

    /// The ID of the key that the path names.
    pub(super) fn key_id(&self) -> Result<KeyId, Problem> {
        self.path("id", KeyId::parse)
    }

    /// Parses the query and reports all its errors together.
    pub(super) fn query<T>(&self, parse: impl FnOnce(&mut QueryReader<'_>) -> T) -> Result<T, Problem> {
        self.query.parse(parse)
    }

    /// Whether the caller asks for a media type by name (RFC 9110 §12.5.1).
    pub(super) fn accepts(&self, media_type: &str) -> bool {
        let essence = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.accept.split(',').any(|range| essence(range) == media_type)
    }

    /// Returns the absolute path of a route from its path below `/api/v1`.
    pub(super) fn location(&self, rest: &str) -> String {
        format!("{}/api/v1{rest}", self.context.public_path.as_str())
    }
}
