//! Authentication of a caller, and the check of the permission that a route requires.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::HeaderName;

use crate::api::problem::Problem;
use crate::clock;
use crate::domain::authority::{Authority, ChangeContext, OtherApis};
use crate::domain::decision::ClientAddress;
use crate::domain::outcome::Denial;
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
use crate::verification::{Caller, Refusal, Required, Subject};

pub(super) use crate::http::permission::{
    AdminApis, AdminMembers, AdminOrganizations, AdminPolicy, AdminProfiles, AdminSigningKeys, AdminWebhooks,
    AnyCredential, Bootstrap, ManageOrganization, MemberSession, Permission, ReadApis, ReadAudit, ReadCustomers,
    ReadKeys, ReadMembers, ReadOrganization, ReadPolicy, ReadProfiles, ReadSigningKeys, ReadUsage, ReadWebhooks,
    WriteCustomers, WriteKeys,
};

/// An authenticated caller.
pub(super) enum Principal {
    /// An API key, by its secret or by an access token.
    Key(Caller),
    /// A member, and the CSRF token of their session.
    Member(Box<SignedIn>, String),
}
impl Principal {
    /// The caller's own organization.
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

    /// The name under which changes are counted. All tokens of a key share the key's.
    pub(super) fn credential(&self) -> String {
        match self {
            Self::Key(caller) => format!("key:{}", caller.key.id),
            Self::Member(who, _) => format!("member:{}", who.member.id),
        }
    }

    /// Returns the context of a change.
    pub(super) fn by(&self, address: ClientAddress, now: Timestamp) -> ChangeContext {
        let caller = match self {
            Self::Key(caller) => caller,
            Self::Member(who, _) => return who.by(address, now),
        };
        let grants = caller.grants();
        ChangeContext {
            actor: format!("key:{}", caller.key.id),
            member: None,
            customer: None,
            expected_version: Some(caller.actor_version()),
            authority: Authority {
                scopes: grants.of_default_api().clone(),
                other_apis: OtherApis::of_grants(grants),
                networks: caller.tenant.shared.networks_of(&caller.key).into_owned(),
                // A previous secret expires with its grace period. For a token, the expiry of its key counts and not its
                // own: otherwise callers with tokens could create only keys that expire within ten minutes.
                not_after: match caller.token {
                    None => caller.grant.not_after,
                    Some(_) => caller.key.expires_at,
                },
            },
            address: address.known(),
            now,
        }
    }

    /// Checks that the caller has a permission.
    pub(super) fn check(&self, need: RequiredPermission) -> Result<(), Problem> {
        match self {
            Self::Key(caller) if allows(caller.grants().of_default_api(), need) => Ok(()),
            Self::Key(_) => Err(Problem::insufficient_scope(&format!("{}:{}", need.0, need.1))),
            Self::Member(who, _) => check_role(who.member.role, need).map_err(Problem::role_required),
        }
    }

    fn is_by_previous_secret(&self) -> bool {
        matches!(self, Self::Key(caller) if caller.grant.is_by_previous_secret)
    }

    /// Authenticates the request again and checks that the caller's rights are still the same.
    pub(super) async fn check_unchanged(
        &self,
        request: &HttpRequest,
        context: &HttpContext,
        (address, before): (ClientAddress, Timestamp),
    ) -> Result<(), Problem> {
        let now = clock::now();
        let again = identify(context, request, address, now, Counted::No).await?;
        let (old, new) = (self.by(address, before), again.by(address, now));
        let is_same = (old.actor, old.authority) == (new.actor, new.authority)
            && self.is_by_previous_secret() == again.is_by_previous_secret();
        match is_same {
            true => Ok(()),
            false => {
                Err(Problem::conflict("Your permissions changed during this request; nothing was changed. Retry."))
            }
        }
    }
}

/// Whether a request with that method and permission changes something.
pub(super) fn is_change<P: Permission>(method: &Method) -> bool {
    !method.is_safe() && P::NEEDS.is_none_or(|(action, _)| action != "read")
}

/// Authenticates a caller and checks permission `P`. Returns the caller, and the organization that the path names or else
/// the caller's own.
pub(super) async fn admit<P: Permission>(
    context: &HttpContext,
    request: &HttpRequest,
    address: ClientAddress,
    now: Timestamp,
) -> Result<(Principal, Slug), Problem> {
    // 1. Authenticate by the one credential in a header, otherwise by a session.
    let principal = identify(context, request, address, now, Counted::Yes).await?;
    principal.identity().note(request);

    // 2. Check the permission. A key that authenticated was used, whether it has the permission or not.
    let permitted = permit::<P>(context, request, &principal);
    if let Principal::Key(caller) = &principal {
        let outcome = if permitted.is_ok() { UsageOutcome::Verified } else { UsageOutcome::DeniedScope };
        let required = P::NEEDS.and_then(required);
        context.node.verifier().count_own_use(caller, outcome, required.as_slice(), address, now);
    }
    let organization = permitted?;
    context.count_change(&principal.credential(), request).map_err(Problem::too_many_changes)?;
    match principal {
        Principal::Key(_) if P::IS_FOR_MEMBERS => Err(Problem::not_found()),
        principal => Ok((principal, organization)),
    }
}

/// Checks permission `P`, and returns the organization in which the principal has it.
fn permit<P: Permission>(context: &HttpContext, request: &HttpRequest, principal: &Principal) -> Result<Slug, Problem> {
    // 1. The previous secret can only read: a change would outlast its grace period.
    if is_change::<P>(request.method()) && principal.is_by_previous_secret() {
        return Err(Problem::previous_secret(
            "the previous secret can only read; make changes with the current secret",
        ));
    }

    // 2. In the caller's own organization, or in another one with the permission for that. Others are not found.
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

/// The permission as usage reports show it.
fn required((action, resource): RequiredPermission) -> Option<Required> {
    Some(Required::Access(Action::parse(action).ok()?, Resource::parse(resource).ok()?))
}

/// Whether a rejected credential is counted. A request that is checked twice is counted once.
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
            by_credential(context, text, address, now, counted).await
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
    let verifier = context.node.verifier();
    let checked = verifier.authenticate(&credential, address, now).await;
    if counted == Counted::Yes && checked.is_err() {
        verifier.count(&checked, &[], address, now);
    }
    let caller = checked?;
    // The audience must be this server. Otherwise the API that the token was minted for could use it here.
    let settings = &context.node.settings;
    match &caller.token {
        Some(token)
            if !token.claims.aud.contains(&settings.public_url) && !token.claims.aud.contains(&token.claims.iss) =>
        {
            if counted == Counted::Yes {
                context.node.verifier().count_own_use(&caller, UsageOutcome::DeniedAudience, &[], address, now);
            }
            Err(Refusal::Denied(Denial::AudienceNotKeyturn, Some(Subject::Key(caller.key))).into())
        }
        Some(_) if caller.grant.is_by_previous_secret => {
            let detail = "the key was rotated after this access token was issued, or the previous secret minted it; \
                get a token with the current secret";
            if counted == Counted::Yes {
                context.node.verifier().count_own_use(&caller, UsageOutcome::DeniedInvalid, &[], address, now);
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
