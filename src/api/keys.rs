//! `/api/v1/organizations/{org}/keys`.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderName, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::body;
use crate::api::etag::{etag, if_match};
use crate::api::fields::{ScopeField, given, nullable};
use crate::api::guard::{Guarded, ReadKeys, WriteKeys};
use crate::api::key_json::KeyJson;
use crate::api::key_list::list;
use crate::api::problem::Problem;
use crate::domain::api_key::{ApiKey, Edit};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::policy::MAX_GRACE_SECONDS;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::http::context::HttpContext;
use crate::http::warnings;
use crate::keys::{self, KeyError, NewKey, RotateKey};
use crate::node::Node;

type Context = web::Data<HttpContext>;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    const LIST: &str = "/organizations/{org}/keys";
    const ONE: &str = "/organizations/{org}/keys/{id}";
    let resource = |path: String, allowed: &'static str| {
        web::resource(path).default_service(web::to(move || async move { Problem::method_not_allowed(allowed) }))
    };
    config
        .service(resource(LIST.into(), "GET, POST").route(web::get().to(list)).route(web::post().to(create)))
        .service(
            resource(ONE.into(), "GET, PATCH, DELETE")
                .route(web::get().to(show))
                .route(web::patch().to(edit))
                .route(web::delete().to(delete)),
        )
        .service(resource(format!("{ONE}/rotate"), "POST").route(web::post().to(rotate)))
        .service(resource(format!("{ONE}/revoke"), "POST").route(web::post().to(revoke)))
        .service(resource(format!("{ONE}/disable"), "POST").route(web::post().to(disable)))
        .service(resource(format!("{ONE}/enable"), "POST").route(web::post().to(enable)));
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
pub(super) struct CreateBody {
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::name")]
    name: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::text")]
    description: String,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::moment")]
    expires_at: Option<Option<String>>,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::lifetime")]
    expires_in_seconds: Option<i64>,
    #[serde(default)]
    scopes: Vec<ScopeField>,
    #[serde(default)]
    allowed_cidrs: Option<Vec<String>>,
    #[serde(default, deserialize_with = "nullable")]
    owner: Option<Option<String>>,
}

async fn create(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (body, once): (CreateBody, _) = body::read_once(&request, payload).await?;
    let mut checks = Checks::default();
    checks.name(&body.name);
    checks.text("description", &body.description);
    let mut new = NewKey {
        name: body.name,
        description: body.description,
        owner: None,
        scopes: checks.scopes(ScopeField::inputs(&body.scopes)),
        networks: checks.networks(body.allowed_cidrs.as_deref().unwrap_or_default()),
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, guarded.now).flatten(),
    };
    checks.done()?;
    let warnings = warnings::of_rights(&new.networks, Some(&new.scopes));
    let made = run(&guarded, &context, move |node, organization, by| async move {
        new.owner = match body.owner {
            None => None,
            Some(owner) => Some(keys::owner(&node, &organization, owner.map(MemberId)).await?),
        };
        keys::create(&node, &organization, &by, new, once.as_ref()).await
    });
    let (key, text) = made.await?;
    let location =
        format!("{}/api/v1/organizations/{}/keys/{}", context.public_path.as_str(), key.organization, key.id);
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, location));
    let json = KeyJson::with_secret(&key, &text, guarded.now).warned(warnings);
    Ok(with_headers(response, &key).json(json))
}

async fn show(
    guarded: Guarded<ReadKeys>,
    context: Context,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let key = keys::find(&context.node, &guarded.organization(), &key_id(&path.1)?).await?;
    Ok(answer(&key, guarded.now))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::moment")]
    expires_at: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::lifetime")]
    expires_in_seconds: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    #[serde(default, deserialize_with = "given")]
    allowed_cidrs: Option<Vec<String>>,
}

