//! The permission in a handler's signature: a handler that takes `Guarded<P>` is not called without it.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use crate::api::problem::Problem;
use crate::clock;
use crate::domain::authority::{Authority, ChangeContext};
use crate::domain::decision::ClientAddress;
use crate::domain::scope::{Action, Resource};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::UsageOutcome;
use crate::http::access::{Explanation, Identity};
use crate::http::context::HttpContext;
use crate::http::credentials::{self, HeaderCredentials};
use crate::http::permission::{RequiredPermission, allows, check_role};
use crate::http::session;
use crate::members::{self, SignedIn};
use crate::tokens::{Caller, Required, authenticate, count, count_use};

pub(super) use crate::http::permission::{
    AdminMembers, AdminOrganizations, AdminPolicy, AdminSigningKeys, AdminWebhooks, AnyCredential, Bootstrap,
    Permission, ReadAudit, ReadKeys, ReadMembers, ReadOrganization, ReadPolicy, ReadSigningKeys, ReadUsage,
    ReadWebhooks, SuspendOrganization, WriteKeys,
};

/// Who calls.
pub(super) enum Principal {
    /// An API key, itself or through a token.
    Key(Caller),
    /// A person, and what their pages send along with a change.
    Member(Box<SignedIn>, String),
}
/// A caller who holds the permission, in the organization that the path names.
pub(super) struct Guarded<P> {
    /// Who.
    pub(super) principal: Principal,
    /// Where from.
    pub(super) address: ClientAddress,
    /// When.
    pub(super) now: Timestamp,
    organization: Slug,
    permission: PhantomData<P>,
}

impl Principal {
    /// Where the caller belongs.
    pub(super) fn organization(&self) -> &Slug {
        match self {
            Self::Key(caller) => &caller.key.organization,
            Self::Member(who, _) => &who.member.organization,
        }
    }

    fn identity(&self) -> Identity {
        match self {
            Self::Key(caller) => Identity::of_key(&caller.key),
            Self::Member(who, _) => Identity::of_member(&who.member),
        }
    }

    /// Names what changes are counted by: the key, whichever of its tokens is used, or the person.
    fn credential(&self) -> String {
        match self {
            Self::Key(caller) => format!("key:{}", caller.key.id),
            Self::Member(who, _) => format!("member:{}", who.member.id),
        }
    }

    /// Who makes a change.
    fn by(&self, address: ClientAddress, now: Timestamp) -> ChangeContext {
        let caller = match self {
            Self::Key(caller) => caller,
            Self::Member(who, _) => return who.by(address, now),
        };
        ChangeContext {
            actor: format!("key:{}", caller.key.id),
            member: None,
            expected_version: Some(caller.key.rights_version()),
            authority: Authority {
                scopes: caller.grant.scopes.clone(),
                networks: caller.key.networks.clone(),
                // A secret in its grace period ends with it. A token's own end does not count, but its key's does:
                // otherwise a caller that manages keys with tokens could create only keys of ten minutes.
                not_after: match caller.token {
                    None => caller.grant.not_after,
                    Some(_) => caller.key.expires_at,
                },
            },
            address: address.known(),
            now,
        }
    }

    /// Checks that they may manage members.
    pub(super) fn check_admin_of_members(&self) -> Result<(), Problem> {
        self.check(("admin", "keyturn/members"))
    }

    /// Checks that they may make organizations.
    pub(super) fn check_admin_of_organizations(&self) -> Result<(), Problem> {
        self.check(("admin", "keyturn/organizations"))
    }

    /// Checks that they may do that.
    fn check(&self, need: RequiredPermission) -> Result<(), Problem> {
        match self {
            Self::Key(caller) if allows(&caller.grant.scopes, need) => Ok(()),
            Self::Key(_) => Err(Problem::insufficient_scope(&format!("{}:{}", need.0, need.1))),
            Self::Member(who, _) => check_role(who.member.role, need).map_err(Problem::role_required),
        }
    }
}

