//! The list of named networks.

use actix_web::HttpRequest;
use askama::Template;
use ipnet::IpNet;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::networks::{count_of, keys_path, profiles_with};
use crate::console::profiles::{Order, Sorting};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::format_count;
use crate::domain::profile::{MAX_NAMED_NETWORKS, NamedNetwork};
use crate::domain::slug::Slug;
use crate::http::permission::{AdminProfiles, ReadKeys, ReadProfiles};
use crate::profiles;

/// Maximum number of displayed entries of a network.
const SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "console/networks/list.html")]
struct Page {
    frame: Frame,
    head: Sorting,
    rows: Vec<Row>,
    may_change: bool,
    may_see_keys: bool,
    is_full: bool,
}

struct Row {
    name: Slug,
    description: String,
    cidrs: Vec<String>,
    more: usize,
    excluded: Vec<String>,
    profiles: Vec<Slug>,
    number_of_keys: u64,
    keys: String,
    keys_path: String,
}

pub(super) async fn list(visit: ConsoleRequest<ReadProfiles>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let tenant = profiles::read(visit.node(), visit.organization()).await?;
    let keys = profiles::network_key_counts(visit.node(), visit.organization()).await?;
    let row = |network: &NamedNetwork| {
        let cidrs = network.cidrs.to_strings();
        let number_of_keys = count_of(&keys, &network.name);
        Row {
            name: network.name.clone(),
            description: network.description.clone(),
            more: cidrs.len().saturating_sub(SHOWN) + network.excluded.len().saturating_sub(SHOWN),
            cidrs: cidrs.into_iter().take(SHOWN).collect(),
            excluded: network.excluded.iter().take(SHOWN).map(IpNet::to_string).collect(),
            profiles: profiles_with(&tenant.shared, &network.name),
            number_of_keys,
            keys: format_count(number_of_keys),
            keys_path: keys_path(&network.name),
        }
    };
    let order = Order::of_request(&request);
    let mut rows: Vec<Row> = tenant.shared.networks().map(row).collect();
    order.sort(&mut rows, |row| (&row.name, row.number_of_keys));
    page(&Page {
        head: order.head(&visit.path("/networks")),
        may_change: visit.may::<AdminProfiles>(),
        may_see_keys: visit.may::<ReadKeys>(),
        is_full: rows.len() >= MAX_NAMED_NETWORKS,
        rows,
        frame: visit.frame(Section::Profiles, "Networks"),
    })
}
