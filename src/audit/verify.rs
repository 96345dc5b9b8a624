//! Verifies an organization's log in the database.

use crate::domain::audit_chain::{AuditHead, ChainCheck, Fault, NotedHead};
use crate::store::{Store, StoreError};

/// Entries per read.
const ROWS: u32 = 1_000;

/// The result of a verification.
#[derive(Debug)]
pub struct Verdict {
    /// The end of the log, or the first bad entry.
    pub end: Result<AuditHead, Fault>,
    /// The noted entries that the log contains.
    pub confirmed: Vec<NotedHead>,
}

/// Verifies an organization's log, which may grow meanwhile.
pub async fn verify(store: &Store, organization: &str, notes: &[NotedHead]) -> Result<Verdict, StoreError> {
    let mut check = ChainCheck::new(notes.to_vec());
    let (mut last, mut known) = (None, None);
    loop {
        // 1. All entries.
        let rows = store.audit_after(organization, last, ROWS).await?;
        for row in &rows {
            match row {
                Ok(row) => check.row(row),
                Err(id) => check.unreadable(*id),
            }
            last = Some(row.as_ref().map_or_else(|id| *id, |row| row.id));
        }
        if !rows.is_empty() && !check.is_final() {
            continue;
        }

        // 2. The recorded end. A mismatch may be due to a concurrent write, so read again before reporting it.
        let head = store.audit_head(organization).await?;
        if check.fault().is_none() && !check.ends_at(head.as_ref()) && known != Some(head) {
            known = Some(head);
            continue;
        }
        let after_end = match head {
            Some(head) if head.rows < check.rows() => store.audit_after(organization, Some(head.id), 1).await?,
            _ => Vec::new(),
        };
        let after_end = after_end.first().map(|row| row.as_ref().map_or_else(|id| *id, |row| row.id));
        let confirmed = check.confirmed().to_vec();
        return Ok(Verdict { end: check.end(head, after_end), confirmed });
    }
}
