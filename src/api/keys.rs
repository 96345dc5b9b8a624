//! `/api/v1/organizations/{org}/keys`.

use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderName, IF_MATCH, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use crate::api::body;
use crate::api::fields::{Checks, ScopeField, nullable};
use crate::api::guard::{Guarded, ReadKeys, WriteKeys};
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::domain::api_key::{ApiKey, Edit, Status};
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::member::MemberId;
use crate::domain::timestamp::Timestamp;
use crate::http::context::HttpContext;
use crate::keys::{self, NewKey, RotateKey};
use crate::store::KeyFilter;

type Context = web::Data<HttpContext>;

/// Longest grace that a policy may allow: ten years.
const MAX_GRACE: u32 = 3660 * 86_400;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<String>>,
    expires_in_seconds: Option<i64>,
    #[serde(default)]
    scopes: Vec<ScopeField>,
    #[serde(default)]
    allowed_cidrs: Option<Vec<String>>,
    owner: Option<String>,
}

async fn create(
    guarded: Guarded<WriteKeys>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body: CreateBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    checks.name(&body.name);
    checks.text("description", &body.description);
    let new = NewKey {
        name: body.name,
        description: body.description,
        owner: None,
        scopes: checks.scopes(&body.scopes),
        networks: checks.networks(&body.allowed_cidrs.unwrap_or_default()),
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, guarded.now).flatten(),
    };
    checks.done()?;
    let owner = body.owner.map(MemberId);
    let (organization, by, now) = (guarded.organization(), guarded.by(), guarded.now);
    let node = context.node.clone();
    let made = context.node.run_to_end(async move {
        let new = NewKey { owner: keys::owner(&node, &organization, owner).await?, ..new };
        keys::create(&node, &organization, &by, new).await
    });
    let (key, text) = made.await?;
    let location = format!("/api/v1/organizations/{}/keys/{}", key.organization, key.id);
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, location));
    Ok(answer_with_secret(response, &key, &text, now))
}

async fn show(
    guarded: Guarded<ReadKeys>,
    context: Context,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let key = keys::find(&context.node, &guarded.organization(), &key_id(&path.1)?).await?;
    Ok(answer(&key, guarded.now))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<String>>,
    expires_in_seconds: Option<i64>,
    scopes: Option<Vec<ScopeField>>,
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
        scopes: body.scopes.map(|scopes| checks.scopes(&scopes)),
        networks: body.allowed_cidrs.map(|list| checks.networks(&list)),
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, guarded.now),
    };
    checks.done()?;
    let (organization, by, node) = (guarded.organization(), guarded.by(), context.node.clone());
    let edited =
        context.node.run_to_end(async move { keys::edit(&node, &organization, &by, &id, version, edit).await });
    Ok(answer(&edited.await?, guarded.now))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<String>>,
    expires_in_seconds: Option<i64>,
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
    let body: RotateBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    if let Some(name) = &body.name {
        checks.name(name);
    }
    let wish = RotateKey {
        name: body.name,
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, guarded.now),
        grace_seconds: checks.bounded("grace_seconds", body.grace_seconds, 0, MAX_GRACE),
    };
    checks.done()?;
    let (organization, by, node) = (guarded.organization(), guarded.by(), context.node.clone());
    let rotated =
        context.node.run_to_end(async move { keys::rotate(&node, &organization, &by, &id, version, wish).await });
    let (key, text) = rotated.await?;
    Ok(answer_with_secret(HttpResponse::Ok(), &key, &text, guarded.now))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeBody {
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoBody {}

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
    let (organization, by, node) = (guarded.organization(), guarded.by(), context.node.clone());
    let revoked =
        context.node.run_to_end(async move { keys::revoke(&node, &organization, &by, &id, version, reason).await });
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
    let (organization, by, node) = (guarded.organization(), guarded.by(), context.node.clone());
    let disabled = context.node.run_to_end(async move { keys::disable(&node, &organization, &by, &id, version).await });
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
    let (organization, by, node) = (guarded.organization(), guarded.by(), context.node.clone());
    let enabled = context.node.run_to_end(async move { keys::enable(&node, &organization, &by, &id, version).await });
    Ok(answer(&enabled.await?, guarded.now))
}

