//! Processing of deliveries by several nodes. Each statement is atomic and locks one row.

use crate::domain::delivery_attempt::ResponseExcerpt;
use crate::domain::delivery_error::DeliveryError;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};
use crate::store::{Store, StoreError, attempts};

use crate::store::deliveries::delivery_from_row;
use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::query;
use crate::store::webhooks::webhook_from_row;

/// Terms of a claim on deliveries.
#[derive(Clone, Copy, Debug)]
pub struct ClaimTerms<'a> {
    /// The claiming node.
    pub by: &'a str,
    /// Deliveries due by this time.
    pub now: Timestamp,
    /// Expiry of the claim.
    pub until: Timestamp,
    /// Maximum number of deliveries.
    pub limit: u32,
}

/// The result of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// When the request was signed.
    pub started_at: Timestamp,
    pub duration_ms: u64,
    /// Status of the response, if there was one.
    pub status: Option<u16>,
    /// `None` if it succeeded.
    pub error: Option<DeliveryError>,
    /// The beginning of the response, if it is stored.
    pub response: Option<ResponseExcerpt>,
    /// Next state of the delivery.
    pub then: AfterAttempt,
}

/// Next state of a delivery after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterAttempt {
    Delivered,
    /// Time of the next attempt.
    Retry(Timestamp),
    Dead,
}

/// A webhook with due deliveries.
#[derive(Clone, PartialEq, Debug)]
pub struct DueWebhook {
    pub webhook: Webhook,
    /// Number of due deliveries, up to a limit.
    pub due: u32,
}

/// Deliveries that wait for an attempt, of enabled webhooks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    pub pending: u64,
    /// Creation time of the oldest one.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// Returns the enabled webhooks with due deliveries, longest waiting first. Counts up to `most` deliveries each.
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

    /// Reschedules deliveries that are scheduled more than `tolerance_seconds` after `now`, because the clock was
    /// ahead. Each keeps its delay, measured from `now`. Returns their number.
    pub async fn reschedule_deliveries(&self, now: Timestamp, tolerance_seconds: i64) -> Result<u64, StoreError> {
        let latest = now.plus_seconds(tolerance_seconds);
        // A read first, because an update takes SQLite's write lock each time.
        let exists = query("SELECT id FROM webhook_deliveries WHERE state = 'pending' AND scheduled_at > $1 LIMIT 1")
            .bind(latest.as_millis())
            .fetch_optional(&self.database)
            .await?;
        if exists.is_none() {
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

    /// Claims due deliveries of a webhook, longest waiting first. No other node gets them before the claim expires.
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
            // Another node may have selected the same row; the first write wins.
            let updated = query(
                "UPDATE webhook_deliveries SET claimed_by = $2, due_at = $3, scheduled_at = $4 \
                 WHERE id = $1 AND state = 'pending' AND due_at <= $4",
            )
            .bind(delivery.id.as_str())
            .bind(terms.by)
            .bind(terms.until.as_millis())
            .bind(terms.now.as_millis())
            .execute_alone(&self.database)
            .await?;
            if updated == 1 {
                claimed.push(Delivery { due_at: terms.until, ..delivery });
            }
        }
        Ok(claimed)
    }

    /// Writes the result of an attempt. Returns false, without writing, if the claim was lost.
    pub async fn finish_attempt(&self, id: &DeliveryId, by: &str, attempt: &Attempt) -> Result<bool, StoreError> {
        let (state, due_at, ended_at) = match attempt.then {
            AfterAttempt::Delivered => (DeliveryState::Delivered, attempt.at, Some(attempt.at)),
            AfterAttempt::Retry(at) => (DeliveryState::Pending, at, None),
            AfterAttempt::Dead => (DeliveryState::Dead, attempt.at, Some(attempt.at)),
        };
        let mut transaction = self.database.begin().await?;
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
        .execute(&mut transaction)
        .await?;
        if written == 1 {
            attempts::insert(&mut transaction, id, attempt).await?;
        }
        transaction.commit().await?;
        Ok(written == 1)
    }

    /// Releases the claims of one node, or all claims (`None`).
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

    /// Returns the number and age of waiting deliveries.
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
