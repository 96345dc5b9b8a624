//! `/api/v1/organizations/{org}/networks`.

use actix_web::http::{Method, StatusCode};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::fields::given;
use crate::api::guard::{AdminProfiles, ReadProfiles};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::networks::Networks;
use crate::domain::profile::{NamedNetwork, SharedAccess};
use crate::domain::slug::Slug;
use crate::http::checks::Checks;
use crate::profiles::{self, NetworkEdit, NewNetwork};

const LIST: &str = "/organizations/{org}/networks";
const ONE: &str = "/organizations/{org}/networks/{network}";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, LIST, list)
        .operation("listNetworks", "List named networks, sorted by name")
        .returns(StatusCode::OK, "The networks.");
    routes
        .add(Method::POST, LIST, create)
        .operation("createNetwork", "Create a named network, which any number of keys and profiles can refer to")
        .body_required()
        .returns(StatusCode::CREATED, "The network.");
    routes
        .add(Method::GET, ONE, show)
        .operation("getNetwork", "Get a named network")
        .returns(StatusCode::OK, "The network.");
    routes
        .add(Method::PATCH, ONE, edit)
        .operation("editNetwork", "Edit a named network. It applies to all keys that refer to it at once")
        .if_match()
        .returns(StatusCode::OK, "The network.");
    routes
        .add(Method::DELETE, ONE, delete)
        .operation("deleteNetwork", "Delete a named network that no key and no profile refers to")
        .if_match()
        .returns(StatusCode::NO_CONTENT, "Deleted.");
}

/// A named network.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Network")]
struct NetworkJson {
    /// Its name in keys and profiles, and in the URL.
    name: String,
    description: String,
    #[schemars(with = "Vec<String>")]
    cidrs: Networks,
    /// Not part of the network, even if `cidrs` contains them.
    excluded_cidrs: Vec<String>,
    /// Number of keys that refer to it themselves, without revoked ones.
    keys: u64,
    /// Names of the profiles that refer to it.
    profiles: Vec<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    version: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewNetwork")]
struct CreateBody {
    #[schemars(schema_with = "crate::api::openapi::schemas::slug")]
    name: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::text")]
    description: String,
    /// At least one network in CIDR notation, or `*`.
    cidrs: Vec<String>,
    /// Not part of the network, even if `cidrs` contains them.
    #[serde(default)]
    excluded_cidrs: Vec<String>,
}

/// Fields of an edit. Also the body of a request for its impact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NetworkEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct EditBody {
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    cidrs: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    excluded_cidrs: Option<Vec<String>>,
}

impl EditBody {
    pub(super) fn read(self) -> Result<NetworkEdit, Problem> {
        let mut checks = Checks::default();
        if let Some(description) = &self.description {
            checks.text("description", description);
        }
        let edit = NetworkEdit {
            description: self.description,
            cidrs: self.cidrs.map(|list| checks.networks_in("cidrs", &list)),
            excluded: self.excluded_cidrs.map(|list| read_excluded(&mut checks, &list)),
        };
        checks.done()?;
        Ok(edit)
    }
}

fn read_excluded(checks: &mut Checks, list: &[String]) -> Vec<IpNet> {
    checks.networks_in("excluded_cidrs", list).iter().collect()
}

async fn list(call: Call<ReadProfiles>) -> Result<Reply<ListJson<NetworkJson>>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let keys = profiles::network_key_counts(call.node(), call.organization()).await?;
    Ok(ListJson::all(tenant.shared.networks().map(|network| json(&tenant.shared, network, &keys))))
}

async fn show(call: Call<ReadProfiles>) -> Result<Reply<NetworkJson>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let network = profiles::find_network(&tenant, &network_name(&call)?)?;
    reply(&call, network).await
}

async fn create(call: Call<AdminProfiles>, body: CreateBody) -> Result<Reply<NetworkJson>, Problem> {
    let mut checks = Checks::default();
    checks.text("description", &body.description);
    let name = checks.slug("name", &body.name);
    let cidrs = checks.networks_in("cidrs", &body.cidrs);
    let excluded = read_excluded(&mut checks, &body.excluded_cidrs);
    checks.done()?;
    let Some(name) = name else { return Err(Problem::not_found()) };
    let new = NewNetwork { name, description: body.description, cidrs, excluded };
    let network = profiles::create_network(call.node(), call.organization(), &call.by(), new).await?;
    let location = call.location(&format!("/organizations/{}/networks/{}", network.organization, network.name));
    Ok(reply(&call, &network).await?.location(location))
}

async fn edit(call: Call<AdminProfiles>, body: EditBody) -> Result<Reply<NetworkJson>, Problem> {
    let (node, organization, name) = (call.node(), call.organization(), network_name(&call)?);
    let network = profiles::edit_network(node, organization, &call.by(), &name, call.if_match, body.read()?).await?;
    reply(&call, &network).await
}

async fn delete(call: Call<AdminProfiles>) -> Result<Reply<()>, Problem> {
    let (node, organization, name) = (call.node(), call.organization(), network_name(&call)?);
    profiles::delete_network(node, organization, &call.by(), &name, call.if_match).await?;
    Ok(Reply::new(()))
}

pub(super) fn network_name<P>(call: &Call<P>) -> Result<Slug, Problem> {
    call.path("network", Slug::parse)
}

async fn reply<P>(call: &Call<P>, network: &NamedNetwork) -> Result<Reply<NetworkJson>, Problem> {
    let tenant = profiles::read(call.node(), call.organization()).await?;
    let keys = profiles::network_key_counts(call.node(), call.organization()).await?;
    Ok(Reply::new(json(&tenant.shared, network, &keys)).version(network.version))
}

fn json(shared: &SharedAccess, network: &NamedNetwork, keys: &[(Slug, u64)]) -> NetworkJson {
    let profiles = shared.profiles().filter(|profile| profile.named_networks.contains(&network.name));
    NetworkJson {
        name: network.name.to_string(),
        description: network.description.clone(),
        cidrs: network.cidrs.clone(),
        excluded_cidrs: network.excluded.iter().map(IpNet::to_string).collect(),
        keys: keys.iter().find(|(name, _)| *name == network.name).map_or(0, |(_, number)| *number),
        profiles: profiles.map(|profile| profile.name.to_string()).collect(),
        created_at: rfc3339(network.created_at),
        version: network.version,
    }
}
