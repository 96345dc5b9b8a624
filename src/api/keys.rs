//! `/api/v1/organizations/{org}/keys`.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::call::Call;
use crate::api::fields::{GrantField, NoBody, ScopeField, given, nullable, requested_grants};
use crate::api::guard::{ReadKeys, WriteKeys};
use crate::api::key_json::KeyJson;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::domain::api_key::{ApiKey, Edit};
use crate::domain::customer::CustomerId;
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::policy::MAX_GRACE_SECONDS;
use crate::domain::slug::Slug;
use crate::http::checks::Checks;
use crate::http::warnings;
use crate::keys::{self, NewKey, RotateKey};

const LIST: &str = "/organizations/{org}/keys";
const ONE: &str = "/organizations/{org}/keys/{id}";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, LIST, create)
        .operation("createKey", "Create an API key. The response contains its secret, which is shown once")
        .idempotency_key()
        .returns(StatusCode::CREATED, "The key with its `secret`.");
    routes.add(Method::GET, ONE, show).operation("getKey", "Get an API key").returns(StatusCode::OK, "The key.");
    routes
        .add(Method::PATCH, ONE, edit)
        .operation("editKey", "Edit an API key. Restrictions take effect at once, for its tokens too")
        .if_match()
        .returns(StatusCode::OK, "The key.");
    routes
        .add(Method::DELETE, ONE, |call: Call<WriteKeys>| transition(call, Transition::Revoke(None)))
        .operation("deleteKey", "Revoke an API key permanently")
        .if_match()
        .returns(StatusCode::OK, "The key.");
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/rotate", rotate)
        .operation("rotateKey", "Give an API key a new secret under the same ID")
        .if_match()
        .idempotency_key()
        .returns(StatusCode::OK, "The key with its new `secret`.");
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/end-grace", |call: Call<WriteKeys>, _: NoBody| {
            transition(call, Transition::EndGrace)
        })
        .operation(
            "endKeyGrace",
            "End the grace period of a rotation. The previous secret and its tokens stop working at once",
        )
        .if_match()
        .returns(StatusCode::OK, "The key.");
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/extend-grace", extend_grace)
        .operation(
            "extendKeyGrace",
            "Extend the grace period of a rotation, up to the policy's maximum and the key's expiry",
        )
        .if_match()
        .body_required()
        .returns(StatusCode::OK, "The key.");
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/revoke", revoke)
        .operation("revokeKey", "Revoke an API key permanently")
        .if_match()
        .returns(StatusCode::OK, "The key.");
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/disable", |call: Call<WriteKeys>, _: NoBody| {
            transition(call, Transition::Disable)
        })
        .operation("disableKey", "Disable an API key. Its tokens stop working at once")
        .if_match()
        .returns(StatusCode::OK, "The key.");
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/enable", |call: Call<WriteKeys>, _: NoBody| {
            transition(call, Transition::Enable)
        })
        .operation("enableKey", "Enable a disabled API key")
        .if_match()
        .returns(StatusCode::OK, "The key.");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
struct CreateBody {
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::name")]
    name: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::text")]
    description: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::metadata")]
    metadata: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::moment")]
    expires_at: Option<Option<String>>,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::lifetime")]
    expires_in_seconds: Option<i64>,
    /// Scopes for the default API.
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    /// All APIs that the key is granted. The default API can be listed too, unless `scopes` is given.
    #[serde(default, deserialize_with = "given")]
    apis: Option<Vec<GrantField>>,
    #[serde(default)]
    allowed_cidrs: Option<Vec<String>>,
    /// Names of further networks that the key can be used from.
    #[serde(default, deserialize_with = "given")]
    networks: Option<Vec<String>>,
    /// Name of the profile that limits the key. Without `scopes` and `apis`, the key has all that the profile grants.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_slug")]
    profile: Option<Option<String>>,
    /// The ID of a member; by default the caller, if it is a member and the key has no customer.
    #[serde(default, deserialize_with = "nullable")]
    owner: Option<Option<String>>,
    /// The ID of the customer whom the key is given to. A key with a customer has no owner.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_customer")]
    customer: Option<Option<String>>,
}

