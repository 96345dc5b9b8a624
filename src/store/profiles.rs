//! Access profiles: reading and writing them, and the keys that refer to them.

use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::profile::{MAX_PROFILES, Profile, has_references};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::apis::is_unchanged;
use crate::store::key_rows::{
    grants_column, grants_from, key_from_row, names_column, names_from, networks_column, networks_from,
};
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{On, Query, Row, query};
use crate::store::{
    AuditEntry, EndKey, KEYS_AT_ONCE, Refused, Seq, Store, StoreError, WriteError, api_keys, audit, changes,
    is_duplicate, named_networks, refuse,
};

/// Returns the profiles of one organization or of all.
pub(super) async fn read(on: impl Into<On<'_>>, organization: Option<&Slug>) -> Result<Vec<Profile>, StoreError> {
    let statement = match organization {
        Some(organization) => query("SELECT * FROM profiles WHERE organization = $1").bind(organization.as_str()),
        None => query("SELECT * FROM profiles"),
    };
    statement.fetch_all(on).await?.iter().map(from_row).collect()
}

impl Store {
    /// Inserts a profile with the audit entry. Rejected if the organization's last change is not `seen`: what the profile was
    /// compared with may have changed.
    pub async fn insert_profile(&self, profile: &Profile, seen: Seq, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !is_unchanged(&mut transaction, &profile.organization, seen).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let counting = query("SELECT COUNT(*) AS n FROM profiles WHERE organization = $1");
        let counted = counting.bind(profile.organization.as_str()).fetch_one(&mut transaction).await?;
        if counted.try_get::<i64>("n")? >= MAX_PROFILES as i64 {
            return refuse(transaction, Refused::LimitReached).await;
        }
        let inserting = query(
            "INSERT INTO profiles (organization, name, description, grants, networks, named_networks, token_ttl_seconds, \
             version, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let inserting = bind(inserting, profile)?.bind(profile.created_at.as_millis());
        match inserting.execute(&mut transaction).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        commit(transaction, &profile.organization, seq, entry).await
    }

    /// Writes the next state of a profile with the audit entry, if the stored version is the previous one and the
    /// organization's last change is `seen`. Writes no key: all keys with the profile have the new access.
    pub async fn update_profile(&self, profile: &Profile, seen: Seq, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !is_unchanged(&mut transaction, &profile.organization, seen).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let updating = query(
            "UPDATE profiles SET description = $3, grants = $4, networks = $5, named_networks = $6, \
             token_ttl_seconds = $7, version = $8 WHERE organization = $1 AND name = $2 AND version + 1 = $8",
        );
        if bind(updating, profile)?.execute(&mut transaction).await? == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        commit(transaction, &profile.organization, seq, entry).await
    }

    /// Deletes a profile with the audit entry, if the stored version is this one. Rejected with [`Refused::HasKeys`] if a key
    /// that is not revoked has it.
    pub async fn delete_profile(&self, profile: &Profile, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let deleting = query("DELETE FROM profiles WHERE organization = $1 AND name = $2 AND version = $3");
        let deleting = deleting.bind(profile.organization.as_str()).bind(profile.name.as_str()).bind(profile.version);
        if deleting.execute(&mut transaction).await? == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let referring =
            query("SELECT id FROM api_keys WHERE organization = $1 AND profile = $2 AND state <> 'revoked' LIMIT 1");
        let referring = referring.bind(profile.organization.as_str()).bind(profile.name.as_str());
        if referring.fetch_optional(&mut transaction).await?.is_some() {
            return refuse(transaction, Refused::HasKeys).await;
        }
        commit(transaction, &profile.organization, seq, entry).await
    }

    /// Returns the number of keys with each profile, without revoked ones.
    pub async fn keys_of_profiles(&self, organization: &Slug) -> Result<Vec<(Slug, u64)>, StoreError> {
        let counting = query(
            "SELECT profile AS name, COUNT(*) AS n FROM api_keys WHERE organization = $1 AND profile IS NOT NULL \
             AND state <> 'revoked' GROUP BY profile",
        );
        counted(&counting.bind(organization.as_str()).fetch_all(&self.database).await?)
    }

    /// Returns the number of keys with a profile, without revoked ones.
    pub async fn keys_of_profile(&self, organization: &Slug, name: &Slug) -> Result<u64, StoreError> {
        let counting =
            query("SELECT COUNT(*) AS n FROM api_keys WHERE organization = $1 AND profile = $2 AND state <> 'revoked'");
        let row = counting.bind(organization.as_str()).bind(name.as_str()).fetch_one(&self.database).await?;
        unsigned(row.try_get("n")?, "number of keys")
    }

    /// Returns one key with a profile for each different list of own grants, without revoked ones.
    pub async fn keys_of_profile_by_grants(
        &self,
        organization: &Slug,
        profile: &Slug,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let reading = query(
            "SELECT * FROM api_keys WHERE id IN (SELECT MIN(id) FROM api_keys WHERE organization = $1 AND profile = $2 \
             AND state <> 'revoked' GROUP BY grants) ORDER BY id",
        );
        let reading = reading.bind(organization.as_str()).bind(profile.as_str());
        reading.fetch_all(&self.database).await?.iter().map(key_from_row).collect()
    }

    /// Writes the next state that `end` returns for up to [`KEYS_AT_ONCE`] keys with a profile that are not revoked. Returns the
    /// number of the last change and the changed keys. Other changes wait for one call, not for all keys. `by` has the actor; it
    /// is not written. Rejected if the organization's last change is not `seen`, if that is given.
    pub async fn end_keys_with_profile(
        &self,
        organization: &Slug,
        profile: &Slug,
        seen: Option<Seq>,
        by: &AuditEntry,
        end: EndKey<'_>,
    ) -> Result<(Seq, Vec<ApiKey>), WriteError> {
        let (mut transaction, seq) = self.begin_as(by).await?;
        if let Some(seen) = seen
            && !is_unchanged(&mut transaction, organization, seen).await?
        {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let selecting = query(
            "SELECT * FROM api_keys WHERE organization = $1 AND profile = $2 AND state <> 'revoked' ORDER BY id LIMIT $3",
        );
        let limit = i64::try_from(KEYS_AT_ONCE).unwrap_or(i64::MAX);
        let selecting = selecting.bind(organization.as_str()).bind(profile.as_str()).bind(limit);
        let rows = selecting.fetch_all(&mut transaction).await?;
        let keys = rows.iter().map(key_from_row).collect::<Result<Vec<_>, _>>()?;
        let (last, ended) = api_keys::end_all(&mut transaction, keys, end).await?;
        for key in &ended {
            if !has_references_of(&mut transaction, key, None).await? {
                return refuse(transaction, Refused::ReferencesChanged).await;
            }
        }
        transaction.commit().await?;
        Ok((last.unwrap_or(seq), ended))
    }
}

/// Whether the profile and the networks that a key refers to exist, and are those as of the organization's change `seen`. Changes
/// are serialized, so the result holds until the write. A revoked key may refer to nothing.
pub(super) async fn has_references_of(
    transaction: &mut Transaction,
    key: &ApiKey,
    seen: Option<Seq>,
) -> Result<bool, StoreError> {
    if matches!(key.lifecycle, Lifecycle::Revoked { .. }) || !has_references(key) {
        return Ok(true);
    }
    if let Some(seen) = seen
        && !is_unchanged(transaction, &key.organization, seen).await?
    {
        return Ok(false);
    }
    if let Some(profile) = &key.profile {
        let finding = query("SELECT name FROM profiles WHERE organization = $1 AND name = $2");
        let finding = finding.bind(key.organization.as_str()).bind(profile.as_str());
        if finding.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(false);
        }
    }
    named_networks::exist(transaction, &key.organization, &key.named_networks).await
}

/// Commits a change of what the keys of an organization share.
pub(super) async fn commit(
    mut transaction: Transaction,
    organization: &Slug,
    seq: Seq,
    entry: &AuditEntry,
) -> Result<Seq, WriteError> {
    changes::tenant_changed(&mut transaction, organization, seq).await?;
    audit::write(&mut transaction, organization, entry).await?;
    transaction.commit().await?;
    Ok(seq)
}

/// Reads rows with the columns `name` and `n`.
pub(super) fn counted(rows: &[Row]) -> Result<Vec<(Slug, u64)>, StoreError> {
    rows.iter().map(|row| Ok((slug(row.try_get("name")?)?, unsigned(row.try_get("n")?, "number of keys")?))).collect()
}

/// Binds the columns from `organization` to `version`.
fn bind(statement: Query, profile: &Profile) -> Result<Query, StoreError> {
    Ok(statement
        .bind(profile.organization.as_str())
        .bind(profile.name.as_str())
        .bind(&profile.description)
        .bind(grants_column(&profile.grants)?)
        .bind(networks_column(&profile.networks))
        .bind(names_column(&profile.named_networks))
        .bind(profile.token_ttl_seconds.map(i64::from))
        .bind(profile.version))
}

fn from_row(row: &Row) -> Result<Profile, StoreError> {
    Ok(Profile {
        organization: slug(row.try_get("organization")?)?,
        name: slug(row.try_get("name")?)?,
        description: row.try_get("description")?,
        grants: grants_from(&row.try_get::<String>("grants")?)?,
        networks: networks_from(&row.try_get::<String>("networks")?)?,
        named_networks: names_from(&row.try_get::<String>("named_networks")?)?,
        token_ttl_seconds: row.try_get::<Option<i64>>("token_ttl_seconds")?.and_then(|ttl| u32::try_from(ttl).ok()),
        version: unsigned(row.try_get("version")?, "version of a profile")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
