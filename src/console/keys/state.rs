//! Disabling, enabling and revoking a key, each after a confirmation.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::{display_name, find, may_change, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Moment, was_used_recently};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
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
    errors: Errors,
    /// The typed confirmation, to revoke a key that is in use.
    confirmation: Option<Field>,
    can_disable: bool,
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
    page(&build(&visit, &key, change, ("", ""), Errors::default()))
}

/// Applies the change.
pub(super) async fn send(
    submitted: Submitted<WriteKeys>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, change) = path.into_inner();
    let found = find(&visit, &id).await?;
    let key = found.id;
    let typed = form.value("confirmation").unwrap_or_default();
    if change == "revoke" && needs_confirmation(&found, visit.now) && typed.trim() != confirmation_text(&found) {
        let wrong = Violation::new("confirmation", "type the name exactly");
        let errors = Errors::new([wrong], &[("confirmation", "Confirmation")]);
        let typed = (form.value("reason").unwrap_or_default(), typed);
        return invalid_form(&build(&visit, &found, change, typed, errors));
    }
    let reason = form.value("reason").map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
    let mut checks = Checks::default();
    checks.text("reason", reason.as_deref().unwrap_or_default());
    checks.done().map_err(ErrorPage::invalid)?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    // A leaked key must be stoppable even if someone else has just edited it, so only enabling checks the version.
    let seen = version(&form)?;
    match change.as_str() {
        "disable" => keys::disable(node, organization, &by, &key, None).await?,
        "enable" => keys::enable(node, organization, &by, &key, Some(seen)).await?,
        _ => keys::revoke(node, organization, &by, &key, None, reason).await?,
    };
    let message = match change.as_str() {
        "disable" => "Key disabled. The key and its tokens no longer work.",
        "enable" => "Key enabled.",
        _ => "Key revoked. The key and its tokens no longer work.",
    };
    visit.done(&format!("/keys/{id}"), message)
}

/// Whether revoking the key needs a typed confirmation: it works and was used recently.
fn needs_confirmation(key: &ApiKey, now: Timestamp) -> bool {
    key.status(now) == Status::Active && was_used_recently(key.last_used_at, now)
}

/// Returns the text to type: the key's name, or its ID if it has none.
fn confirmation_text(key: &ApiKey) -> String {
    if key.name.trim().is_empty() { key.id.to_string() } else { key.name.trim().to_owned() }
}

fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    change: String,
    (reason, typed): (&str, &str),
    errors: Errors,
) -> Page {
    let title = match change.as_str() {
        "disable" => "Disable key?",
        "enable" => "Enable key?",
        _ => "Revoke key?",
    };
    let needs_confirmation = change == "revoke" && needs_confirmation(key, visit.now);
    Page {
        frame: visit.frame(Section::Keys, title),
        id: key.id.to_string(),
        name: display_name(key),
        version: key.version,
        can_disable: change == "revoke" && key.status(visit.now) == Status::Active,
        change,
        reason: Field::text("reason", "Reason", reason)
            .hint("Optional. Saved with the key and in the audit log.")
            .max_length(1000),
        confirmation: needs_confirmation.then(|| {
            Field::text("confirmation", "Confirmation", typed)
                .hint(format!("The key was used in the last 30 days. Type {} to confirm.", confirmation_text(key)))
                .required(true)
                .errors(&errors)
        }),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now)),
        errors,
    }
}
