//! Repeated security events, aggregated into two audit entries per subject, network and hour.

use serde_json::json;

use crate::clock::rfc3339;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::{AuditEntry, Store, StoreError, action, audit};

use crate::store::sql::statement::query;

/// Events of one subject, network and hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountedEvent {
    pub organization: Slug,
    /// One of the audit actions.
    pub action: &'static str,
    /// The audit subject.
    pub subject: String,
    /// CIDR.
    pub network: String,
    /// Address of the first event.
    pub address: Option<String>,
    /// Hours since the epoch.
    pub hour: i64,
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

impl CountedEvent {
    /// Stands for networks that are not listed individually.
    pub const OTHER_NETWORKS: &str = "others";
}

/// Maximum number of listed networks per subject and hour. Others are counted together.
const NETWORKS: i64 = 64;
/// Counts that are written in one transaction.
const BATCH: i64 = 200;

impl Store {
    /// Counts events of one subject, network and hour. The first one is written to the audit log immediately.
    pub async fn count_event(&self, event: &CountedEvent) -> Result<(), StoreError> {
        // 1. A repetition needs no change number.
        if self.add_to(event, &event.network).await? || self.add_to(event, CountedEvent::OTHER_NETWORKS).await? {
            return Ok(());
        }
        // 2. The first of its hour. Changes are serialized, so the check holds until the write.
        let (mut transaction, _) = self.begin().await?;
        let row = query(
            "SELECT COUNT(*) AS networks FROM repeated_events \
             WHERE organization = $1 AND action = $2 AND subject = $3 AND hour = $4",
        )
        .bind(event.organization.as_str())
        .bind(event.action)
        .bind(&event.subject)
        .bind(event.hour)
        .fetch_one(&mut transaction)
        .await?;
        let is_listed = row.try_get::<i64>("networks")? < NETWORKS;
        let network = if is_listed { event.network.as_str() } else { CountedEvent::OTHER_NETWORKS };
        let row = query(
            "INSERT INTO repeated_events (organization, action, subject, network, hour, event_count, first_at, last_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (organization, action, subject, hour, network) \
             DO UPDATE SET event_count = repeated_events.event_count + excluded.event_count, last_at = excluded.last_at \
             RETURNING event_count",
        )
        .bind(event.organization.as_str())
        .bind(event.action)
        .bind(&event.subject)
        .bind(network)
        .bind(event.hour)
        .bind(event.count)
        .bind(event.first_at.as_millis())
        .bind(event.last_at.as_millis())
        .fetch_one(&mut transaction)
        .await?;
        if unsigned(row.try_get("event_count")?, "event count")? == event.count {
            let new = json!({ "network": network, "count": event.count, "hour": rfc3339(start_of(event.hour)) });
            let entry = AuditEntry {
                address: event.address.clone(),
                ..AuditEntry::by_keyturn(event.first_at, event.action, &event.subject, None, Some(new))
            };
            audit::write(&mut transaction, &event.organization, &entry).await?;
        }
        transaction.commit().await
    }

    /// Writes the counts of hours before `before` to the audit log and returns their number. Repeat until it returns 0.
    pub async fn close_event_hours(&self, before: i64, now: Timestamp) -> Result<u64, StoreError> {
        let due = query("SELECT hour FROM repeated_events WHERE hour < $1 LIMIT 1")
            .bind(before)
            .fetch_optional(&self.database)
            .await?;
        if due.is_none() {
            return Ok(0);
        }
        let (mut transaction, _) = self.begin().await?;
        let rows = query("SELECT * FROM repeated_events WHERE hour < $1 ORDER BY hour, organization, subject LIMIT $2")
            .bind(before)
            .bind(BATCH)
            .fetch_all(&mut transaction)
            .await?;
        let mut written = 0;
        for row in rows {
            let text = |column| row.try_get::<String>(column);
            let number = |column| row.try_get::<i64>(column);
            let (organization, subject, network) = (slug(text("organization")?)?, text("subject")?, text("network")?);
            let (stored_action, hour, count) = (text("action")?, number("hour")?, number("event_count")?);
            query(
                "DELETE FROM repeated_events WHERE organization = $1 AND action = $2 AND subject = $3 AND hour = $4 \
                 AND network = $5",
            )
            .bind(organization.as_str())
            .bind(&stored_action)
            .bind(&subject)
            .bind(hour)
            .bind(&network)
            .execute(&mut transaction)
            .await?;
            let Some(action) = action::REPEATED.into_iter().find(|action| *action == stored_action) else { continue };
            if count < 2 {
                continue;
            }
            let (first, last) = (number("first_at")?, number("last_at")?);
            let entry = AuditEntry {
                at: now,
                actor: "keyturn".into(),
                address: None,
                action,
                subject,
                old: None,
                new: Some(json!({
                    "network": network,
                    "count": count,
                    "hour": rfc3339(start_of(hour)),
                    "first_at": rfc3339(Timestamp::from_millis(first)),
                    "last_at": rfc3339(Timestamp::from_millis(last)),
                })),
                expected_version: None,
            };
            audit::write(&mut transaction, &organization, &entry).await?;
            written += 1;
        }
        transaction.commit().await?;
        Ok(written)
    }
}

impl Store {
    /// Adds to an existing count. Returns false if there is none.
    async fn add_to(&self, event: &CountedEvent, network: &str) -> Result<bool, StoreError> {
        let updated = query(
            "UPDATE repeated_events SET event_count = event_count + $6, \
             last_at = CASE WHEN last_at < $7 THEN $7 ELSE last_at END \
             WHERE organization = $1 AND action = $2 AND subject = $3 AND hour = $4 AND network = $5",
        )
        .bind(event.organization.as_str())
        .bind(event.action)
        .bind(&event.subject)
        .bind(event.hour)
        .bind(network)
        .bind(event.count)
        .bind(event.last_at.as_millis())
        .execute_alone(&self.database)
        .await?;
        Ok(updated > 0)
    }
}

fn start_of(hour: i64) -> Timestamp {
    Timestamp::from_seconds(hour.saturating_mul(3600))
}
