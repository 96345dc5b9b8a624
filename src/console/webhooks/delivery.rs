//! The page of a delivery: its request, and each attempt with its response.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Copyable, Moment, Notice, Tone, format_count, html_size};
use crate::console::webhooks::{delivery_state, webhook_id};
use crate::domain::choices::StoredResponses;
use crate::domain::delivery_attempt::{DeliveryAttempt, ResponseExcerpt};
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryId, DeliveryState};
use crate::http::permission::{AdminWebhooks, ReadAudit, ReadWebhooks};
use crate::webhooks;

/// Part of the payload that is shown, in bytes of HTML.
const MAX_PAYLOAD: usize = 40_000;
/// Payload that is also shown formatted, in bytes.
const MAX_FORMATTED: usize = 8_000;
/// Bodies of responses that are shown on a page, in bytes of HTML.
const MAX_BODIES: usize = 50_000;
/// How long before an attempt the page starts to follow it.
const FOLLOWED_SECONDS: i64 = 20;

#[derive(Template)]
#[template(path = "console/webhooks/delivery.html")]
struct Page {
    frame: Frame,
    webhook: String,
    destination: String,
    id: String,
    event: String,
    state: Badge,
    is_enabled: bool,
    is_followed: bool,
    may_retry: bool,
    notice: Option<Notice>,
    queued: Moment,
    made: String,
    error: Option<String>,
    next: Option<Moment>,
    ended: Option<Moment>,
    headers: Vec<(String, Option<String>)>,
    /// The payload, or its beginning. `None` if the visitor cannot read the audit log.
    payload: Option<String>,
    is_payload_cut: bool,
    formatted: Option<String>,
    /// Why no responses are shown.
    hidden: Option<&'static str>,
    attempts: Vec<Attempt>,
}

struct Attempt {
    number: u32,
    outcome: Badge,
    at: Moment,
    duration: String,
    error: Option<String>,
    response: Option<Response>,
    /// Why there is no response.
    note: Option<&'static str>,
}

struct Response {
    headers: Vec<(String, String)>,
    body: Option<String>,
    size: String,
}

pub(super) async fn show(
    visit: ConsoleRequest<ReadWebhooks>,
    path: web::Path<(String, String)>,
) -> Result<Reply, ErrorPage> {
    // 1. Load the delivery.
    let (id, delivery) = (webhook_id(&path.0)?, DeliveryId::parse(&path.1).ok_or_else(ErrorPage::not_found)?);
    let (node, now) = (visit.node(), visit.now);
    let (webhook, delivery, attempts) = webhooks::delivery(node, visit.organization(), (&id, &delivery)).await?;
    let headers = webhooks::request_headers(&webhook, &delivery);
    let (may_change, is_enabled) = (visit.may::<AdminWebhooks>(), webhook.is_enabled());

    // 2. Only what the visitor can see, and not more than a page holds.
    let hidden = match (may_change, node.settings.webhook_responses) {
        (false, _) => Some("Responses are shown to members who manage webhooks."),
        (true, StoredResponses::None) => Some("This server stores no responses (webhooks.stored_responses)."),
        (true, _) => None,
    };
    let mut room = MAX_BODIES;
    let rows = attempts.into_iter().map(|attempt| Attempt::new(attempt, may_change, &mut room, now)).collect();
    let (payload, is_payload_cut) = match visit.may::<ReadAudit>() {
        true => Some(beginning(&delivery.payload)).map_or((None, false), |(text, is_cut)| (Some(text), is_cut)),
        false => (None, false),
    };
    let formatted = payload.as_ref().filter(|text| text.len() <= MAX_FORMATTED).and_then(|text| format_json(text));
    let is_pending = delivery.state == DeliveryState::Pending;
    let waits = is_pending && delivery.due_at > now;
    page(&Page {
        frame: visit.frame(Section::Webhooks, format!("Delivery of {}", delivery.event)),
        webhook: webhook.id.to_string(),
        destination: webhook.url.origin.clone(),
        id: delivery.id.to_string(),
        state: delivery_state(delivery.state),
        is_enabled,
        is_followed: is_pending && is_enabled && delivery.due_at < now.plus_seconds(FOLLOWED_SECONDS),
        may_retry: may_change && is_enabled && (waits || delivery.state == DeliveryState::Dead),
        notice: notice(&delivery, is_enabled),
        queued: Moment::from_now(delivery.created_at, now),
        made: format_count(delivery.attempts.into()),
        next: is_pending.then(|| Moment::from_now(delivery.due_at, now)),
        ended: delivery.ended_at.map(|at| Moment::from_now(at, now)),
        error: delivery.last_error,
        event: delivery.event,
        headers,
        payload,
        is_payload_cut,
        formatted,
        hidden,
        attempts: rows,
    })
}

