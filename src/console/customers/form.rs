//! Creating and editing a customer.

use actix_web::web;
use askama::Template;

use crate::console::customers::{display_name, find, read_version};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::{Submitted, check_fields};
use crate::console::ui::attributes::{metadata_to_text, parse_metadata};
use crate::console::ui::{Area, Errors, Field, Labels};
use crate::customers::{self, CustomerError, NewCustomer};
use crate::domain::customer::{Customer, CustomerEdit, ExternalId, MAX_KEYS};
use crate::domain::violation::Violation;
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;
use crate::http::permission::WriteCustomers;

const FIELDS: &Labels = &[
    ("external_id", "External ID"),
    ("name", "Name"),
    ("max_keys", "Maximum number of keys"),
    ("metadata", "Metadata"),
];

#[derive(Template)]
#[template(path = "console/customers/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    /// The edited customer. `None` if it is new.
    of: Option<Edited>,
    external_id: Field,
    name: Field,
    max_keys: Field,
    metadata: Area,
}

struct Edited {
    id: String,
    name: String,
    version: u64,
}

/// The raw values of the form.
#[derive(Default)]
struct RawForm {
    external_id: String,
    name: String,
    max_keys: String,
    metadata: String,
}

pub(super) async fn new(visit: ConsoleRequest<WriteCustomers>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit, None, &RawForm::default(), Errors::default()))
}

pub(super) async fn create(submitted: Submitted<WriteCustomers>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let raw = RawForm::read(&form)?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let created = match raw.parse() {
        Ok(new) => customers::create(node, organization, &by, new).await,
        Err(violations) => Err(CustomerError::Invalid(violations)),
    };
    match created {
        Ok(customer) => visit.done(&format!("/customers/{}", customer.id), "Customer created."),
        Err(CustomerError::Invalid(violations)) => {
            invalid_form(&Page::new(&visit, None, &raw, Errors::new(violations, FIELDS)))
        }
        Err(other) => Err(other.into()),
    }
}

pub(super) async fn ask(visit: ConsoleRequest<WriteCustomers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let customer = find(&visit, &id).await?;
    page(&Page::new(&visit, Some((&customer, customer.version)), &RawForm::of(&customer), Errors::default()))
}

pub(super) async fn edit(submitted: Submitted<WriteCustomers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let customer = find(&visit, &id).await?;
    let (raw, version) = (RawForm::read(&form)?, read_version(&form)?);
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let edited = match raw.parse() {
        Ok(NewCustomer { external_id, name, metadata, max_keys }) => {
            let edit = CustomerEdit {
                external_id: Some(external_id),
                name: Some(name),
                metadata: Some(metadata),
                max_keys: Some(max_keys),
            };
            customers::edit(node, organization, &by, &customer.id, Some(version), edit).await
        }
        Err(violations) => Err(CustomerError::Invalid(violations)),
    };
    match edited {
        Ok(_) => visit.done(&format!("/customers/{}", customer.id), "Customer updated."),
        Err(CustomerError::Invalid(violations)) => {
            let errors = Errors::new(violations, FIELDS);
            invalid_form(&Page::new(&visit, Some((&customer, version)), &raw, errors))
        }
        Err(other) => Err(other.into()),
    }
}

impl RawForm {
    fn of(customer: &Customer) -> Self {
        Self {
            external_id: customer.external_id.to_string(),
            name: customer.name.clone(),
            max_keys: customer.max_keys.map(|limit| limit.to_string()).unwrap_or_default(),
            metadata: metadata_to_text(&customer.metadata),
        }
    }

    /// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
    fn read(form: &Form) -> Result<Self, ErrorPage> {
        check_fields(form, &["external_id", "name", "max_keys", "metadata"])?;
        let value = |name| form.value(name).unwrap_or_default();
        Ok(Self {
            external_id: value("external_id").trim().to_owned(),
            name: value("name").trim().to_owned(),
            max_keys: value("max_keys").trim().to_owned(),
            metadata: value("metadata").replace("\r\n", "\n"),
        })
    }

    /// Parses the values, or returns everything that is wrong with them.
    fn parse(&self) -> Result<NewCustomer, Vec<Violation>> {
        let mut checks = Checks::default();
        checks.name(&self.name);
        let external_id = ExternalId::parse(&self.external_id);
        if external_id.is_none() {
            checks.wrong("external_id", "Enter 1 to 255 visible characters without spaces.");
        }
        let max_keys = match self.max_keys.as_str() {
            "" => None,
            text => {
                let limit = text.parse().ok().filter(|limit| *limit <= MAX_KEYS);
                if limit.is_none() {
                    checks.wrong("max_keys", format!("Enter a number from 0 to {MAX_KEYS}, or leave it empty."));
                }
                limit
            }
        };
        let metadata = parse_metadata(&mut checks, &self.metadata);
        checks.done()?;
        let (Some(external_id), Some(metadata)) = (external_id, metadata) else { return Err(Vec::new()) };
        Ok(NewCustomer { external_id, name: self.name.clone(), metadata, max_keys })
    }
}

impl Page {
    fn new(
        visit: &ConsoleRequest<WriteCustomers>,
        edited: Option<(&Customer, u64)>,
        raw: &RawForm,
        errors: Errors,
    ) -> Self {
        let of = edited.map(|(customer, version)| Edited {
            id: customer.id.to_string(),
            name: display_name(customer),
            version,
        });
        let title = if of.is_some() { "Edit customer" } else { "Create customer" };
        Self {
            frame: visit.frame(Section::Customers, title),
            of,
            external_id: Field::text("external_id", "External ID", &raw.external_id)
                .hint("Your ID of the user or tenant, unique in this organization.")
                .required(true)
                .max_length(ExternalId::MAX)
                .errors(&errors),
            name: Field::text("name", "Name", &raw.name).max_length(MAX_NAME).errors(&errors),
            max_keys: Field::text("max_keys", "Maximum number of keys", &raw.max_keys)
                .hint("Keys that are neither revoked nor expired. Leave it empty for the policy’s limit per user.")
                .max_length(7)
                .errors(&errors),
            metadata: Area::new("metadata", "Metadata", &raw.metadata)
                .hint("One name=value per line, for example plan=pro.")
                .errors(&errors),
            errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_or_named() {
        let raw = |max_keys: &str, metadata: &str| RawForm {
            external_id: "user_1".into(),
            name: "Acme".into(),
            max_keys: max_keys.into(),
            metadata: metadata.into(),
        };
        let parsed = raw("3", "plan =pro\n\nnote=a=b ").parse().unwrap();
        assert_eq!(parsed.max_keys, Some(3));
        assert_eq!(parsed.metadata.iter().collect::<Vec<_>>(), [("note", "a=b "), ("plan", "pro")]);
        assert_eq!(raw("", "").parse().unwrap().max_keys, None);
        for (max_keys, metadata, wrong) in
            [("many", "", "max_keys"), ("-1", "", "max_keys"), ("", "plan", "metadata"), ("", "a=b\na=c", "metadata")]
        {
            let violations = raw(max_keys, metadata).parse().unwrap_err();
            assert_eq!(violations.iter().map(|each| each.field.name.as_str()).collect::<Vec<_>>(), [wrong]);
        }
    }
}
