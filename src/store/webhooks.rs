//! Webhooks, and the outbox of what they are told: traits, and the message that an audit row becomes.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::domain::delivery_error::DeliveryError;
use crate::domain::destination::Destination;
use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryId, DeliveryState, SealedUrl, Webhook, WebhookId};
use crate::store::{AuditEntry, Refused, StoreError};

/// The seals of a webhook's secrets, URL and headers, as of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookSeal {
    /// Whose.
    pub webhook: WebhookId,
    /// The version that it is of.
    pub version: u64,
    /// The seal of its secrets.
    pub sealed: Sealed,
    /// The seal of its URL.
    pub url: Sealed,
    /// The seal of its headers, if it has any.
    pub headers: Option<Sealed>,
}

/// The URL of a webhook that an earlier version stored without sealing it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsealedUrl {
    /// Which webhook.
    pub webhook: WebhookId,
    /// The version that it is of.
    pub version: u64,
    /// The URL.
    pub destination: Destination,
}

/// Which deliveries to list. Newest first.
#[derive(Clone, Debug)]
pub struct DeliveryFilter {
    /// To which webhook.
    pub webhook: WebhookId,
    /// In which state.
    pub state: Option<DeliveryState>,
    /// Only those after this one in the list's order.
    pub after: Option<(Timestamp, DeliveryId)>,
    /// At most so many.
    pub limit: u32,
}

/// Who may work at which deliveries of a webhook, and until when nobody else may.
#[derive(Clone, Copy, Debug)]
pub struct ClaimTerms<'a> {
    /// Who.
    pub by: &'a str,
    /// Due by this moment.
    pub now: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// At most so many.
    pub limit: u32,
}

/// How an attempt went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed; `None` if it succeeded.
    pub error: Option<DeliveryError>,
    /// What becomes of the delivery.
    pub then: AfterAttempt,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterAttempt {
    /// It was taken.
    Delivered,
    /// It is tried again.
    Again(Timestamp),
    /// It is given up.
    Dead,
}

/// A webhook with due deliveries.
#[derive(Clone, PartialEq, Debug)]
pub struct DueWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// How many deliveries are due, up to a limit.
    pub due: u32,
}

/// What waits to be delivered to enabled webhooks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// How many events.
    pub pending: u64,
    /// When the oldest was queued.
    pub oldest: Option<Timestamp>,
}

/// What a webhook has not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undelivered {
    /// Which webhook.
    pub webhook: WebhookId,
    /// How many events are on their way.
    pub pending: u64,
    /// How many were given up and are still kept.
    pub dead: u64,
}

/// Webhooks.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Those of an organization, oldest first.
    async fn webhooks(&self, organization: &Slug) -> Result<Vec<Webhook>, StoreError>;
    /// The webhook of that id, if it is that organization's.
    async fn webhook(&self, organization: &Slug, id: &WebhookId) -> Result<Option<Webhook>, StoreError>;
    /// Writes a new one, if its organization has fewer than `limit`, and its audit row.
    async fn insert_webhook(
        &self,
        webhook: &Webhook,
        limit: u32,
        entry: &AuditEntry,
    ) -> Result<Result<(), Refused>, StoreError>;
    /// Writes the next version of one whose stored version is the one before, and its audit row.
    async fn update_webhook(&self, webhook: &Webhook, entry: &AuditEntry) -> Result<Result<(), Refused>, StoreError>;
    /// Removes one that is stored as it is given, with its deliveries, and writes the audit row.
    async fn delete_webhook(&self, webhook: &Webhook, entry: &AuditEntry) -> Result<Result<(), Refused>, StoreError>;
    /// The seals of all.
    async fn webhook_seals(&self) -> Result<Vec<WebhookSeal>, StoreError>;
    /// The URLs that an earlier version stored without sealing them.
    async fn unsealed_webhook_urls(&self) -> Result<Vec<UnsealedUrl>, StoreError>;
    /// Replaces an unsealed URL, if the webhook was not changed since that version.
    async fn seal_webhook_url(&self, webhook: &WebhookId, version: u64, url: &SealedUrl) -> Result<(), StoreError>;
}

/// Deliveries, as people look at them.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// The deliveries that a filter lets through.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;
    /// What the webhooks of an organization have not taken. One that has taken everything is left out.
    async fn undelivered(&self, organization: &Slug) -> Result<Vec<Undelivered>, StoreError>;
    /// The delivery of that id to that webhook.
    async fn delivery(&self, webhook: &WebhookId, id: &DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Queues one that tells of no change, and writes its audit row.
    async fn queue_delivery(
        &self,
        organization: &Slug,
        delivery: &Delivery,
        entry: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// Takes a dead one up again, as if it were new and due, and writes its audit row; refused where it is not dead.
    async fn revive_delivery(
        &self,
        organization: &Slug,
        (webhook, id): (&WebhookId, &DeliveryId),
        entry: &AuditEntry,
    ) -> Result<Result<(), Refused>, StoreError>;
    /// Removes those that were taken before one moment or given up before another, and gives those up that were
    /// queued before the second and belong to a webhook that is disabled.
    async fn forget_deliveries(
        &self,
        (taken_before, dead_before): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

/// Deliveries, as they are worked at. A claim that has run out counts for nothing.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The enabled webhooks with due deliveries, those first that wait longest. Deliveries are counted up to `most`.
    async fn due_webhooks(&self, now: Timestamp, most: u32) -> Result<Vec<DueWebhook>, StoreError>;
    /// Moves deliveries that were scheduled more than `tolerance_seconds` after `now`, by a clock that was ahead: each
    /// keeps the pause that it was given, from `now` on. Returns how many there were.
    async fn reschedule_deliveries(&self, now: Timestamp, tolerance_seconds: i64) -> Result<u64, StoreError>;
    /// Claims deliveries that are due for a webhook, those first that have been longest. Nobody else gets the same
    /// ones before the claim has run out.
    async fn claim_deliveries(&self, webhook: &WebhookId, terms: ClaimTerms<'_>) -> Result<Vec<Delivery>, StoreError>;
    /// Writes how an attempt went; false where the claim was lost meanwhile, and nothing is written.
    async fn finish_attempt(&self, id: &DeliveryId, by: &str, attempt: &Attempt) -> Result<bool, StoreError>;
    /// Gives back what somebody has claimed, or what anybody has (`None`).
    async fn release_claims(&self, by: Option<&str>, now: Timestamp) -> Result<(), StoreError>;
    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}

/// The message that tells of an audit row, as Standard Webhooks recommends.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    organization: &'a str,
    subject: &'a str,
    actor: &'a str,
    address: Option<&'a str>,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
}

/// What a webhook is sent to tell of an audit row, as JSON.
pub fn message(event: &str, organization: &Slug, entry: &AuditEntry) -> Result<String, StoreError> {
    let message = Message {
        kind: event,
        timestamp: rfc3339(entry.at),
        data: Data {
            organization: organization.as_str(),
            subject: &entry.subject,
            actor: &entry.actor,
            address: entry.address.as_deref(),
            old: entry.old.as_ref(),
            new: entry.new.as_ref(),
        },
    };
    serde_json::to_string(&message)
        .map_err(|error| StoreError::Unreadable { what: "audit row", detail: error.to_string() })
}
