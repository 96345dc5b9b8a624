//! The permission in a handler's signature: a handler that takes `Guarded<P>` is not called without it.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::api::problem::Problem;
use crate::clock;
use crate::domain::authority::Authority;
use crate::domain::decision::ClientAddress;
use crate::domain::scope::{Action, Resource};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::http::credentials::{self, HeaderCredentials};
use crate::keys::By;
use crate::tokens::{Caller, authenticate};

/// What a route asks of its caller.
pub(super) trait Permission: 'static {
    /// Action and resource; none: any good credential.
    const NEEDS: Option<(&'static str, &'static str)>;
}

/// Any good credential.
pub(super) struct Anyone;
/// `read:keyturn/keys`.
pub(super) struct ReadKeys;
/// `write:keyturn/keys`.
pub(super) struct WriteKeys;
/// `read:keyturn/usage`.
pub(super) struct ReadUsage;
/// `read:keyturn/signing-keys`.
pub(super) struct ReadSigningKeys;
/// `admin:keyturn/signing-keys`.
pub(super) struct AdminSigningKeys;

impl Permission for Anyone {
    const NEEDS: Option<(&'static str, &'static str)> = None;
}
impl Permission for ReadKeys {
    const NEEDS: Option<(&'static str, &'static str)> = Some(("read", "keyturn/keys"));
}
impl Permission for WriteKeys {
    const NEEDS: Option<(&'static str, &'static str)> = Some(("write", "keyturn/keys"));
}
impl Permission for ReadUsage {
    const NEEDS: Option<(&'static str, &'static str)> = Some(("read", "keyturn/usage"));
}
impl Permission for ReadSigningKeys {
    const NEEDS: Option<(&'static str, &'static str)> = Some(("read", "keyturn/signing-keys"));
}
impl Permission for AdminSigningKeys {
    const NEEDS: Option<(&'static str, &'static str)> = Some(("admin", "keyturn/signing-keys"));
}

/// A caller who holds the permission, in the organization that the path names.
pub(super) struct Guarded<P> {
    /// Who.
    pub(super) caller: Caller,
    /// Where from.
    pub(super) address: ClientAddress,
    /// When.
    pub(super) now: Timestamp,
    permission: PhantomData<P>,
}

impl<P> Guarded<P> {
    /// The organization that the path names, which is the caller's own.
    pub(super) fn organization(&self) -> Slug {
        self.caller.key.organization.clone()
    }

    /// Who makes a change, for the use cases.
    pub(super) fn by(&self) -> By {
        By {
            actor: self.actor(),
            authority: Authority {
                scopes: self.caller.grant.scopes.clone(),
                networks: self.caller.key.networks.clone(),
                // A secret in its grace ends with it. A token's own end does not count, but its key's does:
                // who manages keys with tokens would otherwise make keys of ten minutes.
                not_after: match self.caller.token {
                    None => self.caller.grant.not_after,
                    Some(_) => self.caller.key.expires_at,
                },
            },
            address: self.address.known(),
            now: self.now,
        }
    }

    /// The caller's name in the audit log.
    pub(super) fn actor(&self) -> String {
        format!("key:{}", self.caller.key.id)
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
            match admit(context, &request, address).await {
                Err(problem) if problem.is_failure() => {
                    Err(context.failures.count(address).map_or_else(Problem::limited, |()| problem))
                }
                other => other,
            }
        })
    }
}

async fn admit<P: Permission>(
    context: &HttpContext,
    request: &HttpRequest,
    address: ClientAddress,
) -> Result<Guarded<P>, Problem> {
    // 1. One credential, in one header.
    let text = match credentials::from_headers(request.headers()) {
        Ok(HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text)) => text,
        Ok(HeaderCredentials::None | HeaderCredentials::Basic { .. } | HeaderCredentials::OtherScheme) => {
            return Err(Problem::credentials_required());
        }
        Err(error) => return Err(Problem::invalid_field("headers", error.0)),
    };

    // 2. Who it is, now.
    let now = clock::now();
    let credential = credentials::key_or_token(&text).ok_or_else(Problem::invalid_credentials)?;
    let caller = authenticate(&context.node, &credential, address, now).await?;

    // 3. A token must have been minted for us, or whoever it was minted for could use it here.
    let settings = &context.node.settings;
    if let Some(token) = &caller.token
        && !token.claims.aud.contains(&settings.public_url)
        && !token.claims.aud.contains(&token.claims.iss)
    {
        return Err(Problem::invalid_credentials());
    }

    // 4. In their own organization; of others they see nothing.
    if request.match_info().get("org").is_some_and(|org| org != caller.key.organization.as_str()) {
        return Err(Problem::not_found());
    }

    // 5. What the route needs.
    if let Some((action, resource)) = P::NEEDS {
        let allowed = match (Action::parse(action), Resource::parse(resource)) {
            (Ok(action), Ok(resource)) => caller.grant.scopes.allows(&action, &resource),
            _ => false,
        };
        if !allowed {
            return Err(Problem::insufficient_scope(&format!("{action}:{resource}")));
        }
    }
    Ok(Guarded { caller, address, now, permission: PhantomData })
}
