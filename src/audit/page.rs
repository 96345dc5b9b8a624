//! Listing the audit log.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::audit_chain::AuditRow;
use crate::domain::page::Page;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable};
use crate::store::{AuditFilter, AuditFrom};

/// Longest action, actor or subject that can be asked for, in characters.
const MAX_NAME: usize = 200;

/// The rows that a filter lets through.
pub async fn list(node: &Node, filter: &AuditFilter) -> Result<Page<AuditRow>, Unavailable> {
    let one_more = AuditFilter { limit: Page::<AuditRow>::read_limit(filter.limit), ..filter.clone() };
    Ok(Page::new(node.store.audit_rows(&one_more).await?, filter.limit))
}

/// Returns the cursor behind a row.
pub fn cursor(row: &AuditRow) -> String {
    URL_SAFE_NO_PAD.encode(format!("audit.{}.{}", row.at.as_millis(), row.id))
}

/// Where a list, newest first, goes on behind a cursor; `None` when it is not one of ours.
pub fn read_cursor(text: &str) -> Option<AuditFrom> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.strip_prefix("audit.")?.split_once('.')?;
    Some(AuditFrom::Before(Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
}

/// What is wrong with an action, actor or subject that is asked for, if anything.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.chars().count() > MAX_NAME {
        return Some("too long; at most 200 characters are allowed");
    }
    name.chars().any(char::is_control).then_some("control characters are not allowed")
}
