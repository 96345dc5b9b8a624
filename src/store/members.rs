//! Members. A removed member keeps a row, because keys refer to it, but is not listed.

use crate::domain::api_key::ApiKey;
use crate::domain::member::{Member, MemberId, Role};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::{
    AuditEntry, EndKey, Refused, Seq, Store, StoreError, WriteError, api_keys, audit, is_duplicate, refuse,
};

use crate::store::sql::columns::{slug, unsigned};

use crate::store::key_rows::key_from_row;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};

impl Store {
    pub async fn member(&self, organization: &Slug, id: &MemberId) -> Result<Option<Member>, StoreError> {
        let row = query("SELECT * FROM members WHERE organization = $1 AND id = $2 AND removed_at IS NULL")
            .bind(organization.as_str())
            .bind(&id.0)
            .fetch_optional(&self.database)
            .await?;
        row.as_ref().map(member_from_row).transpose()
    }

    /// Returns a member, who may be removed: with their login, and when they were removed.
    pub async fn past_member(
        &self,
        organization: &Slug,
        id: &MemberId,
    ) -> Result<Option<(Member, String, Option<Timestamp>)>, StoreError> {
        let row = query("SELECT * FROM members WHERE organization = $1 AND id = $2")
            .bind(organization.as_str())
            .bind(&id.0)
            .fetch_optional(&self.database)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let member = member_from_row(&row)?;
        let (email, removed_at): (Option<String>, Option<i64>) =
            (row.try_get("removed_email")?, row.try_get("removed_at")?);
        let email = email.filter(|_| removed_at.is_some()).unwrap_or_else(|| member.email.clone());
        Ok(Some((member, email, removed_at.map(Timestamp::from_millis))))
    }

