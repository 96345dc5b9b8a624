//! Creating and editing an API. An edit that takes something from keys or tokens is reviewed first.

use actix_web::web;
use askama::Template;

use crate::console::apis::form::{ApiFields, ApiForm, Inherited, errors};
use crate::console::apis::{find, keys_path, number_of_keys};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, format_count};
use crate::domain::apis::{Api, ServedApi};
use crate::http::form::Form;
use crate::http::permission::AdminApis;
use crate::organizations::{self, ApiError, LostScopes};

/// Maximum number of listed scopes.
const MAX_LISTED: usize = 100;

#[derive(Template)]
#[template(path = "console/apis/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    /// The edited API. `None` if it is new.
    of: Option<Edited>,
    fields: ApiFields,
}

struct Edited {
    id: String,
    name: String,
    version: u64,
}

/// The review of an edit that takes something from keys or tokens.
#[derive(Template)]
#[template(path = "console/apis/review.html")]
struct Review {
    frame: Frame,
    id: String,
    name: String,
    /// The submitted form, to be submitted again.
    fields: Vec<(String, String)>,
    /// The audience before and after.
    audience: Option<(String, String)>,
    /// The number of keys that are granted the API.
    keys: String,
    is_one: bool,
    keys_path: String,
    /// The number of keys that lose a scope.
    losing: String,
    lost: Vec<(String, String)>,
    more: usize,
}

pub(super) async fn new(visit: ConsoleRequest<AdminApis>) -> Result<Reply, ErrorPage> {
    page(&build(&visit, None, &ApiForm::empty(), Errors::default())?)
}

pub(super) async fn create(submitted: Submitted<AdminApis>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let api_form = ApiForm::read(&form, None)?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let created = match api_form.parse_new() {
        Ok(new) => organizations::create_api(node, organization, &by, new).await,
        Err(violations) => Err(ApiError::Invalid(violations)),
    };
    match created {
        Ok(api) => {
            let message = "API created. Grant it to keys so that they can get tokens for it.";
            visit.done(&format!("/apis/{}", api.id), message)
        }
        Err(ApiError::Invalid(violations)) => invalid_form(&build(&visit, None, &api_form, errors(violations))?),
        Err(other) => Err(other.into()),
    }
}

pub(super) async fn ask(visit: ConsoleRequest<AdminApis>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (_, served) = find(&visit, &id).await?;
    let version = served.api.version;
    page(&build(&visit, Some((&served, version)), &ApiForm::of(&served.api), Errors::default())?)
}

/// Saves the API, or shows the review if the change takes something from keys or tokens.
pub(super) async fn edit(submitted: Submitted<AdminApis>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let (tenant, served) = find(&visit, &id).await?;
    let old = &served.api;
    let version = form.value("version").and_then(|text| text.parse::<u64>().ok());
    let version = version.ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))?;
    let api_form = ApiForm::read(&form, Some(old))?;
    if form.value("back").is_some() {
        return page(&build(&visit, Some((&served, version)), &api_form, Errors::default())?);
    }
    if version != old.version {
        return Err(ApiError::PreconditionFailed.into());
    }
    let parsed = api_form.parse_edit(old).map_err(ApiError::Invalid);
    let previewed = parsed.and_then(|edit| Ok((organizations::preview_api_edit(&tenant, old, edit.clone())?, edit)));
    let (new, edit) = match previewed {
        Ok(previewed) => previewed,
        Err(ApiError::Invalid(violations)) => {
            return invalid_form(&build(&visit, Some((&served, version)), &api_form, errors(violations))?);
        }
        Err(other) => return Err(other.into()),
    };

    // 2. Review what keys and tokens lose.
    if form.value("confirmed").is_none() && new.restricts(old) {
        let keys = organizations::keys_of_apis(visit.node(), visit.organization()).await?;
        let lost = organizations::lost_scopes(visit.node(), &tenant, old, &new).await?;
        let is_moved = new.audience != old.audience && number_of_keys(&keys, old.id) > 0;
        if is_moved || lost.keys > 0 {
            return page(&Review::new(&visit, &served, &new, number_of_keys(&keys, old.id), lost, &form));
        }
    }

    // 3. Apply the change.
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    match organizations::edit_api(node, organization, &by, old.name.as_str(), Some(version), edit).await {
        Ok(new) if new.restricts(old) => visit.done(
            &format!("/apis/{}", old.id),
            "API updated. Tokens that depended on the removed access no longer work.",
        ),
        Ok(_) => visit.done(&format!("/apis/{}", old.id), "API updated."),
        Err(ApiError::Invalid(violations)) => {
            invalid_form(&build(&visit, Some((&served, version)), &api_form, errors(violations))?)
        }
        Err(other) => Err(other.into()),
    }
}

impl Review {
    fn new(
        visit: &ConsoleRequest<AdminApis>,
        served: &ServedApi,
        new: &Api,
        keys: u64,
        lost: LostScopes,
        form: &Form,
    ) -> Self {
        let old = &served.api;
        let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
        let configured = &visit.node().settings.audience;
        let audience = new.audience.as_ref().unwrap_or(configured);
        Self {
            frame: visit.frame(Section::Apis, "Restrict API?"),
            id: old.id.to_string(),
            name: old.name.to_string(),
            fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            audience: (*audience != served.audience).then(|| (served.audience.clone(), audience.clone())),
            keys: counted(keys),
            is_one: keys == 1,
            keys_path: keys_path(old),
            losing: format!("{} {}", counted(lost.keys), if lost.keys == 1 { "loses" } else { "lose" }),
            more: lost.scopes.len().saturating_sub(MAX_LISTED),
            lost: lost.scopes.into_iter().take(MAX_LISTED).map(|(scope, keys)| (scope, format_count(keys))).collect(),
        }
    }
}

/// Formats a number of keys.
pub(super) fn counted(keys: u64) -> String {
    format!("{} {}", format_count(keys), if keys == 1 { "key" } else { "keys" })
}

fn build(
    visit: &ConsoleRequest<AdminApis>,
    edited: Option<(&ServedApi, u64)>,
    api_form: &ApiForm,
    errors: Errors,
) -> Result<Page, ErrorPage> {
    let node = &visit.node().settings;
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let ttl_seconds = tenant.organization.policy.token_ttl_seconds.unwrap_or(node.ttl_seconds);
    let of = edited.map(|(served, version)| Edited {
        id: served.api.id.to_string(),
        name: served.api.name.to_string(),
        version,
    });
    let title = if of.is_some() { "Edit API" } else { "Create API" };
    Ok(Page {
        frame: visit.frame(Section::Apis, title),
        fields: api_form.fields(edited.map(|(served, _)| served), Inherited { node, ttl_seconds }, &errors),
        errors,
        of,
    })
}
