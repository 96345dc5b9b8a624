//! Suspending, reinstating and removing a customer. If it has keys, its external ID must be typed.

use actix_web::web;
use askama::Template;

use crate::console::customers::{display_name, find, keys_path, number_of_keys, read_version};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, format_count};
use crate::customers;
use crate::domain::customer::{Customer, ExternalId};
use crate::domain::violation::Violation;
use crate::http::permission::WriteCustomers;
use crate::portal;

#[derive(Template)]
#[template(path = "console/customers/state.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    name: String,
    version: u64,
    /// Whether the customer is removed; otherwise it is suspended.
    removes: bool,
    /// The number of keys. `None` if there is none.
    keys: Option<String>,
    keys_path: String,
    confirm: Option<Field>,
}

pub(super) async fn ask_suspend(
    visit: ConsoleRequest<WriteCustomers>,
    id: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let customer = find(&visit, &id).await?;
    page(&Page::new(&visit, &customer, false, None).await?)
}

pub(super) async fn ask_remove(
    visit: ConsoleRequest<WriteCustomers>,
    id: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let customer = find(&visit, &id).await?;
    page(&Page::new(&visit, &customer, true, None).await?)
}

/// Suspends a customer. This can be undone, so no typed confirmation is needed.
pub(super) async fn suspend(submitted: Submitted<WriteCustomers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let customer = find(&visit, &id).await?;
    customers::suspend(visit.node(), visit.organization(), &visit.by(), &customer.id, None).await?;
    visit.done(&format!("/customers/{}", customer.id), "Customer suspended. Its keys and tokens no longer work.")
}

/// Ends a session of the portal.
pub(super) async fn end_session(
    submitted: Submitted<WriteCustomers>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (id, session) = path.into_inner();
    let customer = find(&visit, &id).await?;
    portal::end(visit.node(), visit.organization(), &visit.by(), &customer.id, &session).await?;
    visit.done(&format!("/customers/{}", customer.id), "Portal session ended.")
}

pub(super) async fn reinstate(submitted: Submitted<WriteCustomers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let customer = find(&visit, &id).await?;
    customers::reinstate(visit.node(), visit.organization(), &visit.by(), &customer.id, None).await?;
    let message = "Customer reinstated. Its keys work again; tokens from before the suspension stay invalid.";
    visit.done(&format!("/customers/{}", customer.id), message)
}

pub(super) async fn remove(submitted: Submitted<WriteCustomers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let customer = find(&visit, &id).await?;
    let version = read_version(&form)?;
    let typed = form.value("confirm").map(str::trim);
    let has_confirmed = typed == Some(customer.external_id.as_str());
    if !has_confirmed {
        let page = Page::new(&visit, &customer, true, Some(typed.unwrap_or_default())).await?;
        if page.confirm.is_some() {
            return invalid_form(&page);
        }
    }
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    // A key that was created after the page was shown is not revoked without confirmation.
    customers::remove(node, organization, &by, &customer.id, Some(version), has_confirmed).await?;
    visit.done("/customers", "Customer removed. Its keys and tokens no longer work.")
}

impl Page {
    /// `typed` is the text of a confirmation that does not match.
    async fn new(
        visit: &ConsoleRequest<WriteCustomers>,
        customer: &Customer,
        removes: bool,
        typed: Option<&str>,
    ) -> Result<Self, ErrorPage> {
        let keys = number_of_keys(visit, customer).await?;
        let errors = typed.map(|_| Violation::new("confirm", format!("Enter {}.", customer.external_id)));
        let errors = Errors::new(errors, &[("confirm", "Confirm")]);
        let confirm = || {
            Field::text("confirm", "Confirm", typed.unwrap_or_default())
                .hint(format!("Type the external ID {} to confirm.", customer.external_id))
                .required(true)
                .max_length(ExternalId::MAX)
                .errors(&errors)
        };
        Ok(Self {
            frame: visit.frame(Section::Customers, if removes { "Remove customer" } else { "Suspend customer" }),
            id: customer.id.to_string(),
            name: display_name(customer),
            version: customer.version,
            removes,
            keys: (keys > 0).then(|| format_count(keys)),
            keys_path: keys_path(customer),
            confirm: (removes && keys > 0).then(confirm),
            errors,
        })
    }
}