    /// Returns a member by login, with the PHC string of their password.
    pub async fn login(&self, organization: &Slug, email: &str) -> Result<Option<(Member, String)>, StoreError> {
        let row = query("SELECT * FROM members WHERE organization = $1 AND email = $2 AND removed_at IS NULL")
            .bind(organization.as_str())
            .bind(email)
            .fetch_optional(&self.database)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((member_from_row(&row)?, row.try_get("password_phc")?)))
    }

    /// Returns all members of an organization, sorted by login.
    pub async fn members(&self, organization: &Slug) -> Result<Vec<Member>, StoreError> {
        let rows = query("SELECT * FROM members WHERE organization = $1 AND removed_at IS NULL ORDER BY email")
            .bind(organization.as_str())
            .fetch_all(&self.database)
            .await?;
        rows.iter().map(member_from_row).collect()
    }

    /// Whether the member dismissed Getting started.
    pub async fn has_dismissed_steps(&self, id: &MemberId) -> Result<bool, StoreError> {
        let row = query("SELECT id FROM members WHERE id = $1 AND dismissed_at IS NOT NULL")
            .bind(&id.0)
            .fetch_optional(&self.database)
            .await?;
        Ok(row.is_some())
    }

    /// Stores that the member dismissed Getting started.
    pub async fn dismiss_steps(&self, id: &MemberId, now: Timestamp) -> Result<(), StoreError> {
        query("UPDATE members SET dismissed_at = $2 WHERE id = $1 AND dismissed_at IS NULL")
            .bind(&id.0)
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }

    /// Inserts a member with the PHC string of their password, and the audit entry.
    pub async fn insert_member(
        &self,
        member: &Member,
        password_phc: &str,
        entry: &AuditEntry,
    ) -> Result<(), WriteError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        match insert(&mut transaction, member, password_phc).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        }
        audit::write(&mut transaction, &member.organization, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes the next state of a member with the audit entry, if the stored version is the previous one. `password` is
    /// the PHC string of a new password, which ends all sessions except the given one.
    pub async fn update_member(
        &self,
        member: &Member,
        password: Option<(&str, Option<&str>)>,
        entry: &AuditEntry,
    ) -> Result<(), WriteError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        let written = query(
            "UPDATE members SET email = $3, role = $4, version = version + 1, password_phc = COALESCE($5, password_phc) \
             WHERE id = $1 AND version + 1 = $2 AND removed_at IS NULL",
        )
        .bind(&member.id.0)
        .bind(member.version)
        .bind(&member.email)
        .bind(member.role.as_str())
        .bind(password.map(|(phc, _)| phc))
        .execute(&mut transaction)
        .await;
        match written {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            Ok(0) => return refuse(transaction, Refused::VersionConflict).await,
            other => other?,
        };
        if !has_owner(&mut transaction, &member.organization).await? {
            return refuse(transaction, Refused::LastOwner).await;
        }
        if let Some((_, kept_session)) = password {
            query("DELETE FROM sessions WHERE member = $1 AND id <> $2")
                .bind(&member.id.0)
                .bind(kept_session.unwrap_or_default())
                .execute(&mut transaction)
                .await?;
        }
        audit::write(&mut transaction, &member.organization, entry).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes a member and their sessions, if the stored version is the same. `end` returns the next state of each of
    /// their keys. Returns those keys and the number of the last change.
    pub async fn remove_member(
        &self,
        member: &Member,
        end: EndKey<'_>,
        entry: &AuditEntry,
    ) -> Result<(Seq, Vec<ApiKey>), WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let written = query(
            "UPDATE members SET removed_email = email, email = 'removed ' || id, removed_at = $3, password_phc = '', \
             version = version + 1 WHERE id = $1 AND version = $2 AND removed_at IS NULL",
        )
        .bind(&member.id.0)
        .bind(member.version)
        .bind(entry.at.as_millis())
        .execute(&mut transaction)
        .await?;
        if written == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        if !has_owner(&mut transaction, &member.organization).await? {
            return refuse(transaction, Refused::LastOwner).await;
        }
        query("DELETE FROM sessions WHERE member = $1").bind(&member.id.0).execute(&mut transaction).await?;
        let rows = query("SELECT * FROM api_keys WHERE owner = $1 AND organization = $2 AND state <> 'revoked'")
            .bind(&member.id.0)
            .bind(member.organization.as_str())
            .fetch_all(&mut transaction)
            .await?;
        let keys = rows.iter().map(key_from_row).collect::<Result<Vec<_>, _>>()?;
        let (last, ended) = api_keys::end_all(&mut transaction, keys, end).await?;
        audit::write(&mut transaction, &member.organization, entry).await?;
        transaction.commit().await?;
        Ok((last.unwrap_or(seq), ended))
    }
}

pub(super) async fn insert(
    transaction: &mut Transaction,
    member: &Member,
    password_phc: &str,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO members (id, organization, email, role, password_phc, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&member.id.0)
    .bind(member.organization.as_str())
    .bind(&member.email)
    .bind(member.role.as_str())
    .bind(password_phc)
    .bind(member.created_at.as_millis())
    .bind(member.version)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Reads a member from a row of `members`.
pub(super) fn member_from_row(row: &Row) -> Result<Member, StoreError> {
    let role: String = row.try_get("role")?;
    let signed_in: Option<i64> = row.try_get("last_sign_in_at")?;
    Ok(Member {
        id: MemberId(row.try_get("id")?),
        organization: slug(row.try_get("organization")?)?,
        email: row.try_get("email")?,
        role: Role::parse(&role)
            .ok_or_else(|| StoreError::Unreadable { what: "member", detail: format!("role {role}") })?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        version: unsigned(row.try_get("version")?, "version")?,
        last_sign_in_at: signed_in.map(Timestamp::from_millis),
    })
}

async fn has_owner(transaction: &mut Transaction, organization: &Slug) -> Result<bool, StoreError> {
    let row = query("SELECT id FROM members WHERE organization = $1 AND role = 'owner' AND removed_at IS NULL LIMIT 1")
        .bind(organization.as_str())
        .fetch_optional(transaction)
        .await?;
    Ok(row.is_some())
}
