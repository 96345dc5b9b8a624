//! Lists deliveries, sends test events and retries dead letters.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::crypto::random;
use crate::domain::authority::ChangeContext;
use crate::domain::delivery_attempt::DeliveryAttempt;
use crate::domain::event;
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};
use crate::node::{Affects, ChangeError, Node};
use crate::outbound::USER_AGENT;
use crate::store::{AuditEntry, DeliveryBacklog, DeliveryFilter, action, message};
use crate::webhooks::change::{WebhookError, find};

/// Returns the cursor behind a delivery.
pub fn cursor(delivery: &Delivery) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}", delivery.created_at.as_millis(), delivery.id))
}

/// Parses a cursor of [`cursor`].
pub fn read_cursor(text: &str) -> Option<(Timestamp, DeliveryId)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.split_once('.')?;
    Some((Timestamp::from_millis(at.parse().ok()?), DeliveryId::parse(id)?))
}

/// Returns the deliveries of a webhook that match a filter.
pub async fn deliveries(
    node: &Node,
    organization: &Slug,
    mut filter: DeliveryFilter,
) -> Result<Page<Delivery>, WebhookError> {
    find(node, organization, &filter.webhook).await?;
    let limit = filter.limit;
    filter.limit = Page::<Delivery>::read_limit(limit);
    Ok(Page::new(node.store.deliveries(&filter).await?, limit))
}

/// Returns the undelivered events of an organization's webhooks. Webhooks without any are omitted.
pub async fn undelivered(node: &Node, organization: &Slug) -> Result<Vec<DeliveryBacklog>, WebhookError> {
    Ok(node.store.undelivered(organization).await?)
}

/// Queues a test event for a webhook, regardless of its filter.
pub async fn test(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &WebhookId,
) -> Result<Delivery, WebhookError> {
    let webhook = enabled(node, organization, id).await?;
    let entry = AuditEntry::of(by, action::WEBHOOK_TEST, id, None, None);
    let delivery = Delivery {
        id: DeliveryId::of_random(id, &random::identifier()?),
        webhook: webhook.id,
        event: event::TEST.to_owned(),
        payload: message(event::TEST, organization, &entry)?,
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: by.now,
        created_at: by.now,
        last_attempt_at: None,
        last_status: None,
        last_error: None,
        ended_at: None,
    };
    node.change(&entry, Affects::Nothing, node.store.queue_delivery(organization, &delivery, &entry)).await?;
    Ok(delivery)
}

/// Returns a delivery with its webhook and its attempts, the latest first.
pub async fn delivery(
    node: &Node,
    organization: &Slug,
    (webhook, id): (&WebhookId, &DeliveryId),
) -> Result<(Webhook, Delivery, Vec<DeliveryAttempt>), WebhookError> {
    let webhook = find(node, organization, webhook).await?;
    let delivery = node.store.delivery(&webhook.id, id).await?.ok_or(WebhookError::NotFound)?;
    let attempts = node.store.attempts(id).await?;
    Ok((webhook, delivery, attempts))
}

/// Returns the headers of a delivery's requests. The values of the signature and of custom headers are secrets, and the time is
/// different for each attempt.
pub fn request_headers(webhook: &Webhook, delivery: &Delivery) -> Vec<(String, Option<String>)> {
    let fixed = [
        ("content-type", Some("application/json".to_owned())),
        ("user-agent", Some(USER_AGENT.to_owned())),
        ("webhook-id", Some(delivery.id.to_string())),
        ("webhook-timestamp", None),
        ("webhook-signature", None),
    ];
    let custom = webhook.header_names().iter().map(|name| (name.clone(), None));
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(custom).collect()
}

/// Retries a failed delivery now, under the same ID. A dead letter starts over with the complete schedule; a delivery that waits for
/// its next attempt keeps its place in it.
pub async fn retry(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (webhook, id): (&WebhookId, &DeliveryId),
) -> Result<Delivery, WebhookError> {
    find(node, organization, webhook).await?;
    node.store.delivery(webhook, id).await?.ok_or(WebhookError::NotFound)?;
    enabled(node, organization, webhook).await?;
    let entry = AuditEntry::of(by, action::WEBHOOK_RETRY, webhook, None, Some(json!({ "delivery": id.as_str() })));
    let write = node.store.retry_delivery(organization, (webhook, id), &entry);
    match node.change(&entry, Affects::Nothing, write).await {
        Err(ChangeError::Refused(_)) => {
            return Err(WebhookError::Conflict(
                "only failed deliveries and those that wait for their next attempt can be retried".into(),
            ));
        }
        written => written?,
    }
    node.store.delivery(webhook, id).await?.ok_or(WebhookError::NotFound)
}

async fn enabled(node: &Node, organization: &Slug, id: &WebhookId) -> Result<Webhook, WebhookError> {
    let webhook = find(node, organization, id).await?;
    if !webhook.is_enabled() {
        return Err(WebhookError::Conflict("the webhook is disabled; enable it first".into()));
    }
    Ok(webhook)
}
