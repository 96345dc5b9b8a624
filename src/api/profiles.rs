//! `/api/v1/organizations/{org}/profiles`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::fields::{GrantField, ScopeField, given, nullable, requested_grants};
use crate::api::guard::{AdminProfiles, ReadProfiles, WriteKeys};
use crate::api::key_json::{GrantJson, ScopeJson};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::networks::Networks;
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::http::checks::Checks;
use crate::node::Tenant;
use crate::profiles::{self, KeysOfDeletedProfile, NewProfile, ProfileEdit};

const LIST: &str = "/organizations/{org}/profiles";
const ONE: &str = "/organizations/{org}/profiles/{profile}";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, LIST, list)
        .operation("listProfiles", "List access profiles, sorted by name")
        .returns(StatusCode::OK, "The profiles.");
    routes
        .add(Method::POST, LIST, create)
        .operation("createProfile", "Create an access profile, which any number of keys can have")
        .body_required()
        .returns(StatusCode::CREATED, "The profile.");
    routes
        .add(Method::GET, ONE, show)
        .operation("getProfile", "Get an access profile")
        .returns(StatusCode::OK, "The profile.");
    routes
        .add(Method::PATCH, ONE, edit)
        .operation("editProfile", "Edit an access profile. It applies to all keys with it and to their tokens at once")
        .if_match()
        .returns(StatusCode::OK, "The profile.");
    routes
        .add(Method::DELETE, ONE, delete)
        .operation("deleteProfile", "Delete an access profile, if no key has it, or if its keys are moved or revoked")
        .query(
            "move_keys_to",
            "Name of the profile that its keys get first. Their tokens stop working.",
            serde_json::json!({ "type": "string", "maxLength": 40 }),
        )
        .query("revoke_keys", "Whether its keys are revoked first.", serde_json::json!({ "type": "boolean" }))
        .if_match()
        .returns(StatusCode::OK, "The number of keys that were moved or revoked.");
}

/// An access profile: the most that the keys with it can do.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Profile")]
struct ProfileJson {
    /// Its name in keys and in the URL.
    name: String,
    description: String,
    /// Scopes for the default API.
    scopes: Vec<ScopeJson>,
    /// All APIs that it grants.
    apis: Vec<GrantJson>,
    #[schemars(schema_with = "crate::api::openapi::schemas::networks")]
    allowed_cidrs: Networks,
    /// Names of further networks that it allows.
    networks: Vec<String>,
    /// Longest lifetime of tokens; `null` is that of the APIs.
    token_ttl_seconds: Option<u32>,
    /// Number of keys with it, without revoked ones.
    keys: u64,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    version: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewProfile")]
struct CreateBody {
    #[schemars(schema_with = "crate::api::openapi::schemas::slug")]
    name: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::text")]
    description: String,
    /// Scopes for the default API.
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    /// All APIs that it grants. The default API can be listed too, unless `scopes` is given.
    #[serde(default, deserialize_with = "given")]
    apis: Option<Vec<GrantField>>,
    #[serde(default)]
    allowed_cidrs: Vec<String>,
    /// Names of further networks that it allows.
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_ttl")]
    token_ttl_seconds: Option<u32>,
}

/// Fields of an edit. Also the body of a request for its impact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProfileEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    /// Scopes for the default API.
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    /// All APIs that it grants. The default API can be listed too, unless `scopes` is given.
    #[serde(default, deserialize_with = "given")]
    apis: Option<Vec<GrantField>>,
    #[serde(default, deserialize_with = "given")]
    allowed_cidrs: Option<Vec<String>>,
    /// Names of further networks that it allows; replaces all of them.
    #[serde(default, deserialize_with = "given")]
    networks: Option<Vec<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::token_ttl")]
    token_ttl_seconds: Option<Option<u32>>,
}

impl EditBody {
    pub(super) fn read(self) -> Result<ProfileEdit, Problem> {
        let mut checks = Checks::default();
        if let Some(description) = &self.description {
            checks.text("description", description);
        }
        let edit = ProfileEdit {
            description: self.description,
            grants: requested_grants(&mut checks, self.scopes, self.apis),
            networks: self.allowed_cidrs.map(|list| checks.networks(&list)),
            named_networks: self.networks.map(|names| checks.names("networks", &names)),
            token_ttl_seconds: self.token_ttl_seconds,
        };
        checks.done()?;
        Ok(edit)
    }
}

