//! Revoking one of the customer's keys, after a confirmation.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::page;
use crate::console::keys::display_name;
use crate::console::portal::frame::PortalFrame;
use crate::console::portal::request::{PortalForm, PortalRequest};
use crate::console::reply::Reply;
use crate::console::ui::Moment;
use crate::domain::portal::Capability;

#[derive(Template)]
#[template(path = "console/portal/revoke.html")]
struct Page {
    frame: PortalFrame,
    id: String,
    name: String,
    last_used: Option<Moment>,
}

pub(super) async fn show(visit: PortalRequest, path: web::Path<(String, String)>) -> Result<Reply, ErrorPage> {
    visit.check(Capability::Revoke)?;
    let key = visit.find(&path.1).await?;
    page(&Page {
        frame: visit.frame("Revoke key?"),
        id: key.id.to_string(),
        name: display_name(&key),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now())),
    })
}

pub(super) async fn send(submitted: PortalForm, path: web::Path<(String, String)>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let key = visit.find(&path.1).await?;
    visit.portal.revoke_key(visit.node(), &key.id).await?;
    Ok(visit.go(&format!("/keys/{}", key.id)))
}
