//! The policy: the current settings, and editing them with a preview of the effect on existing keys.

mod change;
mod form;
mod settings;

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::policy::settings::Group;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::http::form::Form;
use crate::http::permission::{AdminPolicy, ReadPolicy};
use crate::organizations;

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

async fn show(visit: ConsoleRequest<ReadPolicy>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let done = match query.value("done") {
        Some("changed") => Some("Policy updated."),
        Some("same") => Some("No changes to save."),
        _ => None,
    };
    let organization = organizations::read_policy(visit.node(), visit.organization()).await?;
    page(&Page {
        groups: settings::groups(&organization.policy, &visit.node().settings),
        version: organization.policy_version,
        may_change: visit.may::<AdminPolicy>(),
        frame: visit.frame(Section::Policy, "Policy").done(done),
    })
}
