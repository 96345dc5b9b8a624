//! Named networks: the list, a network's page, and creating, editing and deleting one. Paths are as those of `profiles`.

mod change;
mod delete;
mod form;
mod list;
mod show;

use std::sync::Arc;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::domain::profile::{NamedNetwork, Profile, SharedAccess};
use crate::domain::slug::Slug;
use crate::node::Tenant;
use crate::profiles;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/networks", [get(list::list)]))
        .service(resource("/networks/new", [get(change::new), submit(change::create)]))
        .service(resource("/networks/named/{name}", [get(show::show)]))
        .service(resource("/networks/named/{name}/edit", [get(change::ask), submit(change::edit)]))
        .service(resource("/networks/named/{name}/delete", [get(delete::ask), submit(delete::delete)]));
}

/// Returns the organization's current state and the network with the name from the path.
async fn find<P>(visit: &ConsoleRequest<P>, name: &str) -> Result<(Arc<Tenant>, NamedNetwork), ErrorPage> {
    let name = Slug::parse(name).ok_or_else(ErrorPage::not_found)?;
    let tenant = profiles::read(visit.node(), visit.organization()).await?;
    let network = profiles::find_network(&tenant, &name)?.clone();
    Ok((tenant, network))
}

/// Returns the number of keys that refer to a network themselves.
async fn number_of_keys<P>(visit: &ConsoleRequest<P>, name: &Slug) -> Result<u64, ErrorPage> {
    let keys = profiles::network_key_counts(visit.node(), visit.organization()).await?;
    Ok(count_of(&keys, name))
}

fn count_of(keys: &[(Slug, u64)], name: &Slug) -> u64 {
    keys.iter().find(|(known, _)| known == name).map_or(0, |(_, number)| *number)
}

/// Returns the names of the profiles that refer to a network.
fn profiles_with(shared: &SharedAccess, network: &Slug) -> Vec<Slug> {
    let refers = |profile: &&Profile| profile.named_networks.contains(network);
    shared.profiles().filter(refers).map(|profile| profile.name.clone()).collect()
}

/// The path below `/console` of a network.
fn path(network: &Slug) -> String {
    format!("/networks/named/{network}")
}

/// The path below `/console` of the keys that refer to a network themselves.
fn keys_path(network: &Slug) -> String {
    format!("/keys?status=all&owner=any&network={network}")
}
