//! Organizations: records and writes.

use crate::domain::api_key::ApiKey;
use crate::domain::member::Member;
use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::statement::{Row, query};
use crate::store::{
    AuditEntry, Refused, Seq, Store, StoreError, StoredSigningKey, WriteError, api_keys, audit, changes, is_duplicate,
    members, refuse, signing_keys,
};

/// Everything that a new organization consists of; written in one transaction.
#[derive(Debug)]
pub struct NewOrganization {
    pub organization: Organization,
    /// The first signing key; without one the organization must be bootstrapped.
    pub signing_key: Option<StoredSigningKey>,
    /// The first owner, with the PHC string of their password.
    pub owner: (Member, String),
    /// The first API key.
    pub key: Option<ApiKey>,
}

impl Store {
    /// Returns the organizations whose policy, state or signing keys changed after a change number; all of them for
    /// `None`.
    pub async fn organizations(&self, changed_after: Option<Seq>) -> Result<Vec<Organization>, StoreError> {
        let rows = match changed_after {
            Some(seq) => query("SELECT * FROM organizations WHERE changed_seq > $1 ORDER BY slug").bind(seq),
            None => query("SELECT * FROM organizations ORDER BY slug"),
        };
        rows.fetch_all(&self.database).await?.iter().map(organization_from_row).collect()
    }

    pub async fn organization(&self, slug: &Slug) -> Result<Option<Organization>, StoreError> {
        let row = query("SELECT * FROM organizations WHERE slug = $1")
            .bind(slug.as_str())
            .fetch_optional(&self.database)
            .await?;
        row.as_ref().map(organization_from_row).transpose()
    }

    /// Returns the number of the last change of an organization's policy, state or signing keys.
    pub async fn organization_seq(&self, slug: &Slug) -> Result<Option<Seq>, StoreError> {
        let row = query("SELECT changed_seq FROM organizations WHERE slug = $1")
            .bind(slug.as_str())
            .fetch_optional(&self.database)
            .await?;
        row.map(|row| unsigned(row.try_get("changed_seq")?, "change number")).transpose()
    }

    /// Suspends or resumes an organization and writes the audit entry. Returns `None` if it is already in that state.
    pub async fn suspend_organization(
        &self,
        slug: &Slug,
        suspended_at: Option<Timestamp>,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let written = query(
            "UPDATE organizations SET suspended_at = $2 \
             WHERE slug = $1 AND (suspended_at IS NULL) <> (CAST($2 AS BIGINT) IS NULL)",
        )
        .bind(slug.as_str())
        .bind(suspended_at.map(Timestamp::as_millis))
        .execute(&mut transaction)
        .await?;
        if written == 0 {
            transaction.rollback().await?;
            return Ok(None);
        }
        changes::tenant_changed(&mut transaction, slug, seq).await?;
        audit::write(&mut transaction, slug, entry).await?;
        transaction.commit().await?;
        Ok(Some(seq))
    }

    /// Inserts an organization with its signing key, owner, API key and audit entry.
    pub async fn create_organization(&self, new: &NewOrganization, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let organization = &new.organization;
        let inserted =
            query("INSERT INTO organizations (slug, policy, policy_version, created_at) VALUES ($1, $2, $3, $4)")
                .bind(organization.slug.as_str())
                .bind(policy_column(organization)?)
                .bind(organization.policy_version)
                .bind(organization.created_at.as_millis())
                .execute(&mut transaction)
                .await;
        match inserted {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        let (owner, password_phc) = &new.owner;
        members::insert(&mut transaction, owner, password_phc).await?;
        if let Some(signing_key) = &new.signing_key {
            signing_keys::insert(&mut transaction, signing_key).await?;
        }
        if let Some(key) = &new.key {
            api_keys::insert(&mut transaction, key, seq).await?;
        }
        changes::tenant_changed(&mut transaction, &organization.slug, seq).await?;
        audit::write(&mut transaction, &organization.slug, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes the next policy of an organization with the audit entry, if the stored policy version is the previous
    /// one.
    pub async fn update_policy(&self, organization: &Organization, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let written = query(
            "UPDATE organizations SET policy = $3, policy_version = policy_version + 1 \
             WHERE slug = $1 AND policy_version + 1 = $2",
        )
        .bind(organization.slug.as_str())
        .bind(organization.policy_version)
        .bind(policy_column(organization)?)
        .execute(&mut transaction)
        .await?;
        if written == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        changes::tenant_changed(&mut transaction, &organization.slug, seq).await?;
        audit::write(&mut transaction, &organization.slug, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }
}

fn organization_from_row(row: &Row) -> Result<Organization, StoreError> {
    let policy: String = row.try_get("policy")?;
    let suspended_at: Option<i64> = row.try_get("suspended_at")?;
    Ok(Organization {
        slug: slug(row.try_get("slug")?)?,
        policy: serde_json::from_str(&policy)
            .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })?,
        policy_version: unsigned(row.try_get("policy_version")?, "policy version")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        suspended_at: suspended_at.map(Timestamp::from_millis),
        changed_seq: unsigned(row.try_get("changed_seq")?, "change number")?,
    })
}

fn policy_column(organization: &Organization) -> Result<String, StoreError> {
    serde_json::to_string(&organization.policy)
        .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })
}
