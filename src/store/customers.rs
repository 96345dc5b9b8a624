//! Customers: reading and writing them. A removed customer keeps a row, because keys refer to it, but is not listed.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId, ExternalId};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::key_list::contains_pattern;
use crate::store::key_rows::{key_from_row, metadata_column, metadata_from};
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Query, Row, Value, query};
use crate::store::{
    AuditEntry, EndKey, KeyChange, Refused, Seq, Store, StoreError, WriteError, api_keys, audit, changes, is_duplicate,
    refuse,
};

/// Keys of a removed customer that are revoked by one change.
pub const KEYS_AT_ONCE: usize = 200;

/// Filter and position of a list of customers, newest first.
#[derive(Clone, Debug)]
pub struct CustomerFilter {
    pub organization: Slug,
    /// Part of the external ID or the name, ignoring case; or a customer's ID.
    pub search: Option<String>,
    pub external_id: Option<ExternalId>,
    /// Only suspended customers, or only others.
    pub is_suspended: Option<bool>,
    /// Only customers after this position: time of creation, and ID.
    pub after: Option<(Timestamp, CustomerId)>,
    /// Maximum number of customers.
    pub limit: u32,
}

impl CustomerFilter {
    /// Returns a filter for all customers of an organization, at most `limit`.
    pub const fn new(organization: Slug, limit: u32) -> Self {
        Self { organization, search: None, external_id: None, is_suspended: None, after: None, limit }
    }
}

impl Store {
    /// Returns a customer, which may be removed.
    pub async fn customer(&self, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        let row =
            query("SELECT * FROM customers WHERE id = $1").bind(id.as_str()).fetch_optional(&self.database).await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Returns the customers of an organization that match a filter.
    pub async fn customers(&self, filter: &CustomerFilter) -> Result<Vec<Customer>, StoreError> {
        let (mut sql, mut values) = ("organization = $1 AND removed_at IS NULL".to_owned(), Vec::<Value>::new());
        values.push(filter.organization.as_str().into());
        let mut bind = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        if let Some(part) = filter.search.as_deref().filter(|part| !part.is_empty()) {
            let (pattern, id) = (bind(contains_pattern(part).into()), bind(part.into()));
            sql.push_str(&format!(" AND (search_text LIKE {pattern} ESCAPE '\\' OR id = {id})"));
        }
        if let Some(external_id) = &filter.external_id {
            let external_id = bind(external_id.as_str().into());
            sql.push_str(&format!(" AND external_id = {external_id}"));
        }
        match filter.is_suspended {
            Some(true) => sql.push_str(" AND suspended_at IS NOT NULL"),
            Some(false) => sql.push_str(" AND suspended_at IS NULL"),
            None => {}
        }
        if let Some((at, id)) = &filter.after {
            let (at, id) = (bind(at.as_millis().into()), bind(id.as_str().into()));
            sql.push_str(&format!(" AND (created_at, id) < ({at}, {id})"));
        }
        let limit = bind(i64::from(filter.limit).into());
        let sql = format!("SELECT * FROM customers WHERE {sql} ORDER BY created_at DESC, id DESC LIMIT {limit}");
        let rows = values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind).fetch_all(&self.database).await?;
        rows.iter().map(from_row).collect()
    }

