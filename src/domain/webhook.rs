//! Webhooks and their deliveries: what they are, how a webhook changes, when an event is tried again.

use std::fmt;

use crate::domain::event::EventFilter;
use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// What a webhook's secret begins with; base64 follows.
pub const SECRET_PREFIX: &str = "whsec_";

/// Most webhooks of an organization.
pub const MAX_WEBHOOKS: u32 = 20;

/// For how long what is sent is signed with the secret before the last rotation as well: a day.
pub const PREVIOUS_SECRET_SECONDS: i64 = 86_400;

/// Longest time in seconds for which a receiver may ask to be left alone: a day.
const MAX_RETRY_AFTER: u64 = 86_400;

/// The id of a webhook: 22 characters of `[A-Za-z0-9_-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebhookId(String);

/// The id of a delivery, and of the message that is delivered (Standard Webhooks, `webhook-id`): the same at each
/// attempt, and never given to another event or webhook.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryId(String);

/// A webhook as it is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Webhook {
    /// Its name in URLs.
    pub id: WebhookId,
    /// Whose.
    pub organization: Slug,
    /// Where events are sent.
    pub url: SealedUrl,
    /// Headers that are sent beside the signature.
    pub headers: Option<SealedHeaders>,
    /// Description; may be empty.
    pub description: String,
    /// What it is told.
    pub events: EventFilter,
    /// Whether it is told anything.
    pub state: WebhookState,
    /// Its secret and, after a rotation, the one before it, sealed under [`WebhookId::seal_name`].
    pub sealed: Sealed,
    /// Until when the secret before the last rotation is used as well.
    pub previous_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Goes up with each change.
    pub version: u64,
}

/// The URL of a webhook as it is stored. The path and the query may hold a token, so only the origin and the digest are
/// shown in the audit log, in events and in logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedUrl {
    /// Scheme, host and port.
    pub origin: String,
    /// The first 16 hexadecimal digits of the URL's SHA-256.
    pub digest: String,
    /// The whole URL, sealed under [`WebhookId::url_seal_name`].
    pub sealed: Sealed,
}

/// Custom headers of a webhook as they are stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedHeaders {
    /// Their names, in lower case.
    pub names: Vec<String>,
    /// Names and values, sealed under [`WebhookId::headers_seal_name`].
    pub sealed: Sealed,
}

/// Whether a webhook is told anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebhookState {
    /// It is.
    Enabled,
    /// It is not: nothing new is queued, and what is queued waits.
    Disabled {
        /// Why, where Keyturn itself did it.
        reason: Option<String>,
    },
}

/// What is to be changed of a webhook; `None` stays.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct WebhookEdit {
    /// Where events are sent.
    pub url: Option<SealedUrl>,
    /// Headers that are sent beside the signature; `Some(None)` for none.
    pub headers: Option<Option<SealedHeaders>>,
    /// Description.
    pub description: Option<String>,
    /// What it is told.
    pub events: Option<EventFilter>,
    /// Whether it is told anything.
    pub state: Option<WebhookState>,
}

/// What became of a delivery so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryState {
    /// It will be attempted, or is being.
    Pending,
    /// It was taken.
    Delivered,
    /// It was given up: a dead letter.
    Dead,
}

/// One event on its way to one webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook: WebhookId,
    /// The type of the event.
    pub event: String,
    /// What is sent, byte for byte the same at each attempt.
    pub payload: String,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts since it was queued, or taken up again by hand.
    pub attempts: u32,
    /// When it is attempted next; while an attempt is under way, when another node would take it over.
    pub due_at: Timestamp,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was last attempted.
    pub last_attempt_at: Option<Timestamp>,
    /// The status of the last answer, if there was one.
    pub last_status: Option<u16>,
    /// What was wrong at the last attempt.
    pub last_error: Option<String>,
    /// When it was taken or given up.
    pub ended_at: Option<Timestamp>,
}

