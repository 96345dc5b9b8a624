//! Recent denials: what clients saw, folded by situation and bounded per key, network and organization.

use sqlx::AssertSqlSafe;

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{key_id, unsigned};
use crate::store::sql::statement::{Row, Value, placeholders, query};
use crate::store::{Store, StoreError};

/// Rows that are kept for each key whose credential was authentic, and of all such keys of an organization.
pub const AUTHENTICATED: (i64, i64) = (50, 2_000);
/// Rows that are kept for each key or network without an authentic credential, and of all such denials of an organization.
/// They have room of their own, so that strangers displace only each other.
pub const UNAUTHENTICATED: (i64, i64) = (10, 500);
/// Longest stored list of request IDs, in characters.
const REQUEST_IDS: usize = 600;
/// Rows in one statement.
const BATCH: usize = 200;

/// Denied requests in the same situation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeniedRequest {
    pub organization: Slug,
    /// Identifies the situation within the organization.
    pub id: String,
    /// The key, or a well-formed ID that no key has.
    pub client_id: Option<KeyId>,
    /// Whether the caller presented a secret or a token of the key.
    pub is_authenticated: bool,
    /// CIDR of the client, or `unknown`.
    pub network: String,
    pub address: Option<String>,
    /// Pattern of the route.
    pub endpoint: String,
    /// Status and code as the client saw them.
    pub status: u16,
    pub code: String,
    /// The reason in the log, or else the code in lower case.
    pub reason: String,
    pub missing_scope: Option<String>,
    pub requested_scope: Option<String>,
    pub audience: Option<String>,
    /// The latest first; earlier ones are dropped.
    pub request_ids: Vec<String>,
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Filter and position of a list of denials, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DenialFilter {
    pub organization: Slug,
    pub key: Option<KeyId>,
    /// A reason or a code, in lower case.
    pub reason: Option<String>,
    pub request_id: Option<String>,
    pub address: Option<String>,
    /// Only rows after this one.
    pub after: Option<(Timestamp, String)>,
    pub limit: u32,
}

impl DenialFilter {
    /// Returns a filter for all denials of an organization.
    pub fn new(organization: Slug, limit: u32) -> Self {
        Self { organization, key: None, reason: None, request_id: None, address: None, after: None, limit }
    }
}

impl Store {
    /// Adds denials. Those of a known situation raise its count.
    pub async fn add_denials(&self, denials: &[DeniedRequest]) -> Result<(), StoreError> {
        let mut sorted: Vec<&DeniedRequest> = denials.iter().collect();
        // Nodes that write at the same time lock rows in the same order.
        sorted.sort_by(|a, b| (&a.organization, &a.id).cmp(&(&b.organization, &b.id)));
        for batch in sorted.chunks(BATCH) {
            let mut insert = query(AssertSqlSafe(format!(
                "INSERT INTO denials ({COLUMNS}) VALUES {} ON CONFLICT (organization, id) DO UPDATE SET \
                 denial_count = denials.denial_count + excluded.denial_count, \
                 request_ids = substr(excluded.request_ids || ' ' || denials.request_ids, 1, {REQUEST_IDS}), \
                 first_at = CASE WHEN excluded.first_at < denials.first_at THEN excluded.first_at ELSE denials.first_at END, \
                 last_at = CASE WHEN excluded.last_at > denials.last_at THEN excluded.last_at ELSE denials.last_at END",
                placeholders(batch.len(), 17)
            )));
            for denied in batch {
                insert = insert
                    .bind(denied.organization.as_str())
                    .bind(&denied.id)
                    .bind(denied.client_id.as_ref().map(|id| id.as_str().to_owned()))
                    .bind(i64::from(denied.is_authenticated))
                    .bind(&denied.network)
                    .bind(denied.address.clone())
                    .bind(&denied.endpoint)
                    .bind(i64::from(denied.status))
                    .bind(&denied.code)
                    .bind(&denied.reason)
                    .bind(denied.missing_scope.clone())
                    .bind(denied.requested_scope.clone())
                    .bind(denied.audience.clone())
                    .bind(denied.request_ids.join(" "))
                    .bind(denied.count)
                    .bind(denied.first_at.as_millis())
                    .bind(denied.last_at.as_millis());
            }
            insert.execute_alone(&self.database).await?;
        }
        Ok(())
    }

