//! A profile's page: what it allows, the keys that have it, and its changes.

use actix_web::web;
use askama::Template;

use crate::console::audit::Trail;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::Granted;
use crate::console::policy::format_seconds;
use crate::console::profiles::{find, keys_path};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Moment, format_count};
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::http::permission::{AdminProfiles, ReadKeys, ReadProfiles, WriteKeys};
use crate::profiles;
use crate::store::action;

#[derive(Template)]
#[template(path = "console/profiles/show.html")]
struct Page {
    frame: Frame,
    profile: Profile,
    scopes: Granted,
    /// The addresses in effect, with those of the named networks.
    networks: Vec<String>,
    is_nowhere: bool,
    lifetime: Option<String>,
    keys: String,
    keys_path: String,
    is_unused: bool,
    created: Moment,
    may_change: bool,
    may_see_keys: bool,
    may_create_keys: bool,
    trail: Option<Trail>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (tenant, profile) = find(&visit, &name).await?;
    let keys = profiles::key_count(visit.node(), visit.organization(), &profile.name).await?;
    let networks = tenant.shared.addresses_of_profile(&profile.name);
    page(&Page {
        frame: visit.frame(Section::Profiles, format!("Profile {}", profile.name)),
        scopes: Granted::new(&profile.grants, &tenant.apis),
        is_nowhere: networks.is_none(),
        networks: networks.to_strings(),
        lifetime: profile.token_ttl_seconds.map(format_seconds),
        keys: format_count(keys),
        keys_path: keys_path(&profile.name),
        is_unused: keys == 0,
        created: Moment::from_now(profile.created_at, visit.now),
        may_change: visit.may::<AdminProfiles>(),
        may_see_keys: visit.may::<ReadKeys>(),
        may_create_keys: visit.may::<WriteKeys>() && visit.who.member.role >= tenant.organization.policy.create_role,
        trail: Trail::of_named(
            &visit,
            [action::PROFILE_CREATE, action::PROFILE_EDIT, action::PROFILE_DELETE],
            &profile.name,
        )
        .await?,
        profile,
    })
}

impl Page {
    fn named(&self) -> &[Slug] {
        &self.profile.named_networks
    }
}