async fn list(guarded: Guarded<ReadKeys>, context: Context, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let filter = list_filter(&request, &guarded)?;
    let page = keys::list(&context.node, filter).await?;
    let items: Vec<_> = page.keys.iter().map(|key| KeyJson::new(key, guarded.now)).collect();
    let next = page.keys.last().filter(|_| page.more).map(cursor);
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "items": items, "next_cursor": next })))
}

fn list_filter(request: &HttpRequest, guarded: &Guarded<ReadKeys>) -> Result<KeyFilter, Problem> {
    let mut filter = KeyFilter {
        organization: guarded.organization(),
        status: None,
        now: guarded.now,
        search: None,
        owner: None,
        after: None,
        limit: 50,
    };
    let query = crate::http::form::Form::parse(request.query_string().as_bytes())
        .map_err(|error| Problem::invalid_field("query", error.to_string()))?;
    for name in query.names() {
        let value = query.value(name).unwrap_or_default();
        if query.values(name).count() > 1 {
            return Err(Problem::invalid_field(known(name), "given more than once"));
        }
        match name {
            "status" if value == "all" => {}
            "status" => {
                let status = Status::ALL.into_iter().find(|status| status.as_str() == value);
                filter.status = Some(status.ok_or_else(|| {
                    Problem::invalid_field("status", "allowed is all, active, expired, disabled and revoked")
                })?);
            }
            "search" if value.chars().count() <= 100 => filter.search = Some(value.to_owned()),
            "search" => return Err(Problem::invalid_field("search", "too long; at most 100 characters are allowed")),
            "owner" => filter.owner = Some(MemberId(value.to_owned())),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=200).contains(limit));
                filter.limit = limit.ok_or_else(|| Problem::invalid_field("limit", "allowed is 1 to 200"))?;
            }
            "sort" if value == "-created_at" => {}
            "sort" => return Err(Problem::invalid_field("sort", "allowed is -created_at, newest first")),
            "cursor" => {
                let after = read_cursor(value);
                filter.after = Some(
                    after.ok_or_else(|| Problem::invalid_field("cursor", "not one that a list gave as next_cursor"))?,
                );
            }
            other => {
                return Err(Problem::invalid_field(
                    known(other),
                    "allowed is status, search, owner, sort, limit and cursor",
                ));
            }
        }
    }
    Ok(filter)
}

fn known(name: &str) -> &str {
    if ["status", "search", "owner", "sort", "limit", "cursor"].contains(&name) { name } else { "query" }
}

fn cursor(key: &ApiKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}", key.created_at.as_millis(), key.id))
}

fn read_cursor(text: &str) -> Option<(Timestamp, KeyId)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.split_once('.')?;
    Some((Timestamp::from_millis(at.parse().ok()?), KeyId::parse(id)?))
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    KeyId::parse(text).ok_or_else(Problem::not_found)
}

/// The version in `If-Match` (RFC 9110 §13.1.1); `*` and absence are any. A tag that is none of ours
/// matches nothing, and of several the newest counts. Proxies that compress make tags weak.
pub(super) fn if_match(request: &HttpRequest) -> Option<u64> {
    let texts: Vec<&str> =
        request.headers().get_all(IF_MATCH).map(|value| value.to_str().unwrap_or_default()).collect();
    let tags: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    if tags.is_empty() || tags.contains(&"*") {
        return None;
    }
    let version = |tag: &&str| -> Option<u64> {
        let tag = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        tag.parse().ok().filter(|version: &u64| version.to_string() == tag)
    };
    Some(tags.iter().filter_map(version).max().unwrap_or(u64::MAX))
}

fn answer(key: &ApiKey, now: Timestamp) -> HttpResponse {
    with_headers(HttpResponse::Ok(), key).json(KeyJson::new(key, now))
}

fn answer_with_secret(response: HttpResponseBuilder, key: &ApiKey, text: &KeyText, now: Timestamp) -> HttpResponse {
    with_headers(response, key).json(KeyJson::with_secret(key, text, now))
}

fn with_headers(mut response: HttpResponseBuilder, key: &ApiKey) -> HttpResponseBuilder {
    const PRAGMA: HeaderName = HeaderName::from_static("pragma");
    response
        .insert_header((ETAG, format!("\"{}\"", key.version)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"));
    response
}