    /// Returns the denials that match a filter.
    pub async fn denials(&self, filter: &DenialFilter) -> Result<Vec<DeniedRequest>, StoreError> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        // IDs contain `_`, which LIKE would take for any character.
        let request_id = filter.request_id.as_ref().map(|id| {
            let escaped: String =
                id.chars().flat_map(|c| matches!(c, '_' | '%' | '\\').then_some('\\').into_iter().chain([c])).collect();
            format!("% {escaped} %")
        });
        let conditions = [
            ("client_id = $", filter.key.as_ref().map(|key| Value::from(key.as_str()))),
            ("address = $", text(&filter.address)),
            ("' ' || request_ids || ' ' LIKE $", request_id.map(Value::from)),
            ("(last_at, id) < ($", filter.after.as_ref().map(|(at, _)| Value::from(at.as_millis()))),
        ];
        let mut sql = format!("SELECT {COLUMNS} FROM denials WHERE organization = $1");
        let mut values = vec![Value::from(filter.organization.as_str())];
        for (condition, value) in conditions {
            let Some(value) = value else { continue };
            values.push(value);
            sql.push_str(&format!(" AND {condition}{}", values.len()));
            if condition.contains("LIKE") {
                sql.push_str(" ESCAPE '\\'");
            }
        }
        if let Some((_, id)) = &filter.after {
            values.push(Value::from(id.as_str()));
            sql.push_str(&format!(", ${})", values.len()));
        }
        if let Some(reason) = &filter.reason {
            values.push(Value::from(reason.as_str()));
            sql.push_str(&format!(" AND (reason = ${0} OR LOWER(code) = ${0})", values.len()));
        }
        values.push(Value::from(i64::from(filter.limit)));
        sql.push_str(&format!(" ORDER BY last_at DESC, id DESC LIMIT ${}", values.len()));
        let rows = values.into_iter().fold(query(AssertSqlSafe(sql)), |query, value| query.bind(value));
        let rows = rows.fetch_all(&self.database).await?;
        rows.iter().map(|row| read_row(row, &filter.organization)).collect()
    }

    /// Returns the denials of one situation.
    pub async fn denial(&self, organization: &Slug, id: &str) -> Result<Option<DeniedRequest>, StoreError> {
        let row = query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM denials WHERE organization = $1 AND id = $2")))
            .bind(organization.as_str())
            .bind(id)
            .fetch_optional(&self.database)
            .await?;
        row.map(|row| read_row(&row, organization)).transpose()
    }

    /// Deletes denials before a time, and those beyond the bounds, the oldest first.
    pub async fn prune_denials(&self, before: Timestamp) -> Result<u64, StoreError> {
        query(
            "DELETE FROM denials WHERE (organization, id) IN (SELECT organization, id FROM ( \
             SELECT organization, id, is_authenticated, last_at, \
             ROW_NUMBER() OVER (PARTITION BY organization, is_authenticated ORDER BY last_at DESC, id) AS of_all, \
             ROW_NUMBER() OVER (PARTITION BY organization, is_authenticated, COALESCE(client_id, network) \
               ORDER BY last_at DESC, id) AS of_key, \
             ROW_NUMBER() OVER (PARTITION BY organization, is_authenticated, network ORDER BY last_at DESC, id) AS of_network \
             FROM denials) AS ranked WHERE last_at < $1 \
             OR (is_authenticated = 1 AND (of_key > $2 OR of_all > $3)) \
             OR (is_authenticated = 0 AND (of_key > $4 OR of_network > $4 OR of_all > $5)))",
        )
        .bind(before.as_millis())
        .bind(AUTHENTICATED.0)
        .bind(AUTHENTICATED.1)
        .bind(UNAUTHENTICATED.0)
        .bind(UNAUTHENTICATED.1)
        .execute_alone(&self.database)
        .await
    }
}

const COLUMNS: &str = "organization, id, client_id, is_authenticated, network, address, endpoint, status, code, reason, \
    missing_scope, requested_scope, audience, request_ids, denial_count, first_at, last_at";

fn read_row(row: &Row, organization: &Slug) -> Result<DeniedRequest, StoreError> {
    let ids: String = row.try_get("request_ids")?;
    let is_cut = ids.chars().count() >= REQUEST_IDS;
    let mut request_ids: Vec<String> = ids.split_whitespace().map(str::to_owned).collect();
    if is_cut {
        request_ids.pop();
    }
    let status = unsigned(row.try_get("status")?, "status")?;
    Ok(DeniedRequest {
        organization: organization.clone(),
        id: row.try_get("id")?,
        client_id: row.try_get::<Option<String>>("client_id")?.map(key_id).transpose()?,
        is_authenticated: row.try_get::<i64>("is_authenticated")? != 0,
        network: row.try_get("network")?,
        address: row.try_get("address")?,
        endpoint: row.try_get("endpoint")?,
        status: u16::try_from(status).unwrap_or_default(),
        code: row.try_get("code")?,
        reason: row.try_get("reason")?,
        missing_scope: row.try_get("missing_scope")?,
        requested_scope: row.try_get("requested_scope")?,
        audience: row.try_get("audience")?,
        request_ids,
        count: unsigned(row.try_get("denial_count")?, "denial count")?,
        first_at: Timestamp::from_millis(row.try_get("first_at")?),
        last_at: Timestamp::from_millis(row.try_get("last_at")?),
    })
}
