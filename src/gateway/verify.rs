//! `/verify` and `/verify/*`, for any method. The body is never read.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::clock;
use crate::domain::audience::{is_same, resource_metadata_url};
use crate::domain::networks::fold;
use crate::domain::outcome::Denial;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::gateway::answer::{RequiredResource, VerifyError, allowed};
use crate::gateway::requirement::{self, Requirements};
use crate::http::access::Explanation;
use crate::http::context::HttpContext;
use crate::http::credentials::{self, HeaderCredentials};
use crate::node::ObservedRequest;
use crate::verification::{Caller, Credential, Required, RequiredAccess};

/// Registers the endpoints. Some gateways append the client's path and query to `/verify/`; the path is ignored.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/verify").default_service(web::to(verify)))
        .service(web::resource("/verify/{path:.*}").default_service(web::to(verify_appended)))
        .service(web::resource("/o/{slug}/verify").default_service(web::to(verify_organization)))
        .service(web::resource("/o/{slug}/verify/{path:.*}").default_service(web::to(verify_organization_appended)));
}

async fn verify(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    answer(&context, &request, &Slug::default_organization(), false).await
}

async fn verify_appended(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    answer(&context, &request, &Slug::default_organization(), true).await
}

async fn verify_organization(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    of_organization(&context, &request, false).await
}

async fn verify_organization_appended(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    of_organization(&context, &request, true).await
}

/// An organization that does not exist has no credentials, so each is denied with 401: a gateway forwards that, and
/// turns a 404 into a server error.
async fn of_organization(context: &HttpContext, request: &HttpRequest, has_client_query: bool) -> HttpResponse {
    match request.match_info().get("slug").and_then(Slug::parse) {
        Some(slug) => answer(context, request, &slug, has_client_query).await,
        None => refuse(context, Denial::OtherOrganization.into(), None),
    }
}

async fn answer(context: &HttpContext, request: &HttpRequest, slug: &Slug, has_client_query: bool) -> HttpResponse {
    let now = clock::now();
    let requirements = requirement::read(request, has_client_query);
    match decide(context, request, (slug, &requirements), now).await {
        Ok(caller) => {
            context.node.metrics.verification(None);
            if context.node.gateways.is_on() {
                context.note_success(request, &caller.key);
                observe(context, request, (slug, None), now);
            }
            allowed(&caller, context.verdict_max_age_seconds, now)
        }
        Err(error) => {
            if context.node.gateways.is_on() {
                observe(context, request, (slug, Some(error.code().as_str())), now);
            }
            let resource = requirements.ok().and_then(|requirements| RequiredResource::of(context, slug, requirements));
            refuse(context, error, resource.as_ref())
        }
    }
}

/// Notes a request for the check of a gateway.
#[cold]
fn observe(
    context: &HttpContext,
    request: &HttpRequest,
    (organization, code): (&Slug, Option<&'static str>),
    now: Timestamp,
) {
    let Some(peer) = request.peer_addr().map(|peer| fold(peer.ip())) else { return };
    let is_trusted = context.trusted_proxies.trusts(peer);
    let client = context.client_address(request);
    context.node.gateways.note(&ObservedRequest { organization, peer, is_trusted, client, code }, now);
}

impl RequiredResource {
    /// Describes the API that the gateway requires, if its audience is a URL.
    #[cold]
    fn of(context: &HttpContext, slug: &Slug, requirements: Requirements) -> Option<Self> {
        let name = requirements.api?;
        let tenant = context.node.tenant(slug)?;
        let served = tenant.apis.iter().find(|served| served.api.name == name)?;
        // Nothing serves metadata for Keyturn's own URL.
        if is_same(&served.audience, &context.node.settings.public_url) {
            return None;
        }
        // The scope of the forwarded path is left out: the path may hold a misplaced secret.
        let is_named = |required: &&Required| matches!(required, Required::Scope { .. });
        let scopes: Vec<String> = requirements.required.iter().filter(is_named).map(ToString::to_string).collect();
        Some(Self { metadata: resource_metadata_url(&served.audience)?, scope: scopes.join(" ") })
    }
}

fn refuse(context: &HttpContext, error: VerifyError, resource: Option<&RequiredResource>) -> HttpResponse {
    context.node.metrics.verification(Some(error.code()));
    error.respond(resource)
}

async fn decide(
    context: &HttpContext,
    request: &HttpRequest,
    (slug, requirements): (&Slug, &Result<Requirements, VerifyError>),
    now: Timestamp,
) -> Result<Caller, VerifyError> {
    // 1. One credential, in one header.
    let credential = credential(request)?;

    // 2. The requirements. Nobody meets unreadable ones, but only a caller with a good credential learns why.
    let none = Requirements::default();
    let (requirements, unreadable) = match requirements {
        Ok(requirements) => (requirements, None),
        Err(error) => (&none, Some(error)),
    };
    // 3. The decision.
    let address = context.client_address(request);
    let wanted = RequiredAccess {
        // At `/o/{slug}/verify`, the parameter does not lift the restriction.
        organization: (!requirements.is_any_organization || !slug.is_default()).then_some(slug),
        audiences: &requirements.audiences,
        api: requirements.api.as_ref(),
        scopes: &requirements.required,
    };
    let caller = context.node.verifier().check(&credential, address, &wanted, now).await?;
    match unreadable {
        None => Ok(caller),
        Some(error) => {
            let cause = Some(error.to_string());
            Err(error.clone().explained(Box::new(Explanation { cause, ..*Explanation::of_key(&caller.key) })))
        }
    }
}

fn credential(request: &HttpRequest) -> Result<Credential, VerifyError> {
    match credentials::from_headers(request.headers()) {
        Ok(HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text)) => {
            credentials::key_or_token(text).map_err(VerifyError::from)
        }
        Ok(HeaderCredentials::Basic { id, secret }) => {
            credentials::presented_key(Some(&id), &secret).map(Credential::Key).map_err(VerifyError::from)
        }
        Ok(HeaderCredentials::None | HeaderCredentials::Empty | HeaderCredentials::OtherScheme) => {
            Err(VerifyError::credentials_required())
        }
        Err(error) => Err(VerifyError::ambiguous(error.0)),
    }
}