impl WebhookId {
    /// Reads an id; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 22 && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that its secrets are sealed under.
    pub fn seal_name(&self) -> String {
        format!("webhook:{}", self.0)
    }

    /// The name that its URL is sealed under.
    pub fn url_seal_name(&self) -> String {
        format!("webhook-url:{}", self.0)
    }

    /// The name that its headers are sealed under.
    pub fn headers_seal_name(&self) -> String {
        format!("webhook-headers:{}", self.0)
    }
}

impl DeliveryId {
    /// The id for a row of the audit log. Its time is part of it: a log that was set back to a backup gives the numbers
    /// of rows a second time.
    pub fn of_audit_row(webhook: &WebhookId, row: u64, at: Timestamp) -> Self {
        Self(format!("msg_{}_{row:x}_{:x}", webhook.0, at.as_millis()))
    }

    /// The id for an event that is in no log, from a random identifier.
    pub fn of_random(webhook: &WebhookId, identifier: &str) -> Self {
        Self(format!("msg_{}_{identifier}", webhook.0))
    }

    /// Reads an id; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= 100 && text.starts_with("msg_") && text.bytes().all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// As text.
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
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// Reads a state.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Webhook {
    /// The names of its custom headers.
    pub fn header_names(&self) -> &[String] {
        self.headers.as_ref().map_or(&[], |headers| &headers.names)
    }

    /// Whether it is told anything.
    pub fn is_enabled(&self) -> bool {
        self.state == WebhookState::Enabled
    }

    /// The next version with an edit made; `None` when nothing would change.
    pub fn edit(self, edit: WebhookEdit) -> Option<Self> {
        let state = match (&self.state, edit.state) {
            // Disabled stays disabled for the reason that it was.
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

    /// The next version with a new secret; the one before is used on for a day.
    #[must_use]
    pub fn rotate(self, sealed: Sealed, now: Timestamp) -> Self {
        let previous_until = Some(now.plus_seconds(PREVIOUS_SECRET_SECONDS));
        Self { sealed, previous_until, version: self.version + 1, ..self }
    }

    /// Whether the secret before the last rotation is still in use.
    pub fn uses_previous(&self, now: Timestamp) -> bool {
        self.previous_until.is_some_and(|until| now < until)
    }
}

/// When an event is tried again that was attempted `attempts` times in vain: after the schedule's next pause and up to a
/// fifth more, by `dice`, so that what failed together does not come back together; and not before the receiver wants
/// it, within a day. `None`: the schedule is at its end.
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
    let place = usize::try_from(attempts.checked_sub(1)?).ok()?;
    let pause = i64::from(*schedule.get(place)?) * 1000;
    let asked = i64::try_from(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER)).unwrap_or(0) * 1000;
    Some(now.plus_millis(pause.max(asked) + pause * i64::from(dice) / (5 * 255)))
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
    fn an_edit_that_changes_nothing_is_none() {
        let same = WebhookEdit { state: Some(WebhookState::Enabled), ..WebhookEdit::default() };
        assert_eq!(webhook().edit(same), None);
        let gone = Webhook { state: WebhookState::Disabled { reason: Some("gone".into()) }, ..webhook() };
        let off = WebhookEdit { state: Some(WebhookState::Disabled { reason: None }), ..WebhookEdit::default() };
        assert_eq!(gone.edit(off.clone()), None, "the reason stays");
        let disabled = webhook().edit(off).unwrap();
        assert!(!disabled.is_enabled() && disabled.version == 2);
    }

    #[test]
    fn the_secret_before_is_used_for_a_day() {
        let now = Timestamp::from_seconds(100);
        let rotated = webhook().rotate(Sealed { master_key: "m".into(), bytes: vec![1] }, now);
        assert!(rotated.uses_previous(now.plus_seconds(86_399)) && !rotated.uses_previous(now.plus_seconds(86_400)));
        assert!(!webhook().uses_previous(now));
    }

    #[test]
    fn ids_are_read_back_and_nothing_else_is() {
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
