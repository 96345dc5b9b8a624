//! Verification requests that are observed during the check of a gateway: bounded by number and by time.

use sqlx::AssertSqlSafe;

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::{placeholders, query};
use crate::store::{Store, StoreError};

/// Organizations that are observed at once. Others wait until one ends.
pub const MAX_WATCHES: i64 = 64;
/// Rows that are kept for each organization, the latest. Each has less than 300 bytes.
pub const MAX_ROWS: i64 = 50;
/// How long rows are kept.
const KEPT_SECONDS: i64 = 3600;

/// Verification requests from one peer with the same result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayRequest {
    pub organization: Slug,
    /// The address of the connection.
    pub peer: String,
    pub is_trusted: bool,
    /// Code of the error; `None` if the request was allowed.
    pub code: Option<String>,
    /// Why the client's address is not known.
    pub address_error: Option<String>,
    /// The client's address in the latest request.
    pub client: Option<String>,
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

impl Store {
    /// Observes an organization until a time. Returns whether there was room.
    pub async fn watch_gateway(
        &self,
        organization: &Slug,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        query("DELETE FROM gateway_watches WHERE watched_until < $1")
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        query("DELETE FROM gateway_requests WHERE last_at < $1")
            .bind(now.plus_seconds(-KEPT_SECONDS).as_millis())
            .execute_alone(&self.database)
            .await?;
        let written = query(
            "INSERT INTO gateway_watches (organization, watched_until) \
             SELECT slug, $2 FROM organizations WHERE slug = $1 \
             AND ((SELECT COUNT(*) FROM gateway_watches WHERE organization <> $1) < $3) \
             ON CONFLICT (organization) DO UPDATE SET watched_until = excluded.watched_until",
        )
        .bind(organization.as_str())
        .bind(until.as_millis())
        .bind(MAX_WATCHES)
        .execute_alone(&self.database)
        .await?;
        Ok(written == 1)
    }

    /// Returns the organizations that are observed, and until when.
    pub async fn gateway_watches(&self, now: Timestamp) -> Result<Vec<(Slug, Timestamp)>, StoreError> {
        let rows = query("SELECT organization, watched_until FROM gateway_watches WHERE watched_until > $1 LIMIT $2")
            .bind(now.as_millis())
            .bind(MAX_WATCHES)
            .fetch_all(&self.database)
            .await?;
        rows.iter()
            .map(|row| {
                let slug: String = row.try_get("organization")?;
                let slug = Slug::parse(&slug)
                    .ok_or_else(|| StoreError::Unreadable { what: "gateway check", detail: slug.clone() })?;
                Ok((slug, Timestamp::from_millis(row.try_get("watched_until")?)))
            })
            .collect()
    }

    /// Adds what a node has observed of an organization, and deletes what is beyond the bound.
    pub async fn add_gateway_requests(
        &self,
        organization: &Slug,
        requests: &[GatewayRequest],
    ) -> Result<(), StoreError> {
        if requests.is_empty() {
            return Ok(());
        }
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO gateway_requests (organization, peer, is_trusted, code, address_error, client, request_count, first_at, \
             last_at) VALUES {} ON CONFLICT (organization, peer, is_trusted, code, address_error) DO UPDATE SET \
             request_count = gateway_requests.request_count + excluded.request_count, client = excluded.client, \
             last_at = CASE WHEN excluded.last_at > gateway_requests.last_at THEN excluded.last_at ELSE gateway_requests.last_at END",
            placeholders(requests.len(), 9)
        )));
        for request in requests {
            insert = insert
                .bind(organization.as_str())
                .bind(&request.peer)
                .bind(i64::from(request.is_trusted))
                .bind(request.code.as_deref().unwrap_or_default())
                .bind(request.address_error.as_deref().unwrap_or_default())
                .bind(request.client.clone())
                .bind(request.count)
                .bind(request.first_at.as_millis())
                .bind(request.last_at.as_millis());
        }
        insert.execute_alone(&self.database).await?;
        query(
            "DELETE FROM gateway_requests WHERE organization = $1 AND (peer, is_trusted, code, address_error) IN ( \
             SELECT peer, is_trusted, code, address_error FROM (SELECT peer, is_trusted, code, address_error, \
             ROW_NUMBER() OVER (ORDER BY last_at DESC, peer, is_trusted, code, address_error) AS place \
             FROM gateway_requests WHERE organization = $1) AS ranked WHERE place > $2)",
        )
        .bind(organization.as_str())
        .bind(MAX_ROWS)
        .execute_alone(&self.database)
        .await?;
        Ok(())
    }

    /// Returns what was observed of an organization since a time, the latest first.
    pub async fn gateway_requests(
        &self,
        organization: &Slug,
        since: Timestamp,
    ) -> Result<Vec<GatewayRequest>, StoreError> {
        let rows = query(
            "SELECT * FROM gateway_requests WHERE organization = $1 AND last_at >= $2 \
             ORDER BY last_at DESC, peer, code, address_error LIMIT $3",
        )
        .bind(organization.as_str())
        .bind(since.as_millis())
        .bind(MAX_ROWS)
        .fetch_all(&self.database)
        .await?;
        rows.iter()
            .map(|row| {
                let text = |name: &str| -> Result<Option<String>, StoreError> {
                    Ok(Some(row.try_get::<String>(name)?).filter(|text| !text.is_empty()))
                };
                Ok(GatewayRequest {
                    organization: organization.clone(),
                    peer: row.try_get("peer")?,
                    is_trusted: row.try_get::<i64>("is_trusted")? != 0,
                    code: text("code")?,
                    address_error: text("address_error")?,
                    client: row.try_get("client")?,
                    count: unsigned(row.try_get("request_count")?, "requests")?,
                    first_at: Timestamp::from_millis(row.try_get("first_at")?),
                    last_at: Timestamp::from_millis(row.try_get("last_at")?),
                })
            })
            .collect()
    }
}
