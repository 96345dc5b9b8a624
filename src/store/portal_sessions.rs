//! Sessions of customers in the portal. They are read from the database for every request, so the end of a session, of its
//! customer or of its creator is effective on every node with its commit.

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::domain::apis::ApiId;
use crate::domain::authority::{ActorVersion, Authority, OtherApis};
use crate::domain::customer::CustomerId;
use crate::domain::grants::{Grants, StoredGrant};
use crate::domain::networks::Networks;
use crate::domain::portal::{Capabilities, PortalSession, WebUrl};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::customers::customer_id;
use crate::store::key_rows::grants_from;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, Value, query};
use crate::store::{AuditEntry, Refused, Seq, Store, StoreError, WriteError, action, audit, refuse};

/// The conditions of a valid session `s` at `$1`: the customer and the organization are not suspended, and the creator still has
/// the rights with which it created the session. A key's version is that of `expected_version.rs`.
const IS_LIVE: &str = "s.ends_at > $1 \
    AND EXISTS (SELECT 1 FROM customers c WHERE c.id = s.customer_id AND c.generation = s.customer_generation \
        AND c.suspended_at IS NULL AND c.removed_at IS NULL) \
    AND EXISTS (SELECT 1 FROM organizations o WHERE o.slug = s.organization AND o.suspended_at IS NULL \
        AND o.deleted_at IS NULL) \
    AND (EXISTS (SELECT 1 FROM members m WHERE m.id = s.creator_member AND m.version = s.creator_version \
            AND m.removed_at IS NULL) \
        OR EXISTS (SELECT 1 FROM api_keys k LEFT JOIN customers kc ON kc.id = k.customer_id \
            WHERE k.id = s.creator_key AND k.state = 'active' AND (k.expires_at IS NULL OR k.expires_at > $1) \
            AND k.generation + k.secret_version = s.creator_version \
            AND kc.suspended_at IS NULL AND kc.removed_at IS NULL \
            AND COALESCE(kc.generation, 0) = COALESCE(s.creator_customer_generation, 0)))";

/// The changes that a session can make.
const ACTIONS: [&str; 5] = [
    action::KEY_CREATE,
    action::KEY_ROTATE,
    action::KEY_REVOKE,
    action::PORTAL_SESSION_REDEEM,
    action::PORTAL_SESSION_END,
];

/// The creator's rights in the column `bounds`.
#[derive(Serialize, Deserialize)]
struct StoredBounds {
    grants: Vec<StoredGrant>,
    /// Whether all scopes of the APIs besides the default one can be granted.
    all_apis: bool,
    networks: Networks,
    not_after: Option<i64>,
}

