//! Checking that an organization's log is whole.

use crate::domain::audit_chain::{AuditHead, ChainCheck, Fault, NotedHead};
use crate::store::{Store, StoreError};

/// Rows that are read at once.
const ROWS: u32 = 1_000;

/// What a check has found.
#[derive(Debug)]
pub struct Verdict {
    /// The end of the log, or the first bad row.
    pub end: Result<AuditHead, Fault>,
    /// Those of the noted rows that are there.
    pub found: Vec<NotedHead>,
}

/// Checks an organization's log. It may grow meanwhile.
pub async fn verify(store: &Store, organization: &str, notes: &[NotedHead]) -> Result<Verdict, StoreError> {
    let mut check = ChainCheck::new(notes.to_vec());
    let (mut last, mut known) = (None, None);
    loop {
        // 1. The rows, until there are no more.
        let rows = store.audit_after(organization, last, ROWS).await?;
        for row in &rows {
            match row {
                Ok(row) => check.row(row),
                Err(id) => check.unreadable(*id),
            }
            last = Some(row.as_ref().map_or_else(|id| *id, |row| row.id));
        }
        if !rows.is_empty() && !check.is_over() {
            continue;
        }

        // 2. The end. Where it does not fit it may only have been written since, which a second look tells.
        let head = store.audit_head(organization).await?;
        if check.fault().is_none() && !check.ends_at(head.as_ref()) && known != Some(head) {
            known = Some(head);
            continue;
        }
        let behind = match head {
            Some(head) if head.rows < check.rows() => store.audit_after(organization, Some(head.id), 1).await?,
            _ => Vec::new(),
        };
        let behind = behind.first().map(|row| row.as_ref().map_or_else(|id| *id, |row| row.id));
        let found = check.found().to_vec();
        return Ok(Verdict { end: check.end(head, behind), found });
    }
}