fn notice(delivery: &Delivery, is_enabled: bool) -> Option<Notice> {
    match delivery.state {
        DeliveryState::Delivered => None,
        DeliveryState::Dead => Some(Notice::new(
            Tone::Bad,
            "This delivery failed permanently and is not retried automatically. Retrying starts over with the complete schedule.",
        )),
        DeliveryState::Pending if !is_enabled => Some(Notice::new(
            Tone::Warning,
            "The webhook is disabled. The delivery is paused and resumes when you enable the webhook.",
        )),
        DeliveryState::Pending => None,
    }
}

impl Attempt {
    fn new(attempt: DeliveryAttempt, may_see: bool, room: &mut usize, now: Timestamp) -> Self {
        let tone = if attempt.error.is_none() { Tone::Good } else { Tone::Bad };
        let text = attempt.status.map_or_else(|| "No response".to_owned(), |status| format!("HTTP {status}"));
        let size = attempt.response.as_ref().map_or(0, html_size_of);
        let is_shown = may_see && size <= *room;
        let note = match (&attempt.response, attempt.status) {
            (_, None) => None,
            _ if !may_see => None,
            (Some(_), _) if !is_shown => Some("The API returns the response."),
            (Some(_), _) => None,
            (None, Some(_)) => Some(
                "The response is not stored: it came from an address that is not public, or it is not one of the latest 200 of this webhook.",
            ),
        };
        if is_shown {
            *room -= size;
        }
        Self {
            number: attempt.number,
            outcome: Badge::new(tone, text),
            at: Moment::from_now(attempt.at, now),
            duration: format_duration(attempt.duration_ms),
            error: attempt.error.filter(|error| Some(error) != attempt.status.map(|s| format!("HTTP {s}")).as_ref()),
            response: attempt.response.filter(|_| is_shown).map(Response::from),
            note,
        }
    }
}

fn html_size_of(response: &ResponseExcerpt) -> usize {
    let headers: usize = response.headers.iter().map(|(name, value)| html_size(name) + html_size(value) + 40).sum();
    headers + response.body.as_deref().map_or(0, html_size)
}

impl From<ResponseExcerpt> for Response {
    fn from(response: ResponseExcerpt) -> Self {
        let bytes = format_count(response.bytes);
        let size = match (&response.body, response.is_cut) {
            (Some(body), true) => {
                format!("{bytes} bytes were received; the first {} are shown.", format_count(body.len() as u64))
            }
            _ => format!("{bytes} bytes."),
        };
        Self { headers: response.headers, body: response.body, size }
    }
}

fn format_duration(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        _ => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
    }
}

/// Returns as much of a payload as a page holds, and whether it continues.
fn beginning(payload: &str) -> (String, bool) {
    let mut end = payload.len().min(MAX_PAYLOAD);
    // Each escaped character takes five bytes.
    while html_size(payload.get(..payload.floor_char_boundary(end)).unwrap_or_default()) > MAX_PAYLOAD {
        end = end * 4 / 5;
    }
    let end = payload.floor_char_boundary(end);
    (payload.get(..end).unwrap_or_default().to_owned(), end < payload.len())
}

fn format_json(text: &str) -> Option<String> {
    serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_payloads_are_cut_by_their_size_on_the_page() {
        assert_eq!(beginning("{}"), ("{}".to_owned(), false));
        for long in ["\"".repeat(100_000), "ä".repeat(100_000)] {
            let (shown, is_cut) = beginning(&long);
            assert!(is_cut && html_size(&shown) <= MAX_PAYLOAD && shown.len() > 5_000, "{}", shown.len());
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!([7, 1_250, 15_000].map(format_duration), ["7 ms", "1.2 s", "15.0 s"]);
    }

    #[test]
    fn responses_share_the_room_of_a_page() {
        let attempt = |number| DeliveryAttempt {
            number,
            at: Timestamp::from_seconds(1),
            duration_ms: 1,
            status: Some(500),
            error: Some("HTTP 500".into()),
            response: Some(ResponseExcerpt {
                headers: vec![],
                body: Some("<".repeat(4_000)),
                bytes: 4_000,
                is_cut: false,
            }),
        };
        let (mut room, now) = (MAX_BODIES, Timestamp::from_seconds(2));
        let shown: Vec<Attempt> = (0..50).map(|n| Attempt::new(attempt(n), true, &mut room, now)).collect();
        assert_eq!(shown.iter().filter(|attempt| attempt.response.is_some()).count(), MAX_BODIES / 20_000);
        assert!(shown.last().is_some_and(|last| last.note.is_some() && last.error.is_none()));
        assert!(Attempt::new(attempt(1), false, &mut MAX_BODIES.clone(), now).response.is_none());
    }
}
