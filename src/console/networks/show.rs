//! A named network's page: its addresses, the keys and profiles that refer to it, and its changes.

use actix_web::web;
use askama::Template;
use ipnet::IpNet;

use crate::console::audit::Trail;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::networks::{find, keys_path, number_of_keys, profiles_with};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Moment, format_count};
use crate::domain::profile::NamedNetwork;
use crate::domain::slug::Slug;
use crate::http::permission::{AdminProfiles, ReadKeys, ReadProfiles};
use crate::store::action;

#[derive(Template)]
#[template(path = "console/networks/show.html")]
struct Page {
    frame: Frame,
    network: NamedNetwork,
    cidrs: Vec<String>,
    excluded: Vec<String>,
    /// The networks that are left without the excluded ones.
    addresses: Vec<String>,
    profiles: Vec<Slug>,
    keys: String,
    keys_path: String,
    created: Moment,
    may_change: bool,
    may_see_keys: bool,
    trail: Option<Trail>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (tenant, network) = find(&visit, &name).await?;
    let keys = number_of_keys(&visit, &network.name).await?;
    page(&Page {
        frame: visit.frame(Section::Profiles, format!("Network {}", network.name)),
        cidrs: network.cidrs.to_strings(),
        excluded: network.excluded.iter().map(IpNet::to_string).collect(),
        addresses: network.addresses().to_strings(),
        profiles: profiles_with(&tenant.shared, &network.name),
        keys: format_count(keys),
        keys_path: keys_path(&network.name),
        created: Moment::from_now(network.created_at, visit.now),
        may_change: visit.may::<AdminProfiles>(),
        may_see_keys: visit.may::<ReadKeys>(),
        trail: Trail::of_named(
            &visit,
            [action::NETWORK_CREATE, action::NETWORK_EDIT, action::NETWORK_DELETE],
            &network.name,
        )
        .await?,
        network,
    })
}
