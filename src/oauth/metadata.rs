//! Each issuer's metadata (RFC 8414) and public keys (RFC 7517), and the metadata of its APIs (RFC 9728), for anybody, never
//! rate-limited.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    ALLOW, CACHE_CONTROL, HeaderName,
};
use actix_web::{FromRequest, Handler, HttpResponse, Responder, web};
use serde_json::json;

use crate::clock;
use crate::domain::apis::ServedApi;
use crate::domain::audience::resource_metadata_url;
use crate::domain::choices::{Algorithm, ScopeStyle};
use crate::domain::outcome::Code;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::http::methods;
use crate::node::Tenant;
use crate::oauth::answer::{OAuthError, method_not_allowed};

/// Registers the documents of every issuer.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    document(config, "/.well-known/oauth-authorization-server", default_metadata);
    document(config, "/.well-known/openid-configuration", default_metadata);
    document(config, "/.well-known/jwks.json", default_jwks);
    document(config, "/.well-known/jwks/{kid}.pem", default_pem);
    document(config, "/.well-known/oauth-protected-resource/{api}", default_resource);
    document(config, "/.well-known/oauth-authorization-server/o/{slug}", metadata);
    document(config, "/o/{slug}/.well-known/openid-configuration", metadata);
    document(config, "/o/{slug}/.well-known/jwks.json", jwks);
    document(config, "/o/{slug}/.well-known/jwks/{kid}.pem", pem);
    document(config, "/o/{slug}/.well-known/oauth-protected-resource/{api}", resource);
}

fn document<A, F>(config: &mut web::ServiceConfig, path: &str, read: F)
where
    A: FromRequest + 'static,
    F: Handler<A, Output: Responder + 'static>,
{
    let routes =
        [(Method::GET, web::to(read.clone())), (Method::HEAD, web::to(read)), (Method::OPTIONS, web::to(preflight))];
    config.service(methods::resource(path, routes, |_, allowed| method_not_allowed(allowed)));
}

async fn default_metadata(context: web::Data<HttpContext>) -> HttpResponse {
    answer(default_tenant(&context), |tenant| metadata_of(&context, tenant))
}

async fn default_jwks(context: web::Data<HttpContext>) -> HttpResponse {
    answer(default_tenant(&context), jwks_of)
}

async fn default_pem(context: web::Data<HttpContext>, kid: web::Path<String>) -> HttpResponse {
    answer(default_tenant(&context), |tenant| pem_of(tenant, &kid))
}

async fn metadata(context: web::Data<HttpContext>, slug: web::Path<String>) -> HttpResponse {
    answer(tenant(&context, &slug), |tenant| metadata_of(&context, tenant))
}

async fn jwks(context: web::Data<HttpContext>, slug: web::Path<String>) -> HttpResponse {
    answer(tenant(&context, &slug), jwks_of)
}

async fn pem(context: web::Data<HttpContext>, path: web::Path<(String, String)>) -> HttpResponse {
    let (slug, kid) = path.into_inner();
    answer(tenant(&context, &slug), |tenant| pem_of(tenant, &kid))
}

async fn default_resource(context: web::Data<HttpContext>, api: web::Path<String>) -> HttpResponse {
    answer(default_tenant(&context), |tenant| resource_of(tenant, &api))
}

async fn resource(context: web::Data<HttpContext>, path: web::Path<(String, String)>) -> HttpResponse {
    let (slug, api) = path.into_inner();
    answer(tenant(&context, &slug), |tenant| resource_of(tenant, &api))
}

fn default_tenant(context: &HttpContext) -> Option<Arc<Tenant>> {
    context.node.tenant(&Slug::default_organization())
}

/// An organization other than the first, whose issuer is the public URL itself.
fn tenant(context: &HttpContext, slug: &str) -> Option<Arc<Tenant>> {
    context.node.tenant(&Slug::parse(slug).filter(|slug| !slug.is_default())?)
}

fn answer(tenant: Option<Arc<Tenant>>, render: impl FnOnce(&Tenant) -> HttpResponse) -> HttpResponse {
    tenant.map_or_else(|| not_found("there is no such issuer"), |tenant| render(&tenant))
}

fn not_found(description: &'static str) -> HttpResponse {
    OAuthError::new(Code::NotFound, description).respond()
}

fn metadata_of(context: &HttpContext, tenant: &Tenant) -> HttpResponse {
    let public_url = &context.node.settings.public_url;
    let issuer = &tenant.issuer;
    let algorithms: Vec<&str> = tenant.algorithms(clock::now()).into_iter().map(Algorithm::as_str).collect();
    let methods = ["client_secret_basic", "client_secret_post"];
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{public_url}/oauth/authorize"),
        "token_endpoint": format!("{public_url}/oauth/token"),
        "token_endpoint_auth_methods_supported": methods,
        "introspection_endpoint": format!("{public_url}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint": format!("{public_url}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": scopes_supported(tenant),
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    });
    cacheable("application/json", document.to_string())
}

/// The scopes of all APIs, each once.
fn scopes_supported(tenant: &Tenant) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in tenant.apis.iter().flat_map(|served| scopes_of(tenant, served)) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// The scopes of an API: the actions of the policy if it has no list of its own.
fn scopes_of(tenant: &Tenant, served: &ServedApi) -> Vec<String> {
    if served.api.scopes.is_empty() && served.api.style == ScopeStyle::Filters {
        return tenant.organization.policy.actions.iter().map(ToString::to_string).collect();
    }
    served.api.scopes.iter().map(|listed| listed.scope.to_string()).collect()
}

/// The metadata of an API (RFC 9728 §2), which its own server has to serve: clients accept it only from there (§3.3).
fn resource_of(tenant: &Tenant, name: &str) -> HttpResponse {
    let Some(served) = tenant.apis.iter().find(|served| served.api.name.as_str() == name) else {
        return not_found("there is no such API");
    };
    if resource_metadata_url(&served.audience).is_none() {
        return not_found("the audience of the API is not a URL");
    }
    let document = json!({
        "resource": served.audience,
        "resource_name": name,
        "authorization_servers": [tenant.issuer],
        "scopes_supported": scopes_of(tenant, served),
        "bearer_methods_supported": ["header"],
    });
    cacheable("application/json", document.to_string())
}

fn jwks_of(tenant: &Tenant) -> HttpResponse {
    match serde_json::to_string(&tenant.ring.jwks(clock::now(), tenant.longest_ttl_seconds())) {
        Ok(set) => cacheable("application/json", set),
        Err(_) => not_found("the keys cannot be written"),
    }
}

fn pem_of(tenant: &Tenant, kid: &str) -> HttpResponse {
    let published = tenant.ring.published(clock::now(), tenant.longest_ttl_seconds()).find(|key| key.kid() == kid);
    published.map_or_else(
        || not_found("there is no such signing key"),
        |key| cacheable("application/x-pem-file", key.pem().to_owned()),
    )
}

fn cacheable(content_type: &'static str, body: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .insert_header(ANY_ORIGIN)
        .body(body)
}

/// The documents are public, so the scripts of every page may read them.
const ANY_ORIGIN: (HeaderName, &str) = (ACCESS_CONTROL_ALLOW_ORIGIN, "*");

/// Responds to a CORS preflight of a request with custom headers.
async fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(ANY_ORIGIN)
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "*"))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "86400"))
        .insert_header((ALLOW, "GET, HEAD, OPTIONS"))
        .finish()
}