async fn edit(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (key_id(&path.1)?, if_match(&request));
    let body: EditBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    if let Some(name) = &body.name {
        checks.name(name);
    }
    if let Some(description) = &body.description {
        checks.text("description", description);
    }
    let edit = Edit {
        name: body.name,
        description: body.description,
        scopes: body.scopes.map(|scopes| checks.scopes(ScopeField::inputs(&scopes))),
        networks: body.allowed_cidrs.map(|list| checks.networks(&list)),
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, guarded.now),
    };
    checks.done()?;
    let all = Networks::all();
    let networks = edit.networks.as_ref().unwrap_or(&all);
    let mut warnings = warnings::of_rights(networks, edit.scopes.as_ref());
    let edited = run(&guarded, &context, move |node, organization, by| async move {
        keys::edit(&node, &organization, &by, &id, version, edit).await
    });
    let (key, is_narrower) = edited.await?;
    warnings.extend(is_narrower.then(warnings::of_narrowing));
    Ok(with_headers(HttpResponse::Ok(), &key).json(KeyJson::new(&key, guarded.now).warned(warnings)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyRotation")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct RotateBody {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::moment")]
    expires_at: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::lifetime")]
    expires_in_seconds: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::grace")]
    grace_seconds: Option<i64>,
}

async fn rotate(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (key_id(&path.1)?, if_match(&request));
    let (body, once): (RotateBody, _) = body::read_once(&request, payload).await?;
    let mut checks = Checks::default();
    if let Some(name) = &body.name {
        checks.name(name);
    }
    let wish = RotateKey {
        name: body.name,
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, guarded.now),
        grace_seconds: checks.bounded("grace_seconds", body.grace_seconds, 0, MAX_GRACE_SECONDS),
    };
    checks.done()?;
    let rotated = run(&guarded, &context, move |node, organization, by| async move {
        keys::rotate(&node, &organization, &by, &id, version, wish, once.as_ref()).await
    });
    let (key, text) = rotated.await?;
    Ok(answer_with_secret(&key, &text, guarded.now))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyRevocation")]
pub(super) struct RevokeBody {
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::reason")]
    reason: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nothing")]
pub(super) struct NoBody {}

async fn revoke(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body: RevokeBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    checks.text("reason", body.reason.as_deref().unwrap_or_default());
    checks.done()?;
    revoke_key(&guarded, &context, &request, &path.1, body.reason).await
}

async fn delete(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    revoke_key(&guarded, &context, &request, &path.1, None).await
}

async fn revoke_key(
    guarded: &Guarded<WriteKeys>,
    context: &Context,
    request: &HttpRequest,
    id: &str,
    reason: Option<String>,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (key_id(id)?, if_match(request));
    let revoked = run(guarded, context, move |node, organization, by| async move {
        keys::revoke(&node, &organization, &by, &id, version, reason).await
    });
    Ok(answer(&revoked.await?, guarded.now))
}

async fn disable(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let NoBody {} = body::read(&request, payload).await?;
    let (id, version) = (key_id(&path.1)?, if_match(&request));
    let disabled = run(&guarded, &context, move |node, organization, by| async move {
        keys::disable(&node, &organization, &by, &id, version).await
    });
    Ok(answer(&disabled.await?, guarded.now))
}

async fn enable(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let NoBody {} = body::read(&request, payload).await?;
    let (id, version) = (key_id(&path.1)?, if_match(&request));
    let enabled = run(&guarded, &context, move |node, organization, by| async move {
        keys::enable(&node, &organization, &by, &id, version).await
    });
    Ok(answer(&enabled.await?, guarded.now))
}

/// Runs a change to its end, whatever becomes of the request.
async fn run<T: Send + 'static, F: Future<Output = Result<T, KeyError>> + Send + 'static>(
    guarded: &Guarded<WriteKeys>,
    context: &Context,
    change: impl FnOnce(Arc<Node>, Slug, ChangeContext) -> F,
) -> Result<T, Problem> {
    let change = change(context.node.clone(), guarded.organization(), guarded.by());
    Ok(context.node.run_to_end(change).await?)
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    KeyId::parse(text).ok_or_else(Problem::not_found)
}

fn answer(key: &ApiKey, now: Timestamp) -> HttpResponse {
    with_headers(HttpResponse::Ok(), key).json(KeyJson::new(key, now))
}

fn answer_with_secret(key: &ApiKey, text: &KeyText, now: Timestamp) -> HttpResponse {
    with_headers(HttpResponse::Ok(), key).json(KeyJson::with_secret(key, text, now))
}

fn with_headers(mut response: HttpResponseBuilder, key: &ApiKey) -> HttpResponseBuilder {
    const PRAGMA: HeaderName = HeaderName::from_static("pragma");
    response
        .insert_header((ETAG, etag(key.version)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"));
    response
}
