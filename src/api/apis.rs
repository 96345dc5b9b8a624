//! `/api/v1/organizations/{org}/apis`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::fields::{given, nullable};
use crate::api::guard::{AdminApis, ReadApis};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::apis::{Api, ApiId};
use crate::domain::attribute::Attributes;
use crate::domain::choices::{ScopeStyle, TokenType};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::node::Tenant;
use crate::organizations::{self, ApiEdit, NewApi, ScopeText};

const LIST: &str = "/organizations/{org}/apis";
const ONE: &str = "/organizations/{org}/apis/{api}";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, LIST, list)
        .operation("listApis", "List the APIs that tokens can be for")
        .returns(StatusCode::OK, "The APIs, the default one first.");
    routes
        .add(Method::POST, LIST, create)
        .operation("createApi", "Create an API. Keys must be granted its scopes before they can get tokens for it")
        .body_required()
        .returns(StatusCode::CREATED, "The API.");
    routes.add(Method::GET, ONE, show).operation("getApi", "Get an API").returns(StatusCode::OK, "The API.");
    routes
        .add(Method::PATCH, ONE, edit)
        .operation(
            "editApi",
            "Edit an API. Tokens with scopes or an audience that it no longer has stop working at once",
        )
        .if_match()
        .returns(StatusCode::OK, "The API.");
    routes
        .add(Method::DELETE, ONE, delete)
        .operation("deleteApi", "Delete an API. Its tokens stop working at once. The default API cannot be deleted")
        .if_match()
        .returns(StatusCode::NO_CONTENT, "Deleted.");
}

/// An API (resource server): what tokens are for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Api")]
struct ApiJson {
    /// Its name in grants and in the URL.
    name: String,
    description: String,
    /// The `aud` of its tokens.
    audience: String,
    /// Further audiences that select it. Only the default API has some.
    aliases: Vec<String>,
    /// `plain`: scopes are compared exactly. `filters`: scopes are `action:filter`, and can contain others.
    #[schemars(schema_with = "crate::api::openapi::schemas::scope_style")]
    scope_style: &'static str,
    /// The scopes that it has. For the style `filters`, none means all.
    scopes: Vec<ApiScopeJson>,
    /// The scopes that can be granted to further keys, and narrower ones; `null` is all of them. For the default API, those of
    /// the policy.
    grantable_scopes: Option<Vec<String>>,
    /// Lifetime of its tokens; `null` is the organization's.
    token_ttl_seconds: Option<u32>,
    /// `typ` header of its tokens; `null` is the server's.
    token_typ: Option<&'static str>,
    /// Custom claims of its tokens, besides those of the policy.
    #[schemars(schema_with = "crate::api::openapi::schemas::token_claims")]
    token_claims: Attributes,
    /// Signs its tokens.
    #[schemars(schema_with = "crate::api::openapi::schemas::algorithm")]
    algorithm: &'static str,
    /// A change of the algorithm that has not begun; `null` if there is none.
    next_algorithm: Option<NextAlgorithmJson>,
    is_default: bool,
    /// Number of keys that are granted it, without revoked ones.
    keys: u64,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    version: u64,
}

/// A change of an API's algorithm.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NextAlgorithm")]
struct NextAlgorithmJson {
    #[schemars(schema_with = "crate::api::openapi::schemas::algorithm")]
    algorithm: &'static str,
    /// When it begins to sign. Before, its key is only published.
    #[schemars(extend("format" = "date-time"))]
    from: String,
}

/// A scope of an API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiScope")]
struct ApiScopeJson {
    scope: String,
    description: String,
}

/// A scope of a new or edited API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiScope")]
pub(super) struct ScopeField {
    scope: String,
    #[serde(default)]
    description: String,
}