    /// Returns the number of keys of each of these customers that are neither revoked nor expired.
    pub async fn keys_of_customers(
        &self,
        ids: &[CustomerId],
        now: Timestamp,
    ) -> Result<HashMap<CustomerId, u64>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let places: Vec<String> = (0..ids.len()).map(|index| format!("${}", index + 2)).collect();
        let reading = query(AssertSqlSafe(format!(
            "SELECT customer_id, COUNT(*) AS n FROM api_keys WHERE customer_id IN ({}) AND state <> 'revoked' \
             AND (expires_at IS NULL OR expires_at > $1) GROUP BY customer_id",
            places.join(", ")
        )));
        let reading = ids.iter().fold(reading.bind(now.as_millis()), |query, id| query.bind(id.as_str()));
        let count = |row: &Row| {
            Ok((customer_id(&row.try_get::<String>("customer_id")?)?, unsigned(row.try_get("n")?, "number of keys")?))
        };
        reading.fetch_all(&self.database).await?.iter().map(count).collect()
    }

    /// Returns the customers that were changed since a time, in their current state.
    pub async fn changed_customers(&self, since: Timestamp) -> Result<Vec<Customer>, StoreError> {
        let rows = query(
            "SELECT * FROM customers WHERE id IN (SELECT customer_id FROM key_changes WHERE at >= $1) AND version > 1",
        )
        .bind(since.as_millis())
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Inserts a customer with the audit entry.
    pub async fn insert_customer(&self, customer: &Customer, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let inserting = query(
            "INSERT INTO customers (id, organization, version, external_id, name, search_text, metadata, max_keys, \
             suspended_at, removed_at, generation, created_at, created_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        );
        let inserting = bind_columns(inserting, customer)?;
        let inserting = inserting.bind(customer.created_at.as_millis()).bind(&customer.created_by);
        match inserting.execute(&mut transaction).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        audit::write(&mut transaction, &customer.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes the next state of a customer with the audit entry, if the stored version is the previous one.
    pub async fn update_customer(&self, customer: &Customer, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        match update(&mut transaction, customer, (seq, entry)).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            Ok(false) => return refuse(transaction, Refused::VersionConflict).await,
            other => other?,
        };
        audit::write(&mut transaction, &customer.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes a removed customer, whose keys are denied from then on. Rejected with [`Refused::HasKeys`] if it may have no key
    /// that works but has one, at `entry.at`.
    pub async fn remove_customer(
        &self,
        removed: &Customer,
        may_have_keys: bool,
        entry: &AuditEntry,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !update(&mut transaction, removed, (seq, entry)).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let counting = query(
            "SELECT COUNT(*) AS n FROM api_keys WHERE customer_id = $1 AND state <> 'revoked' \
             AND (expires_at IS NULL OR expires_at > $2)",
        );
        let keys = counting.bind(removed.id.as_str()).bind(entry.at.as_millis()).fetch_one(&mut transaction).await?;
        if !may_have_keys && keys.try_get::<i64>("n")? > 0 {
            return refuse(transaction, Refused::HasKeys).await;
        }
        audit::write(&mut transaction, &removed.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes the next state that `end` returns for up to [`KEYS_AT_ONCE`] keys of a removed customer that are not revoked.
    /// Returns the number of the last change and the changed keys. Other changes wait for one call, not for all keys.
    pub async fn end_keys_of_removed_customer(
        &self,
        id: &CustomerId,
        end: EndKey<'_>,
    ) -> Result<(Seq, Vec<ApiKey>), StoreError> {
        let (mut transaction, seq) = self.begin().await?;
        let selecting = query(
            "SELECT k.* FROM api_keys k JOIN customers c ON c.id = k.customer_id \
             WHERE c.id = $1 AND c.removed_at IS NOT NULL AND k.state <> 'revoked' LIMIT $2",
        );
        let limit = i64::try_from(KEYS_AT_ONCE).unwrap_or(i64::MAX);
        let rows = selecting.bind(id.as_str()).bind(limit).fetch_all(&mut transaction).await?;
        let keys = rows.iter().map(key_from_row).collect::<Result<Vec<_>, _>>()?;
        let (last, ended) = api_keys::end_all(&mut transaction, keys, end).await?;
        transaction.commit().await?;
        Ok((last.unwrap_or(seq), ended))
    }
}

/// Returns the customer of a key if it is not removed, with the limit on its keys.
pub(super) async fn current(transaction: &mut Transaction, key: &ApiKey) -> Result<Option<Customer>, StoreError> {
    let Some(id) = &key.customer else { return Ok(None) };
    let row = query("SELECT * FROM customers WHERE id = $1 AND organization = $2 AND removed_at IS NULL")
        .bind(id.as_str())
        .bind(key.organization.as_str())
        .fetch_optional(transaction)
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Writes all mutable columns if the stored version is the previous one, and records the change for other nodes.
async fn update(
    transaction: &mut Transaction,
    customer: &Customer,
    (seq, entry): (Seq, &AuditEntry),
) -> Result<bool, StoreError> {
    let updating = query(
        "UPDATE customers SET version = $3, external_id = $4, name = $5, search_text = $6, metadata = $7, max_keys = $8, \
         suspended_at = $9, removed_at = $10, generation = $11 \
         WHERE id = $1 AND organization = $2 AND version + 1 = $3 AND removed_at IS NULL",
    );
    if bind_columns(updating, customer)?.execute(&mut *transaction).await? == 0 {
        return Ok(false);
    }
    changes::record(transaction, &KeyChange::of_customer(seq, customer), entry.at).await?;
    Ok(true)
}

/// Binds the columns from `id` to `generation`.
fn bind_columns(statement: Query, customer: &Customer) -> Result<Query, StoreError> {
    Ok(statement
        .bind(customer.id.as_str())
        .bind(customer.organization.as_str())
        .bind(customer.version)
        .bind(customer.external_id.as_str())
        .bind(&customer.name)
        .bind(format!("{}\n{}", customer.external_id, customer.name).to_lowercase())
        .bind(metadata_column(&customer.metadata)?)
        .bind(customer.max_keys.map(i64::from))
        .bind(customer.suspended_at.map(Timestamp::as_millis))
        .bind(customer.removed_at.map(Timestamp::as_millis))
        .bind(customer.generation))
}

fn from_row(row: &Row) -> Result<Customer, StoreError> {
    let external_id: String = row.try_get("external_id")?;
    let time = |column| Ok::<_, StoreError>(row.try_get::<Option<i64>>(column)?.map(Timestamp::from_millis));
    Ok(Customer {
        id: customer_id(&row.try_get::<String>("id")?)?,
        organization: slug(row.try_get("organization")?)?,
        external_id: ExternalId::parse(&external_id)
            .ok_or_else(|| unreadable(format!("external ID {external_id:?}")))?,
        name: row.try_get("name")?,
        metadata: metadata_from(&row.try_get::<String>("metadata")?)?,
        max_keys: row.try_get::<Option<i64>>("max_keys")?.and_then(|limit| u32::try_from(limit).ok()),
        suspended_at: time("suspended_at")?,
        removed_at: time("removed_at")?,
        generation: unsigned(row.try_get("generation")?, "generation of a customer")?,
        version: unsigned(row.try_get("version")?, "version of a customer")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
    })
}

/// Reads a column with a customer's ID.
pub(super) fn customer_id(text: &str) -> Result<CustomerId, StoreError> {
    CustomerId::parse(text).ok_or_else(|| unreadable(format!("ID {text:?}")))
}

fn unreadable(detail: String) -> StoreError {
    StoreError::Unreadable { what: "customer", detail }
}
