//! Lists of API keys: filters, orders, cursors.

use sqlx::AssertSqlSafe;

use crate::domain::api_key::{ApiKey, Status};
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::key_rows::key_from_row;
use crate::store::sql::statement::{Query, Value, query};
use crate::store::{Store, StoreError};

/// Sort order of a list of keys. Equal values are sorted by key ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOrder {
    Created,
    /// Ignores case.
    Name,
    /// By expiry; keys without one are last.
    Expiry,
    /// By last use; keys that were never used are first.
    LastUse,
}

impl KeyOrder {
    /// Returns a key's position in this order.
    pub fn cursor(self, key: &ApiKey) -> KeyCursor {
        match self {
            Self::Created => KeyCursor::At(key.created_at.as_millis(), key.id),
            Self::Name => KeyCursor::Named(key.name.to_lowercase(), key.id),
            Self::Expiry => KeyCursor::At(key.expires_at.map_or(i64::MAX, Timestamp::as_millis), key.id),
            Self::LastUse => KeyCursor::At(key.last_used_at.map_or(0, Timestamp::as_millis), key.id),
        }
    }
}

/// A position in a list: the value that it is sorted by, and the key ID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyCursor {
    /// Milliseconds.
    At(i64, KeyId),
    /// A name in lower case.
    Named(String, KeyId),
}

/// Filter, order and position of a list of keys.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    pub organization: Slug,
    /// State at `now`.
    pub status: Option<Status>,
    pub now: Timestamp,
    /// Part of the name, ignoring case.
    pub search: Option<String>,
    pub owner: Option<MemberId>,
    pub order: KeyOrder,
    /// Whether the order is reversed.
    pub is_descending: bool,
    /// Only keys after this position.
    pub after: Option<KeyCursor>,
    /// Maximum number of keys.
    pub limit: u32,
}

impl KeyFilter {
    /// Returns a filter for all keys of an organization, newest first, at most 50.
    pub const fn new(organization: Slug, now: Timestamp) -> Self {
        Self {
            organization,
            status: None,
            now,
            search: None,
            owner: None,
            order: KeyOrder::Created,
            is_descending: true,
            after: None,
            limit: 50,
        }
    }
}

impl Store {
    /// Returns the keys that match a filter.
    pub async fn keys(&self, filter: &KeyFilter) -> Result<Vec<ApiKey>, StoreError> {
        let rows = list_query(filter).fetch_all(&self.database).await?;
        rows.iter().map(key_from_row).collect()
    }
}

/// Returns the statement of a list. IDs are selected from a covering index first, then their rows are read.
fn list_query(filter: &KeyFilter) -> Query {
    let value = match filter.order {
        KeyOrder::Created => "created_at",
        KeyOrder::Name => "name_lowercase",
        KeyOrder::Expiry => "expires_place",
        KeyOrder::LastUse => "used_place",
    };
    let (beyond, direction) = if filter.is_descending { ("<", "DESC") } else { (">", "ASC") };
    let mut conditions = String::from("organization = $1");
    let mut values = vec![Value::from(filter.organization.as_str())];
    let mut bind = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    if let Some(cursor) = &filter.after {
        let (last, id) = match cursor {
            KeyCursor::At(at, id) => (bind((*at).into()), bind(id.as_str().into())),
            KeyCursor::Named(name, id) => (bind(name.into()), bind(id.as_str().into())),
        };
        conditions.push_str(&format!(" AND ({value}, id) {beyond} ({last}, {id})"));
    }
    if let Some(status) = filter.status {
        let now = bind(filter.now.as_millis().into());
        conditions.push_str(&match status {
            Status::Revoked => " AND state = 'revoked'".into(),
            Status::Expired => format!(" AND state <> 'revoked' AND expires_at <= {now}"),
            Status::Active => format!(" AND state = 'active' AND (expires_at IS NULL OR expires_at > {now})"),
            Status::Disabled => format!(" AND state = 'disabled' AND (expires_at IS NULL OR expires_at > {now})"),
        });
    }
    if let Some(part) = filter.search.as_deref().filter(|part| !part.is_empty()) {
        let pattern = bind(contains_pattern(part).into());
        conditions.push_str(&format!(" AND name_lowercase LIKE {pattern} ESCAPE '\\'"));
    }
    if let Some(owner) = &filter.owner {
        let owner = bind(owner.0.as_str().into());
        conditions.push_str(&format!(" AND owner = {owner}"));
    }
    let limit = bind(i64::from(filter.limit).into());
    let sql = format!(
        "SELECT * FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE {conditions} \
         ORDER BY {value} {direction}, id {direction} LIMIT {limit}) ORDER BY {value} {direction}, id {direction}"
    );
    values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind)
}

/// Returns a LIKE pattern for a substring of a lower-case text, with wildcards escaped.
fn contains_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
