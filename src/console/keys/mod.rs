//! API keys: the list, making one, a key's page, and what can be done to it.

mod create;
mod edit;
mod explain;
mod list;
mod rotate;
mod rows;
mod secret;
mod show;
mod state;
mod wish;

use actix_web::web;

use crate::console::trouble::Trouble;
use crate::console::visit::Visit;
use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::http::form::Form;
use crate::http::permission::{Permission, WriteKeys};
use crate::keys;

pub(super) use wish::entries;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/keys").route(web::get().to(list::show)))
        .service(web::resource("/keys/new").route(web::get().to(create::show)).route(web::post().to(create::send)))
        .service(web::resource("/keys/{id}").route(web::get().to(show::show)))
        .service(web::resource("/keys/{id}/edit").route(web::get().to(edit::show)).route(web::post().to(edit::send)))
        .service(
            web::resource("/keys/{id}/rotate").route(web::get().to(rotate::show)).route(web::post().to(rotate::send)),
        )
        .service(web::resource("/keys/{id}/explain").route(web::get().to(explain::show)))
        .service(
            web::resource("/keys/{id}/{change:disable|enable|revoke}")
                .route(web::get().to(state::show))
                .route(web::post().to(state::send)),
        );
}

/// The key that a path names.
async fn find<P: Permission>(visit: &Visit<P>, id: &str) -> Result<ApiKey, Trouble> {
    let id = KeyId::parse(id).ok_or_else(Trouble::not_found)?;
    Ok(keys::find(visit.node(), visit.organization(), &id).await?)
}

/// Whether they may change a key.
fn may_change<P: Permission>(visit: &Visit<P>, key: &ApiKey) -> bool {
    visit.may::<WriteKeys>() && visit.by().may_manage_key_of(key.owner.as_ref())
}

/// A key as it is called on pages.
fn name(key: &ApiKey) -> String {
    if key.name.trim().is_empty() { format!("Unnamed key {}", key.id) } else { key.name.clone() }
}

/// What is in a hidden field of every form that changes a key: the version that its page showed.
fn version(form: &Form) -> Result<u64, Trouble> {
    let version = form.value("version").and_then(|text| text.parse().ok());
    version.ok_or_else(|| Trouble::bad_form("its version is missing"))
}
