//! Audit entries: writing them with their changes, chaining, reading.

use std::collections::HashMap;

use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::clock;
use crate::domain::audit_chain::{AuditHead, AuditRow, ChainHash};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::slug;
use crate::store::{AuditChange, AuditEntry, AuditFilter, AuditFrom, Store, StoreError, action, deliveries};

use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Query, Row, Value, placeholders, query};

/// An audit entry, or the ID of one that cannot be decoded.
pub type ReadAuditRow = Result<AuditRow, i64>;

/// Entries that are chained in one batch.
const ROWS: i64 = 1_000;

/// The position of the next entry in an organization's log.
struct End {
    /// Highest ID of any entry.
    highest: i64,
    /// Recorded end of the organization's log, if it has entries.
    head: Option<AuditHead>,
}

/// Appends an entry in the transaction of its change. Changes are serialized, so the next ID is free and the end of the
/// log does not move before the commit.
pub(super) async fn write(
    transaction: &mut Transaction,
    organization: &Slug,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let (mut end, has_unchained) = end(transaction, organization).await?;
    if has_unchained {
        // A node of an earlier version is running too and has made changes.
        chain(transaction, organization, &mut end).await?;
    }
    append(transaction, organization, entry, &mut end).await?;
    keep_head(transaction, organization, &end).await?;
    // Queued in the same transaction, so an event is sent if and only if its change is committed.
    deliveries::enqueue(transaction, organization, entry).await
}

impl Store {
    /// Fills in what the entries of earlier versions changed.
    pub(super) async fn derive_audit_changes(&self) -> Result<(), StoreError> {
        loop {
            let rows = query(AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM audit WHERE changed_fields IS NULL ORDER BY id LIMIT {ROWS}"
            )))
            .fetch_all(&self.database)
            .await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut update = query(AssertSqlSafe(format!(
                "WITH derived (id, direction, fields) AS (VALUES {}) UPDATE audit SET direction = NULLIF(derived.direction, ''), \
                 changed_fields = derived.fields FROM derived WHERE audit.id = derived.id",
                placeholders(rows.len(), 3)
            )));
            for row in &rows {
                // An entry that cannot be decoded is reported by verification.
                let (id, (direction, fields)) = match read_row(row)? {
                    Ok(row) => (row.id, AuditChange::of_row(&row).columns()),
                    Err(id) => (id, (None, String::new())),
                };
                update = update.bind(id).bind(direction.unwrap_or_default()).bind(fields);
            }
            update.execute_alone(&self.database).await?;
        }
    }

    /// Chains the entries that earlier versions wrote, in one transaction.
    pub(super) async fn chain_audit(&self) -> Result<(), StoreError> {
        let organizations = query("SELECT DISTINCT organization FROM audit WHERE hash IS NULL ORDER BY organization")
            .fetch_all(&self.database)
            .await?;
        if organizations.is_empty() {
            return Ok(());
        }
        let (mut transaction, _) = self.begin().await?;
        for row in organizations {
            let organization = slug(row.try_get("organization")?)?;
            let (mut end, has_unchained) = end(&mut transaction, &organization).await?;
            if has_unchained {
                chain(&mut transaction, &organization, &mut end).await?;
                keep_head(&mut transaction, &organization, &end).await?;
            }
        }
        transaction.commit().await
    }
}

/// Returns the end of a log, and whether unchained entries follow it.
async fn end(transaction: &mut Transaction, organization: &Slug) -> Result<(End, bool), StoreError> {
    let row = query(
        "SELECT (SELECT MAX(id) FROM audit) AS highest, (SELECT MAX(last_id) FROM audit_heads) AS highest_known, h.last_id, h.row_count, h.hash, \
         (SELECT COUNT(*) FROM audit a WHERE a.organization = $1 AND a.hash IS NULL \
          AND (h.last_id IS NULL OR a.id > h.last_id)) AS unchained \
         FROM (SELECT 1 AS one) o LEFT JOIN audit_heads h ON h.organization = $1",
    )
    .bind(organization.as_str())
    .fetch_one(transaction)
    .await?;
    let head = head(&row)?;
    // IDs of entries that were removed from the end are not reused.
    let number = |column| Ok::<_, StoreError>(row.try_get::<Option<i64>>(column)?.unwrap_or_default());
    let highest = number("highest")?.max(number("highest_known")?);
    Ok((End { highest, head }, row.try_get::<i64>("unchained")? > 0))
}