impl<P> Guarded<P> {
    /// The organization that the path names; without one the caller's own.
    pub(super) fn organization(&self) -> Slug {
        self.organization.clone()
    }

    /// Returns whether the caller may do something besides what the route requires.
    pub(super) fn may<Q: Permission>(&self) -> bool {
        Q::NEEDS.is_none_or(|need| self.principal.check(need).is_ok())
    }

    /// Who makes a change, for the use cases.
    pub(super) fn by(&self) -> ChangeContext {
        self.principal.by(self.address, self.now)
    }
}

/// What a caller was when they were let in.
#[derive(Clone, PartialEq)]
struct Rights {
    actor: String,
    authority: Authority,
    is_by_previous_secret: bool,
}

impl Rights {
    fn of(principal: &Principal, address: ClientAddress, now: Timestamp) -> Self {
        let ChangeContext { actor, authority, .. } = principal.by(address, now);
        let is_by_previous_secret = matches!(principal, Principal::Key(caller) if caller.grant.is_by_previous_secret);
        Self { actor, authority, is_by_previous_secret }
    }
}

/// Checks that whoever was let in is still what they were: the body may have taken its time, and a change that has been
/// answered meanwhile holds. Where nobody was let in there is nothing to check.
pub(super) async fn check_again(request: &HttpRequest) -> Result<(), Problem> {
    let Some(before) = request.extensions().get::<Rights>().cloned() else { return Ok(()) };
    let context = request.app_data::<web::Data<HttpContext>>().ok_or_else(|| Problem::unavailable(&"no context"))?;
    let (address, now) = (context.client_address(request), clock::now());
    let principal = identify(context, request, address, now, Counted::No).await?;
    if Rights::of(&principal, address, now) == before {
        Ok(())
    } else {
        Err(Problem::conflict("what you may do was changed while the request arrived; send it again"))
    }
}

impl<P: Permission> FromRequest for Guarded<P> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let context =
                request.app_data::<web::Data<HttpContext>>().ok_or_else(|| Problem::unavailable(&"no context"))?;
            let address = context.client_address(&request);
            let admitted = admit(context, &request, address).await;
            admitted.map_err(|problem| problem.limited_by(&context.failures, address))
        })
    }
}

async fn admit<P: Permission>(
    context: &HttpContext,
    request: &HttpRequest,
    address: ClientAddress,
) -> Result<Guarded<P>, Problem> {
    // 1. Who it is, now: by one credential in a header, or else by a session.
    let now = clock::now();
    let principal = identify(context, request, address, now, Counted::Yes).await?;
    principal.identity().note(request);

    // 2. Whether they may. Being authenticated is a use of the key either way.
    let permitted = permit::<P>(context, request, &principal);
    if let Principal::Key(caller) = &principal {
        let outcome = if permitted.is_ok() { UsageOutcome::Verified } else { UsageOutcome::DeniedScope };
        let required = P::NEEDS.and_then(required);
        count_use(&context.node, caller, outcome, required.as_slice(), address, now);
    }
    let organization = permitted?;
    context.count_change(&principal.credential(), request).map_err(Problem::too_many_changes)?;
    request.extensions_mut().insert(Rights::of(&principal, address, now));
    Ok(Guarded { principal, address, now, organization, permission: PhantomData })
}

/// The organization in which a principal may do what a route is for.
fn permit<P: Permission>(context: &HttpContext, request: &HttpRequest, principal: &Principal) -> Result<Slug, Problem> {
    // 1. The previous secret only reads: whatever it changed would outlast its grace period.
    let is_change = !request.method().is_safe() && P::NEEDS.is_none_or(|(action, _)| action != "read");
    if is_change && matches!(principal, Principal::Key(caller) if caller.grant.is_by_previous_secret) {
        return Err(Problem::previous_secret(
            "the previous secret can only read; make changes with the current secret",
        ));
    }

    // 2. In their own organization, or in another if that is among what they may. Of others they see nothing.
    let own = principal.organization().clone();
    let named = request.match_info().get("org").filter(|named| *named != own.as_str());
    match (named, P::ABROAD) {
        (None, _) => {
            if let Some(needs) = P::NEEDS {
                principal.check(needs)?;
            }
            Ok(own)
        }
        (Some(named), Some(needs)) if own.is_default() && principal.check(needs).is_ok() => {
            Slug::parse(named).filter(|slug| context.node.tenant(slug).is_some()).ok_or_else(Problem::not_found)
        }
        (Some(_), _) => Err(Problem::not_found()),
    }
}

