//! Deleting an API. If keys are granted it, its name must be typed.

use actix_web::web;
use askama::Template;

use crate::console::apis::change::counted;
use crate::console::apis::{find, keys_path, number_of_keys};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field};
use crate::domain::apis::Api;
use crate::domain::violation::Violation;
use crate::http::permission::AdminApis;
use crate::organizations::{self, ApiError};

#[derive(Template)]
#[template(path = "console/apis/delete.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    name: String,
    version: u64,
    keys: u64,
    counted: String,
    keys_path: String,
    confirm: Option<Field>,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminApis>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (_, served) = find(&visit, &id).await?;
    if served.api.is_default() {
        return Err(ApiError::IsDefault.into());
    }
    page(&Page::new(&visit, &served.api, "", Errors::default()).await?)
}

pub(super) async fn delete(submitted: Submitted<AdminApis>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (_, served) = find(&visit, &id).await?;
    let api = &served.api;
    let version = form.value("version").and_then(|text| text.parse::<u64>().ok());
    let version = version.ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))?;
    let typed = form.value("confirm").unwrap_or_default().trim();
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let keys = organizations::keys_of_apis(node, organization).await?;
    if !api.is_default() && number_of_keys(&keys, api.id) > 0 && typed != api.name.as_str() {
        let wrong = Violation::new("confirm", format!("Enter {}.", api.name));
        let errors = Errors::new([wrong], &[("confirm", "Confirm")]);
        return invalid_form(&Page::new(&visit, api, typed, errors).await?);
    }
    organizations::delete_api(node, organization, &by, api.name.as_str(), Some(version)).await?;
    visit.done("/apis", "API deleted. Its tokens no longer work.")
}

impl Page {
    async fn new(visit: &ConsoleRequest<AdminApis>, api: &Api, typed: &str, errors: Errors) -> Result<Self, ErrorPage> {
        let keys = organizations::keys_of_apis(visit.node(), visit.organization()).await?;
        let keys = number_of_keys(&keys, api.id);
        Ok(Self {
            frame: visit.frame(Section::Apis, "Delete API"),
            id: api.id.to_string(),
            name: api.name.to_string(),
            version: api.version,
            keys,
            counted: counted(keys),
            keys_path: keys_path(api),
            confirm: (keys > 0).then(|| {
                Field::text("confirm", "Confirm", typed)
                    .hint(format!("Type {} to delete it.", api.name))
                    .required(true)
                    .max_length(40)
                    .errors(&errors)
            }),
            errors,
        })
    }
}
