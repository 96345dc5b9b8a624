//! `/api/v1/organizations`.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::call::Call;
use crate::api::fields::NoBody;
use crate::api::guard::{AdminOrganizations, AnyCredential, Bootstrap, ManageOrganization, ReadOrganization};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::api::signing_keys::SigningKeyJson;
use crate::clock::rfc3339;
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::node::Tenant;
use crate::organizations::{self, Creation};
use crate::store::OrganizationCounts;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, "/organizations", list)
        .operation("listOrganizations", "List the organizations that the caller can see, sorted by slug")
        .pages()
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
        .add(Method::PATCH, "/organizations/{org}", edit)
        .operation("updateOrganization", "Change the display name of an organization")
        .returns(StatusCode::OK, "The organization.");
    routes
        .add(Method::DELETE, "/organizations/{org}", remove)
        .operation("deleteOrganization", "Delete an organization with all its data, after 30 days of suspension")
        .query(
            "now",
            "Whether to delete it without a suspension of 30 days.",
            json!({ "type": "boolean", "default": false }),
        )
        .returns(StatusCode::NO_CONTENT, "The organization was deleted. Its slug is never used again.");
    routes
        .add(Method::POST, "/organizations/{org}/bootstrap", bootstrap)
        .operation("bootstrapOrganization", "Create a signing key for an organization that has none")
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
    /// Identifies it; never changes.
    slug: String,
    /// The display name.
    name: String,
    /// The `iss` of its tokens.
    issuer: String,
    /// Whether it has a signing key. Without one, keys cannot be created.
    bootstrapped: bool,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// While set, every key and token of the organization is denied.
    #[schemars(extend("format" = "date-time"))]
    suspended_at: Option<String>,
    /// Only for callers with `admin:keyturn/organizations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<CountsJson>,
    /// The credentials of its owner. Only in the response that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerJson>,
    /// Its first API key. Only in the response that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<FirstKeyJson>,
}

/// Counts of an organization. Those above 10,000 are 10,001.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrganizationCounts")]
struct CountsJson {
    members: u64,
    /// API keys in any state.
    keys: u64,
    /// API keys that are neither revoked, disabled nor expired.
    active_keys: u64,
    /// When any of its keys was last used.
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
}

impl From<OrganizationCounts> for CountsJson {
    fn from(counts: OrganizationCounts) -> Self {
        let OrganizationCounts { members, keys, active_keys, last_used_at } = counts;
        Self { members, keys, active_keys, last_used_at: last_used_at.map(rfc3339) }
    }
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
            name: tenant.organization.name.clone(),
            issuer: tenant.issuer.clone(),
            bootstrapped: !tenant.ring.is_empty(),
            created_at: rfc3339(tenant.organization.created_at),
            suspended_at: tenant.organization.suspended_at.map(rfc3339),
            counts: None,
            owner: None,
            api_key: None,
        }
    }
}

/// Returns the organization after a change.
fn current<P>(call: &Call<P>) -> Result<Reply<OrganizationJson>, Problem> {
    let tenant = call.node().tenant(call.organization()).ok_or_else(Problem::not_found)?;
    Ok(Reply::new(OrganizationJson::new(&tenant)))
}

async fn list(call: Call<AnyCredential>) -> Result<Reply<ListJson<OrganizationJson>>, Problem> {
    let own = call.organization();
    let sees_all = own.is_default() && call.may::<AdminOrganizations>();
    let mut tenants = call.node().tenants();
    tenants.retain(|tenant| sees_all || tenant.organization.slug == *own);
    tenants.sort_by(|a, b| a.organization.slug.cmp(&b.organization.slug));
    let (limit, after) = call.query(|query| (query.limit(), query.cursor(read_cursor)))?;
    let rest =
        tenants.into_iter().filter(|tenant| after.as_ref().is_none_or(|after| tenant.organization.slug > *after));
    let page = Page::new(rest.take(Page::<Arc<Tenant>>::read_limit(limit) as usize).collect(), limit);
    let slugs: Vec<&Slug> = page.items.iter().map(|tenant| &tenant.organization.slug).collect();
    let counts = if call.may::<AdminOrganizations>() { counts(&call, &slugs).await? } else { HashMap::new() };
    let json = |tenant: Arc<Tenant>| OrganizationJson {
        counts: counts.get(&tenant.organization.slug).copied().map(CountsJson::from),
        ..OrganizationJson::new(&tenant)
    };
    Ok(ListJson::page(page, |tenant| cursor(&tenant.organization.slug), json))
}