async fn create(call: Call<WriteKeys>, body: CreateBody) -> Result<Reply<KeyJson>, Problem> {
    let mut checks = Checks::default();
    checks.name(&body.name);
    checks.text("description", &body.description);
    let mut new = NewKey {
        name: body.name,
        description: body.description,
        metadata: checks.metadata(body.metadata).unwrap_or_default(),
        owner: None,
        customer: read_customer(&mut checks, body.customer).flatten(),
        grants: requested_grants(&mut checks, body.scopes, body.apis),
        profile: read_profile(&mut checks, body.profile).flatten(),
        networks: checks.networks(body.allowed_cidrs.as_deref().unwrap_or_default()),
        named_networks: checks.names("networks", body.networks.as_deref().unwrap_or_default()),
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, call.now).flatten(),
    };
    checks.done()?;
    let warnings = warnings::of_rights(&new.networks, new.grants.scopes.as_ref());
    let (node, organization) = (call.node(), call.organization());
    new.owner = match body.owner {
        None => None,
        Some(owner) => Some(keys::owner(node, organization, owner.map(MemberId)).await?),
    };
    new.customer = keys::customer(node, organization, new.customer).await?;
    let (key, secret) = keys::create(node, organization, &call.by(), new, call.idempotency.as_ref()).await?;
    let location = call.location(&format!("/organizations/{}/keys/{}", key.organization, key.id));
    let json = KeyJson::with_secret(&key, &secret, &call.apis(), call.now).warned(warnings);
    Ok(Reply::new(json).version(key.version).location(location))
}

async fn show(call: Call<ReadKeys>) -> Result<Reply<KeyJson>, Problem> {
    Ok(reply(&call, &keys::find(call.node(), call.organization(), &call.key_id()?).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct EditBody {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    /// Replaces all pairs.
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::metadata")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::moment")]
    expires_at: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::lifetime")]
    expires_in_seconds: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    /// All APIs that the key is granted. The default API can be listed too, unless `scopes` is given.
    #[serde(default, deserialize_with = "given")]
    apis: Option<Vec<GrantField>>,
    #[serde(default, deserialize_with = "given")]
    allowed_cidrs: Option<Vec<String>>,
    /// Names of further networks that the key can be used from; replaces all of them. Earlier tokens stop working at once.
    #[serde(default, deserialize_with = "given")]
    networks: Option<Vec<String>>,
    /// Name of the profile that limits the key. Earlier tokens stop working at once.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_slug")]
    profile: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    owner: Option<Option<String>>,
    /// The ID of a customer. Earlier tokens of the key stop working at once.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_customer")]
    customer: Option<Option<String>>,
}

/// Reads the ID of a customer. One that has another form is of no customer.
fn read_customer(checks: &mut Checks, customer: Option<Option<String>>) -> Option<Option<CustomerId>> {
    let text = match customer? {
        None => return Some(None),
        Some(text) => text,
    };
    let id = CustomerId::parse(&text);
    if id.is_none() {
        checks.wrong("customer", keys::NO_SUCH_CUSTOMER);
    }
    id.map(Some)
}

/// Reads the name of a profile.
fn read_profile(checks: &mut Checks, profile: Option<Option<String>>) -> Option<Option<Slug>> {
    profile.map(|name| name.and_then(|name| checks.slug("profile", &name)))
}

async fn edit(call: Call<WriteKeys>, body: EditBody) -> Result<Reply<KeyJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    if let Some(name) = &body.name {
        checks.name(name);
    }
    if let Some(description) = &body.description {
        checks.text("description", description);
    }
    let grants = requested_grants(&mut checks, body.scopes, body.apis);
    let mut edit = Edit {
        name: body.name,
        description: body.description,
        metadata: body.metadata.and_then(|pairs| checks.metadata(pairs)),
        grants: None,
        networks: body.allowed_cidrs.map(|list| checks.networks(&list)),
        named_networks: body.networks.map(|names| checks.names("networks", &names)),
        profile: read_profile(&mut checks, body.profile),
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, call.now),
        owner: None,
        customer: read_customer(&mut checks, body.customer),
    };
    checks.done()?;
    edit.owner = match body.owner {
        None => None,
        Some(owner) => Some(keys::owner(call.node(), call.organization(), owner.map(MemberId)).await?),
    };
    if let Some(customer) = edit.customer {
        edit.customer = Some(keys::customer(call.node(), call.organization(), customer).await?);
    }
    let networks = edit.networks.clone().unwrap_or_else(Networks::all);
    let mut warnings = warnings::of_rights(&networks, grants.scopes.as_ref());
    let (key, is_narrower) =
        keys::edit(call.node(), call.organization(), &call.by(), &id, call.if_match, edit, grants).await?;
    warnings.extend(is_narrower.then(warnings::of_narrowing));
    Ok(Reply::new(KeyJson::new(&key, &call.apis(), call.now).warned(warnings)).version(key.version))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyRotation")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct RotateBody {
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

