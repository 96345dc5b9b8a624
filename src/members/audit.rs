//! A member as the audit log shows them.

use serde_json::{Value, json};

use crate::domain::member::Member;

/// The value written for a member.
pub(super) fn audit_value(member: &Member) -> Value {
    json!({ "email": member.email, "role": member.role })
}
