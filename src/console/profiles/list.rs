//! The list of profiles.

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::Granted;
use crate::console::policy::format_seconds;
use crate::console::profiles::{Order, Sorting, keys_path};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::format_count;
use crate::domain::profile::{MAX_PROFILES, Profile};
use crate::domain::slug::Slug;
use crate::http::permission::{AdminProfiles, ReadKeys, ReadProfiles};
use crate::profiles;

/// Maximum number of displayed scopes and networks of a profile.
const SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "console/profiles/list.html")]
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
    scopes: Granted,
    networks: Vec<String>,
    more_networks: usize,
    lifetime: Option<String>,
    number_of_keys: u64,
    keys: String,
    keys_path: String,
}

pub(super) async fn list(visit: ConsoleRequest<ReadProfiles>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let tenant = profiles::read(visit.node(), visit.organization()).await?;
    let keys = profiles::key_counts(visit.node(), visit.organization()).await?;
    let row = |profile: &Profile| {
        let number_of_keys = keys.iter().find(|(name, _)| *name == profile.name).map_or(0, |(_, number)| *number);
        let named = profile.named_networks.iter().map(Slug::to_string);
        let networks: Vec<String> = named.chain(profile.networks.to_strings()).collect();
        Row {
            name: profile.name.clone(),
            description: profile.description.clone(),
            scopes: Granted::new(&profile.grants, &tenant.apis).first(SHOWN),
            more_networks: networks.len().saturating_sub(SHOWN),
            networks: networks.into_iter().take(SHOWN).collect(),
            lifetime: profile.token_ttl_seconds.map(format_seconds),
            number_of_keys,
            keys: format_count(number_of_keys),
            keys_path: keys_path(&profile.name),
        }
    };
    let order = Order::of_request(&request);
    let mut rows: Vec<Row> = tenant.shared.profiles().map(row).collect();
    order.sort(&mut rows, |row| (&row.name, row.number_of_keys));
    page(&Page {
        head: order.head(&visit.path("/profiles")),
        may_change: visit.may::<AdminProfiles>(),
        may_see_keys: visit.may::<ReadKeys>(),
        is_full: rows.len() >= MAX_PROFILES,
        rows,
        frame: visit.frame(Section::Profiles, "Profiles"),
    })
}
