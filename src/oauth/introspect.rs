//! `POST /oauth/introspect` (RFC 7662).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::clock;
use crate::domain::claims::Audience;
use crate::domain::decision::ClientAddress;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::http::credentials::key_or_token;
use crate::oauth::answer::{OAuthError, method_not_allowed, no_store};
use crate::oauth::client;
use crate::signing::VERIFY_MAX_BYTES;
use crate::tokens::{Active, Credential, PresentedKey, authenticate_caller, introspect};

/// A token of ours, however long, and the credentials beside it.
const MAX_BODY: usize = VERIFY_MAX_BYTES + 4096;

/// Registers the introspection endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/oauth/introspect")
            .route(web::post().to(endpoint))
            .default_service(web::to(|| async { method_not_allowed("POST") })),
    );
}

async fn endpoint(context: web::Data<HttpContext>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let address = context.client_address(&request);
    let mut challenge = true;
    match answer(&context, &request, payload, address, &mut challenge).await {
        Ok(active) => {
            context.node.metrics.introspection(active.is_none().then_some("inactive"));
            respond(active.as_ref())
        }
        Err(error) => {
            let error = error.limited_by(&context.failures, address);
            context.node.metrics.introspection(Some(error.code));
            error.respond(challenge)
        }
    }
}

async fn answer(
    context: &HttpContext,
    request: &HttpRequest,
    payload: web::Payload,
    address: ClientAddress,
    challenge: &mut bool,
) -> Result<Option<Active>, OAuthError> {
    let body = client::body(payload, MAX_BODY).await?;
    let now = clock::now();
    let (key, credential) = read(request, &body, challenge)?;
    let caller = authenticate_caller(&context.node, &Credential::Key(key), address, now).await?;
    context.note_success(request, &caller.key);
    introspect(&context.node, &caller, credential, now).await.map_err(|cause| OAuthError::unavailable(&cause))
}

/// Reads who asks and about what. `token_type_hint` is a hint, and the token tells itself what it is.
fn read(
    request: &HttpRequest,
    body: &[u8],
    challenge: &mut bool,
) -> Result<(PresentedKey, Option<Credential>), OAuthError> {
    let (form, headers) = client::read_form(request, body, &[], challenge)?;
    let key = client::presented_key(&headers, &form)?;
    let token = form.value("token").ok_or_else(|| OAuthError::invalid_request("token: missing"))?;
    Ok((key, key_or_token(token).ok()))
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
    aud: Option<&'a Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cidrs: Option<Vec<String>>,
}

fn respond(active: Option<&Active>) -> HttpResponse {
    #[derive(Serialize)]
    struct Inactive {
        active: bool,
    }
    let mut response = no_store(HttpResponse::Ok());
    let Some(active) = active else { return response.json(Inactive { active: false }) };
    let (key, grant) = (active.key(), active.grant());
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
        aud: claims.map(|claims| &claims.aud),
        iat: claims.map(|claims| claims.iat),
        exp: grant.not_after.map(Timestamp::as_seconds),
        jti: claims.map(|claims| claims.jti.as_str()),
        cidrs: key.networks.is_restricted().then(|| key.networks.to_strings()),
    })
}
