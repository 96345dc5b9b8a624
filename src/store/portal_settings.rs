//! The settings of each organization's portal.

use crate::domain::portal::PortalSettings;
use crate::domain::slug::Slug;
use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::query;
use crate::store::{AuditEntry, Refused, Seq, Store, StoreError, WriteError, audit, refuse};

impl Store {
    /// Returns an organization's settings with their version. Version 0 is the default, which is not stored.
    pub async fn portal_settings(&self, organization: &Slug) -> Result<(PortalSettings, u64), StoreError> {
        let row = query("SELECT settings, version FROM portal_settings WHERE organization = $1")
            .bind(organization.as_str())
            .fetch_optional(&self.database)
            .await?;
        let Some(row) = row else { return Ok((PortalSettings::default(), 0)) };
        let settings = serde_json::from_str(&row.try_get::<String>("settings")?).map_err(|error| unreadable(&error))?;
        Ok((settings, unsigned(row.try_get("version")?, "version")?))
    }

    /// Writes the next version of an organization's settings with the audit entry, if the stored version is the previous one.
    pub async fn write_portal_settings(
        &self,
        organization: &Slug,
        settings: &PortalSettings,
        version: u64,
        entry: &AuditEntry,
    ) -> Result<Seq, WriteError> {
        let json = serde_json::to_string(settings).map_err(|error| unreadable(&error))?;
        let (mut transaction, seq) = self.begin_as(entry).await?;
        // The change row is locked, so no other version comes between the two statements.
        let updated = query(
            "UPDATE portal_settings SET settings = $2, version = $3 WHERE organization = $1 AND version + 1 = $3",
        )
        .bind(organization.as_str())
        .bind(&json)
        .bind(version)
        .execute(&mut transaction)
        .await?;
        let inserted = match (updated, version) {
            (0, 1) => {
                query(
                    "INSERT INTO portal_settings (organization, settings, version) SELECT $1, $2, 1 \
                     WHERE NOT EXISTS (SELECT 1 FROM portal_settings WHERE organization = $1)",
                )
                .bind(organization.as_str())
                .bind(&json)
                .execute(&mut transaction)
                .await?
            }
            _ => 0,
        };
        if updated + inserted == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable { what: "portal settings", detail: error.to_string() }
}
