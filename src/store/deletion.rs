//! Deletes organizations with all their data. The row of the organization stays, without anything but its slug and its times,
//! so its slug and its issuer are never used again.

use sqlx::AssertSqlSafe;

use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::slug as read_slug;
use crate::store::sql::statement::query;
use crate::store::{AuditEntry, Seq, Store, StoreError, audit, changes};

/// Rows that one transaction deletes, and keys whose rows it deletes.
const ROWS: u32 = 5_000;
const KEYS: u32 = 50;

/// Tables with data of keys, and the column with the key's ID. A key is deleted after its rows in these.
const OF_KEYS: [(&str, &str); 9] = [
    ("usage_hours", "key_id"),
    ("usage_totals", "key_id"),
    ("usage_days", "key_id"),
    ("usage_details", "key_id"),
    ("usage_of_secrets", "key_id"),
    ("notices", "key_id"),
    ("key_grants", "key_id"),
    ("key_metadata", "key_id"),
    ("revoked_tokens", "key_id"),
];

/// Tables whose rows belong to an organization, in the order in which they are deleted: a table and its primary key. Each is
/// deleted in parts.
const OF_ORGANIZATIONS: [(&str, &str); 12] = [
    ("apis", "id"),
    ("portal_sessions", "id"),
    ("portal_settings", "organization"),
    ("profiles", "name"),
    ("named_networks", "name"),
    ("customers", "id"),
    ("audit", "id"),
    ("denials", "id"),
    ("signing_keys", "kid"),
    ("webhooks", "id"),
    ("members", "id"),
    ("audit_heads", "organization"),
];

impl Store {
    /// Marks an organization as deleted and ends the sessions of its members; `entry` is written to the log of `log`. Returns
    /// `None` if it is deleted already.
    pub async fn mark_deleted(
        &self,
        slug: &Slug,
        log: &Slug,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError> {
        let policy = serde_json::to_string(&Policy::default())
            .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })?;
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let written = query(
            "UPDATE organizations SET deleted_at = $2, suspended_at = COALESCE(suspended_at, $2), name = slug, policy = $3 \
             WHERE slug = $1 AND deleted_at IS NULL",
        )
        .bind(slug.as_str())
        .bind(now.as_millis())
        .bind(policy)
        .execute(&mut transaction)
        .await?;
        if written == 0 {
            transaction.rollback().await?;
            return Ok(None);
        }
        query("DELETE FROM sessions WHERE member IN (SELECT id FROM members WHERE organization = $1)")
            .bind(slug.as_str())
            .execute(&mut transaction)
            .await?;
        changes::tenant_changed(&mut transaction, slug, seq).await?;
        audit::write(&mut transaction, log, entry).await?;
        transaction.commit().await?;
        Ok(Some(seq))
    }

    /// Returns the deleted organizations that still have data.
    pub async fn unpurged_organizations(&self) -> Result<Vec<Slug>, StoreError> {
        let rows =
            query("SELECT slug FROM organizations WHERE deleted_at IS NOT NULL AND purged_at IS NULL ORDER BY slug")
                .fetch_all(&self.database)
                .await?;
        rows.iter().map(|row| read_slug(row.try_get("slug")?)).collect()
    }

    /// Deletes the data of a deleted organization, in many small transactions. Can be repeated after a failure.
    pub async fn purge_organization(&self, slug: &Slug, now: Timestamp) -> Result<(), StoreError> {
        // 1. Keys, with what is counted and noted about each.
        let of_some_keys = format!("IN (SELECT id FROM api_keys WHERE organization = $1 ORDER BY id LIMIT {KEYS})");
        loop {
            let mut transaction = self.database.begin().await?;
            for (table, column) in OF_KEYS {
                query(AssertSqlSafe(format!("DELETE FROM {table} WHERE {column} {of_some_keys}")))
                    .bind(slug.as_str())
                    .execute(&mut transaction)
                    .await?;
            }
            let deleted = query(AssertSqlSafe(format!("DELETE FROM api_keys WHERE id {of_some_keys}")))
                .bind(slug.as_str())
                .execute(&mut transaction)
                .await?;
            transaction.commit().await?;
            if deleted == 0 {
                break;
            }
        }

        // 2. Deliveries, sessions and stored responses, and the use of the whole organization.
        self.delete_in_parts(
            slug,
            "webhook_deliveries",
            "id",
            "webhook IN (SELECT id FROM webhooks WHERE organization = $1)",
        )
        .await?;
        for statement in [
            "DELETE FROM sessions WHERE member IN (SELECT id FROM members WHERE organization = $1)",
            "DELETE FROM answers WHERE caller IN (SELECT 'member:' || id FROM members WHERE organization = $1)",
            "DELETE FROM answers WHERE caller IN (SELECT 'portal:' || id FROM portal_sessions WHERE organization = $1)",
            "DELETE FROM usage_of_organization_hours WHERE organization = $1",
            "DELETE FROM usage_of_organization_days WHERE organization = $1",
            "DELETE FROM usage_of_api_days WHERE organization = $1",
            "DELETE FROM repeated_events WHERE organization = $1",
        ] {
            query(statement).bind(slug.as_str()).execute_alone(&self.database).await?;
        }

        // 3. The rest, the members last.
        for (table, key) in OF_ORGANIZATIONS {
            self.delete_in_parts(slug, table, key, "organization = $1").await?;
        }
        query("UPDATE organizations SET purged_at = $2 WHERE slug = $1 AND deleted_at IS NOT NULL")
            .bind(slug.as_str())
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }

    async fn delete_in_parts(&self, slug: &Slug, table: &str, key: &str, condition: &str) -> Result<(), StoreError> {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {ROWS}) \
             AND {condition}"
        );
        loop {
            let deleted = query(AssertSqlSafe(sql.clone())).bind(slug.as_str()).execute_alone(&self.database).await?;
            if deleted < u64::from(ROWS) {
                return Ok(());
            }
        }
    }
}
