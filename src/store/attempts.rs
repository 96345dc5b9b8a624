//! Attempts of deliveries. The number of rows and of stored responses is bounded.

use crate::domain::delivery_attempt::{DeliveryAttempt, ResponseExcerpt};
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::DeliveryId;
use crate::store::sql::columns::unsigned;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};
use crate::store::{Attempt, Store, StoreError};

/// Attempts that are kept for each delivery, the latest.
pub const ATTEMPTS_OF_DELIVERY: i64 = 50;
/// Responses that are kept for each webhook, the latest. Each has at most 6 KiB, so those of an organization with 20 webhooks have at
/// most 24 MB.
pub const RESPONSES_OF_WEBHOOK: i64 = 200;

/// Inserts an attempt, and deletes what is beyond the bounds.
pub(super) async fn insert(
    transaction: &mut Transaction,
    id: &DeliveryId,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    let response = attempt.response.as_ref();
    query(
        "INSERT INTO webhook_attempts (delivery, number, webhook, at, duration_ms, status, error, response_headers, \
         response_body, response_bytes, is_cut) \
         SELECT id, (SELECT COALESCE(MAX(number), 0) + 1 FROM webhook_attempts WHERE delivery = $1), webhook, \
         $2, $3, $4, $5, $6, $7, $8, $9 FROM webhook_deliveries WHERE id = $1",
    )
    .bind(id.as_str())
    .bind(attempt.started_at.as_millis())
    .bind(attempt.duration_ms)
    .bind(attempt.status.map(i64::from))
    .bind(attempt.error.map(|error| error.to_string()))
    .bind(response.map(ResponseExcerpt::header_lines))
    .bind(response.and_then(|response| response.body.clone()))
    .bind(response.map(|response| i64::try_from(response.bytes).unwrap_or(i64::MAX)))
    .bind(i64::from(response.is_some_and(|response| response.is_cut)))
    .execute(&mut *transaction)
    .await?;
    query(
        "DELETE FROM webhook_attempts WHERE delivery = $1 \
         AND number <= (SELECT MAX(number) FROM webhook_attempts WHERE delivery = $1) - $2",
    )
    .bind(id.as_str())
    .bind(ATTEMPTS_OF_DELIVERY)
    .execute(&mut *transaction)
    .await?;
    if response.is_some() {
        query(
            "UPDATE webhook_attempts SET response_headers = NULL, response_body = NULL, response_bytes = NULL \
             WHERE response_headers IS NOT NULL AND webhook = (SELECT webhook FROM webhook_deliveries WHERE id = $1) \
             AND (delivery, number) IN (SELECT delivery, number FROM webhook_attempts \
             WHERE webhook = (SELECT webhook FROM webhook_deliveries WHERE id = $1) AND response_headers IS NOT NULL \
             ORDER BY at DESC, delivery, number DESC LIMIT $2 OFFSET $3)",
        )
        .bind(id.as_str())
        .bind(RESPONSES_OF_WEBHOOK)
        .bind(RESPONSES_OF_WEBHOOK)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Returns the attempts of a delivery, the latest first.
    pub async fn attempts(&self, id: &DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError> {
        let rows = query("SELECT * FROM webhook_attempts WHERE delivery = $1 ORDER BY number DESC LIMIT $2")
            .bind(id.as_str())
            .bind(ATTEMPTS_OF_DELIVERY)
            .fetch_all(&self.database)
            .await?;
        rows.iter().map(read_row).collect()
    }
}

fn read_row(row: &Row) -> Result<DeliveryAttempt, StoreError> {
    let headers: Option<String> = row.try_get("response_headers")?;
    let (body, bytes) = (row.try_get("response_body")?, row.try_get::<Option<i64>>("response_bytes")?);
    let is_cut = row.try_get::<i64>("is_cut")? != 0;
    let status: Option<i64> = row.try_get("status")?;
    Ok(DeliveryAttempt {
        number: u32::try_from(row.try_get::<i64>("number")?).unwrap_or(u32::MAX),
        at: Timestamp::from_millis(row.try_get("at")?),
        duration_ms: unsigned(row.try_get("duration_ms")?, "duration")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        error: row.try_get("error")?,
        response: headers.map(|headers| ResponseExcerpt {
            headers: ResponseExcerpt::read_header_lines(&headers),
            body,
            bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            is_cut,
        }),
    })
}