async fn show(call: Call<ReadOrganization>) -> Result<Reply<OrganizationJson>, Problem> {
    let tenant = call.node().tenant(call.organization()).ok_or_else(Problem::not_found)?;
    let slug = call.organization();
    let counts = if call.may::<AdminOrganizations>() { counts(&call, &[slug]).await? } else { HashMap::new() };
    let counts = counts.get(slug).copied().map(CountsJson::from);
    Ok(Reply::new(OrganizationJson { counts, ..OrganizationJson::new(&tenant) }))
}

async fn counts<P>(call: &Call<P>, slugs: &[&Slug]) -> Result<HashMap<Slug, OrganizationCounts>, Problem> {
    let counts = organizations::counts(call.node(), slugs, call.now).await;
    counts.map_err(|cause| Problem::unavailable(&cause))
}

/// Returns the cursor behind an organization.
fn cursor(slug: &Slug) -> String {
    URL_SAFE_NO_PAD.encode(format!("organizations.{slug}"))
}

fn read_cursor(text: &str) -> Option<Slug> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    Slug::parse(plain.strip_prefix("organizations.")?)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganization")]
struct CreateBody {
    slug: String,
    /// The display name, of 1 to 100 characters; the slug if absent.
    name: Option<String>,
    owner_email: String,
    /// Whether to create a first API key, which the response shows once. The key may do everything in the organization; it
    /// has the allowed networks and the expiry of the key that creates it.
    #[serde(default)]
    api_key: bool,
}

async fn create(call: Call<AdminOrganizations>, body: CreateBody) -> Result<Reply<OrganizationJson>, Problem> {
    if !call.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let slug = Slug::parse(&body.slug)
        .ok_or_else(|| Problem::invalid_field("slug", "must be 1 to 40 lowercase letters, digits and hyphens"))?;
    let CreateBody { name, owner_email, api_key, .. } = &body;
    let creation = Creation { slug, name: name.as_deref(), owner_email, with_key: *api_key };
    let made = organizations::create(call.node(), &call.by(), creation).await?;
    let slug = &made.organization.slug;
    let tenant = call.node().tenant(slug).ok_or_else(Problem::not_found)?;
    let json = OrganizationJson {
        owner: Some(OwnerJson { email: made.email, password: made.password.to_string() }),
        api_key: made.key.map(|key| FirstKeyJson { id: key.id().to_string(), secret: key.reveal().to_string() }),
        ..OrganizationJson::new(&tenant)
    };
    Ok(Reply::new(json).location(call.location(&format!("/organizations/{slug}"))))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationChanges")]
struct EditBody {
    /// The display name, of 1 to 100 characters.
    #[serde(default, deserialize_with = "crate::api::fields::given")]
    name: Option<String>,
}

async fn edit(call: Call<ManageOrganization>, body: EditBody) -> Result<Reply<OrganizationJson>, Problem> {
    if let Some(name) = &body.name {
        organizations::rename(call.node(), &call.by(), call.organization(), name).await?;
    }
    current(&call)
}

async fn remove(call: Call<ManageOrganization>) -> Result<Reply<()>, Problem> {
    if !call.principal.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let at_once = call.query(|query| query.flag("now"))?;
    organizations::delete(call.node(), &call.by(), call.organization(), at_once).await?;
    Ok(Reply::new(()))
}

async fn bootstrap(call: Call<Bootstrap>) -> Result<Reply<SigningKeyJson>, Problem> {
    let Some(kid) = organizations::bootstrap(call.node(), &call.by(), call.organization()).await? else {
        return Err(Problem::conflict("the organization already has a signing key; rotate it instead"));
    };
    SigningKeyJson::find(&call, &kid)
}

async fn set_suspended(call: Call<ManageOrganization>, suspend: bool) -> Result<Reply<OrganizationJson>, Problem> {
    // Administrators of an organization must not end a suspension by the operator.
    if !call.principal.organization().is_default() {
        return Err(Problem::not_from_default());
    }
    let (node, by, slug) = (call.node(), call.by(), call.organization());
    match suspend {
        true => organizations::suspend(node, &by, slug).await?,
        false => organizations::resume(node, &by, slug).await?,
    };
    current(&call)
}
