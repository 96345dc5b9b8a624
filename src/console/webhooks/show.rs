//! A webhook's page: details and deliveries.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::actor;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Copyable, Moment, Select, SelectOption};
use crate::console::webhooks::{delivery_state, event_patterns, state, webhook_id};
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryState};
use crate::http::form::Form;
use crate::http::permission::{AdminWebhooks, ReadWebhooks};
use crate::members;
use crate::store::DeliveryFilter;
use crate::webhooks;

/// Deliveries per page.
const DELIVERIES: u32 = 50;

#[derive(Template)]
#[template(path = "console/webhooks/show.html")]
struct Page {
    frame: Frame,
    id: String,
    version: u64,
    /// The full URL, for members who manage webhooks.
    url: Option<String>,
    digest: String,
    destination: String,
    description: String,
    events: Vec<String>,
    state: Badge,
    is_enabled: bool,
    reason: Option<String>,
    previous_until: Option<Moment>,
    created: Moment,
    created_by: String,
    may_change: bool,
    filter: Select,
    is_filtered: bool,
    rows: Vec<Row>,
    /// The query string of the next page.
    next: Option<String>,
    is_first: bool,
}

struct Row {
    id: String,
    event: String,
    state: Badge,
    queued: Moment,
    attempts: u32,
    status: Option<u16>,
    error: Option<String>,
    next: Option<Moment>,
    ended: Option<Moment>,
    may_retry: bool,
}

pub(super) async fn show(
    visit: ConsoleRequest<ReadWebhooks>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    // 1. Load the webhook.
    let (now, may_change) = (visit.now, visit.may::<AdminWebhooks>());
    let webhook = webhooks::find(visit.node(), visit.organization(), &webhook_id(&id)?).await?;

    // 2. Load its deliveries.
    let wanted = query.value("state").and_then(DeliveryState::parse);
    let after = query.value("cursor").and_then(webhooks::read_cursor);
    let is_first = after.is_none();
    let filter = DeliveryFilter { webhook: webhook.id.clone(), state: wanted, after, limit: DELIVERIES };
    let found = webhooks::deliveries(visit.node(), visit.organization(), filter).await?;
    let next = found.last_before_next().map(webhooks::cursor).map(|cursor| match wanted {
        Some(state) => format!("state={}&cursor={cursor}", state.as_str()),
        None => format!("cursor={cursor}"),
    });

    let (badge, reason) = state(&webhook);
    page(&Page {
        frame: visit.frame(Section::Webhooks, format!("Webhook to {}", webhook.url.origin)),
        id: webhook.id.to_string(),
        version: webhook.version,
        url: may_change.then(|| webhooks::url(visit.node(), &webhook).map(|url| url.url().to_string())).flatten(),
        digest: webhook.url.digest.clone(),
        destination: webhook.url.origin.clone(),
        description: webhook.description.clone(),
        events: event_patterns(&webhook),
        state: badge,
        is_enabled: webhook.is_enabled(),
        reason,
        previous_until: webhook.previous_until.filter(|until| now < *until).map(|until| Moment::from_now(until, now)),
        created: Moment::from_now(webhook.created_at, now),
        created_by: actor::display_name(&webhook.created_by, &members::list(visit.node(), visit.organization()).await?),
        may_change,
        filter: state_field(wanted),
        is_filtered: wanted.is_some(),
        rows: found.items.into_iter().map(|delivery| row(delivery, may_change && webhook.is_enabled(), now)).collect(),
        next,
        is_first,
    })
}

fn state_field(wanted: Option<DeliveryState>) -> Select {
    let options = [("all", "All"), ("pending", "Pending"), ("delivered", "Delivered"), ("dead", "Failed")];
    let options = options.into_iter().map(|(value, text)| SelectOption::new(value, text)).collect();
    Select::new("state", "State", options, wanted.map_or("all", DeliveryState::as_str))
}

fn row(delivery: Delivery, may_change: bool, now: Timestamp) -> Row {
    let is_pending = delivery.state == DeliveryState::Pending;
    Row {
        id: delivery.id.to_string(),
        state: delivery_state(delivery.state),
        queued: Moment::from_now(delivery.created_at, now),
        attempts: delivery.attempts,
        status: delivery.last_status,
        error: delivery.last_error,
        next: is_pending.then(|| Moment::from_now(delivery.due_at, now)),
        ended: delivery.ended_at.map(|at| Moment::from_now(at, now)),
        may_retry: may_change && (delivery.state == DeliveryState::Dead || is_pending && delivery.due_at > now),
        event: delivery.event,
    }
}
