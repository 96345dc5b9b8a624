//! `POST /oauth/introspect` (RFC 7662).

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::claims::Audience;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::http::methods;
use crate::oauth::answer::{OAuthError, method_not_allowed, no_store};
use crate::oauth::client::{ClientRequest, TokenForm};
use crate::tokens::{Active, introspect};
use crate::verification::Credential;

/// Registers the introspection endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let route = (Method::POST, web::to(endpoint));
    config.service(methods::resource("/oauth/introspect", [route], |_, allowed| method_not_allowed(allowed)));
}

async fn endpoint(
    context: web::Data<HttpContext>,
    request: HttpRequest,
    client: Result<ClientRequest<TokenForm>, OAuthError>,
) -> HttpResponse {
    let active = match client {
        Ok(client) => answer(&context, &request, client).await,
        Err(error) => Err(error),
    };
    match active.map_err(|error| error.limited_by(&context, &request)) {
        Ok(active) => {
            context.node.metrics.introspection(active.is_none().then_some("inactive"));
            respond(active.as_ref())
        }
        Err(error) => {
            context.node.metrics.introspection(Some(error.code.as_str()));
            error.respond()
        }
    }
}

async fn answer(
    context: &HttpContext,
    request: &HttpRequest,
    client: ClientRequest<TokenForm>,
) -> Result<Option<Active>, OAuthError> {
    let credential = client.credential()?;
    let ClientRequest { key, address, now, has_challenge, .. } = client;
    let caller = context.node.verifier().authenticate_and_count(&Credential::Key(key), address, now).await;
    let caller = caller.map_err(|refusal| OAuthError::from(refusal).with_challenge(has_challenge))?;
    context.note_success(request, &caller.key);
    introspect(&context.node, &caller, credential, now).await.map_err(|cause| OAuthError::unavailable(&cause))
}

#[derive(Serialize)]
struct Body<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    sub: &'a str,
    token_type: &'static str,
    iss: &'a str,
    org: &'a str,
    #[serde(rename = "gen")]
    generation: u64,
    #[serde(rename = "sv")]
    secret_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(rename = "customer_gen", skip_serializing_if = "Option::is_none")]
    customer_generation: Option<u64>,
    /// The external ID of the key's customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidrs: Option<Vec<String>>,
    #[serde(flatten)]
    custom: &'a Map<String, Value>,
}

fn respond(active: Option<&Active>) -> HttpResponse {
    #[derive(Serialize)]
    struct Inactive {
        active: bool,
    }
    let mut response = no_store(HttpResponse::Ok());
    let Some(active) = active else { return response.json(Inactive { active: false }) };
    let (key, grant) = (active.key(), active.grant());
    let networks = active.caller.tenant.shared.networks_of(key);
    let customer = active.caller.customer.as_deref();
    let claims = active.token().map(|token| &token.claims);
    response.json(Body {
        active: true,
        scope: grant.scopes.to_string(),
        client_id: key.id.as_str(),
        sub: key.id.as_str(),
        token_type: "Bearer",
        iss: &active.issuer,
        org: key.organization.as_str(),
        generation: grant.generation,
        secret_version: grant.secret_version,
        customer: customer.map(|customer| customer.id.as_str()),
        customer_generation: grant.customer_generation,
        external_id: customer.map(|customer| customer.external_id.as_str()),
        aud: claims.map(|claims| &claims.aud),
        iat: claims.map(|claims| claims.iat),
        exp: grant.not_after.map(Timestamp::as_seconds),
        jti: claims.map(|claims| claims.jti.as_str()),
        cidrs: networks.is_restricted().then(|| networks.to_strings()),
        custom: &active.custom,
    })
}
