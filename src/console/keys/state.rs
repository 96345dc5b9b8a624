//! Disabling, enabling and revoking a key, each after a page that says what that means.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::keys::{find, may_change, name, version};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Field, Moment};
use crate::console::visit::Visit;
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

/// Asks whether it is meant.
pub(super) async fn show(visit: Visit<WriteKeys>, path: web::Path<(String, String)>) -> Result<HttpResponse, Trouble> {
    let (id, change) = path.into_inner();
    let key = find(&visit, &id).await?;
    if !may_change(&visit, &key) {
        return Err(Trouble::beyond("You manage your own keys only. Ask its owner or an admin."));
    }
    let title = match change.as_str() {
        "disable" => "Disable this key?",
        "enable" => "Enable this key?",
        _ => "Revoke this key?",
    };
    page(&Page {
        frame: visit.frame(Section::Keys, title),
        id,
        name: name(&key),
        version: key.version,
        change,
        reason: Field::text("reason", "Reason", "")
            .hint("Optional. It is kept with the key and in the audit log.")
            .most(1000),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now)),
    })
}

/// Does it.
pub(super) async fn send(
    submitted: Submitted<WriteKeys>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (id, change) = path.into_inner();
    let key = find(&visit, &id).await?.id;
    let reason = form.value("reason").map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
    let mut checks = Checks::default();
    checks.text("reason", reason.as_deref().unwrap_or_default());
    checks.done().map_err(Trouble::invalid)?;
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    // Nobody stops a key that leaks because somebody else has just renamed it; only widening looks at the version.
    let (seen, done) = (version(&form)?, done(&change));
    let changed = async move {
        match change.as_str() {
            "disable" => keys::disable(&node, &organization, &by, &key, None).await,
            "enable" => keys::enable(&node, &organization, &by, &key, Some(seen)).await,
            _ => keys::revoke(&node, &organization, &by, &key, None, reason).await,
        }
    };
    visit.node().run_to_end(changed).await?;
    Ok(see_other(&visit.path(&format!("/keys/{id}?done={done}"))))
}

fn done(change: &str) -> &'static str {
    match change {
        "disable" => "disabled",
        "enable" => "enabled",
        _ => "revoked",
    }
}
