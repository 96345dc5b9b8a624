//! `/api/v1/organizations`: further tenants, and their first signing key.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::guard::{AdminOrganizations, AnyCredential, Bootstrap, Guarded, ReadOrganization, SuspendOrganization};
use crate::api::problem::Problem;
use crate::api::signing_keys::{RotateProblem, key_json};
use crate::clock::rfc3339;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::node::Tenant;
use crate::organizations;

type Context = web::Data<HttpContext>;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let resource = |path: &str, allowed: &'static str| {
        web::resource(path).default_service(web::to(move || async move { Problem::method_not_allowed(allowed) }))
    };
    config
        .service(resource("/organizations", "GET, POST").route(web::get().to(list)).route(web::post().to(create)))
        .service(resource("/organizations/{org}", "GET").route(web::get().to(show)))
        .service(resource("/organizations/{org}/bootstrap", "POST").route(web::post().to(bootstrap)))
        .service(resource("/organizations/{org}/suspend", "POST").route(web::post().to(suspend)))
        .service(resource("/organizations/{org}/resume", "POST").route(web::post().to(resume)));
}

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
pub(super) struct OrganizationJson {
    slug: String,
    /// The `iss` of its tokens.
    issuer: String,
    /// Whether it has a signing key; without one it can have no keys.
    bootstrapped: bool,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// While set, every key and token of the organization is denied.
    #[schemars(extend("format" = "date-time"))]
    suspended_at: Option<String>,
    /// Its owner's credentials: only when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerJson>,
    /// Its first API key: only when it is created with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<FirstKeyJson>,
}

/// The first API key of an organization, which may do everything in it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FirstKey")]
pub(super) struct FirstKeyJson {
    id: String,
    /// Shown once.
    secret: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Owner")]
pub(super) struct OwnerJson {
    email: String,
    password: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrganizationList")]
pub(super) struct OrganizationListJson {
    items: Vec<OrganizationJson>,
    next_cursor: Option<String>,
}

impl OrganizationJson {
    fn new(tenant: &Tenant) -> Self {
        Self {
            slug: tenant.organization.slug.to_string(),
            issuer: tenant.issuer.clone(),
            bootstrapped: tenant.ring.newest().is_some(),
            created_at: rfc3339(tenant.organization.created_at),
            suspended_at: tenant.organization.suspended_at.map(rfc3339),
            owner: None,
            api_key: None,
        }
    }
}

async fn list(guarded: Guarded<AnyCredential>, context: Context) -> HttpResponse {
    let own = guarded.organization();
    let sees_all = own.is_default() && guarded.principal.check_admin_of_organizations().is_ok();
    let mut tenants = context.node.tenants();
    tenants.retain(|tenant| sees_all || tenant.organization.slug == own);
    tenants.sort_by(|a, b| a.organization.slug.cmp(&b.organization.slug));
    let items = tenants.iter().map(|tenant| OrganizationJson::new(tenant)).collect();
    no_store(HttpResponse::Ok()).json(OrganizationListJson { items, next_cursor: None })
}

async fn show(guarded: Guarded<ReadOrganization>, context: Context) -> Result<HttpResponse, Problem> {
    let tenant = context.node.tenant(&guarded.organization()).ok_or_else(Problem::not_found)?;
    Ok(no_store(HttpResponse::Ok()).json(OrganizationJson::new(&tenant)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganization")]
pub(super) struct CreateBody {
    slug: String,
    owner_email: String,
    /// Whether to create a signing key and a first API key, which the response shows once. The key may do everything in the
    /// organization; it has the allowed networks and the expiry of the key that creates it.
    #[serde(default)]
    api_key: bool,
}

async fn create(
    guarded: Guarded<AdminOrganizations>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    if !guarded.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let CreateBody { slug, owner_email, api_key } = body::read(&request, payload).await?;
    let slug =
        Slug::parse(&slug).ok_or_else(|| Problem::invalid_field("slug", "1 to 40 of a-z, 0-9 and '-' are expected"))?;
    let (node, by) = (context.node.clone(), guarded.by());
    let made =
        context.node.run_to_end(async move { organizations::create(&node, &by, slug, &owner_email, api_key).await });
    let made = made.await?;
    let slug = &made.organization.slug;
    let tenant = context.node.tenant(slug).ok_or_else(Problem::not_found)?;
    let location = format!("{}{}/{slug}", context.public_path.as_str(), request.path());
    let owner = Some(OwnerJson { email: made.email, password: made.password.to_string() });
    let api_key = made.key.map(|key| FirstKeyJson { id: key.id().to_string(), secret: key.reveal().to_string() });
    Ok(no_store(HttpResponse::Created()).insert_header((LOCATION, location)).json(OrganizationJson {
        owner,
        api_key,
        ..OrganizationJson::new(&tenant)
    }))
}

async fn bootstrap(guarded: Guarded<Bootstrap>, context: Context) -> Result<HttpResponse, Problem> {
    let (node, by, slug) = (context.node.clone(), guarded.by(), guarded.organization());
    let now = guarded.now;
    let made = context.node.run_to_end(async move {
        let Some(kid) = organizations::bootstrap(&node, &by, &slug).await? else {
            return Err(RotateProblem(Problem::conflict(
                "the organization has a signing key already; rotate it instead",
            )));
        };
        let tenant = node.tenant(&slug).ok_or(RotateProblem(Problem::not_found()))?;
        let key = tenant.ring.find(&kid).map(|key| key_json(&tenant, key, now));
        key.ok_or(RotateProblem(Problem::not_found()))
    });
    let key = made.await.map_err(|RotateProblem(problem)| problem)?;
    Ok(no_store(HttpResponse::Created()).json(key))
}

async fn suspend(
    guarded: Guarded<SuspendOrganization>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    change_state(guarded, context, request, payload, true).await
}

async fn resume(
    guarded: Guarded<SuspendOrganization>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    change_state(guarded, context, request, payload, false).await
}

/// The body of a request that takes none: absent, or `{}`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Empty")]
pub(super) struct EmptyBody {}

async fn change_state(
    guarded: Guarded<SuspendOrganization>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
    is_to_be_suspended: bool,
) -> Result<HttpResponse, Problem> {
    // An organization does not suspend or resume itself: its own administrators would end what the operator has decided.
    if !guarded.principal.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let EmptyBody {} = body::read(&request, payload).await?;
    let (node, by, slug) = (context.node.clone(), guarded.by(), guarded.organization());
    let changed = context.node.run_to_end(async move {
        match is_to_be_suspended {
            true => organizations::suspend(&node, &by, &slug).await,
            false => organizations::resume(&node, &by, &slug).await,
        }
    });
    changed.await?;
    let tenant = context.node.tenant(&guarded.organization()).ok_or_else(Problem::not_found)?;
    Ok(no_store(HttpResponse::Ok()).json(OrganizationJson::new(&tenant)))
}

fn no_store(mut response: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
