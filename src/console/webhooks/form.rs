//! The form for adding and editing a webhook.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Area, Errors, Field};
use crate::console::webhooks::events::{self, EVERYTHING};
use crate::console::webhooks::{SecretPage, version, webhook_id};
use crate::domain::event::EventFilter;
use crate::domain::violation::Violation;
use crate::domain::webhook::Webhook;
use crate::domain::webhook_headers::CustomHeaders;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::http::permission::AdminWebhooks;
use crate::webhooks::{self, NewWebhook, WebhookUpdate};

#[derive(Template)]
#[template(path = "console/webhooks/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    /// The ID and version of the edited webhook. `None` if it is new.
    of: Option<(String, u64)>,
    url: Field,
    description: Area,
    everything: bool,
    groups: Vec<events::Group>,
    events_error: Option<String>,
}

/// The raw values of the form.
struct RawForm {
    url: String,
    description: String,
    events: Vec<String>,
}

pub(super) async fn new(visit: ConsoleRequest<AdminWebhooks>) -> Result<Reply, ErrorPage> {
    let raw = RawForm { url: String::new(), description: String::new(), events: Vec::new() };
    page(&Page::new(&visit, None, &raw, Errors::default()))
}

pub(super) async fn create(submitted: Submitted<AdminWebhooks>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let raw = RawForm::read(&form);
    let new = match raw.parse(&visit) {
        Ok(new) => new,
        Err(violations) => return invalid_form(&Page::new(&visit, None, &raw, errors(violations))),
    };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let (webhook, secret) = webhooks::create(node, organization, &by, new).await?;
    page(&SecretPage::new(&visit, &webhook, secret, false))
}

pub(super) async fn ask(visit: ConsoleRequest<AdminWebhooks>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let webhook = webhooks::find(visit.node(), visit.organization(), &webhook_id(&id)?).await?;
    page(&Page::new(
        &visit,
        Some((webhook.id.to_string(), webhook.version)),
        &RawForm::of(&visit, &webhook),
        Errors::default(),
    ))
}

pub(super) async fn edit(submitted: Submitted<AdminWebhooks>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (id, version, raw) = (webhook_id(&id)?, version(&form)?, RawForm::read(&form));
    let new = match raw.parse(&visit) {
        Ok(new) => new,
        Err(violations) => {
            let of = version.map(|version| (id.to_string(), version));
            return invalid_form(&Page::new(&visit, of, &raw, errors(violations)));
        }
    };
    let update = WebhookUpdate {
        destination: Some(new.destination),
        // They are managed over the API.
        headers: None,
        description: Some(new.description),
        events: Some(new.events),
        state: None,
    };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let webhook = webhooks::edit(node, organization, &by, (&id, version), update).await?;
    visit.done(&format!("/webhooks/{}", webhook.id), "Webhook updated.")
}

fn errors(violations: Vec<Violation>) -> Errors {
    Errors::new(violations, &[("url", "URL"), ("description", "Description"), ("events", "Events")])
}

impl RawForm {
    fn of(visit: &ConsoleRequest<AdminWebhooks>, webhook: &Webhook) -> Self {
        let events = match webhook.events.patterns() {
            [] => vec![EVERYTHING.to_owned()],
            patterns => patterns.to_vec(),
        };
        let url = webhooks::url(visit.node(), webhook).map(|url| url.url().to_string()).unwrap_or_default();
        Self { url, description: webhook.description.clone(), events }
    }

    fn read(form: &Form) -> Self {
        let text = |name: &str| form.value(name).unwrap_or_default().to_owned();
        Self {
            url: text("url").trim().to_owned(),
            description: text("description").replace("\r\n", "\n"),
            events: form.values("events").map(str::to_owned).collect(),
        }
    }

    fn parse(&self, visit: &ConsoleRequest<AdminWebhooks>) -> Result<NewWebhook, Vec<Violation>> {
        let mut checks = Checks::default();
        let destination = if self.url.is_empty() {
            checks.wrong("url", "Enter an https:// URL.");
            None
        } else {
            checks.destination(&self.url, visit.node().settings.webhook_reach)
        };
        checks.text("description", &self.description);
        let events = if self.events.is_empty() {
            checks.wrong("events", "Select at least one event.");
            EventFilter::default()
        } else {
            checks.events(&events::without_covered(&self.events))
        };
        checks.done()?;
        let missing = || vec![Violation::new("url", "Enter an https:// URL.")];
        let destination = destination.ok_or_else(missing)?;
        let headers = CustomHeaders::default();
        Ok(NewWebhook { destination, headers, description: self.description.clone(), events })
    }
}

impl Page {
    fn new(visit: &ConsoleRequest<AdminWebhooks>, of: Option<(String, u64)>, raw: &RawForm, errors: Errors) -> Self {
        let title = if of.is_some() { "Edit webhook" } else { "Add webhook" };
        Self {
            frame: visit.frame(Section::Webhooks, title),
            url: Field::text("url", "URL", raw.url.clone())
                .kind("url")
                .hint("HTTPS URL that receives events. Must be publicly reachable.")
                .required(true)
                .max_length(2048)
                .errors(&errors),
            description: Area::new("description", "Description", raw.description.clone())
                .hint("Notes for your team: what it’s for, who owns it.")
                .errors(&errors),
            everything: raw.events.iter().any(|event| event == EVERYTHING),
            groups: events::groups(&raw.events),
            events_error: errors.of("events"),
            errors,
            of,
        }
    }
}
