//! Webhooks, deliveries and the retry schedule.

use std::fmt;

use crate::domain::event::EventFilter;
use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// Prefix of a webhook's secret; base64 follows.
pub const SECRET_PREFIX: &str = "whsec_";

/// Maximum number of webhooks in an organization.
pub const MAX_WEBHOOKS: u32 = 20;

/// Deliveries are also signed with the previous secret for this long after a rotation: one day.
pub const PREVIOUS_SECRET_SECONDS: i64 = 86_400;

/// Maximum `Retry-After` in seconds that is honored: one day.
const MAX_RETRY_AFTER: u64 = 86_400;

/// 22 characters of `[A-Za-z0-9_-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebhookId(String);

/// ID of a delivery, and of its message (Standard Webhooks, `webhook-id`). It is the same for each attempt, and never
/// reused for another event or webhook.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryId(String);

/// A webhook as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Webhook {
    pub id: WebhookId,
    pub organization: Slug,
    pub url: SealedUrl,
    /// Custom headers.
    pub headers: Option<SealedHeaders>,
    pub description: String,
    pub events: EventFilter,
    pub state: WebhookState,
    /// The current and, after a rotation, the previous secret, encrypted under [`WebhookId::seal_name`].
    pub sealed: Sealed,
    /// End of the previous secret's grace period.
    pub previous_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub created_by: String,
    /// Increases with every change.
    pub version: u64,
}

/// An encrypted URL. Path and query may contain a token, so only origin and digest appear in the audit log, in events
/// and in logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedUrl {
    /// Scheme, host and port.
    pub origin: String,
    /// First 16 hexadecimal digits of the URL's SHA-256.
    pub digest: String,
    /// Complete URL, encrypted under [`WebhookId::url_seal_name`].
    pub sealed: Sealed,
}

/// Encrypted custom headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedHeaders {
    /// Names in lower case.
    pub names: Vec<String>,
    /// Names and values, encrypted under [`WebhookId::headers_seal_name`].
    pub sealed: Sealed,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebhookState {
    Enabled,
    /// No new deliveries are queued, and queued ones wait.
    Disabled {
        reason: Option<String>,
    },
}

/// Changes to a webhook; `None` keeps a field.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct WebhookEdit {
    pub url: Option<SealedUrl>,
    /// `Some(None)` removes all custom headers.
    pub headers: Option<Option<SealedHeaders>>,
    pub description: Option<String>,
    pub events: Option<EventFilter>,
    pub state: Option<WebhookState>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryState {
    /// Waiting for an attempt, or being attempted.
    Pending,
    /// The receiver accepted it.
    Delivered,
    /// Failed permanently: a dead letter.
    Dead,
}

/// The delivery of one event to one webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    pub event: String,
    /// Message body, identical for each attempt.
    pub payload: String,
    pub state: DeliveryState,
    /// Attempts since the delivery was queued or retried manually.
    pub attempts: u32,
    /// Time of the next attempt. During an attempt, the time at which another node takes over.
    pub due_at: Timestamp,
    pub created_at: Timestamp,
    pub last_attempt_at: Option<Timestamp>,
    /// Status of the last response.
    pub last_status: Option<u16>,
    pub last_error: Option<String>,
    /// Time at which the delivery succeeded or failed permanently.
    pub ended_at: Option<Timestamp>,
}

impl WebhookId {
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 22 && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name under which its secrets are encrypted.
    pub fn seal_name(&self) -> String {
        format!("webhook:{}", self.0)
    }

    /// Name under which its URL is encrypted.
    pub fn url_seal_name(&self) -> String {
        format!("webhook-url:{}", self.0)
    }

    /// Name under which its headers are encrypted.
    pub fn headers_seal_name(&self) -> String {
        format!("webhook-headers:{}", self.0)
    }
}

impl DeliveryId {
    /// Creates the ID for an audit entry. It includes the entry's time, because a log that was restored from a backup
    /// assigns entry IDs a second time.
    pub fn of_audit_row(webhook: &WebhookId, row: u64, at: Timestamp) -> Self {
        Self(format!("msg_{}_{row:x}_{:x}", webhook.0, at.as_millis()))
    }

    /// Creates the ID for an event without an audit entry, from a random identifier.
    pub fn of_random(webhook: &WebhookId, identifier: &str) -> Self {
        Self(format!("msg_{}_{identifier}", webhook.0))
    }

    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= 100 && text.starts_with("msg_") && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// Name in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Webhook {
    pub fn header_names(&self) -> &[String] {
        self.headers.as_ref().map_or(&[], |headers| &headers.names)
    }

    pub fn is_enabled(&self) -> bool {
        self.state == WebhookState::Enabled
    }