/// Reads the end of a log from the columns `last_id`, `row_count` and `hash`, which are NULL together.
fn head(row: &Row) -> Result<Option<AuditHead>, StoreError> {
    let Some(id) = row.try_get::<Option<i64>>("last_id")? else { return Ok(None) };
    Ok(Some(AuditHead { id, rows: row.try_get("row_count")?, hash: hash(row.try_get("hash")?) }))
}

/// Reads a stored hash. An invalid one becomes [`ChainHash::START`], which matches no entry.
fn hash(bytes: Vec<u8>) -> ChainHash {
    ChainHash::from_bytes(&bytes).unwrap_or(ChainHash::START)
}

/// Appends an entry to a log.
async fn append(
    transaction: &mut Transaction,
    organization: &Slug,
    entry: &AuditEntry,
    end: &mut End,
) -> Result<(), StoreError> {
    let row = AuditRow {
        id: end.highest + 1,
        organization: organization.to_string(),
        position: Some(end.head.map_or(0, |head| head.rows) + 1),
        at: entry.at,
        actor: entry.actor.clone(),
        action: entry.action.to_owned(),
        subject: entry.subject.clone(),
        address: entry.address.clone(),
        old: entry.old.as_ref().filter(|value| !value.is_null()).map(ToString::to_string),
        new: entry.new.as_ref().filter(|value| !value.is_null()).map(ToString::to_string),
        hash: None,
    };
    let head = end.advance(row.id, |previous| row.hash_after(previous));
    let (direction, fields) = AuditChange::between(entry.old.as_ref(), entry.new.as_ref()).columns();
    query(
        "INSERT INTO audit (id, organization, position, at, actor, action, subject, address, old_value, new_value, hash, \
         direction, changed_fields) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(row.id)
    .bind(&row.organization)
    .bind(row.position)
    .bind(row.at.as_millis())
    .bind(row.actor)
    .bind(row.action)
    .bind(row.subject)
    .bind(row.address)
    .bind(row.old)
    .bind(row.new)
    .bind(head.hash.as_bytes())
    .bind(direction)
    .bind(fields)
    .execute(transaction)
    .await?;
    Ok(())
}

impl End {
    /// Advances the end by one entry, whose hash depends on the previous one.
    fn advance(&mut self, id: i64, hash: impl FnOnce(&ChainHash) -> ChainHash) -> AuditHead {
        let (rows, previous) = self.head.map_or((0, ChainHash::START), |head| (head.rows, head.hash));
        let head = AuditHead { id, rows: rows + 1, hash: hash(&previous) };
        self.highest = self.highest.max(id);
        self.head = Some(head);
        head
    }
}

/// Chains the unchained entries after the end, and appends an entry that records this, because someone else may have
/// inserted them.
async fn chain(transaction: &mut Transaction, organization: &Slug, end: &mut End) -> Result<(), StoreError> {
    let (mut first, mut count) = (None, 0);
    loop {
        let rows = query(AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM audit WHERE organization = $1 AND hash IS NULL AND id > $2 ORDER BY id LIMIT $3"
        )))
        .bind(organization.as_str())
        .bind(end.head.map_or(i64::MIN, |head| head.id))
        .bind(ROWS)
        .fetch_all(&mut *transaction)
        .await?;
        if rows.is_empty() {
            break;
        }
        let mut update = query(AssertSqlSafe(format!(
            "WITH chained (id, position, hash) AS (VALUES {}) UPDATE audit SET position = chained.position, \
             hash = chained.hash FROM chained WHERE audit.id = chained.id",
            placeholders(rows.len(), 3)
        )));
        for row in &rows {
            let unreadable = |id| StoreError::Unreadable { what: "audit entry", detail: format!("id {id}") };
            let mut row = read_row(row)?.map_err(unreadable)?;
            row.position = Some(end.head.map_or(0, |head| head.rows) + 1);
            let head = end.advance(row.id, |previous| row.hash_after(previous));
            update = update.bind(row.id).bind(row.position).bind(head.hash.as_bytes());
            first.get_or_insert(row.id);
            count += 1;
        }
        update.execute(transaction).await?;
    }
    let (Some(first), Some(head)) = (first, end.head) else { return Ok(()) };
    let entry = AuditEntry::by_keyturn(
        clock::now(),
        action::AUDIT_CHAIN,
        organization,
        None,
        Some(json!({ "rows": count, "first": first, "last": head.id })),
    );
    append(transaction, organization, &entry, end).await?;
    tracing::info!(%organization, rows = count, "chained audit entries of an earlier version");
    Ok(())
}

