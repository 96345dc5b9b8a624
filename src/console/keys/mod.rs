//! API keys: the list, a key's page, and every change to a key.

mod create;
mod edit;
mod explain;
mod form;
mod list;
mod rotate;
mod scope_rows;
mod secret;
mod show;
mod state;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::{Notice, Tone, to_sentence};
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::http::form::Form;
use crate::http::permission::{Permission, WriteKeys};
use crate::http::warnings::{self, Warning};
use crate::keys;

pub(super) use form::split_entries;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/keys", [get(list::show)]))
        .service(resource("/keys/new", [get(create::show), submit(create::send)]))
        .service(resource("/keys/{id}", [get(show::show)]))
        .service(resource("/keys/{id}/edit", [get(edit::show), submit(edit::send)]))
        .service(resource("/keys/{id}/rotate", [get(rotate::show), submit(rotate::send)]))
        .service(resource("/keys/{id}/explain", [get(explain::show)]))
        .service(resource("/keys/{id}/{change:disable|enable|revoke}", [get(state::show), submit(state::send)]));
}

/// Returns the key with the ID from the path.
async fn find<P: Permission>(visit: &ConsoleRequest<P>, id: &str) -> Result<ApiKey, ErrorPage> {
    let id = KeyId::parse(id).ok_or_else(ErrorPage::not_found)?;
    Ok(keys::find(visit.node(), visit.organization(), &id).await?)
}

/// Whether the visitor can change a key.
fn may_change<P: Permission>(visit: &ConsoleRequest<P>, key: &ApiKey) -> bool {
    visit.may::<WriteKeys>() && visit.by().may_manage_key_of(key.owner.as_ref())
}

/// Returns the display name of a key.
fn display_name(key: &ApiKey) -> String {
    if key.name.trim().is_empty() { format!("Unnamed ({})", key.id) } else { key.name.clone() }
}

/// Returns warnings about the rights of a key.
fn warnings_about(key: &ApiKey) -> Vec<Notice> {
    let describe = |warning: Warning| match warning.field {
        "allowed_cidrs" => "This key can be used from any address. List the networks you use.".to_owned(),
        "scopes" => "This key has full access (*:*). Grant only the scopes it needs.".to_owned(),
        _ => to_sentence(warning.message),
    };
    let warnings = warnings::of_rights(&key.networks, Some(&key.scopes));
    warnings.into_iter().map(|warning| Notice::new(Tone::Warning, describe(warning))).collect()
}

/// Reads the version of the key that the form was rendered with.
fn version(form: &Form) -> Result<u64, ErrorPage> {
    let version = form.value("version").and_then(|text| text.parse().ok());
    version.ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))
}
