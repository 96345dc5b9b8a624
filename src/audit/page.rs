//! Listing the audit log.

use crate::domain::audit_chain::AuditRow;
use crate::node::{Node, Unavailable};
use crate::store::AuditFilter;

/// A page of rows, and whether there are more.
#[derive(Debug)]
pub struct AuditPage {
    /// The rows, in the order that was asked for.
    pub rows: Vec<AuditRow>,
    /// Whether the list goes on after them.
    pub more: bool,
}

/// The rows that a filter lets through.
pub async fn list(node: &Node, filter: &AuditFilter) -> Result<AuditPage, Unavailable> {
    let one_more = AuditFilter { limit: filter.limit.saturating_add(1), ..filter.clone() };
    let mut rows = node.store.audit_rows(&one_more).await?;
    let more = rows.len() > filter.limit as usize;
    rows.truncate(filter.limit as usize);
    Ok(AuditPage { rows, more })
}