async fn list(call: Call<ReadProfiles>) -> Result<Reply<ListJson<ProfileJson>>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let keys = profiles::key_counts(call.node(), call.organization()).await?;
    let count =
        |profile: &Profile| keys.iter().find(|(name, _)| *name == profile.name).map_or(0, |(_, number)| *number);
    Ok(ListJson::all(tenant.shared.profiles().map(|profile| json(&tenant, profile, count(profile)))))
}

async fn show(call: Call<ReadProfiles>) -> Result<Reply<ProfileJson>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let profile = profiles::find(&tenant, &profile_name(&call)?)?;
    reply(&call, profile).await
}

async fn create(call: Call<AdminProfiles>, body: CreateBody) -> Result<Reply<ProfileJson>, Problem> {
    let mut checks = Checks::default();
    checks.text("description", &body.description);
    let name = checks.slug("name", &body.name);
    let grants = requested_grants(&mut checks, body.scopes, body.apis);
    let networks = checks.networks(&body.allowed_cidrs);
    let named_networks = checks.names("networks", &body.networks);
    checks.done()?;
    let Some(name) = name else { return Err(Problem::not_found()) };
    let (description, token_ttl_seconds) = (body.description, body.token_ttl_seconds);
    let new = NewProfile { name, description, grants, networks, named_networks, token_ttl_seconds };
    let profile = profiles::create(call.node(), call.organization(), &call.by(), new).await?;
    let location = call.location(&format!("/organizations/{}/profiles/{}", profile.organization, profile.name));
    Ok(reply(&call, &profile).await?.location(location))
}

async fn edit(call: Call<AdminProfiles>, body: EditBody) -> Result<Reply<ProfileJson>, Problem> {
    let (node, organization, name) = (call.node(), call.organization(), profile_name(&call)?);
    let profile = profiles::edit(node, organization, &call.by(), &name, call.if_match, body.read()?).await?;
    reply(&call, &profile).await
}

/// The effect of deleting a profile.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeletedProfile")]
struct DeletedJson {
    /// Number of keys that were moved to another profile or revoked.
    changed_keys: u64,
}

async fn delete(call: Call<AdminProfiles>) -> Result<Reply<DeletedJson>, Problem> {
    let (move_to, revokes) = call.query(|query| {
        let move_to = query.parse("move_keys_to", "the name of a profile", Slug::parse);
        (move_to, query.flag("revoke_keys"))
    })?;
    let keys = match (move_to, revokes) {
        (None, false) => KeysOfDeletedProfile::None,
        (Some(to), false) => KeysOfDeletedProfile::MoveTo(to),
        (None, true) => KeysOfDeletedProfile::Revoke,
        (Some(_), true) => {
            return Err(Problem::invalid_field("move_keys_to", "cannot be combined with revoke_keys"));
        }
    };
    if keys != KeysOfDeletedProfile::None {
        call.check::<WriteKeys>()?;
    }
    let (node, organization, name) = (call.node(), call.organization(), profile_name(&call)?);
    let changed_keys = profiles::delete(node, organization, &call.by(), &name, call.if_match, &keys).await?;
    Ok(Reply::new(DeletedJson { changed_keys }))
}

pub(super) fn profile_name<P>(call: &Call<P>) -> Result<Slug, Problem> {
    call.path("profile", Slug::parse)
}

async fn reply<P>(call: &Call<P>, profile: &Profile) -> Result<Reply<ProfileJson>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let keys = profiles::key_count(call.node(), call.organization(), &profile.name).await?;
    Ok(Reply::new(json(&tenant, profile, keys)).version(profile.version))
}

fn json(tenant: &Tenant, profile: &Profile, keys: u64) -> ProfileJson {
    ProfileJson {
        name: profile.name.to_string(),
        description: profile.description.clone(),
        scopes: ScopeJson::list(profile.grants.of_default_api()),
        apis: profile.grants.iter().filter_map(|grant| GrantJson::new(grant, &tenant.apis)).collect(),
        allowed_cidrs: profile.networks.clone(),
        networks: profile.named_networks.iter().map(Slug::to_string).collect(),
        token_ttl_seconds: profile.token_ttl_seconds,
        keys,
        created_at: rfc3339(profile.created_at),
        version: profile.version,
    }
}
