//! `/api/v1/organizations`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::fields::NoBody;
use crate::api::guard::{AdminOrganizations, AnyCredential, Bootstrap, ReadOrganization, SuspendOrganization};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::api::signing_keys::SigningKeyJson;
use crate::clock::rfc3339;
use crate::domain::slug::Slug;
use crate::node::Tenant;
use crate::organizations;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, "/organizations", list)
        .operation("listOrganizations", "List the organizations that the caller can see")
        .returns(StatusCode::OK, "The organizations.");
    routes
        .add(Method::POST, "/organizations", create)
        .operation("createOrganization", "Create an organization. Only callers of organization default can")
        .body_required()
        .returns(StatusCode::CREATED, "The organization with its owner's `password`.");
    routes
        .add(Method::GET, "/organizations/{org}", show)
        .operation("getOrganization", "Get an organization")
        .returns(StatusCode::OK, "The organization.");
    routes
        .add(Method::POST, "/organizations/{org}/bootstrap", bootstrap)
        .operation("bootstrapOrganization", "Create the first signing key of an organization")
        .returns(StatusCode::CREATED, "The signing key.");
    routes
        .add(Method::POST, "/organizations/{org}/suspend", |call, _: NoBody| set_suspended(call, true))
        .operation("suspendOrganization", "Suspend an organization. Its keys and tokens stop working at once")
        .returns(StatusCode::OK, "The organization.");
    routes
        .add(Method::POST, "/organizations/{org}/resume", |call, _: NoBody| set_suspended(call, false))
        .operation("resumeOrganization", "End the suspension of an organization")
        .returns(StatusCode::OK, "The organization.");
}

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
struct OrganizationJson {
    slug: String,
    /// The `iss` of its tokens.
    issuer: String,
    /// Whether it has a signing key. Without one, keys cannot be created.
    bootstrapped: bool,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// While set, every key and token of the organization is denied.
    #[schemars(extend("format" = "date-time"))]
    suspended_at: Option<String>,
    /// The credentials of its owner. Only in the response that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerJson>,
    /// Its first API key. Only in the response that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<FirstKeyJson>,
}

/// The first API key of an organization. It has every permission in it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FirstKey")]
struct FirstKeyJson {
    id: String,
    /// Shown once.
    secret: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Owner")]
struct OwnerJson {
    email: String,
    password: String,
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

async fn list(call: Call<AnyCredential>) -> Result<Reply<ListJson<OrganizationJson>>, Problem> {
    let own = call.organization();
    let sees_all = own.is_default() && call.may::<AdminOrganizations>();
    let mut tenants = call.node().tenants();
    tenants.retain(|tenant| sees_all || tenant.organization.slug == *own);
    tenants.sort_by(|a, b| a.organization.slug.cmp(&b.organization.slug));
    Ok(ListJson::all(tenants.iter().map(|tenant| OrganizationJson::new(tenant))))
}

async fn show(call: Call<ReadOrganization>) -> Result<Reply<OrganizationJson>, Problem> {
    let tenant = call.node().tenant(call.organization()).ok_or_else(Problem::not_found)?;
    Ok(Reply::new(OrganizationJson::new(&tenant)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganization")]
struct CreateBody {
    slug: String,
    owner_email: String,
    /// Whether to create a signing key and a first API key, which the response shows once. The key may do everything in the
    /// organization; it has the allowed networks and the expiry of the key that creates it.
    #[serde(default)]
    api_key: bool,
}

async fn create(call: Call<AdminOrganizations>, body: CreateBody) -> Result<Reply<OrganizationJson>, Problem> {
    if !call.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let slug = Slug::parse(&body.slug)
        .ok_or_else(|| Problem::invalid_field("slug", "must be 1 to 40 lowercase letters, digits and hyphens"))?;
    let made = organizations::create(call.node(), &call.by(), slug, &body.owner_email, body.api_key).await?;
    let slug = &made.organization.slug;
    let tenant = call.node().tenant(slug).ok_or_else(Problem::not_found)?;
    let json = OrganizationJson {
        owner: Some(OwnerJson { email: made.email, password: made.password.to_string() }),
        api_key: made.key.map(|key| FirstKeyJson { id: key.id().to_string(), secret: key.reveal().to_string() }),
        ..OrganizationJson::new(&tenant)
    };
    Ok(Reply::new(json).location(call.location(&format!("/organizations/{slug}"))))
}

async fn bootstrap(call: Call<Bootstrap>) -> Result<Reply<SigningKeyJson>, Problem> {
    let Some(kid) = organizations::bootstrap(call.node(), &call.by(), call.organization()).await? else {
        return Err(Problem::conflict("the organization already has a signing key; rotate it instead"));
    };
    SigningKeyJson::find(&call, &kid)
}

async fn set_suspended(call: Call<SuspendOrganization>, suspend: bool) -> Result<Reply<OrganizationJson>, Problem> {
    // Administrators of an organization must not end a suspension by the operator.
    if !call.principal.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let (node, by, slug) = (call.node(), call.by(), call.organization());
    match suspend {
        true => organizations::suspend(node, &by, slug).await?,
        false => organizations::resume(node, &by, slug).await?,
    };
    let tenant = node.tenant(slug).ok_or_else(Problem::not_found)?;
    Ok(Reply::new(OrganizationJson::new(&tenant)))
}
