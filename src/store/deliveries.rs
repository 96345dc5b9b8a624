//! Webhook deliveries: queueing them with their change, and listing them.

use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::domain::event::{EventFilter, event_of};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, DeliveryId, DeliveryState, WebhookId};
use crate::store::sql::columns::unsigned;
use crate::store::{AuditEntry, Refused, Store, StoreError, WriteError, audit, refuse};

use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};
use crate::store::webhooks::webhook_id;

/// Filter and position of a list of deliveries, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryFilter {
    pub webhook: WebhookId,
    pub state: Option<DeliveryState>,
    /// Only deliveries after this one.
    pub after: Option<(Timestamp, DeliveryId)>,
    /// Maximum number of deliveries.
    pub limit: u32,
}

/// Undelivered events of a webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryBacklog {
    pub webhook: WebhookId,
    /// Queued deliveries.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
}

/// The message for an audit entry, as recommended by Standard Webhooks.
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

/// Returns the message for an audit entry as JSON.
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
        .map_err(|error| StoreError::Unreadable { what: "audit entry", detail: error.to_string() })
}

/// Queues the event of the audit entry just written, in its transaction: one delivery for each enabled webhook whose
/// filter matches.
pub(super) async fn enqueue(
    transaction: &mut Transaction,
    organization: &Slug,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let Some(event) = event_of(entry.action) else { return Ok(()) };
    let rows = query(
        "SELECT id, events, (SELECT MAX(id) FROM audit) AS audit_row FROM webhooks \
         WHERE organization = $1 AND state = 'enabled' ORDER BY id",
    )
    .bind(organization.as_str())
    .fetch_all(&mut *transaction)
    .await?;
    for row in &rows {
        let events: String = row.try_get("events")?;
        if !EventFilter::from_stored(&events).matches(&event) {
            continue;
        }
        let webhook = webhook_id(row.try_get("id")?)?;
        let audit_row = unsigned(row.try_get("audit_row")?, "audit entry")?;
        let delivery = Delivery {
            id: DeliveryId::of_audit_row(&webhook, audit_row, entry.at),
            webhook,
            event: event.to_string(),
            payload: message(&event, organization, entry)?,
            state: DeliveryState::Pending,
            attempts: 0,
            due_at: entry.at,
            created_at: entry.at,
            last_attempt_at: None,
            last_status: None,
            last_error: None,
            ended_at: None,
        };
        insert(transaction, &delivery).await?;
    }
    Ok(())
}

