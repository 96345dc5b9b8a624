//! Statements that run on either database, and their rows.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, Row as _, SqlSafeStr, SqlStr, Sqlite, Type};

use crate::store::StoreError;

use crate::store::sql::database::{Database, Snapshot, Transaction, TransactionConnection};

/// Time limit of a PostgreSQL statement before its connection is closed. Longer than `statement_timeout`, for networks
/// that drop packets silently.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(12);

/// Creates a statement that both databases understand.
pub(in crate::store) fn query(sql: impl SqlSafeStr) -> Query {
    Query { sql: sql.into_sql_str(), values: Vec::new() }
}

/// A statement and the values of `$1`, `$2` and so on.
pub(in crate::store) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

/// A value with its type, which is known even for NULL.
pub(in crate::store) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Runs a statement on its own or within a transaction.
pub(in crate::store) enum On<'a> {
    Committed(&'a Database),
    Within(&'a mut TransactionConnection),
}

impl Query {
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(in crate::store) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<Row>, StoreError> {
        match on.into() {
            On::Committed(Database::Sqlite { readers, .. }) => {
                Ok(self.for_sqlite().fetch_all(readers).await?.into_iter().map(Row::Sqlite).collect())
            }
            On::Committed(Database::Postgres(postgres)) => {
                let pool = postgres.clone();
                // In a task of its own, so that the connection stays usable if the caller stops waiting.
                postgres
                    .run(async move {
                        let mut connection = pool.acquire().await?;
                        let rows = self.on_postgres(connection.get()?).await?;
                        connection.release();
                        Ok(rows)
                    })
                    .await
            }
            On::Within(connection) => match connection {
                TransactionConnection::Sqlite(connection) => {
                    Ok(self.for_sqlite().fetch_all(&mut **connection).await?.into_iter().map(Row::Sqlite).collect())
                }
                TransactionConnection::Postgres(connection) => self.on_postgres(connection.get()?).await,
            },
        }
    }

    /// Returns the first row, if any.
    pub(in crate::store) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// Returns the first row, or an error if there is none.
    pub(in crate::store) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<Row, StoreError> {
        self.fetch_optional(on).await?.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    /// Runs a change and returns the number of affected rows.
    pub(in crate::store) async fn execute(self, transaction: &mut Transaction) -> Result<u64, StoreError> {
        match &mut transaction.connection {
            TransactionConnection::Sqlite(connection) => {
                Ok(self.for_sqlite().execute(&mut **connection).await?.rows_affected())
            }
            TransactionConnection::Postgres(connection) => {
                let execution = self.for_postgres().execute(connection.get()?);
                Ok(with_timeout(execution).await?.rows_affected())
            }
        }
    }

    /// Runs a single-statement change and returns the number of affected rows. It leaves no lock behind, even if its
    /// response is lost.
    pub(in crate::store) async fn execute_alone(self, database: &Database) -> Result<u64, StoreError> {
        match database {
            Database::Sqlite { writer, .. } => Ok(self.for_sqlite().execute(writer).await?.rows_affected()),
            Database::Postgres(postgres) => {
                let pool = postgres.clone();
                postgres
                    .run(async move {
                        let mut connection = pool.acquire().await?;
                        let done = with_timeout(self.for_postgres().execute(connection.get()?)).await?;
                        connection.release();
                        Ok(done.rows_affected())
                    })
                    .await
            }
        }
    }

    /// Returns all rows, on one connection to PostgreSQL.
    pub(in crate::store) async fn on_postgres(self, connection: &mut PgConnection) -> Result<Vec<Row>, StoreError> {
        let rows = with_timeout(self.for_postgres().fetch_all(connection)).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    fn for_sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }

    fn for_postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }
}

impl Row {
    pub(in crate::store) fn try_get<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

/// Returns `($1, $2), ($3, $4)` for two rows of two columns.
pub(in crate::store) fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Waits for PostgreSQL, at most [`STATEMENT_TIMEOUT`].
pub(in crate::store) async fn with_timeout<T>(
    response: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT, response).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StoreError::Silent),
    }
}

impl<'a> From<&'a Database> for On<'a> {
    fn from(database: &'a Database) -> Self {
        Self::Committed(database)
    }
}

impl<'a> From<&'a mut Transaction> for On<'a> {
    fn from(transaction: &'a mut Transaction) -> Self {
        Self::Within(&mut transaction.connection)
    }
}

impl<'a> From<&'a mut Snapshot> for On<'a> {
    fn from(snapshot: &'a mut Snapshot) -> Self {
        Self::Within(&mut snapshot.0)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

/// For counts and change numbers, which stay far below 2^63.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<&Vec<u8>> for Value {
    fn from(bytes: &Vec<u8>) -> Self {
        Self::Bytes(Some(bytes.clone()))
    }
}

impl From<Option<&[u8]>> for Value {
    fn from(bytes: Option<&[u8]>) -> Self {
        Self::Bytes(bytes.map(<[u8]>::to_vec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_across_rows() {
        assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
    }
}
