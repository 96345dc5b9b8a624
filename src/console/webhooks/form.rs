//! Making a webhook, and changing where it goes and what it is told.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Area, Errors, Field};
use crate::console::visit::Visit;
use crate::console::webhooks::{Secret, version, webhook_id};
use crate::domain::event::{EventFilter, KNOWN};
use crate::domain::policy::Violation;
use crate::domain::webhook::Webhook;
use crate::domain::webhook_headers::CustomHeaders;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::http::permission::AdminWebhooks;
use crate::webhooks::{self, NewWebhook, WebhookUpdate};

/// The tick that stands for every event.
const EVERYTHING: &str = "*";

#[derive(Template)]
#[template(path = "console/webhooks/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    /// Which webhook, and in which version; none: a new one.
    of: Option<(String, u64)>,
    url: Field,
    description: Area,
    everything: bool,
    groups: Vec<Group>,
    events_error: Option<String>,
}

/// Events of one subject.
struct Group {
    subject: &'static str,
    name: &'static str,
    all: Choice,
    events: Vec<Choice>,
}

/// A tick.
struct Choice {
    value: String,
    on: bool,
}

/// What is in the form.
struct Typed {
    url: String,
    description: String,
    events: Vec<String>,
}

pub(super) async fn new(visit: Visit<AdminWebhooks>) -> Result<HttpResponse, Trouble> {
    let typed = Typed { url: String::new(), description: String::new(), events: Vec::new() };
    page(&Page::new(&visit, None, &typed, Errors::default()))
}

pub(super) async fn create(submitted: Submitted<AdminWebhooks>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let typed = Typed::read(&form);
    let new = match typed.check(&visit) {
        Ok(new) => new,
        Err(wrong) => return refused(&Page::new(&visit, None, &typed, errors(wrong))),
    };
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let made = visit.node().run_to_end(async move { webhooks::create(&node, &organization, &by, new).await });
    let (webhook, secret) = made.await?;
    page(&Secret::new(&visit, &webhook, secret, false))
}

pub(super) async fn ask(visit: Visit<AdminWebhooks>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let webhook = webhooks::find(visit.node(), visit.organization(), &webhook_id(&id)?).await?;
    page(&Page::new(
        &visit,
        Some((webhook.id.to_string(), webhook.version)),
        &Typed::of(&visit, &webhook),
        Errors::default(),
    ))
}

pub(super) async fn edit(submitted: Submitted<AdminWebhooks>, id: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (id, version, typed) = (webhook_id(&id)?, version(&form)?, Typed::read(&form));
    let new = match typed.check(&visit) {
        Ok(new) => new,
        Err(wrong) => {
            let of = version.map(|version| (id.to_string(), version));
            return refused(&Page::new(&visit, of, &typed, errors(wrong)));
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
    let (node, organization, by) = (visit.node().clone(), visit.organization().clone(), visit.by());
    let edited = async move { webhooks::edit(&node, &organization, &by, (&id, version), update).await };
    let webhook = visit.node().run_to_end(edited).await?;
    Ok(see_other(&visit.path(&format!("/webhooks/{}?done=edited", webhook.id))))
}

fn errors(wrong: Vec<Violation>) -> Errors {
    Errors::new(wrong, &["url", "description", "events"])
}

impl Typed {
    fn of(visit: &Visit<AdminWebhooks>, webhook: &Webhook) -> Self {
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

    fn check(&self, visit: &Visit<AdminWebhooks>) -> Result<NewWebhook, Vec<Violation>> {
        let mut checks = Checks::default();
        let destination = if self.url.is_empty() {
            checks.wrong("url", "is missing; an https URL is expected");
            None
        } else {
            checks.destination(&self.url, visit.node().settings.webhook_reach)
        };
        checks.text("description", &self.description);
        let events = if self.events.is_empty() {
            checks.wrong("events", "choose everything, or at least one event");
            EventFilter::default()
        } else if self.events.iter().any(|event| event == EVERYTHING) {
            EventFilter::default()
        } else {
            checks.events(&self.events)
        };
        checks.done()?;
        let missing = || vec![Violation::new("url", "is missing; an https URL is expected")];
        let destination = destination.ok_or_else(missing)?;
        let headers = CustomHeaders::default();
        Ok(NewWebhook { destination, headers, description: self.description.clone(), events })
    }
}

impl Page {
    fn new(visit: &Visit<AdminWebhooks>, of: Option<(String, u64)>, typed: &Typed, errors: Errors) -> Self {
        let title = if of.is_some() { "Edit the webhook" } else { "Add a webhook" };
        Self {
            frame: visit.frame(Section::Webhooks, title),
            url: Field::text("url", "URL", typed.url.clone())
                .kind("url")
                .hint("Where events are sent by POST: an https URL that the public can reach.")
                .required(true)
                .most(2048)
                .errors(&errors),
            description: Area::new("description", "Description", typed.description.clone())
                .hint("For whoever reads the list: what it is for, whom to ask.")
                .errors(&errors),
            everything: typed.events.iter().any(|event| event == EVERYTHING),
            groups: groups(&typed.events),
            events_error: errors.of("events"),
            errors,
            of,
        }
    }
}

/// Every event by its subject, with what is ticked.
fn groups(ticked: &[String]) -> Vec<Group> {
    let choice = |value: String| Choice { on: ticked.contains(&value), value };
    let mut groups: Vec<Group> = Vec::new();
    for event in KNOWN {
        let subject = event.split('.').next().unwrap_or_default();
        match groups.iter_mut().find(|group| group.subject == subject) {
            Some(group) => group.events.push(choice(event.to_owned())),
            None => groups.push(Group {
                subject,
                name: name(subject),
                all: choice(format!("{subject}.*")),
                events: vec![choice(event.to_owned())],
            }),
        }
    }
    groups
}

/// What a subject of events is called.
fn name(subject: &'static str) -> &'static str {
    match subject {
        "key" => "API keys",
        "member" => "Members",
        "organization" => "Organizations",
        "policy" => "Policy",
        "signing_key" => "Signing keys",
        "token" => "Tokens",
        "webhook" => "Webhooks",
        other => other,
    }
}