/// Inserts a delivery that has not been attempted.
async fn insert(transaction: &mut Transaction, delivery: &Delivery) -> Result<(), StoreError> {
    query(
        "INSERT INTO webhook_deliveries (id, webhook, event, payload, state, attempts, due_at, created_at, scheduled_at) \
         VALUES ($1, $2, $3, $4, 'pending', 0, $5, $6, $5)",
    )
    .bind(delivery.id.as_str())
    .bind(delivery.webhook.as_str())
    .bind(&delivery.event)
    .bind(&delivery.payload)
    .bind(delivery.due_at.as_millis())
    .bind(delivery.created_at.as_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Returns the deliveries that match a filter.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let (created_at, id) = match &filter.after {
            Some((at, id)) => (at.as_millis(), id.as_str()),
            None => (i64::MAX, "~"),
        };
        let rows = query(
            "SELECT * FROM webhook_deliveries WHERE webhook = $1 AND (created_at, id) < ($2, $3) \
             AND ($4 = '' OR $4 = state) ORDER BY created_at DESC, id DESC LIMIT $5",
        )
        .bind(filter.webhook.as_str())
        .bind(created_at)
        .bind(id)
        .bind(filter.state.map_or("", DeliveryState::as_str))
        .bind(i64::from(filter.limit))
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(delivery_from_row).collect()
    }

    /// Returns the undelivered events of an organization's webhooks. Webhooks without any are omitted.
    pub async fn undelivered(&self, organization: &Slug) -> Result<Vec<DeliveryBacklog>, StoreError> {
        let rows = query(
            "SELECT webhook, SUM(CASE WHEN state = 'pending' THEN 1 ELSE 0 END) AS pending, COUNT(*) AS undelivered \
             FROM webhook_deliveries WHERE state IN ('pending', 'dead') \
             AND webhook IN (SELECT id FROM webhooks WHERE organization = $1) GROUP BY webhook ORDER BY webhook",
        )
        .bind(organization.as_str())
        .fetch_all(&self.database)
        .await?;
        rows.iter()
            .map(|row| {
                let pending = unsigned(row.try_get("pending")?, "deliveries")?;
                let all = unsigned(row.try_get("undelivered")?, "deliveries")?;
                Ok(DeliveryBacklog {
                    webhook: webhook_id(row.try_get("webhook")?)?,
                    pending,
                    dead: all.saturating_sub(pending),
                })
            })
            .collect()
    }

    pub async fn delivery(&self, webhook: &WebhookId, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let row = query("SELECT * FROM webhook_deliveries WHERE id = $1 AND webhook = $2")
            .bind(id.as_str())
            .bind(webhook.as_str())
            .fetch_optional(&self.database)
            .await?;
        row.as_ref().map(delivery_from_row).transpose()
    }

    /// Queues a delivery that has no change, and writes its audit entry.
    pub async fn queue_delivery(
        &self,
        organization: &Slug,
        delivery: &Delivery,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let (mut transaction, _) = self.begin().await?;
        insert(&mut transaction, delivery).await?;
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await
    }

    /// Makes a delivery due now, and writes the audit entry. A dead letter starts over with the complete schedule; a pending delivery
    /// keeps its place in the schedule. Rejected if the delivery succeeded, is due, or is being attempted.
    pub async fn retry_delivery(
        &self,
        organization: &Slug,
        (webhook, id): (&WebhookId, &DeliveryId),
        entry: &AuditEntry,
    ) -> Result<(), WriteError> {
        let (mut transaction, _) = self.begin().await?;
        let updated = query(
            "UPDATE webhook_deliveries SET attempts = CASE WHEN state = 'dead' THEN 0 ELSE attempts END, state = 'pending', \
             due_at = $3, scheduled_at = $3, claimed_by = NULL, ended_at = NULL WHERE id = $1 AND webhook = $2 \
             AND (state = 'dead' OR (state = 'pending' AND claimed_by IS NULL AND due_at > $3))",
        )
        .bind(id.as_str())
        .bind(webhook.as_str())
        .bind(entry.at.as_millis())
        .execute(&mut transaction)
        .await?;
        if updated == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes successful deliveries and dead letters that ended before the given times. Queued deliveries of disabled
    /// webhooks become dead letters after the same time as dead letters are deleted.
    pub async fn forget_deliveries(
        &self,
        (delivered_before, dead_before): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (state, before) in [(DeliveryState::Delivered, delivered_before), (DeliveryState::Dead, dead_before)] {
            query("DELETE FROM webhook_deliveries WHERE state = $1 AND ended_at < $2")
                .bind(state.as_str())
                .bind(before.as_millis())
                .execute_alone(&self.database)
                .await?;
        }
        query(
            "UPDATE webhook_deliveries SET state = 'dead', ended_at = $2, last_error = 'the webhook stayed disabled' \
             WHERE state = 'pending' AND created_at < $1 \
             AND webhook IN (SELECT id FROM webhooks WHERE state = 'disabled')",
        )
        .bind(dead_before.as_millis())
        .bind(now.as_millis())
        .execute_alone(&self.database)
        .await?;
        Ok(())
    }
}

/// Reads a delivery from a row with all columns.
pub(super) fn delivery_from_row(row: &Row) -> Result<Delivery, StoreError> {
    let id: String = row.try_get("id")?;
    let unreadable = |what: &str| StoreError::Unreadable { what: "delivery", detail: format!("{what} of {id:?}") };
    let moment = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    let (attempts, status): (i64, Option<i64>) = (row.try_get("attempts")?, row.try_get("last_status")?);
    let state: String = row.try_get("state")?;
    Ok(Delivery {
        id: DeliveryId::parse(&id).ok_or_else(|| unreadable("id"))?,
        webhook: webhook_id(row.try_get("webhook")?)?,
        event: row.try_get("event")?,
        payload: row.try_get("payload")?,
        state: DeliveryState::parse(&state).ok_or_else(|| unreadable("state"))?,
        attempts: u32::try_from(attempts).map_err(|_| unreadable("attempts"))?,
        due_at: Timestamp::from_millis(row.try_get("due_at")?),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        last_attempt_at: moment(row.try_get("last_attempt_at")?),
        last_status: status.map(u16::try_from).transpose().map_err(|_| unreadable("status"))?,
        last_error: row.try_get("last_error")?,
        ended_at: moment(row.try_get("ended_at")?),
    })
}
