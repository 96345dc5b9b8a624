//! Rows of the audit log that these use cases have in common.

use serde_json::{Value, json};

use crate::domain::authority::By;
use crate::domain::member::Member;
use crate::store::AuditEntry;

/// What somebody did to a subject.
pub(super) fn entry(
    by: &By,
    action: &'static str,
    subject: &str,
    old: Option<Value>,
    new: Option<Value>,
) -> AuditEntry {
    AuditEntry {
        at: by.now,
        actor: by.actor.clone(),
        address: by.address.map(|address| address.to_string()),
        action,
        subject: subject.to_owned(),
        old,
        new,
    }
}

/// A member as the audit log shows them.
pub(super) fn audit_value(member: &Member) -> Value {
    json!({ "email": member.email, "role": member.role })
}
