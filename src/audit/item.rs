//! JSON representation of an audit entry, in lists and exports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::{parse_rfc3339, rfc3339};
use crate::domain::audit_chain::{AuditRow, ChainHash};

/// An audit entry. `old` and `new` are the exact stored texts, because the hash covers them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuditRow")]
pub struct AuditItem {
    /// Increases, with gaps.
    id: i64,
    /// Slug of the organization.
    organization: String,
    /// Position in the organization's log, from 1.
    position: Option<i64>,
    /// RFC 3339 in UTC.
    at: String,
    /// `key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`.
    actor: String,
    /// The action, such as `key.create`.
    action: String,
    /// ID of the changed object.
    subject: String,
    /// The client's address, if the change was made over the network.
    address: Option<String>,
    /// State before the change.
    #[schemars(with = "Option<serde_json::Value>")]
    old: Option<Box<RawValue>>,
    /// State after the change.
    #[schemars(with = "Option<serde_json::Value>")]
    new: Option<Box<RawValue>>,
    /// Hash of this entry and all before it: 64 hexadecimal digits.
    hash: Option<String>,
}

impl From<AuditRow> for AuditItem {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            organization: row.organization,
            position: row.position,
            at: rfc3339(row.at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            address: row.address,
            old: row.old.and_then(raw),
            new: row.new.and_then(raw),
            hash: row.hash.map(|hash| hash.to_string()),
        }
    }
}

impl AuditItem {
    /// Returns the entry as stored; `None` if its time or hash is not valid.
    pub(super) fn into_row(self) -> Option<AuditRow> {
        let text = |value: Box<RawValue>| value.get().to_owned();
        Some(AuditRow {
            id: self.id,
            organization: self.organization,
            position: self.position,
            at: parse_rfc3339(&self.at)?,
            actor: self.actor,
            action: self.action,
            subject: self.subject,
            address: self.address,
            old: self.old.map(text),
            new: self.new.map(text),
            hash: match self.hash {
                Some(hash) => Some(ChainHash::parse(&hash)?),
                None => None,
            },
        })
    }
}

/// Returns stored JSON. A text that is not JSON, because it was tampered with, becomes a string.
fn raw(text: String) -> Option<Box<RawValue>> {
    match RawValue::from_string(text) {
        Ok(value) => Some(value),
        Err(_) => serde_json::value::to_raw_value("(not JSON)").ok(),
    }
}
