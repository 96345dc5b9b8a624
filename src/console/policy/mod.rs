//! The policy: the current settings, and editing them with a preview of the effect on existing keys.

mod change;
mod form;
mod length;
mod settings;

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::policy::settings::Group;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::http::permission::{AdminPolicy, ReadPolicy};
use crate::organizations;

pub(super) use length::{format_seconds, parse_lifetime};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/policy", [get(show), submit(change::submit)]))
        .service(resource("/policy/change", [get(change::show)]));
}

#[derive(Template)]
#[template(path = "console/policy/show.html")]
struct Page {
    frame: Frame,
    groups: Vec<Group>,
    version: u64,
    may_change: bool,
}

async fn show(visit: ConsoleRequest<ReadPolicy>) -> Result<Reply, ErrorPage> {
    let organization = organizations::read_policy(visit.node(), visit.organization()).await?;
    page(&Page {
        groups: settings::groups(&organization.policy, &visit.node().settings),
        version: organization.policy_version,
        may_change: visit.may::<AdminPolicy>(),
        frame: visit.frame(Section::Policy, "Policy"),
    })
}
