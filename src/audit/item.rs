//! A row of the audit log as JSON: an item of a list, a line of an export.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::{parse_rfc3339, rfc3339};
use crate::domain::audit_chain::{AuditRow, ChainHash};

/// A row. Old and new values are the very text that is stored, for the hash covers it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuditRow")]
pub struct AuditItem {
    /// Its number; rises, but not by one.
    id: i64,
    /// Whose log: a slug.
    organization: String,
    /// Its place in that log, from 1.
    position: Option<i64>,
    /// When: RFC 3339 in UTC.
    at: String,
    /// Who: `key:{id}`, `member:{id}` or `keyturn`.
    actor: String,
    /// What, as in `key.create`.
    action: String,
    /// To which: an id.
    subject: String,
    /// From which address, if over the network.
    address: Option<String>,
    /// What was before.
    #[schemars(with = "Option<serde_json::Value>")]
    old: Option<Box<RawValue>>,
    /// What is now.
    #[schemars(with = "Option<serde_json::Value>")]
    new: Option<Box<RawValue>>,
    /// The hash of the row and all before it: 64 hexadecimal digits.
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
    /// The row as it is stored; `None` when its time or its hash cannot be read.
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

/// JSON as it is stored; what is not JSON, for somebody has changed it, as a string.
fn raw(text: String) -> Option<Box<RawValue>> {
    match RawValue::from_string(text) {
        Ok(value) => Some(value),
        Err(_) => serde_json::value::to_raw_value("(not JSON)").ok(),
    }
}
