//! Organizations: records and writes.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use crate::domain::api_key::ApiKey;
use crate::domain::apis::Api;
use crate::domain::choices::Algorithm;
use crate::domain::member::Member;
use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::statement::{Row, query};
use crate::store::{
    AuditEntry, Refused, Seq, Store, StoreError, StoredSigningKey, WriteError, api_keys, apis, audit, changes,
    is_duplicate, members, refuse, signing_keys,
};

/// Everything that a new organization consists of; written in one transaction.
#[derive(Debug)]
pub struct NewOrganization {
    pub organization: Organization,
    /// The algorithm of tokens for the default API.
    pub algorithm: Algorithm,
    /// The first signing key; without one the organization cannot have keys.
    pub signing_key: Option<StoredSigningKey>,
    /// The first owner, with the PHC string of their password.
    pub owner: (Member, String),
    /// The first API key.
    pub key: Option<ApiKey>,
}

/// The highest exact count of an organization's members or keys.
pub const MAX_COUNT: u64 = 10_000;

/// Counts of one organization.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrganizationCounts {
    pub members: u64,
    pub keys: u64,
    pub active_keys: u64,
    pub last_used_at: Option<Timestamp>,
}

impl Store {
    /// Returns all organizations.
    pub async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let rows = query("SELECT * FROM organizations ORDER BY slug").fetch_all(&self.database).await?;
        rows.iter().map(organization_from_row).collect()
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
             WHERE slug = $1 AND deleted_at IS NULL AND (suspended_at IS NULL) <> (CAST($2 AS BIGINT) IS NULL)",
        )
        .bind(slug.as_str())
        .bind(suspended_at.map(Timestamp::as_millis))
        .execute(&mut transaction)
        .await?;
        changes::commit_of_tenant(transaction, written, slug, (seq, entry)).await
    }

    /// Changes the display name of an organization and writes the audit entry. Returns `None` if it has that name.
    pub async fn rename_organization(
        &self,
        slug: &Slug,
        name: &str,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let written = query("UPDATE organizations SET name = $2 WHERE slug = $1 AND name <> $2 AND deleted_at IS NULL")
            .bind(slug.as_str())
            .bind(name)
            .execute(&mut transaction)
            .await?;
        changes::commit_of_tenant(transaction, written, slug, (seq, entry)).await
    }

    /// Returns the counts of these organizations, by one statement. Counts above [`MAX_COUNT`] are not exact.
    pub async fn organization_counts(
        &self,
        slugs: &[&Slug],
        now: Timestamp,
    ) -> Result<HashMap<Slug, OrganizationCounts>, StoreError> {
        if slugs.is_empty() {
            return Ok(HashMap::new());
        }
        // Each count reads one index, up to a limit, so an organization with many keys does not delay the list.
        let sql = format!(
            "SELECT o.slug, \
             (SELECT COUNT(*) FROM (SELECT 1 FROM members m WHERE m.organization = o.slug AND m.removed_at IS NULL \
              LIMIT {most}) AS counted_members) AS members, \
             (SELECT COUNT(*) FROM (SELECT 1 FROM api_keys k WHERE k.organization = o.slug LIMIT {most}) AS counted_keys) \
             AS keys_in_all, \
             (SELECT COUNT(*) FROM (SELECT 1 FROM api_keys k WHERE k.organization = o.slug AND k.state = 'active' \
              AND (k.expires_at IS NULL OR k.expires_at > $1) LIMIT {most}) AS counted_active) AS active_keys, \
             (SELECT MAX(k.used_place) FROM api_keys k WHERE k.organization = o.slug) AS last_used \
             FROM organizations o WHERE o.slug IN ({slugs})",
            most = MAX_COUNT + 1,
            slugs = (2..=slugs.len() + 1).map(|number| format!("${number}")).collect::<Vec<_>>().join(", "),
        );
        let statement = query(AssertSqlSafe(sql)).bind(now.as_millis());
        let statement = slugs.iter().fold(statement, |statement, slug| statement.bind(slug.as_str()));
        let rows = statement.fetch_all(&self.database).await?;
        let counts = |row: &Row| {
            let number = |column: &str| unsigned(row.try_get(column)?, "count");
            let last_used: Option<i64> = row.try_get("last_used")?;
            Ok((
                slug(row.try_get("slug")?)?,
                OrganizationCounts {
                    members: number("members")?,
                    keys: number("keys_in_all")?,
                    active_keys: number("active_keys")?,
                    last_used_at: last_used.filter(|at| *at > 0).map(Timestamp::from_millis),
                },
            ))
        };
        rows.iter().map(counts).collect()
    }

    /// Inserts an organization with its signing key, owner, API key and audit entry.
    pub async fn create_organization(&self, new: &NewOrganization, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let organization = &new.organization;
        let inserted = query(
            "INSERT INTO organizations (slug, name, policy, policy_version, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(organization.slug.as_str())
        .bind(&organization.name)
        .bind(policy_column(organization)?)
        .bind(organization.policy_version)
        .bind(organization.created_at.as_millis())
        .execute(&mut transaction)
        .await;
        match inserted {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        let default_api = Api::default_of(organization.slug.clone(), new.algorithm, organization.created_at);
        apis::insert(&mut transaction, &default_api).await?;
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

pub(super) fn organization_from_row(row: &Row) -> Result<Organization, StoreError> {
    let policy: String = row.try_get("policy")?;
    let (suspended_at, deleted_at): (Option<i64>, Option<i64>) =
        (row.try_get("suspended_at")?, row.try_get("deleted_at")?);
    Ok(Organization {
        slug: slug(row.try_get("slug")?)?,
        name: row.try_get("name")?,
        policy: serde_json::from_str(&policy)
            .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })?,
        policy_version: unsigned(row.try_get("policy_version")?, "policy version")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        suspended_at: suspended_at.map(Timestamp::from_millis),
        deleted_at: deleted_at.map(Timestamp::from_millis),
        changed_seq: unsigned(row.try_get("changed_seq")?, "change number")?,
    })
}

fn policy_column(organization: &Organization) -> Result<String, StoreError> {
    serde_json::to_string(&organization.policy)
        .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })
}