/// What a route needs, as usage reports show it.
fn required((action, resource): RequiredPermission) -> Option<Required> {
    Some(Required::Access(Action::parse(action).ok()?, Resource::parse(resource).ok()?))
}

/// Whether a refused credential is counted: a request that is checked twice is counted once.
#[derive(Clone, Copy, PartialEq)]
enum Counted {
    Yes,
    No,
}

async fn identify(
    context: &HttpContext,
    request: &HttpRequest,
    address: ClientAddress,
    now: Timestamp,
    counted: Counted,
) -> Result<Principal, Problem> {
    match credentials::from_headers(request.headers()) {
        Ok(HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text)) => {
            by_credential(context, &text, address, now, counted).await
        }
        Ok(HeaderCredentials::None | HeaderCredentials::Empty) => by_session(context, request, now).await,
        Ok(HeaderCredentials::Basic { .. } | HeaderCredentials::OtherScheme) => Err(Problem::credentials_required()),
        Err(error) => Err(Problem::invalid_field("headers", error.0)),
    }
}

async fn by_credential(
    context: &HttpContext,
    text: &str,
    address: ClientAddress,
    now: Timestamp,
    counted: Counted,
) -> Result<Principal, Problem> {
    let credential = credentials::key_or_token(text)?;
    let checked = authenticate(&context.node, &credential, address, now).await;
    if counted == Counted::Yes && checked.is_err() {
        count(&context.node, &checked, &[], address, now);
    }
    let caller = checked?;
    // A token must have been minted for us, or whoever it was minted for could use it here.
    let settings = &context.node.settings;
    match &caller.token {
        Some(token)
            if !token.claims.aud.contains(&settings.public_url) && !token.claims.aud.contains(&token.claims.iss) =>
        {
            if counted == Counted::Yes {
                count_use(&context.node, &caller, UsageOutcome::DeniedAudience, &[], address, now);
            }
            let explanation = Explanation { reason: Some("audience_not_keyturn"), ..*Explanation::of_key(&caller.key) };
            Err(Problem::invalid_credentials().explained(Box::new(explanation)))
        }
        Some(_) if caller.grant.is_by_previous_secret => {
            let detail = "the key was rotated after this access token was issued, or the previous secret minted it; \
                get a token with the current secret";
            if counted == Counted::Yes {
                count_use(&context.node, &caller, UsageOutcome::DeniedInvalid, &[], address, now);
            }
            Err(Problem::previous_secret(detail).explained(Explanation::of_key(&caller.key)))
        }
        _ => Ok(Principal::Key(caller)),
    }
}

async fn by_session(context: &HttpContext, request: &HttpRequest, now: Timestamp) -> Result<Principal, Problem> {
    const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
    let public_url = &context.node.settings.public_url;
    let secret = session::from_cookie(request, public_url).ok_or_else(Problem::credentials_required)?;
    let resumed = members::resume(&context.node, &secret, now).await;
    let who = resumed.map_err(|cause| Problem::unavailable(&cause))?.ok_or_else(Problem::credentials_required)?;
    let token = secret.csrf_token();
    if !request.method().is_safe() {
        let shown = request.headers().get(CSRF);
        if !session::is_from_our_pages(request, public_url) || shown.is_none_or(|shown| shown != token.as_str()) {
            return Err(Problem::not_from_our_pages());
        }
    }
    Ok(Principal::Member(Box::new(who), token))
}
