//! The policy: what is in force, and changing it, with what that would mean to the keys that there are.

mod change;
mod form;
mod settings;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::policy::settings::Group;
use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::http::form::Form;
use crate::http::permission::{AdminPolicy, ReadPolicy};
use crate::organizations;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/policy").route(web::get().to(show)).route(web::post().to(change::submit)))
        .service(web::resource("/policy/change").route(web::get().to(change::show)));
}

#[derive(Template)]
#[template(path = "console/policy/mod.html")]
struct Page {
    frame: Frame,
    groups: Vec<Group>,
    version: u64,
    may_change: bool,
}

async fn show(visit: Visit<ReadPolicy>, request: HttpRequest) -> Result<HttpResponse, Trouble> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let done = match query.value("done") {
        Some("changed") => Some("The policy is in force."),
        Some("same") => Some("Nothing was changed: this policy was in force already."),
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
