//! One attempt of one delivery.

use crate::clock;
use crate::crypto::random;
use crate::domain::authority::ChangeContext;
use crate::domain::choices::StoredResponses;
use crate::domain::delivery_attempt::ResponseExcerpt;
use crate::domain::delivery_error::DeliveryError;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, Webhook, WebhookState, next_attempt};
use crate::node::Node;
use crate::outbound::{OutboundRequest, Reply, Sender};
use crate::store::{AfterAttempt, Attempt, action};
use crate::telemetry::Sent;
use crate::webhooks::change::{WebhookError, find, headers, secrets, url, write};
use crate::webhooks::deliver::{DeliveryWorker, shared_now};

/// Minimum length of a part of a URL or a signature that is removed from responses.
const MIN_SECRET: usize = 6;

/// The response of a receiver that wants no more events.
const GONE: u16 = 410;

/// Sends a claimed delivery and writes the result. Returns whether the receiver accepted it.
pub(super) async fn attempt(worker: &DeliveryWorker, webhook: &Webhook, delivery: Delivery) -> bool {
    // 1. Sign and send.
    let node = worker.node.as_ref();
    let (started_at, begin) = (clock::now(), clock::stopwatch());
    let sent = send(node, &worker.sender, webhook, &delivery, started_at).await;
    let duration_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, retry_after) = match &sent {
        Ok((reply, _)) => (Some(reply.status), reply.retry_after),
        Err(_) => (None, None),
    };
    let (error, response) = match sent {
        Ok((reply, excerpt)) => (DeliveryError::of_status(reply.status), excerpt),
        Err(error) => (Some(error), None),
    };

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
    let attempt = Attempt { at: now, started_at, duration_ms, status, error, response, then };
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

/// Returns the response and the excerpt to store, or the reason why there is none.
async fn send(
    node: &Node,
    sender: &Sender,
    webhook: &Webhook,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(Reply, Option<ResponseExcerpt>), DeliveryError> {
    let secrets = secrets(node, webhook).map_err(|_| DeliveryError::Sealed)?;
    let destination = url(node, webhook).ok_or(DeliveryError::Sealed)?;
    let custom = headers(node, webhook).map_err(|_| DeliveryError::Sealed)?;
    let (id, at) = (delivery.id.as_str(), now.as_seconds());
    let signature = secrets.signatures(webhook.uses_previous(now), id, at, &delivery.payload);
    let request = OutboundRequest {
        destination: &destination,
        custom: &custom,
        headers: [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signature.clone()),
        ],
        body: delivery.payload.clone(),
    };
    let reply = sender.send(request).await?;
    let is_stored = match node.settings.webhook_responses {
        StoredResponses::None => false,
        StoredResponses::Public => reply.is_public,
        StoredResponses::All => true,
    };
    let excerpt = is_stored.then(|| {
        let url = destination.url();
        // Receivers often repeat the request: its URL, whole or in parts, its custom headers and its signature.
        let query: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let mut known = vec![url.as_str()];
        known.extend(url.query());
        // A short part of a path, such as `hook`, is a word of its own in many responses.
        known.extend(Some(url.path()).filter(|path| path.len() > 1));
        known.extend(url.path_segments().into_iter().flatten().filter(|part| part.len() >= MIN_SECRET));
        known.extend(query.iter().map(String::as_str));
        known.extend(custom.iter().map(|(_, value)| value));
        known.extend(custom.iter().filter_map(|(_, value)| value.split_once(' ').map(|(_, credential)| credential)));
        known.extend(signature.split([' ', ',']).filter(|part| part.len() >= MIN_SECRET));
        ResponseExcerpt::new(&reply.start, &known)
    });
    Ok((reply, excerpt))
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
