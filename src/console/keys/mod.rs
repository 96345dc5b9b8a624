//! API keys: the list, a key's page, and every change to a key.

mod api_fields;
mod changes;
mod create;
mod edit;
mod expiry;
mod explain;
mod form;
mod grace;
mod granted;
mod list;
mod network_fields;
mod owner;
mod preview;
mod rotate;
mod rotation;
mod scope_rows;
mod secret;
mod show;
mod snippets;
mod state;
mod summary;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::http::form::Form;
use crate::http::permission::{Permission, WriteKeys};
use crate::keys;

pub(super) use api_fields::{ApiFields, GRANT, OFFERED, combine, split, without_empty};
pub(super) use changes::{Changes, DeniedRequests};
pub(super) use create::ticket;
pub(super) use expiry::{DaysFrom, ExpiryForm};
pub(super) use explain::Explained;
pub(super) use form::{number_rows, split_entries};
pub(super) use granted::Granted;
pub(super) use network_fields::{NAMED, NetworkFields, NetworkInputs, NetworkTexts};
pub(super) use rotate::{grace_options, needs_expiry};
pub(super) use scope_rows::ScopeRows;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(list::routes)
        .service(resource("/keys/new", [get(create::show), submit(create::send)]))
        .service(resource("/keys/{id}", [get(show::show)]))
        .service(resource("/keys/{id}/edit", [get(edit::show), submit(edit::send)]))
        .service(resource("/keys/{id}/rotate", [get(rotate::show), submit(rotate::send)]))
        .service(resource("/keys/{id}/end-grace", [get(grace::show_end), submit(grace::end)]))
        .service(resource("/keys/{id}/extend-grace", [get(grace::show_extend), submit(grace::extend)]))
        .service(resource("/keys/{id}/explain", [get(explain::show)]))
        .service(resource("/keys/{id}/token-preview", [get(preview::show)]))
        .service(resource("/keys/{id}/{change:disable|enable|revoke}", [get(state::show), submit(state::send)]));
}

/// Returns the key with the ID from the path.
async fn find<P: Permission>(visit: &ConsoleRequest<P>, id: &str) -> Result<ApiKey, ErrorPage> {
    let id = KeyId::parse(id).ok_or_else(ErrorPage::not_found)?;
    Ok(keys::find(visit.node(), visit.organization(), &id).await?)
}

/// Whether the visitor can change a key.
pub(super) fn may_change<P: Permission>(visit: &ConsoleRequest<P>, key: &ApiKey) -> bool {
    visit.may::<WriteKeys>() && visit.by().may_manage_key_of(key.owner.as_ref())
}

/// Returns the display name of a key.
pub(super) fn display_name(key: &ApiKey) -> String {
    if key.name.trim().is_empty() { format!("Unnamed ({})", key.id) } else { key.name.clone() }
}

/// Reads the version of the key that the form was rendered with.
pub(super) fn version(form: &Form) -> Result<u64, ErrorPage> {
    let version = form.value("version").and_then(|text| text.parse().ok());
    version.ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))
}