async fn keep_head(transaction: &mut Transaction, organization: &Slug, end: &End) -> Result<(), StoreError> {
    let Some(head) = end.head else { return Ok(()) };
    query(
        "INSERT INTO audit_heads (organization, last_id, row_count, hash) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (organization) DO UPDATE SET last_id = excluded.last_id, row_count = excluded.row_count, \
         hash = excluded.hash",
    )
    .bind(organization.as_str())
    .bind(head.id)
    .bind(head.rows)
    .bind(head.hash.as_bytes())
    .execute(transaction)
    .await?;
    Ok(())
}

const COLUMNS: &str = "id, organization, position, at, actor, action, subject, address, old_value, new_value, hash";

/// Reads a row with [`COLUMNS`], or returns the ID of one that Keyturn cannot have written.
fn read_row(row: &Row) -> Result<ReadAuditRow, StoreError> {
    let id = row.try_get("id")?;
    let read = || {
        Ok::<_, StoreError>(AuditRow {
            id,
            organization: row.try_get("organization")?,
            position: row.try_get("position")?,
            at: Timestamp::from_millis(row.try_get("at")?),
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            subject: row.try_get("subject")?,
            address: row.try_get("address")?,
            old: row.try_get("old_value")?,
            new: row.try_get("new_value")?,
            hash: row.try_get::<Option<Vec<u8>>>("hash")?.map(hash),
        })
    };
    Ok(read().map_err(|_| id))
}

/// Reads a row like [`read_row`], and reports one whose derived columns do not match its values: filters would miss it.
fn read_with_change(row: &Row) -> Result<ReadAuditRow, StoreError> {
    let Ok(read) = read_row(row)? else { return read_row(row) };
    let stored = (row.try_get::<Option<String>>("direction")?, row.try_get::<Option<String>>("changed_fields")?);
    let (direction, fields) = AuditChange::of_row(&read).columns();
    let is_right = (stored.1.is_none() && stored.0.is_none()) || stored == (direction.map(str::to_owned), Some(fields));
    Ok(if is_right { Ok(read) } else { Err(read.id) })
}

