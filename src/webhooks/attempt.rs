//! One attempt to deliver one event.

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
use crate::webhooks::deliver::{Outgoing, shared_now};

/// The answer that says that a receiver is gone for good.
const GONE: u16 = 410;

/// Sends a claimed delivery and writes what became of it. False: the receiver did not take it.
pub(super) async fn attempt(outgoing: &Outgoing, webhook: &Webhook, delivery: Delivery) -> bool {
    // 1. Signed and sent.
    let node = outgoing.node.as_ref();
    let sent = send(node, &outgoing.sender, webhook, &delivery).await;
    let (status, retry_after) = match &sent {
        Ok(reply) => (Some(reply.status), reply.retry_after),
        Err(_) => (None, None),
    };
    let error = sent.map_or_else(Some, |reply| DeliveryError::of_status(reply.status));

    // 2. What becomes of it.
    let (now, attempts) = (shared_now(node), delivery.attempts.saturating_add(1));
    let [dice] = random::bytes().unwrap_or_default();
    let next = next_attempt(&node.settings.webhook_retry_seconds, attempts, retry_after, dice, now);
    let (then, outcome) = match (&error, next) {
        (None, _) => (AfterAttempt::Delivered, Sent::Delivered),
        (Some(_), Some(at)) if status != Some(GONE) => (AfterAttempt::Again(at), Sent::Failed),
        (Some(_), _) => (AfterAttempt::Dead, Sent::Dead),
    };
    if let Some(reason) = error {
        let is_dead = then == AfterAttempt::Dead;
        tracing::warn!(webhook = %webhook.id, delivery = %delivery.id, attempts, is_dead, %reason, "an event was not taken");
    }

    // 3. The write. Where it fails, the claim runs out and the event is sent again.
    let is_taken = error.is_none();
    let attempt = Attempt { at: now, status, error, then };
    match outgoing.outbox.finish_attempt(&delivery.id, &outgoing.claimant, &attempt).await {
        Ok(true) => node.metrics.webhooks().attempted(outcome),
        Ok(false) => tracing::debug!(delivery = %delivery.id, "a claim was lost before its attempt ended"),
        Err(error) => tracing::error!(%error, delivery = %delivery.id, "what became of an event could not be written"),
    }

    // 4. Whoever is gone is told no more.
    if status == Some(GONE)
        && let Err(error) = disable(node, webhook).await
    {
        tracing::error!(?error, webhook = %webhook.id, "a webhook whose receiver is gone could not be disabled");
    }
    is_taken
}

/// The answer, or why there is none.
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

/// Disables a webhook that is still as it was when its receiver said that it is gone.
async fn disable(node: &Node, webhook: &Webhook) -> Result<(), WebhookError> {
    let found = match find(node, &webhook.organization, &webhook.id).await {
        Ok(found) if found.version == webhook.version && found.is_enabled() => found,
        Ok(_) | Err(WebhookError::NotFound) => return Ok(()),
        Err(other) => return Err(other),
    };
    let state = WebhookState::Disabled { reason: Some("the endpoint returned 410 Gone".into()) };
    let next = Webhook { state, version: found.version + 1, ..found.clone() };
    let by = ChangeContext::keyturn(clock::now());
    match write(node, &by, action::WEBHOOK_DISABLE, &found, next).await {
        // Somebody was quicker.
        Ok(_) | Err(WebhookError::Conflict(_)) => Ok(()),
        Err(other) => Err(other),
    }
}
