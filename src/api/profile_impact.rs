//! The effect of a change of a profile or a named network, before it is made.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::call::Call;
use crate::api::guard::ReadUsage;
use crate::api::impact::ImpactJson;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::api::{networks, profiles as profile_routes};
use crate::domain::apis::{ApiId, api_name};
use crate::domain::networks::Networks;
use crate::domain::scope::Scope;
use crate::node::Tenant;
use crate::profiles;
use crate::usage::{self, SharedChange, SharedImpact};

/// Maximum number of networks in a response.
const MOST_SHOWN: usize = 100;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/profiles/{profile}/impact", of_profile)
        .operation(
            "getProfileImpact",
            "Get what an edit of a profile would change for its keys, and their requests of the last 30 days that it would have \
             denied",
        )
        .returns(StatusCode::OK, "The effect.");
    routes
        .add(Method::POST, "/organizations/{org}/networks/{network}/impact", of_network)
        .operation(
            "getNetworkImpact",
            "Get what an edit of a network would change for its keys, and their requests of the last 30 days from addresses \
             that it would lose",
        )
        .returns(StatusCode::OK, "The effect.");
}

/// The effect on all keys that refer to the profile or network.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SharedImpact")]
struct SharedImpactJson {
    /// Number of keys, without revoked ones.
    keys: u64,
    lost_scopes: Vec<ApiScopeJson>,
    gained_scopes: Vec<ApiScopeJson>,
    /// The first 100 networks that would no longer be allowed, and that would become allowed.
    lost_cidrs: Vec<String>,
    gained_cidrs: Vec<String>,
    /// The lifetime of tokens, if it would become shorter. Older tokens would stop working at once.
    shorter_token_ttl_seconds: Option<u32>,
    /// Successful requests that would have been denied. For a network, other networks of a key can still allow some.
    denied: ImpactJson,
}

/// A scope with its API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScopeOfApi")]
struct ApiScopeJson {
    api: String,
    scope: String,
}

async fn of_profile(call: Call<ReadUsage>, body: profile_routes::EditBody) -> Result<Reply<SharedImpactJson>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let old = profiles::find(&tenant, &profile_routes::profile_name(&call)?)?;
    let new = profiles::preview_edit(&tenant, old, body.read()?)?;
    let change = SharedChange::Profile(Box::new(old.clone()), Box::new(new));
    Ok(Reply::new(json(&tenant, usage::shared_impact(call.node(), &tenant, &change, call.now).await?)))
}

async fn of_network(call: Call<ReadUsage>, body: networks::EditBody) -> Result<Reply<SharedImpactJson>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let old = profiles::find_network(&tenant, &networks::network_name(&call)?)?;
    let new = profiles::preview_network_edit(old, body.read()?)?;
    let change = SharedChange::Network(Box::new(old.clone()), Box::new(new));
    Ok(Reply::new(json(&tenant, usage::shared_impact(call.node(), &tenant, &change, call.now).await?)))
}

fn json(tenant: &Tenant, impact: SharedImpact) -> SharedImpactJson {
    let named = |scopes: Vec<(ApiId, Scope)>| {
        let name = |id| api_name(&tenant.apis, id).map(str::to_owned);
        let json = |(api, scope): (ApiId, Scope)| Some(ApiScopeJson { api: name(api)?, scope: scope.to_string() });
        scopes.into_iter().filter_map(json).collect()
    };
    let cidrs = |networks: Networks| match networks.is_none() {
        true => Vec::new(),
        false => networks.entries().take(MOST_SHOWN).map(|network| network.to_string()).collect(),
    };
    SharedImpactJson {
        keys: impact.keys,
        lost_scopes: named(impact.lost_scopes),
        gained_scopes: named(impact.gained_scopes),
        lost_cidrs: cidrs(impact.lost_networks),
        gained_cidrs: cidrs(impact.gained_networks),
        shorter_token_ttl_seconds: impact.shorter_lifetime,
        denied: ImpactJson::new(impact.denied, &tenant.apis),
    }
}