impl Store {
    /// Returns the entries that match a filter.
    pub async fn audit_rows(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        // `|| ''` keeps the planner from using the actor or action index if a subject is given: the subject index is
        // always more selective.
        let no_index = if filter.subject.is_some() { " || ''" } else { "" };
        let (before, order) = match filter.from {
            AuditFrom::Newest => (None, "at DESC, id DESC"),
            AuditFrom::Before(at, id) => (Some((at, id)), "at DESC, id DESC"),
            AuditFrom::After(_) => (None, "id"),
        };
        let after = match filter.from {
            AuditFrom::After(id) => Some(id),
            AuditFrom::Newest | AuditFrom::Before(..) => None,
        };
        let text = |value: &Option<String>| value.as_deref().map(Value::from);
        let number = |value: Option<i64>| value.map(Value::from);
        // Names of fields contain `_`, which LIKE would take for any character.
        let field = filter.field.as_ref().map(|field| format!("% {} %", field.replace('_', "\\_")));
        let conditions = [
            ("subject = $".to_owned(), text(&filter.subject)),
            (format!("actor{no_index} = $"), text(&filter.actor)),
            (format!("action{no_index} = $"), text(&filter.action)),
            ("changed_fields LIKE $".to_owned(), field.map(Value::from)),
            ("at >= $".to_owned(), number(filter.since.map(Timestamp::as_millis))),
            ("at < $".to_owned(), number(filter.until.map(Timestamp::as_millis))),
            ("id > $".to_owned(), number(after)),
            ("(at, id) < ($".to_owned(), number(before.map(|(at, _)| at.as_millis()))),
        ];
        let mut sql = format!("SELECT {COLUMNS} FROM audit WHERE organization = $1");
        // A fixed text, so that the partial index fits.
        if let Some(direction) = filter.direction {
            sql.push_str(&format!(" AND direction IN ('{}', 'both')", direction.as_str()));
        }
        let mut values = Vec::new();
        for (condition, value) in conditions {
            if let Some(value) = value {
                values.push(value);
                sql.push_str(&format!(" AND {condition}{}", values.len() + 1));
                if condition.contains("LIKE") {
                    sql.push_str(" ESCAPE '\\'");
                }
            }
        }
        if !filter.subjects.is_empty() {
            let places = filter.subjects.iter().map(|subject| {
                values.push(Value::from(subject.as_str()));
                format!("${}", values.len() + 1)
            });
            let places = places.collect::<Vec<_>>().join(", ");
            sql.push_str(&format!(" AND subject IN ({places})"));
        }
        if let Some(customer) = &filter.customer {
            values.push(customer.as_str().into());
            let customer = format!("${}", values.len() + 1);
            sql.push_str(&format!(
                " AND (subject = {customer} OR subject IN (SELECT id FROM api_keys WHERE customer_id = {customer}))"
            ));
        }
        if let Some((_, id)) = before {
            values.push(id.into());
            sql.push_str(&format!(", ${})", values.len() + 1));
        }
        values.push(i64::from(filter.limit).into());
        sql.push_str(&format!(" ORDER BY {order} LIMIT ${}", values.len() + 1));
        let start = query(AssertSqlSafe(sql)).bind(filter.organization.as_str());
        let rows = values.into_iter().fold(start, Query::bind).fetch_all(&self.database).await?;
        let unreadable = |id| StoreError::Unreadable { what: "audit entry", detail: format!("id {id}") };
        rows.iter().map(|row| read_row(row)?.map_err(unreadable)).collect()
    }

    /// Returns who did something last to each of these subjects, by subject.
    pub async fn last_actors(
        &self,
        organization: &Slug,
        action: &str,
        subjects: &[String],
    ) -> Result<HashMap<String, String>, StoreError> {
        if subjects.is_empty() {
            return Ok(HashMap::new());
        }
        let places: Vec<String> = (0..subjects.len()).map(|index| format!("${}", index + 3)).collect();
        let sql = format!(
            "SELECT subject, actor FROM audit WHERE organization = $1 AND action = $2 AND subject IN ({}) ORDER BY at, id",
            places.join(", ")
        );
        let reading = query(AssertSqlSafe(sql)).bind(organization.as_str()).bind(action);
        let rows = subjects.iter().fold(reading, Query::bind).fetch_all(&self.database).await?;
        rows.iter().map(|row| Ok((row.try_get("subject")?, row.try_get("actor")?))).collect()
    }

    /// Returns up to `limit` entries of an organization after an ID, oldest first, including those that cannot be
    /// decoded.
    pub async fn audit_after(
        &self,
        organization: &str,
        id: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ReadAuditRow>, StoreError> {
        let rows = query(AssertSqlSafe(format!(
            "SELECT {COLUMNS}, direction, changed_fields FROM audit WHERE organization = $1 AND id >= $2 ORDER BY id LIMIT $3"
        )))
        .bind(organization)
        .bind(id.map_or(i64::MIN, |id| id.saturating_add(1)))
        .bind(i64::from(limit))
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(read_with_change).collect()
    }

    /// Returns the recorded end of an organization's log.
    pub async fn audit_head(&self, organization: &str) -> Result<Option<AuditHead>, StoreError> {
        let row = query("SELECT last_id, row_count, hash FROM audit_heads WHERE organization = $1")
            .bind(organization)
            .fetch_optional(&self.database)
            .await?;
        row.map_or(Ok(None), |row| head(&row))
    }

    /// Returns the slugs of all organizations and of all existing logs.
    pub async fn audited_organizations(&self) -> Result<Vec<String>, StoreError> {
        let rows = query(
            "SELECT slug AS organization FROM organizations UNION SELECT organization FROM audit_heads \
             UNION SELECT organization FROM audit ORDER BY 1",
        )
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(|row| row.try_get("organization")).collect()
    }
}
