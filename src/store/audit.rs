//! Rows of the audit log. No secret is ever part of one.

use serde_json::Value;

use crate::domain::timestamp::Timestamp;

/// The names of audited actions.
pub mod action {
    /// An organization was founded.
    pub const ORGANIZATION_CREATE: &str = "organization.create";
    /// A key was created.
    pub const KEY_CREATE: &str = "key.create";
    /// A key was edited.
    pub const KEY_EDIT: &str = "key.edit";
    /// A key was rotated.
    pub const KEY_ROTATE: &str = "key.rotate";
    /// A key was revoked.
    pub const KEY_REVOKE: &str = "key.revoke";
    /// A key was disabled.
    pub const KEY_DISABLE: &str = "key.disable";
    /// A key was enabled.
    pub const KEY_ENABLE: &str = "key.enable";
    /// A key ends soon.
    pub const KEY_EXPIRING: &str = "key.expiring";
    /// A key was not used for as long as the policy says.
    pub const KEY_STALE: &str = "key.stale";
    /// A key was kept out by its networks.
    pub const KEY_DENIED_BY_NETWORK: &str = "key.denied_by_network";
    /// A token was revoked.
    pub const TOKEN_REVOKE: &str = "token.revoke";
    /// A signing key was made.
    pub const SIGNING_KEY_CREATE: &str = "signing-key.create";
    /// A signing key was removed.
    pub const SIGNING_KEY_DELETE: &str = "signing-key.delete";
}

/// A row to be written in the transaction of the change that it tells of.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: `key:{id}`, `member:{id}` or `keyturn`.
    pub actor: String,
    /// From where, if over the network.
    pub address: Option<String>,
    /// What: one of [`action`].
    pub action: &'static str,
    /// To which: an id.
    pub subject: String,
    /// What was before.
    pub old: Option<Value>,
    /// What is now.
    pub new: Option<Value>,
}

/// A row as it is read.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditRecord {
    /// Its place in the log.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: Option<String>,
    /// What.
    pub action: String,
    /// To which.
    pub subject: String,
    /// What was before.
    pub old: Option<Value>,
    /// What is now.
    pub new: Option<Value>,
}
