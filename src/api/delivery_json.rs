//! JSON of deliveries and their attempts.

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::rfc3339;
use crate::domain::delivery_attempt::{DeliveryAttempt, ResponseExcerpt};
use crate::domain::webhook::{Delivery, DeliveryState, Webhook};
use crate::webhooks;

/// A delivery. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(super) struct DeliveryJson {
    id: String,
    event: String,
    state: &'static str,
    attempts: u32,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_attempt_at: Option<String>,
    last_status: Option<u16>,
    last_error: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    next_attempt_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    ended_at: Option<String>,
}

/// A delivery with its request and its attempts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryDetails")]
pub(super) struct DeliveryDetailsJson {
    #[serde(flatten)]
    delivery: DeliveryJson,
    /// The body of the request as it is sent with each attempt. Only for callers with `read:keyturn/audit`.
    payload: Option<String>,
    /// The headers of the request. The values of the signature and of custom headers are not shown.
    request_headers: Vec<HeaderJson>,
    /// The latest attempts, the latest first: at most 50.
    history: Vec<AttemptJson>,
}

/// A header of a request or a response.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Header")]
struct HeaderJson {
    name: String,
    /// Absent if it is not shown.
    value: Option<String>,
}

/// An attempt of a delivery.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryAttempt")]
struct AttemptJson {
    /// Counts the attempts from 1, also after a retry.
    number: u32,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    duration_ms: u64,
    status: Option<u16>,
    error: Option<String>,
    /// The beginning of the response, without secrets. Only for callers with `admin:keyturn/webhooks`, if
    /// `webhooks.stored_responses` includes it, and of the latest 200 responses of the webhook.
    response: Option<ResponseJson>,
}

/// The beginning of a response.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryResponse")]
struct ResponseJson {
    /// At most 2 KiB.
    headers: Vec<HeaderJson>,
    /// The first 4 KiB. `null` if it is not text.
    body: Option<String>,
    /// The bytes that were read, at most 64 KiB.
    bytes: u64,
    /// Whether the body continues, or ended early.
    truncated: bool,
}

/// The parts of a delivery that a caller can see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) payload: bool,
    pub(super) responses: bool,
}

impl DeliveryDetailsJson {
    pub(super) fn new(webhook: &Webhook, delivery: Delivery, attempts: Vec<DeliveryAttempt>, shown: Shown) -> Self {
        let headers = webhooks::request_headers(webhook, &delivery).into_iter();
        Self {
            delivery: DeliveryJson::new(&delivery),
            request_headers: headers.map(|(name, value)| HeaderJson { name, value }).collect(),
            payload: shown.payload.then_some(delivery.payload),
            history: attempts.into_iter().map(|attempt| AttemptJson::new(attempt, shown.responses)).collect(),
        }
    }
}

impl AttemptJson {
    fn new(attempt: DeliveryAttempt, with_response: bool) -> Self {
        Self {
            number: attempt.number,
            at: rfc3339(attempt.at),
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error,
            response: attempt.response.filter(|_| with_response).map(ResponseJson::from),
        }
    }
}

impl From<ResponseExcerpt> for ResponseJson {
    fn from(response: ResponseExcerpt) -> Self {
        let headers = response.headers.into_iter();
        Self {
            headers: headers.map(|(name, value)| HeaderJson { name, value: Some(value) }).collect(),
            body: response.body,
            bytes: response.bytes,
            truncated: response.is_cut,
        }
    }
}

impl DeliveryJson {
    /// Returns a delivery without its payload and attempts.
    pub(super) fn new(delivery: &Delivery) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id.to_string(),
            event: delivery.event.clone(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            created_at: rfc3339(delivery.created_at),
            last_attempt_at: delivery.last_attempt_at.map(rfc3339),
            last_status: delivery.last_status,
            last_error: delivery.last_error.clone(),
            next_attempt_at: is_pending.then(|| rfc3339(delivery.due_at)),
            ended_at: delivery.ended_at.map(rfc3339),
        }
    }
}
