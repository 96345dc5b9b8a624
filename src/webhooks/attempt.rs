//! One attempt of one delivery.

use crate::clock;
use crate::crypto::random;
use crate::domain::authority::ChangeContext;
use crate::domain::delivery_error::DeliveryError;
use crate::domain::webhook::{Delivery, Webhook, WebhookState, next_attempt};
use crate::node::Node;
use crate::outbound::{OutboundRequest, Reply, Sender};
use crate::store::{AfterAttempt, Attempt, action};
use crate::telemetry::Sent;
use crate::webhooks::change::{WebhookError, find, headers, secrets, url, write};
use crate::webhooks::deliver::{DeliveryWorker, shared_now};

/// The response of a receiver that wants no more events.
const GONE: u16 = 410;

/// Sends a claimed delivery and writes the result. Returns whether the receiver accepted it.
pub(super) async fn attempt(worker: &DeliveryWorker, webhook: &Webhook, delivery: Delivery) -> bool {
    // 1. Sign and send.
    let node = worker.node.as_ref();
    let sent = send(node, &worker.sender, webhook, &delivery).await;
    let (status, retry_after) = match &sent {
        Ok(reply) => (Some(reply.status), reply.retry_after),
        Err(_) => (None, None),
    };
    let error = sent.map_or_else(Some, |reply| DeliveryError::of_status(reply.status));

    // 2. The next state.
    let (now, attempts) = (shared_now(node), delivery.attempts.saturating_add(1));
    let [dice] = random::bytes().unwrap_or_default();
    let next = next_attempt(&node.settings.webhook_retry_seconds, attempts, retry_after, dice, now);
    let (then, outcome) = match (&error, next) {
        (None, _) => (AfterAttempt::Delivered, Sent::Delivered),
        (Some(_), Some(at)) if status != Some(GONE) => (AfterAttempt::Retry(at), Sent::Failed),
        (Some(_), _) => (AfterAttempt::Dead, Sent::Dead),
    };
    if let Some(reason) = error {
        let is_dead = then == AfterAttempt::Dead;
        tracing::warn!(webhook = %webhook.id, delivery = %delivery.id, attempts, is_dead, %reason, "webhook delivery attempt failed");
    }

    // 3. The write. If it fails, the claim expires and the event is sent again.
    let is_accepted = error.is_none();
    let attempt = Attempt { at: now, status, error, then };
    match worker.outbox.finish_attempt(&delivery.id, &worker.claimant, &attempt).await {
        Ok(true) => node.metrics.webhooks().attempted(outcome),
        Ok(false) => tracing::debug!(delivery = %delivery.id, "claim on a delivery expired during the attempt"),
        Err(error) => {
            tracing::error!(%error, delivery = %delivery.id, "failed to write the result of a delivery attempt")
        }
    }

    // 4. Disable a webhook whose receiver responds with 410.
    if status == Some(GONE)
        && let Err(error) = disable(node, webhook).await
    {
        tracing::error!(?error, webhook = %webhook.id, "failed to disable a webhook whose receiver responded with 410");
    }
    is_accepted
}

/// Returns the response, or the reason why there is none.
async fn send(node: &Node, sender: &Sender, webhook: &Webhook, delivery: &Delivery) -> Result<Reply, DeliveryError> {
    let secrets = secrets(node, webhook).map_err(|_| DeliveryError::Sealed)?;
    let destination = url(node, webhook).ok_or(DeliveryError::Sealed)?;
    let custom = headers(node, webhook).map_err(|_| DeliveryError::Sealed)?;
    let now = clock::now();
    let (id, at) = (delivery.id.as_str(), now.as_seconds());
    let request = OutboundRequest {
        destination: &destination,
        custom: &custom,
        headers: [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", secrets.signatures(webhook.uses_previous(now), id, at, &delivery.payload)),
        ],
        body: delivery.payload.clone(),
    };
    sender.send(request).await
}

/// Disables a webhook, unless it changed since the attempt started.
async fn disable(node: &Node, webhook: &Webhook) -> Result<(), WebhookError> {
    let current = match find(node, &webhook.organization, &webhook.id).await {
        Ok(current) if current.version == webhook.version && current.is_enabled() => current,
        Ok(_) | Err(WebhookError::NotFound) => return Ok(()),
        Err(other) => return Err(other),
    };
    let state = WebhookState::Disabled { reason: Some("the endpoint returned 410 Gone".into()) };
    let next = Webhook { state, version: current.version + 1, ..current.clone() };
    let by = ChangeContext::keyturn(clock::now());
    match write(node, &by, action::WEBHOOK_DISABLE, &current, next).await {
        // The webhook changed at the same time.
        Ok(_) | Err(WebhookError::Conflict(_)) => Ok(()),
        Err(other) => Err(other),
    }
}
