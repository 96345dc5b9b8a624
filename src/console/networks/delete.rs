//! Deleting a named network. It must be taken out of keys and profiles first: a key without another network would be open to
//! every address.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::version;
use crate::console::networks::{find, keys_path, number_of_keys, profiles_with};
use crate::console::profiles::counted;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::domain::slug::Slug;
use crate::http::permission::AdminProfiles;
use crate::profiles;

#[derive(Template)]
#[template(path = "console/networks/delete.html")]
struct Page {
    frame: Frame,
    name: Slug,
    version: u64,
    keys: u64,
    counted: String,
    keys_path: String,
    profiles: Vec<Slug>,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (tenant, network) = find(&visit, &name).await?;
    let keys = number_of_keys(&visit, &network.name).await?;
    page(&Page {
        frame: visit.frame(Section::Profiles, "Delete network"),
        version: network.version,
        keys,
        counted: counted(keys),
        keys_path: keys_path(&network.name),
        profiles: profiles_with(&tenant.shared, &network.name),
        name: network.name,
    })
}

pub(super) async fn delete(submitted: Submitted<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (_, network) = find(&visit, &name).await?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    profiles::delete_network(node, organization, &by, &network.name, Some(version(&form)?)).await?;
    visit.done("/networks", "Network deleted.")
}