async fn rotate(call: Call<WriteKeys>, body: RotateBody) -> Result<Reply<KeyJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    if let Some(name) = &body.name {
        checks.name(name);
    }
    let rotation = RotateKey {
        name: body.name,
        expires_at: checks.expiry(body.expires_at, body.expires_in_seconds, call.now),
        grace_seconds: checks.bounded("grace_seconds", body.grace_seconds, 0, MAX_GRACE_SECONDS),
    };
    checks.done()?;
    let (node, by, once) = (call.node(), call.by(), call.idempotency.as_ref());
    let (key, secret) = keys::rotate(node, call.organization(), &by, &id, call.if_match, rotation, once).await?;
    Ok(Reply::new(KeyJson::with_secret(&key, &secret, &call.apis(), call.now)).version(key.version))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GraceExtension")]
struct ExtendBody {
    /// Length of the grace period, counted from the rotation.
    #[schemars(schema_with = "crate::api::openapi::schemas::required_grace")]
    grace_seconds: i64,
}

async fn extend_grace(call: Call<WriteKeys>, body: ExtendBody) -> Result<Reply<KeyJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    let seconds = checks.bounded("grace_seconds", Some(body.grace_seconds), 0, MAX_GRACE_SECONDS);
    checks.done()?;
    let (node, by) = (call.node(), call.by());
    let key = keys::extend_grace(node, call.organization(), &by, &id, call.if_match, seconds).await?;
    Ok(reply(&call, &key))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyRevocation")]
struct RevokeBody {
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::reason")]
    reason: Option<String>,
}

async fn revoke(call: Call<WriteKeys>, body: RevokeBody) -> Result<Reply<KeyJson>, Problem> {
    let mut checks = Checks::default();
    checks.text("reason", body.reason.as_deref().unwrap_or_default());
    checks.done()?;
    transition(call, Transition::Revoke(body.reason)).await
}

/// A change of a key's state.
enum Transition {
    Revoke(Option<String>),
    Disable,
    Enable,
    EndGrace,
}

async fn transition(call: Call<WriteKeys>, to: Transition) -> Result<Reply<KeyJson>, Problem> {
    let (node, organization, by, version) = (call.node(), call.organization(), call.by(), call.if_match);
    let id = call.key_id()?;
    let key = match to {
        Transition::Revoke(reason) => keys::revoke(node, organization, &by, &id, version, reason).await?,
        Transition::Disable => keys::disable(node, organization, &by, &id, version).await?,
        Transition::Enable => keys::enable(node, organization, &by, &id, version).await?,
        Transition::EndGrace => keys::end_grace(node, organization, &by, &id, version).await?,
    };
    Ok(reply(&call, &key))
}

fn reply<P>(call: &Call<P>, key: &ApiKey) -> Reply<KeyJson> {
    Reply::new(KeyJson::new(key, &call.apis(), call.now)).version(key.version)
}