impl Store {
    /// Inserts a session under the SHA-256 of its code, with the audit entry. Refused if its customer has changed since it was
    /// read.
    pub async fn insert_portal_session(
        &self,
        session: &PortalSession,
        code: &[u8; 32],
        entry: &AuditEntry,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let (creator_key, creator_member) = match session.created_by.split_once(':') {
            Some(("key", id)) => (Some(id), None),
            Some(("member", id)) => (None, Some(id)),
            _ => return refuse(transaction, Refused::VersionConflict).await,
        };
        query(
            "INSERT INTO portal_sessions (id, organization, customer_id, customer_generation, user_name, code_digest, \
             capabilities, grants, bounds, return_url, created_at, creator_key, creator_member, creator_version, \
             creator_customer_generation, ends_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(&session.id)
        .bind(session.organization.as_str())
        .bind(session.customer.as_str())
        .bind(session.customer_generation)
        .bind(session.user.as_deref())
        .bind(code.as_slice())
        .bind(session.capabilities.to_string())
        .bind(to_json(&session.grants.to_stored())?)
        .bind(to_json(&stored_bounds(&session.bounds))?)
        .bind(session.return_url.as_ref().map(WebUrl::as_str))
        .bind(session.created_at.as_millis())
        .bind(creator_key)
        .bind(creator_member)
        .bind(session.creator_version.own)
        .bind(session.creator_version.customer.map(|generation| i64::try_from(generation).unwrap_or(i64::MAX)))
        .bind(session.ends_at.as_millis())
        .execute(&mut transaction)
        .await?;
        if !is_live(&mut transaction, &session.id, entry.at).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        audit::write(&mut transaction, &session.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Returns the valid session whose URL has the code with this digest and was not opened yet.
    pub async fn portal_session_of_code(
        &self,
        code: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<PortalSession>, StoreError> {
        self.one_portal_session("s.code_digest = $2 AND s.redeemed_at IS NULL", code.as_slice().into(), now).await
    }

    /// Returns the valid session whose cookie has the secret with this digest.
    pub async fn portal_session(&self, secret: &[u8; 32], now: Timestamp) -> Result<Option<PortalSession>, StoreError> {
        self.one_portal_session("s.secret_digest = $2", secret.as_slice().into(), now).await
    }

    /// Returns the valid sessions of a customer, newest first.
    pub async fn portal_sessions(
        &self,
        customer: &CustomerId,
        now: Timestamp,
    ) -> Result<Vec<PortalSession>, StoreError> {
        let sql = format!(
            "SELECT s.* FROM portal_sessions s WHERE s.customer_id = $2 AND {IS_LIVE} ORDER BY s.created_at DESC, s.id DESC"
        );
        let reading = query(AssertSqlSafe(sql)).bind(now.as_millis()).bind(customer.as_str());
        reading.fetch_all(&self.database).await?.iter().map(from_row).collect()
    }

    /// Whether the code with this digest is the one that opened a session.
    pub async fn is_code_of_portal_session(&self, id: &str, code: &[u8; 32]) -> Result<bool, StoreError> {
        let reading = query("SELECT id FROM portal_sessions WHERE id = $1 AND code_digest = $2");
        Ok(reading.bind(id).bind(code.as_slice()).fetch_optional(&self.database).await?.is_some())
    }

    /// Stores the secret of a session whose URL is opened, with the audit entry. Of several requests with the same code one
    /// succeeds.
    pub async fn redeem_portal_session(
        &self,
        redeemed: &PortalSession,
        secret: &[u8; 32],
        entry: &AuditEntry,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let updated = query(
            "UPDATE portal_sessions SET secret_digest = $2, redeemed_at = $3, ends_at = $4, address = $5 \
             WHERE id = $1 AND redeemed_at IS NULL",
        )
        .bind(&redeemed.id)
        .bind(secret.as_slice())
        .bind(redeemed.redeemed_at.map(Timestamp::as_millis))
        .bind(redeemed.ends_at.as_millis())
        .bind(redeemed.address.as_deref())
        .execute(&mut transaction)
        .await?;
        if updated == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        audit::write(&mut transaction, &redeemed.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Deletes a session of a customer with the audit entry. Returns `None` if it does not exist.
    pub async fn end_portal_session(
        &self,
        organization: &Slug,
        customer: &CustomerId,
        id: &str,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let ended = query("DELETE FROM portal_sessions WHERE id = $1 AND customer_id = $2 AND organization = $3")
            .bind(id)
            .bind(customer.as_str())
            .bind(organization.as_str())
            .execute(&mut transaction)
            .await?;
        if ended == 0 {
            transaction.rollback().await?;
            return Ok(None);
        }
        audit::write(&mut transaction, organization, entry).await?;
        transaction.commit().await?;
        Ok(Some(seq))
    }

    /// Deletes the sessions that have expired.
    pub async fn forget_portal_sessions(&self, now: Timestamp) -> Result<u64, StoreError> {
        query("DELETE FROM portal_sessions WHERE ends_at <= $1")
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await
    }

    async fn one_portal_session(
        &self,
        condition: &str,
        value: Value,
        now: Timestamp,
    ) -> Result<Option<PortalSession>, StoreError> {
        let sql = format!("SELECT s.* FROM portal_sessions s WHERE {condition} AND {IS_LIVE}");
        let reading = query(AssertSqlSafe(sql)).bind(now.as_millis()).bind(value);
        reading.fetch_optional(&self.database).await?.as_ref().map(from_row).transpose()
    }
}

/// Whether a session can make a change: it is valid, and the change is one of those that sessions make.
pub(super) async fn may_change(
    transaction: &mut Transaction,
    id: &str,
    entry: &AuditEntry,
) -> Result<bool, StoreError> {
    Ok(ACTIONS.contains(&entry.action) && is_live(transaction, id, entry.at).await?)
}

/// Returns the ID of the key that created a session; `None` if a member did.
pub(super) async fn creator_key(transaction: &mut Transaction, id: &str) -> Result<Option<String>, StoreError> {
    let reading = query("SELECT creator_key FROM portal_sessions WHERE id = $1").bind(id);
    let row = reading.fetch_optional(transaction).await?;
    Ok(row.map(|row| row.try_get::<Option<String>>("creator_key")).transpose()?.flatten())
}

async fn is_live(transaction: &mut Transaction, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = format!("SELECT s.id FROM portal_sessions s WHERE s.id = $2 AND {IS_LIVE}");
    let reading = query(AssertSqlSafe(sql)).bind(now.as_millis()).bind(id);
    Ok(reading.fetch_optional(transaction).await?.is_some())
}

fn stored_bounds(bounds: &Authority) -> StoredBounds {
    let default = Grants::of_default(bounds.scopes.clone());
    let (grants, all_apis) = match &bounds.other_apis {
        OtherApis::All => (default, true),
        OtherApis::Granted(grants) => {
            let others = grants.iter().filter(|grant| grant.api != ApiId::DEFAULT).cloned();
            (Grants::new(default.iter().cloned().chain(others)), false)
        }
    };
    StoredBounds {
        grants: grants.to_stored(),
        all_apis,
        networks: bounds.networks.clone(),
        not_after: bounds.not_after.map(Timestamp::as_millis),
    }
}

fn bounds_from(column: &str) -> Result<Authority, StoreError> {
    let stored: StoredBounds = serde_json::from_str(column).map_err(|error| unreadable(&error))?;
    let grants = Grants::from_stored(stored.grants).map_err(|error| unreadable(&error))?;
    Ok(Authority {
        scopes: grants.of_default_api().clone(),
        other_apis: if stored.all_apis { OtherApis::All } else { OtherApis::Granted(grants) },
        networks: stored.networks,
        not_after: stored.not_after.map(Timestamp::from_millis),
    })
}

fn from_row(row: &Row) -> Result<PortalSession, StoreError> {
    let text = |column| row.try_get::<Option<String>>(column);
    let created_by = match (text("creator_key")?, text("creator_member")?) {
        (Some(key), _) => format!("key:{key}"),
        (None, Some(member)) => format!("member:{member}"),
        (None, None) => return Err(unreadable(&"no creator")),
    };
    let generation = row.try_get::<Option<i64>>("creator_customer_generation")?;
    Ok(PortalSession {
        id: row.try_get("id")?,
        organization: slug(row.try_get("organization")?)?,
        customer: customer_id(&row.try_get::<String>("customer_id")?)?,
        customer_generation: unsigned(row.try_get("customer_generation")?, "generation of a customer")?,
        user: text("user_name")?,
        capabilities: Capabilities::from_stored(&row.try_get::<String>("capabilities")?),
        grants: grants_from(&row.try_get::<String>("grants")?)?,
        bounds: bounds_from(&row.try_get::<String>("bounds")?)?,
        return_url: text("return_url")?.as_deref().and_then(WebUrl::parse),
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        created_by,
        creator_version: ActorVersion {
            own: unsigned(row.try_get("creator_version")?, "version")?,
            customer: generation.map(|generation| unsigned(generation, "generation of a customer")).transpose()?,
            shared: None,
        },
        redeemed_at: row.try_get::<Option<i64>>("redeemed_at")?.map(Timestamp::from_millis),
        ends_at: Timestamp::from_millis(row.try_get("ends_at")?),
        address: text("address")?,
    })
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: "portal session", detail: error.to_string() }
}
