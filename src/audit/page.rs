//! Lists the audit log.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::audit_chain::AuditRow;
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable};
use crate::store::{AuditFilter, AuditFrom, action};

/// Maximum length of an action, actor or subject in a filter, in characters.
const MAX_NAME: usize = 200;

/// Returns the entries that match a filter.
pub async fn list(node: &Node, filter: &AuditFilter) -> Result<Page<AuditRow>, Unavailable> {
    let one_more = AuditFilter { limit: Page::<AuditRow>::read_limit(filter.limit), ..filter.clone() };
    Ok(Page::new(node.store.audit_rows(&one_more).await?, filter.limit))
}

/// Returns who revoked keys, by key ID.
pub async fn revokers(
    node: &Node,
    organization: &Slug,
    keys: &[String],
) -> Result<HashMap<String, String>, Unavailable> {
    Ok(node.store.last_actors(organization, action::KEY_REVOKE, keys).await?)
}

/// Returns the cursor behind a row.
pub fn cursor(row: &AuditRow) -> String {
    URL_SAFE_NO_PAD.encode(format!("audit.{}.{}", row.at.as_millis(), row.id))
}

/// Parses a cursor of [`AuditPage::next_cursor`].
pub fn read_cursor(text: &str) -> Option<AuditFrom> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.strip_prefix("audit.")?.split_once('.')?;
    Some(AuditFrom::Before(Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
}

/// Whether a text can be the name of a field.
pub fn is_field_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Returns why an action, actor or subject is not a valid filter.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.chars().count() > MAX_NAME {
        return Some("too long; at most 200 characters are allowed");
    }
    name.chars().any(char::is_control).then_some("control characters are not allowed")
}
