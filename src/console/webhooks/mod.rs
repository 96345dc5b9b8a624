//! Webhooks: who is told of what, what became of it, and how a receiver knows that it is us.

mod act;
mod form;
mod one;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::trouble::Trouble;
use crate::console::ui::{Badge, Moment, Tick, Tone, count};
use crate::console::visit::Visit;
use crate::domain::webhook::{MAX_WEBHOOKS, Webhook, WebhookId, WebhookState};
use crate::http::form::Form;
use crate::http::permission::{AdminWebhooks, ReadWebhooks};
use crate::webhooks;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let get_post = |path: &str| web::resource(path.to_owned());
    config
        .service(get_post("/webhooks").route(web::get().to(list)).route(web::post().to(form::create)))
        .service(get_post("/webhooks/new").route(web::get().to(form::new)))
        .service(get_post("/webhooks/verifying").route(web::get().to(verifying)))
        .service(get_post("/webhooks/{id}").route(web::get().to(one::show)).route(web::post().to(form::edit)))
        .service(get_post("/webhooks/{id}/edit").route(web::get().to(form::ask)))
        .service(get_post("/webhooks/{id}/state").route(web::post().to(act::change_state)))
        .service(get_post("/webhooks/{id}/test").route(web::post().to(act::test)))
        .service(
            get_post("/webhooks/{id}/rotate-secret")
                .route(web::get().to(act::ask_rotate))
                .route(web::post().to(act::rotate)),
        )
        .service(
            get_post("/webhooks/{id}/delete").route(web::get().to(act::ask_delete)).route(web::post().to(act::delete)),
        )
        .service(get_post("/webhooks/{id}/deliveries/{delivery}/retry").route(web::post().to(act::retry)));
}

#[derive(Template)]
#[template(path = "console/webhooks/list.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    may_change: bool,
    is_full: bool,
}

/// A webhook in the list.
struct Row {
    id: String,
    destination: String,
    description: String,
    events: Vec<String>,
    state: Badge,
    reason: Option<String>,
    pending: String,
    dead: Option<Badge>,
    created: Moment,
}

async fn list(visit: Visit<ReadWebhooks>, request: HttpRequest) -> Result<HttpResponse, Trouble> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let done = match query.value("done") {
        Some("deleted") => Some("The webhook is deleted, and what was on its way to it."),
        _ => None,
    };
    let found = webhooks::list(visit.node(), visit.organization()).await?;
    let undelivered = webhooks::undelivered(visit.node(), visit.organization()).await?;
    let row = |webhook: &Webhook| {
        let waiting = undelivered.iter().find(|waiting| waiting.webhook == webhook.id);
        let (state, reason) = state(webhook);
        Row {
            id: webhook.id.to_string(),
            destination: webhook.url.origin.clone(),
            description: webhook.description.clone(),
            events: patterns(webhook),
            state,
            reason,
            pending: count(waiting.map_or(0, |waiting| waiting.pending)),
            dead: waiting.filter(|waiting| waiting.dead > 0).map(|waiting| Badge::new(Tone::Bad, count(waiting.dead))),
            created: Moment::from_now(webhook.created_at, visit.now),
        }
    };
    page(&Page {
        rows: found.iter().map(row).collect(),
        may_change: visit.may::<AdminWebhooks>(),
        is_full: found.len() >= MAX_WEBHOOKS as usize,
        frame: visit.frame(Section::Webhooks, "Webhooks").done(done),
    })
}

#[derive(Template)]
#[template(path = "console/webhooks/verifying.html")]
struct Verifying {
    frame: Frame,
    python: &'static str,
    node: &'static str,
}

async fn verifying(visit: Visit<ReadWebhooks>) -> Result<HttpResponse, Trouble> {
    page(&Verifying {
        frame: visit.frame(Section::Webhooks, "Verifying webhooks"),
        python: include_str!("verify.py").trim_end(),
        node: include_str!("verify.mjs").trim_end(),
    })
}

/// A secret, the only time that it is shown.
#[derive(Template)]
#[template(path = "console/webhooks/secret.html")]
struct Secret {
    frame: Frame,
    id: String,
    destination: String,
    secret: zeroize::Zeroizing<String>,
    is_rotated: bool,
    copied: Tick,
}

impl Secret {
    fn new<P>(visit: &Visit<P>, webhook: &Webhook, secret: zeroize::Zeroizing<String>, is_rotated: bool) -> Self {
        Self {
            frame: visit.frame(Section::Webhooks, "The webhook's secret"),
            id: webhook.id.to_string(),
            destination: webhook.url.origin.clone(),
            secret,
            is_rotated,
            copied: Tick::copied(),
        }
    }
}

/// Whether a webhook is told anything, and why not, where Keyturn itself has disabled it.
fn state(webhook: &Webhook) -> (Badge, Option<String>) {
    match &webhook.state {
        WebhookState::Enabled => (Badge::new(Tone::Good, "Enabled"), None),
        WebhookState::Disabled { reason } => (Badge::new(Tone::Warning, "Disabled"), reason.clone()),
    }
}

/// What a webhook is told of.
fn patterns(webhook: &Webhook) -> Vec<String> {
    match webhook.events.patterns() {
        [] => vec!["everything".into()],
        patterns => patterns.to_vec(),
    }
}

fn webhook_id(text: &str) -> Result<WebhookId, Trouble> {
    WebhookId::parse(text).ok_or_else(Trouble::not_found)
}

/// The version of the webhook that the form was made with.
fn version(form: &Form) -> Result<Option<u64>, Trouble> {
    let version = form.value("version").and_then(|version| version.parse().ok());
    version.map(Some).ok_or_else(|| Trouble::bad_form("it does not say which version of the webhook it is about"))
}
