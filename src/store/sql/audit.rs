//! Rows of the audit log.

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::unsigned;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::query;
use crate::store::sql::{SqlStore, deliveries};
use crate::store::{AuditEntry, AuditLog, AuditRecord, StoreError};

/// Writes a row in the change's own transaction. Changes are made one at a time, so the next id is free.
pub(super) async fn write(
    transaction: &mut Transaction,
    organization: &Slug,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO audit (id, organization, at, actor, action, subject, address, old_value, new_value) \
         SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM audit",
    )
    .bind(organization.as_str())
    .bind(entry.at.as_millis())
    .bind(&entry.actor)
    .bind(entry.action)
    .bind(&entry.subject)
    .bind(entry.address.as_deref())
    .bind(entry.old.as_ref().map(Value::to_string))
    .bind(entry.new.as_ref().map(Value::to_string))
    .execute(&mut *transaction)
    .await?;
    // What it tells of is told to webhooks if it is made, and only then.
    deliveries::enqueue(transaction, organization, entry).await
}

#[async_trait]
impl AuditLog for SqlStore {
    async fn audit_after(&self, organization: &Slug, id: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = query(
            "SELECT id, at, actor, action, subject, address, old_value, new_value FROM audit \
             WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(organization.as_str())
        .bind(i64::try_from(id).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.database)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRecord {
                    id: unsigned(row.try_get("id")?, "audit row")?,
                    at: Timestamp::from_millis(row.try_get("at")?),
                    actor: row.try_get("actor")?,
                    address: row.try_get("address")?,
                    action: row.try_get("action")?,
                    subject: row.try_get("subject")?,
                    old: json(row.try_get("old_value")?)?,
                    new: json(row.try_get("new_value")?)?,
                })
            })
            .collect()
    }
}

fn json(text: Option<String>) -> Result<Option<Value>, StoreError> {
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| StoreError::Unreadable { what: "audit row", detail: error.to_string() })
}
