//! Members' sessions.

use crate::domain::member::{Member, MemberId, Session};
use crate::domain::timestamp::Timestamp;
use crate::store::members::member_from_row;
use crate::store::{AuditEntry, Store, StoreError, audit};

use crate::store::sql::statement::{Row, query};

impl Store {
    /// Inserts a session under the SHA-256 of its secret, with the audit entry. Returns false if the member changed
    /// after their password was checked.
    pub async fn open_session(
        &self,
        session: &Session,
        digest: &[u8; 32],
        member: &Member,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        let updated =
            query("UPDATE members SET last_sign_in_at = $3 WHERE id = $1 AND version = $2 AND removed_at IS NULL")
                .bind(&member.id.0)
                .bind(member.version)
                .bind(session.created_at.as_millis())
                .execute(&mut transaction)
                .await?;
        if updated == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        query(
            "INSERT INTO sessions (digest, id, member, created_at, last_seen_at, ends_at, address, user_agent) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(digest.as_slice())
        .bind(&session.id)
        .bind(&session.member.0)
        .bind(session.created_at.as_millis())
        .bind(session.last_seen_at.as_millis())
        .bind(session.ends_at.as_millis())
        .bind(session.address.as_deref())
        .bind(&session.user_agent)
        .execute(&mut transaction)
        .await?;
        audit::write(&mut transaction, &member.organization, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Returns the session with this digest, and its member.
    pub async fn session(&self, digest: &[u8; 32]) -> Result<Option<(Session, Member)>, StoreError> {
        let row = query(
            "SELECT m.*, s.id AS session_id, s.member, s.created_at AS session_created_at, s.last_seen_at, s.ends_at, \
             s.address, s.user_agent FROM sessions s JOIN members m ON m.id = s.member \
             WHERE s.digest = $1 AND m.removed_at IS NULL",
        )
        .bind(digest.as_slice())
        .fetch_optional(&self.database)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((session_from_row(&row)?, member_from_row(&row)?)))
    }

    /// Updates the time of a session's last use.
    pub async fn touch_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        query("UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2")
            .bind(id)
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }

    /// Returns a member's sessions, newest first.
    pub async fn sessions(&self, member: &MemberId) -> Result<Vec<Session>, StoreError> {
        let rows = query(
            "SELECT id AS session_id, member, created_at AS session_created_at, last_seen_at, ends_at, address, user_agent \
             FROM sessions WHERE member = $1 ORDER BY created_at DESC, id",
        )
        .bind(&member.0)
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(session_from_row).collect()
    }

    /// Deletes one of a member's sessions and writes the audit entry. Returns false if it does not exist.
    pub async fn end_session(&self, member: &Member, id: &str, entry: &AuditEntry) -> Result<bool, StoreError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        let ended = query("DELETE FROM sessions WHERE id = $1 AND member = $2")
            .bind(id)
            .bind(&member.id.0)
            .execute(&mut transaction)
            .await?;
        if ended == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        audit::write(&mut transaction, &member.organization, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes all of a member's sessions and writes the audit entry. Returns false if there is none.
    pub async fn end_sessions(&self, member: &Member, entry: &AuditEntry) -> Result<bool, StoreError> {
        let (mut transaction, _) = self.begin_as(entry).await?;
        let ended =
            query("DELETE FROM sessions WHERE member = $1").bind(&member.id.0).execute(&mut transaction).await?;
        if ended == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        audit::write(&mut transaction, &member.organization, entry).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes expired sessions: those whose lifetime ended by `now`, or that were last used before `idle_since`.
    pub async fn forget_sessions(&self, now: Timestamp, idle_since: Timestamp) -> Result<u64, StoreError> {
        query("DELETE FROM sessions WHERE ends_at <= $1 OR last_seen_at <= $2")
            .bind(now.as_millis())
            .bind(idle_since.as_millis())
            .execute_alone(&self.database)
            .await
    }
}

fn session_from_row(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.try_get("session_id")?,
        member: MemberId(row.try_get("member")?),
        created_at: Timestamp::from_millis(row.try_get("session_created_at")?),
        last_seen_at: Timestamp::from_millis(row.try_get("last_seen_at")?),
        ends_at: Timestamp::from_millis(row.try_get("ends_at")?),
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
    })
}
