//! Disabling, enabling and revoking a key, each after a confirmation.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::{display_name, find, may_change, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Field, Moment};
use crate::http::checks::Checks;
use crate::http::permission::WriteKeys;
use crate::keys;

#[derive(Template)]
#[template(path = "console/keys/state.html")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    version: u64,
    change: String,
    reason: Field,
    last_used: Option<Moment>,
}

/// Shows the confirmation.
pub(super) async fn show(
    visit: ConsoleRequest<WriteKeys>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    let (id, change) = path.into_inner();
    let key = find(&visit, &id).await?;
    if !may_change(&visit, &key) {
        return Err(ErrorPage::not_permitted("You can only manage your own keys. Ask the owner or an admin."));
    }
    let title = match change.as_str() {
        "disable" => "Disable key?",
        "enable" => "Enable key?",
        _ => "Revoke key?",
    };
    page(&Page {
        frame: visit.frame(Section::Keys, title),
        id,
        name: display_name(&key),
        version: key.version,
        change,
        reason: Field::text("reason", "Reason", "")
            .hint("Optional. Saved with the key and in the audit log.")
            .max_length(1000),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now)),
    })
}

/// Applies the change.
pub(super) async fn send(
    submitted: Submitted<WriteKeys>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, change) = path.into_inner();
    let key = find(&visit, &id).await?.id;
    let reason = form.value("reason").map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
    let mut checks = Checks::default();
    checks.text("reason", reason.as_deref().unwrap_or_default());
    checks.done().map_err(ErrorPage::invalid)?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    // A leaked key must be stoppable even if someone else has just edited it, so only enabling checks the version.
    let (seen, done) = (version(&form)?, done_code(&change));
    match change.as_str() {
        "disable" => keys::disable(node, organization, &by, &key, None).await?,
        "enable" => keys::enable(node, organization, &by, &key, Some(seen)).await?,
        _ => keys::revoke(node, organization, &by, &key, None, reason).await?,
    };
    Ok(Reply::see_other(visit.path(&format!("/keys/{id}?done={done}"))))
}

fn done_code(change: &str) -> &'static str {
    match change {
        "disable" => "disabled",
        "enable" => "enabled",
        _ => "revoked",
    }
}