impl From<ScopeField> for ScopeText {
    fn from(field: ScopeField) -> Self {
        Self { scope: field.scope, description: field.description }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApi")]
struct CreateBody {
    #[schemars(schema_with = "crate::api::openapi::schemas::slug")]
    name: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::text")]
    description: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::audience")]
    audience: String,
    /// `plain` if absent. Cannot be changed later.
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::scope_style")]
    scope_style: Option<String>,
    #[serde(default)]
    scopes: Vec<ScopeField>,
    /// The scopes that can be granted to keys, and narrower ones. All of them if absent.
    #[serde(default)]
    grantable_scopes: Option<Vec<String>>,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_ttl")]
    token_ttl_seconds: Option<u32>,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_typ")]
    token_typ: Option<String>,
    /// Custom claims of its tokens. They replace claims of the policy with the same name.
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_claims")]
    token_claims: Attributes,
    /// Signs its tokens; by default that of the default API.
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::optional_algorithm")]
    algorithm: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct EditBody {
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::slug")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    /// `null` is the audience in the configuration, for the default API only.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_audience")]
    audience: Option<Option<String>>,
    /// Replaces all scopes.
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    /// The scopes that can be granted to further keys, and narrower ones. `null` is all of them.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_scopes")]
    grantable_scopes: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_ttl")]
    token_ttl_seconds: Option<Option<u32>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_typ")]
    token_typ: Option<Option<String>>,
    /// Replaces all custom claims of the API itself.
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_claims")]
    token_claims: Option<Attributes>,
    /// Begins to sign when services that cache the JWKS know its key; earlier tokens stay valid. The current algorithm cancels a
    /// change that has not begun.
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::algorithm")]
    algorithm: Option<String>,
}

async fn list(call: Call<ReadApis>) -> Result<Reply<ListJson<ApiJson>>, Problem> {
    let tenant = organizations::read_apis(call.node(), call.organization()).await?;
    let keys = organizations::keys_of_apis(call.node(), call.organization()).await?;
    Ok(ListJson::all(tenant.apis.iter().map(|served| json(&tenant, &served.api, &keys, call.now))))
}

async fn show(call: Call<ReadApis>) -> Result<Reply<ApiJson>, Problem> {
    let tenant = organizations::read_apis(call.node(), call.organization()).await?;
    let api = organizations::find_api(&tenant, &api_name(&call)?)?.clone();
    reply(&call, &tenant, &api).await
}

async fn create(call: Call<AdminApis>, body: CreateBody) -> Result<Reply<ApiJson>, Problem> {
    let mut checks = Checks::default();
    checks.text("description", &body.description);
    let name = checks.slug("name", &body.name);
    let style = match body.scope_style.as_deref() {
        None => Some(ScopeStyle::Plain),
        Some(text) => checks.choice("scope_style", Some(text)),
    };
    let typ = checks.choice("token_typ", body.token_typ.as_deref());
    let algorithm = checks.choice("algorithm", body.algorithm.as_deref());
    checks.done()?;
    let (Some(name), Some(style)) = (name, style) else { return Err(Problem::not_found()) };
    let new = NewApi {
        name,
        description: body.description,
        audience: body.audience,
        style,
        scopes: body.scopes.into_iter().map(ScopeText::from).collect(),
        grantable: body.grantable_scopes,
        token_ttl_seconds: body.token_ttl_seconds,
        typ,
        token_claims: body.token_claims,
        algorithm,
    };
    let api = organizations::create_api(call.node(), call.organization(), &call.by(), new).await?;
    let location = call.location(&format!("/organizations/{}/apis/{}", api.organization, api.name));
    let tenant = organizations::read_apis(call.node(), call.organization()).await?;
    Ok(reply(&call, &tenant, &api).await?.location(location))
}

async fn edit(call: Call<AdminApis>, body: EditBody) -> Result<Reply<ApiJson>, Problem> {
    let mut checks = Checks::default();
    if let Some(description) = &body.description {
        checks.text("description", description);
    }
    let name = body.name.as_deref().and_then(|text| checks.slug("name", text));
    let typ = body.token_typ.map(|typ| checks.choice("token_typ", typ.as_deref()));
    let algorithm = checks.choice("algorithm", body.algorithm.as_deref());
    checks.done()?;
    let edit = ApiEdit {
        name,
        description: body.description,
        audience: body.audience,
        scopes: body.scopes.map(|scopes| scopes.into_iter().map(ScopeText::from).collect()),
        grantable: body.grantable_scopes,
        token_ttl_seconds: body.token_ttl_seconds,
        typ,
        token_claims: body.token_claims,
        algorithm,
    };
    let (node, organization) = (call.node(), call.organization());
    let api = organizations::edit_api(node, organization, &call.by(), &api_name(&call)?, call.if_match, edit).await?;
    let tenant = organizations::read_apis(node, organization).await?;
    reply(&call, &tenant, &api).await
}

async fn delete(call: Call<AdminApis>) -> Result<Reply<()>, Problem> {
    let (node, organization) = (call.node(), call.organization());
    organizations::delete_api(node, organization, &call.by(), &api_name(&call)?, call.if_match).await?;
    Ok(Reply::new(()))
}

pub(super) fn api_name<P>(call: &Call<P>) -> Result<String, Problem> {
    call.path("api", |text| Slug::parse(text).map(String::from))
}

async fn reply<P>(call: &Call<P>, tenant: &Tenant, api: &Api) -> Result<Reply<ApiJson>, Problem> {
    let keys = organizations::keys_of_apis(call.node(), call.organization()).await?;
    Ok(Reply::new(json(tenant, api, &keys, call.now)).version(api.version))
}

fn json(tenant: &Tenant, api: &Api, keys: &[(ApiId, u64)], now: Timestamp) -> ApiJson {
    let served = tenant.apis.iter().find(|served| served.api.id == api.id);
    let grantable = match api.is_default() {
        true => tenant.organization.policy.grantable_scopes.as_ref(),
        false => api.grantable.as_ref(),
    };
    ApiJson {
        name: api.name.to_string(),
        description: api.description.clone(),
        audience: api.audience.clone().or_else(|| served.map(|served| served.audience.clone())).unwrap_or_default(),
        aliases: served.map(|served| served.aliases.clone()).unwrap_or_default(),
        scope_style: api.style.as_str(),
        scopes: api
            .scopes
            .iter()
            .map(|listed| ApiScopeJson { scope: listed.scope.to_string(), description: listed.description.clone() })
            .collect(),
        grantable_scopes: grantable.map(|list| list.iter().map(ToString::to_string).collect()),
        token_ttl_seconds: api.token_ttl_seconds,
        token_typ: api.typ.map(TokenType::as_str),
        token_claims: api.token_claims.clone(),
        algorithm: api.algorithm.at(now).as_str(),
        next_algorithm: api
            .algorithm
            .pending(now)
            .map(|next| NextAlgorithmJson { algorithm: next.algorithm.as_str(), from: rfc3339(next.from) }),
        is_default: api.is_default(),
        keys: keys.iter().find(|(id, _)| *id == api.id).map_or(0, |(_, number)| *number),
        created_at: rfc3339(api.created_at),
        version: api.version,
    }
}
