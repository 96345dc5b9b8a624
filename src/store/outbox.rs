//! Deliveries as they are worked at, by several nodes at once. Each statement stands for itself and locks one row.

use crate::domain::delivery_error::DeliveryError;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};
use crate::store::{Store, StoreError};

use crate::store::deliveries::delivery_from_row;
use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::query;
use crate::store::webhooks::webhook_from_row;

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

impl Store {
    /// The enabled webhooks with due deliveries, those first that wait longest. Deliveries are counted up to `most`.
    pub async fn due_webhooks(&self, now: Timestamp, most: u32) -> Result<Vec<DueWebhook>, StoreError> {
        let rows = query(
            "SELECT w.*, (SELECT MIN(d.due_at) FROM webhook_deliveries d \
             WHERE d.webhook = w.id AND d.state = 'pending') AS first_due, \
             (SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries d \
             WHERE d.webhook = w.id AND d.state = 'pending' AND d.due_at <= $1 LIMIT $2) AS first_few) AS due \
             FROM webhooks w WHERE w.state = 'enabled' AND EXISTS (SELECT 1 FROM webhook_deliveries d \
             WHERE d.webhook = w.id AND d.state = 'pending' AND d.due_at <= $1) ORDER BY first_due, w.id",
        )
        .bind(now.as_millis())
        .bind(i64::from(most))
        .fetch_all(&self.database)
        .await?;
        rows.iter()
            .map(|row| {
                let due: i64 = row.try_get("due")?;
                Ok(DueWebhook { webhook: webhook_from_row(row)?, due: u32::try_from(due).unwrap_or(most) })
            })
            .collect()
    }

    /// Moves deliveries that were scheduled more than `tolerance_seconds` after `now`, by a clock that was ahead: each
    /// keeps the pause that it was given, from `now` on. Returns how many there were.
    pub async fn reschedule_deliveries(&self, now: Timestamp, tolerance_seconds: i64) -> Result<u64, StoreError> {
        let latest = now.plus_seconds(tolerance_seconds);
        // The update alone would take SQLite's write lock at every look.
        let found = query("SELECT id FROM webhook_deliveries WHERE state = 'pending' AND scheduled_at > $1 LIMIT 1")
            .bind(latest.as_millis())
            .fetch_optional(&self.database)
            .await?;
        if found.is_none() {
            return Ok(0);
        }
        query(
            "UPDATE webhook_deliveries SET due_at = $1 + (due_at - scheduled_at), scheduled_at = $1 \
             WHERE state = 'pending' AND scheduled_at > $2",
        )
        .bind(now.as_millis())
        .bind(latest.as_millis())
        .execute_alone(&self.database)
        .await
    }

    /// Claims deliveries that are due for a webhook, those first that have been longest. Nobody else gets the same
    /// ones before the claim has run out.
    pub async fn claim_deliveries(
        &self,
        webhook: &WebhookId,
        terms: ClaimTerms<'_>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = query(
            "SELECT * FROM webhook_deliveries WHERE webhook = $1 AND state = 'pending' AND due_at <= $2 \
             ORDER BY due_at, id LIMIT $3",
        )
        .bind(webhook.as_str())
        .bind(terms.now.as_millis())
        .bind(i64::from(terms.limit))
        .fetch_all(&self.database)
        .await?;
        let mut claimed = Vec::new();
        for row in &rows {
            let delivery = delivery_from_row(row)?;
            // Another node may have seen the same row: whoever writes first has it.
            let won = query(
                "UPDATE webhook_deliveries SET claimed_by = $2, due_at = $3, scheduled_at = $4 \
                 WHERE id = $1 AND state = 'pending' AND due_at <= $4",
            )
            .bind(delivery.id.as_str())
            .bind(terms.by)
            .bind(terms.until.as_millis())
            .bind(terms.now.as_millis())
            .execute_alone(&self.database)
            .await?;
            if won == 1 {
                claimed.push(Delivery { due_at: terms.until, ..delivery });
            }
        }
        Ok(claimed)
    }

    /// Writes how an attempt went; false where the claim was lost meanwhile, and nothing is written.
    pub async fn finish_attempt(&self, id: &DeliveryId, by: &str, attempt: &Attempt) -> Result<bool, StoreError> {
        let (state, due_at, ended_at) = match attempt.then {
            AfterAttempt::Delivered => (DeliveryState::Delivered, attempt.at, Some(attempt.at)),
            AfterAttempt::Again(at) => (DeliveryState::Pending, at, None),
            AfterAttempt::Dead => (DeliveryState::Dead, attempt.at, Some(attempt.at)),
        };
        let written = query(
            "UPDATE webhook_deliveries SET state = $3, attempts = attempts + 1, due_at = $4, ended_at = $5, \
             last_attempt_at = $6, scheduled_at = $6, last_status = $7, last_error = $8, claimed_by = NULL \
             WHERE id = $1 AND claimed_by = $2 AND state = 'pending'",
        )
        .bind(id.as_str())
        .bind(by)
        .bind(state.as_str())
        .bind(due_at.as_millis())
        .bind(ended_at.map(Timestamp::as_millis))
        .bind(attempt.at.as_millis())
        .bind(attempt.status.map(i64::from))
        .bind(attempt.error.map(|error| error.to_string()))
        .execute_alone(&self.database)
        .await?;
        Ok(written == 1)
    }

    /// Gives back what somebody has claimed, or what anybody has (`None`).
    pub async fn release_claims(&self, by: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
        query(
            "UPDATE webhook_deliveries SET claimed_by = NULL, due_at = $2, scheduled_at = $2 \
             WHERE state = 'pending' AND claimed_by IS NOT NULL AND ($1 = '' OR claimed_by = $1)",
        )
        .bind(by.unwrap_or_default())
        .bind(now.as_millis())
        .execute_alone(&self.database)
        .await?;
        Ok(())
    }

    /// What waits.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let row = query(
            "SELECT COUNT(*) AS pending, MIN(created_at) AS oldest FROM webhook_deliveries \
             WHERE state = 'pending' AND webhook IN (SELECT id FROM webhooks WHERE state = 'enabled')",
        )
        .fetch_one(&self.database)
        .await?;
        let oldest: Option<i64> = row.try_get("oldest")?;
        Ok(Backlog {
            pending: unsigned(row.try_get("pending")?, "backlog")?,
            oldest: oldest.map(Timestamp::from_millis),
        })
    }
}
