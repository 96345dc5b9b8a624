//! Customers: the list, a customer's page, and creating, editing, suspending, reinstating and removing one.

mod form;
mod list;
mod show;
mod state;

use actix_web::web;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::customers::{self, CustomerError};
use crate::domain::customer::{Customer, CustomerId};
use crate::http::form::Form;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/customers", [get(list::show)]))
        .service(resource("/customers/new", [get(form::new), submit(form::create)]))
        .service(resource("/customers/{id}", [get(show::show)]))
        .service(resource("/customers/{id}/edit", [get(form::ask), submit(form::edit)]))
        .service(resource("/customers/{id}/suspend", [get(state::ask_suspend), submit(state::suspend)]))
        .service(resource("/customers/{id}/reinstate", [submit(state::reinstate)]))
        .service(resource("/customers/{id}/portal-sessions/{session}/end", [submit(state::end_session)]))
        .service(resource("/customers/{id}/remove", [get(state::ask_remove), submit(state::remove)]));
}

/// Returns the customer with the ID from the path.
async fn find<P>(visit: &ConsoleRequest<P>, id: &str) -> Result<Customer, ErrorPage> {
    let id = CustomerId::parse(id).ok_or_else(ErrorPage::not_found)?;
    Ok(customers::find(visit.node(), visit.organization(), &id).await?)
}

/// Returns the number of keys of a customer that are neither revoked nor expired.
async fn number_of_keys<P>(visit: &ConsoleRequest<P>, customer: &Customer) -> Result<u64, ErrorPage> {
    let counts = customers::key_counts(visit.node(), &[customer.id], visit.now).await?;
    Ok(counts.get(&customer.id).copied().unwrap_or_default())
}

/// The name, otherwise the external ID.
pub(super) fn display_name(customer: &Customer) -> String {
    if customer.name.is_empty() { customer.external_id.to_string() } else { customer.name.clone() }
}

/// The path below `/console` of the keys of a customer.
fn keys_path(customer: &Customer) -> String {
    format!("/keys?status=all&owner=any&customer={}", customer.id)
}

/// Reads the version that the form was rendered with.
fn read_version(form: &Form) -> Result<u64, ErrorPage> {
    let version = form.value("version").and_then(|text| text.parse().ok());
    version.ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))
}

impl From<CustomerError> for ErrorPage {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::NotFound => Self::not_found(),
            CustomerError::PreconditionFailed | CustomerError::Raced => {
                Self::conflict("Someone else changed this customer at the same time. Reload it and try again.")
            }
            CustomerError::HasKeys => {
                Self::conflict("A key was created for this customer at the same time. Reload it and try again.")
            }
            CustomerError::Invalid(_) => Self::unreadable_form("its values are not valid"),
            CustomerError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}
