//! Access profiles: the list, a profile's page, and creating, editing and deleting one.
//!
//! `review.rs` and `order.rs` also serve `networks`. Pages of a profile are below `named`, so that a profile can be named `new`.

mod change;
mod delete;
mod form;
mod list;
mod order;
mod review;
mod show;

use std::sync::Arc;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::format_count;
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::node::Tenant;
use crate::profiles;

pub(super) use form::{describe, name_field};
pub(super) use order::{Order, Sorting};
pub(super) use review::{Reviewed, SharedReview};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/profiles", [get(list::list)]))
        .service(resource("/profiles/new", [get(change::new), submit(change::create)]))
        .service(resource("/profiles/named/{name}", [get(show::show)]))
        .service(resource("/profiles/named/{name}/edit", [get(change::ask), submit(change::edit)]))
        .service(resource("/profiles/named/{name}/delete", [get(delete::ask), submit(delete::delete)]));
}

/// Returns the organization's current state and the profile with the name from the path.
async fn find<P>(visit: &ConsoleRequest<P>, name: &str) -> Result<(Arc<Tenant>, Profile), ErrorPage> {
    let name = Slug::parse(name).ok_or_else(ErrorPage::not_found)?;
    let tenant = profiles::read(visit.node(), visit.organization()).await?;
    let profile = profiles::find(&tenant, &name)?.clone();
    Ok((tenant, profile))
}

/// The path below `/console` of a profile.
fn path(profile: &Slug) -> String {
    format!("/profiles/named/{profile}")
}

/// The path below `/console` of the keys with a profile.
fn keys_path(profile: &Slug) -> String {
    format!("/keys?status=all&owner=any&profile={profile}")
}

/// Formats a number of keys.
pub(super) fn counted(keys: u64) -> String {
    format!("{} {}", format_count(keys), if keys == 1 { "key" } else { "keys" })
}
