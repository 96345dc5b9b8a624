//! APIs: the list, an API's page, and creating, editing and deleting one. Paths have the ID of an API, which stays the same when
//! it is renamed.

mod change;
mod delete;
mod form;
mod show;

use std::sync::Arc;

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::policy::format_seconds;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::format_count;
use crate::domain::apis::{Api, ApiId, MAX_APIS, ServedApi};
use crate::domain::choices::ScopeStyle;
use crate::http::permission::{AdminApis, ReadApis};
use crate::node::Tenant;
use crate::organizations;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/apis", [get(list), submit(change::create)]))
        .service(resource("/apis/new", [get(change::new)]))
        .service(resource("/apis/{id}", [get(show::show), submit(change::edit)]))
        .service(resource("/apis/{id}/edit", [get(change::ask)]))
        .service(resource("/apis/{id}/delete", [get(delete::ask), submit(delete::delete)]));
}

#[derive(Template)]
#[template(path = "console/apis/list.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    may_change: bool,
    is_full: bool,
    /// Whether the default API is the only one.
    is_only_default: bool,
}

struct Row {
    id: String,
    name: String,
    description: String,
    is_default: bool,
    audience: String,
    style: &'static str,
    /// The number of scopes. `None` if every scope is allowed.
    scopes: Option<usize>,
    lifetime: String,
    keys: String,
    keys_path: String,
}

async fn list(visit: ConsoleRequest<ReadApis>) -> Result<Reply, ErrorPage> {
    let tenant = organizations::read_apis(visit.node(), visit.organization()).await?;
    let keys = organizations::keys_of_apis(visit.node(), visit.organization()).await?;
    let row = |served: &ServedApi| {
        let api = &served.api;
        Row {
            id: api.id.to_string(),
            name: api.name.to_string(),
            description: api.description.clone(),
            is_default: api.is_default(),
            audience: served.audience.clone(),
            style: style_name(api.style),
            scopes: (!allows_every_scope(api)).then_some(api.scopes.len()),
            lifetime: format_seconds(served.ttl_seconds),
            keys: format_count(number_of_keys(&keys, api.id)),
            keys_path: keys_path(api),
        }
    };
    page(&Page {
        rows: tenant.apis.iter().map(row).collect(),
        may_change: visit.may::<AdminApis>(),
        is_full: tenant.apis.len() >= MAX_APIS,
        is_only_default: tenant.apis.len() == 1,
        frame: visit.frame(Section::Apis, "APIs"),
    })
}

/// Returns the organization's current state and the API with the ID from the path.
async fn find<P>(visit: &ConsoleRequest<P>, id: &str) -> Result<(Arc<Tenant>, ServedApi), ErrorPage> {
    let id = ApiId::parse(id).ok_or_else(ErrorPage::not_found)?;
    let tenant = organizations::read_apis(visit.node(), visit.organization()).await?;
    let served = tenant.apis.iter().find(|served| served.api.id == id).cloned();
    Ok((tenant, served.ok_or_else(ErrorPage::not_found)?))
}

/// Returns the number of keys that are granted an API.
fn number_of_keys(keys: &[(ApiId, u64)], api: ApiId) -> u64 {
    keys.iter().find(|(id, _)| *id == api).map_or(0, |(_, number)| *number)
}

/// The path below `/console` of the keys that are granted an API.
fn keys_path(api: &Api) -> String {
    format!("/keys?status=all&owner=any&api={}", api.name)
}

fn allows_every_scope(api: &Api) -> bool {
    api.style == ScopeStyle::Filters && api.scopes.is_empty()
}

fn style_name(style: ScopeStyle) -> &'static str {
    match style {
        ScopeStyle::Plain => "Plain",
        ScopeStyle::Filters => "Filters",
    }
}
