//! The settings of the customer portal: its brand, and the sites that it belongs to.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::{split_entries, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::{Submitted, check_fields};
use crate::console::ui::{Area, Errors, Field, Labels};
use crate::domain::portal::{MAX_PORTAL_URL, Origin, PortalSettings, RawPortalSettings};
use crate::http::checks::MAX_NAME;
use crate::http::form::Form;
use crate::http::permission::AdminPolicy;
use crate::portal;

const FIELDS: &Labels = &[
    ("name", "Name"),
    ("color", "Color"),
    ("logo_url", "Logo URL"),
    ("text", "Introduction"),
    ("return_url", "Return URL"),
    ("return_origins", "Return origins"),
    ("frame_origins", "Frame origins"),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/portal/edit", [get(show), submit(send)]));
}

#[derive(Template)]
#[template(path = "console/portal_settings/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    version: u64,
    name: Field,
    color: Field,
    logo_url: Field,
    text: Area,
    return_url: Field,
    return_origins: Area,
    frame_origins: Area,
}

async fn show(visit: ConsoleRequest<AdminPolicy>) -> Result<Reply, ErrorPage> {
    let (settings, version) = portal::read_settings(visit.node(), visit.organization()).await?;
    page(&build(&visit, &raw(&settings), version, Errors::default()))
}

async fn send(submitted: Submitted<AdminPolicy>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (raw, version) = (read(&form)?, version(&form)?);
    let settings = match raw.clone().parse() {
        Ok(settings) => settings,
        Err(violations) => {
            return invalid_form(&build(&visit, &raw, version, Errors::new(violations, FIELDS)));
        }
    };
    portal::replace_settings(visit.node(), visit.organization(), &visit.by(), Some(version), &settings).await?;
    visit.done("/portal/edit", "Portal settings saved.")
}

fn raw(settings: &PortalSettings) -> RawPortalSettings {
    let texts = |origins: &[Origin]| origins.iter().map(ToString::to_string).collect();
    RawPortalSettings {
        name: settings.name.clone().unwrap_or_default(),
        color: settings.color.map(|color| color.to_string()).unwrap_or_default(),
        logo_url: settings.logo_url.as_ref().map(ToString::to_string).unwrap_or_default(),
        text: settings.text.clone(),
        return_url: settings.return_url.as_ref().map(ToString::to_string).unwrap_or_default(),
        return_origins: texts(&settings.return_origins),
        frame_origins: texts(&settings.frame_origins),
    }
}

/// Reads a submitted form. Every field must be present: a missing one would be saved as empty.
fn read(form: &Form) -> Result<RawPortalSettings, ErrorPage> {
    check_fields(form, &FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
    let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
    Ok(RawPortalSettings {
        name: value("name"),
        color: value("color"),
        logo_url: value("logo_url"),
        text: value("text").replace("\r\n", "\n"),
        return_url: value("return_url"),
        return_origins: split_entries(&value("return_origins")),
        frame_origins: split_entries(&value("frame_origins")),
    })
}

fn build(visit: &ConsoleRequest<AdminPolicy>, raw: &RawPortalSettings, version: u64, errors: Errors) -> Page {
    let lines = |list: &[String]| list.join("\n");
    Page {
        frame: visit.frame(Section::Customers, "Customer portal"),
        version,
        name: Field::text("name", "Name", &raw.name)
            .hint("The name that customers see. Leave it empty for the organization’s name.")
            .max_length(MAX_NAME)
            .errors(&errors),
        color: Field::text("color", "Color", &raw.color)
            .hint("The color of buttons, for example #0a66c2. Their text is black or white, for the higher contrast.")
            .max_length(7)
            .errors(&errors),
        logo_url: Field::text("logo_url", "Logo URL", &raw.logo_url)
            .hint("An https URL of an image. The browsers of customers load it from there.")
            .max_length(MAX_PORTAL_URL)
            .errors(&errors),
        text: Area::new("text", "Introduction", &raw.text).hint("Shown above the list of keys.").errors(&errors),
        return_url: Field::text("return_url", "Return URL", &raw.return_url)
            .hint("Where the portal links back to, unless a session has its own URL.")
            .max_length(MAX_PORTAL_URL)
            .errors(&errors),
        return_origins: Area::new("return_origins", "Return origins", lines(&raw.return_origins))
            .hint("Further sites to which sessions can link back, one per line, for example https://app.example.com.")
            .errors(&errors),
        frame_origins: Area::new("frame_origins", "Frame origins", lines(&raw.frame_origins))
            .hint("The sites that can show the portal in a frame, one per line. Without any, no site can.")
            .errors(&errors),
        errors,
    }
}
