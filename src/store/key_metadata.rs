//! The metadata of keys, one pair per row, to find keys by it.

use sqlx::AssertSqlSafe;

use crate::crypto::digest::sha256_hex;
use crate::domain::api_key::ApiKey;
use crate::store::StoreError;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Query, placeholders, query};

/// Maximum length of a value that is stored as it is: PostgreSQL limits the length of an index entry.
const MAX_VALUE: usize = 256;

/// Returns the text of a pair in the column `pair`. Long values are replaced with their digest.
pub(super) fn pair(name: &str, value: &str) -> String {
    if value.len() <= MAX_VALUE {
        format!("{name}={value}")
    } else {
        format!("{name}#{}", sha256_hex(value.as_bytes()))
    }
}

/// Writes the pairs of a key, if they differ from the stored ones.
pub(super) async fn write(transaction: &mut Transaction, key: &ApiKey) -> Result<(), StoreError> {
    let reading = query("SELECT pair FROM key_metadata WHERE key_id = $1").bind(key.id.as_str());
    let rows = reading.fetch_all(&mut *transaction).await?;
    let mut stored = rows.iter().map(|row| row.try_get("pair")).collect::<Result<Vec<String>, _>>()?;
    let mut wanted: Vec<String> = key.metadata.iter().map(|(name, value)| pair(name, value)).collect();
    stored.sort_unstable();
    wanted.sort_unstable();
    if stored == wanted {
        return Ok(());
    }
    if !stored.is_empty() {
        query("DELETE FROM key_metadata WHERE key_id = $1").bind(key.id.as_str()).execute(&mut *transaction).await?;
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let sql = format!("INSERT INTO key_metadata (organization, pair, key_id) VALUES {}", placeholders(wanted.len(), 3));
    let bind = |query: Query, pair: String| query.bind(key.organization.as_str()).bind(pair).bind(key.id.as_str());
    wanted.into_iter().fold(query(AssertSqlSafe(sql)), bind).execute(transaction).await?;
    Ok(())
}