    /// Applies an edit. Returns `None` if nothing changes.
    pub fn edit(self, edit: WebhookEdit) -> Option<Self> {
        let state = match (&self.state, edit.state) {
            // A disabled webhook keeps its reason.
            (WebhookState::Disabled { .. }, Some(WebhookState::Disabled { .. })) | (_, None) => self.state.clone(),
            (_, Some(state)) => state,
        };
        let next = Self {
            url: edit.url.unwrap_or_else(|| self.url.clone()),
            headers: edit.headers.unwrap_or_else(|| self.headers.clone()),
            description: edit.description.unwrap_or_else(|| self.description.clone()),
            events: edit.events.unwrap_or_else(|| self.events.clone()),
            state,
            ..self.clone()
        };
        (next != self).then_some(Self { version: self.version + 1, ..next })
    }

    /// Replaces the secret; the previous one stays in use for a day.
    #[must_use]
    pub fn rotate(self, sealed: Sealed, now: Timestamp) -> Self {
        let previous_until = Some(now.plus_seconds(PREVIOUS_SECRET_SECONDS));
        Self { sealed, previous_until, version: self.version + 1, ..self }
    }

    /// Whether the previous secret is still in use.
    pub fn uses_previous(&self, now: Timestamp) -> bool {
        self.previous_until.is_some_and(|until| now < until)
    }
}

/// Returns the time of the next attempt after `attempts` failed ones, or `None` at the end of the schedule. The delay
/// of the schedule is extended by up to a fifth, by `dice`, so that deliveries that failed together are not retried
/// together. A receiver's `Retry-After` is honored up to a day.
///
/// ```
/// use keyturn::domain::timestamp::Timestamp;
/// use keyturn::domain::webhook::next_attempt;
/// let now = Timestamp::from_seconds(0);
/// assert_eq!(next_attempt(&[5, 300], 1, None, 0, now), Some(Timestamp::from_seconds(5)));
/// assert_eq!(next_attempt(&[5, 300], 2, None, 255, now), Some(Timestamp::from_seconds(360)));
/// assert_eq!(next_attempt(&[5, 300], 1, Some(60), 0, now), Some(Timestamp::from_seconds(60)));
/// assert_eq!(next_attempt(&[5, 300], 3, Some(60), 0, now), None);
/// ```
pub fn next_attempt(
    schedule: &[u32],
    attempts: u32,
    retry_after: Option<u64>,
    dice: u8,
    now: Timestamp,
) -> Option<Timestamp> {
    let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
    let delay = i64::from(*schedule.get(index)?) * 1000;
    let requested = i64::try_from(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER)).unwrap_or(0) * 1000;
    Some(now.plus_millis(delay.max(requested) + delay * i64::from(dice) / (5 * 255)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook() -> Webhook {
        Webhook {
            id: WebhookId::parse("0123456789abcdefghij_-").unwrap(),
            organization: Slug::default_organization(),
            url: SealedUrl {
                origin: "https://hooks.example".into(),
                digest: "0123456789abcdef".into(),
                sealed: Sealed { master_key: "m".into(), bytes: vec![2] },
            },
            headers: None,
            description: String::new(),
            events: EventFilter::default(),
            state: WebhookState::Enabled,
            sealed: Sealed { master_key: "m".into(), bytes: vec![] },
            previous_until: None,
            created_at: Timestamp::from_seconds(1),
            created_by: "keyturn".into(),
            version: 1,
        }
    }

    #[test]
    fn edit_without_effect_is_none() {
        let same = WebhookEdit { state: Some(WebhookState::Enabled), ..WebhookEdit::default() };
        assert_eq!(webhook().edit(same), None);
        let gone = Webhook { state: WebhookState::Disabled { reason: Some("gone".into()) }, ..webhook() };
        let off = WebhookEdit { state: Some(WebhookState::Disabled { reason: None }), ..WebhookEdit::default() };
        assert_eq!(gone.edit(off.clone()), None, "the reason stays");
        let disabled = webhook().edit(off).unwrap();
        assert!(!disabled.is_enabled() && disabled.version == 2);
    }

    #[test]
    fn previous_secret_is_used_for_a_day() {
        let now = Timestamp::from_seconds(100);
        let rotated = webhook().rotate(Sealed { master_key: "m".into(), bytes: vec![1] }, now);
        assert!(rotated.uses_previous(now.plus_seconds(86_399)) && !rotated.uses_previous(now.plus_seconds(86_400)));
        assert!(!webhook().uses_previous(now));
    }

    #[test]
    fn ids_round_trip() {
        let id = webhook().id;
        for delivery in [
            DeliveryId::of_audit_row(&id, u64::MAX, Timestamp::MAX),
            DeliveryId::of_random(&id, "0123456789abcdefghij_-"),
        ] {
            assert_eq!(DeliveryId::parse(delivery.as_str()), Some(delivery));
        }
        for wrong in ["", "msg.x", "msg_\0", "x", "msg_ü"] {
            assert_eq!(DeliveryId::parse(wrong), None);
            assert_eq!(WebhookId::parse(wrong), None);
        }
    }
}
