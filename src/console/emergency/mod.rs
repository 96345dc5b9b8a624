//! Emergencies: one page each with a checklist that performs the steps and shows which are done.

mod member;
mod secret;
mod webhook;

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::{Badge, Tone, html};
use crate::http::permission::{AdminMembers, AdminSigningKeys, AdminWebhooks, AnyCredential, ReadKeys};

/// Hours in which a rotation counts as a step of the current emergency.
const RECENT_HOURS: i64 = 24;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/emergency", [get(show)]))
        .service(resource("/emergency/secret", [get(secret::ask), submit(secret::find)]))
        .service(resource("/emergency/secret/{id}", [get(secret::show)]))
        .service(resource("/emergency/secret/{id}/stop", [submit(secret::stop)]))
        .service(resource("/emergency/member", [get(member::ask)]))
        .service(resource("/emergency/member/{id}", [get(member::show)]))
        .service(resource("/emergency/member/{id}/end-sessions", [submit(member::end_sessions)]))
        .service(resource("/emergency/webhook", [get(webhook::ask)]))
        .service(resource("/emergency/webhook/{id}", [get(webhook::show)]))
        .service(resource("/emergency/webhook/{id}/disable", [submit(webhook::disable)]))
        .service(resource("/emergency/webhook/{id}/enable", [submit(webhook::enable)]))
        .service(resource("/emergency/webhook/{id}/redeliver", [submit(webhook::redeliver)]));
}

#[derive(Template)]
#[template(path = "console/emergency/overview.html")]
struct Page {
    frame: Frame,
    may_find: bool,
    manages_members: bool,
    manages_webhooks: bool,
    /// The page that revokes the current signing key.
    signing_key: Option<String>,
}

async fn show(visit: ConsoleRequest<AnyCredential>) -> Result<Reply, ErrorPage> {
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let algorithm = tenant.default_algorithm(visit.now);
    let current = algorithm
        .and_then(|algorithm| tenant.ring.current(visit.now, algorithm))
        .filter(|_| visit.may::<AdminSigningKeys>());
    page(&Page {
        may_find: visit.may::<ReadKeys>(),
        manages_members: visit.may::<AdminMembers>(),
        manages_webhooks: visit.may::<AdminWebhooks>(),
        signing_key: current.map(|key| visit.path(&format!("/signing-keys/{}/revoke", key.kid()))),
        frame: visit.frame(Section::Emergency, "Emergency"),
    })
}

html! { StepHead }

/// The number, title and state of a step.
#[derive(Template, Clone)]
#[template(
    source = r#"<header class="step-head"><span class="step-number" aria-hidden="true">{{ number }}</span><h2>{{ title }}</h2> {{ badge }}</header>"#,
    ext = "html"
)]
struct StepHead {
    number: u8,
    title: &'static str,
    badge: Badge,
}

impl StepHead {
    /// A step that is done or not.
    fn new(number: u8, title: &'static str, is_done: bool) -> Self {
        let badge = if is_done { Badge::new(Tone::Good, "Done") } else { Badge::new(Tone::Warning, "To do") };
        Self { number, title, badge }
    }

    /// A step of which Keyturn cannot know whether it is done.
    fn check(number: u8, title: &'static str) -> Self {
        Self { number, title, badge: Badge::new(Tone::Plain, "Check") }
    }
}
