//! Stored responses to requests with an `Idempotency-Key`.

use crate::domain::key_text::KeyId;
use crate::domain::sealed::Sealed;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::key_id;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::query;
use crate::store::{Store, StoreError};

/// The response to a request with an `Idempotency-Key`, for repetitions of that request.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    /// As in the audit log.
    pub caller: String,
    /// SHA-256 of the `Idempotency-Key`.
    pub digest: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// The key that was created or rotated.
    pub key: KeyId,
    /// The key's secret, encrypted.
    pub sealed: Sealed,
    pub at: Timestamp,
}

/// A response can be repeated for this long.
const RESPONSE_SECONDS: i64 = 86_400;

impl Store {
    /// Returns the response to a caller's request with this `Idempotency-Key` (its SHA-256), unless it is older than
    /// `since`.
    pub async fn stored_response(
        &self,
        caller: &str,
        digest: &[u8; 32],
        since: Timestamp,
    ) -> Result<Option<StoredResponse>, StoreError> {
        let row = query(
            "SELECT request, key_id, master_key, sealed, at FROM answers WHERE caller = $1 AND digest = $2 AND at > $3",
        )
        .bind(caller)
        .bind(digest.as_slice())
        .bind(since.as_millis())
        .fetch_optional(&self.database)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let request: Vec<u8> = row.try_get("request")?;
        let unreadable = |_| StoreError::Unreadable { what: "answer", detail: "a digest of a wrong length".into() };
        Ok(Some(StoredResponse {
            caller: caller.to_owned(),
            digest: *digest,
            request: request.try_into().map_err(unreadable)?,
            key: key_id(row.try_get("key_id")?)?,
            sealed: Sealed { master_key: row.try_get("master_key")?, bytes: row.try_get("sealed")? },
            at: Timestamp::from_millis(row.try_get("at")?),
        }))
    }

    /// Deletes responses up to `before`.
    pub async fn delete_responses(&self, before: Timestamp) -> Result<u64, StoreError> {
        query("DELETE FROM answers WHERE at <= $1").bind(before.as_millis()).execute_alone(&self.database).await
    }
}

/// Stores a response. Returns false if there is one already.
pub(super) async fn store_response(
    transaction: &mut Transaction,
    response: Option<&StoredResponse>,
) -> Result<bool, StoreError> {
    let Some(response) = response else { return Ok(true) };
    let written = query(
        "INSERT INTO answers (caller, digest, request, key_id, master_key, sealed, at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (caller, digest) DO UPDATE SET request = excluded.request, key_id = excluded.key_id, \
         master_key = excluded.master_key, sealed = excluded.sealed, at = excluded.at WHERE answers.at <= $8",
    )
    .bind(&response.caller)
    .bind(response.digest.as_slice())
    .bind(response.request.as_slice())
    .bind(response.key.as_str())
    .bind(&response.sealed.master_key)
    .bind(&response.sealed.bytes)
    .bind(response.at.as_millis())
    .bind(response.at.plus_seconds(-RESPONSE_SECONDS).as_millis())
    .execute(transaction)
    .await?;
    Ok(written == 1)
}
