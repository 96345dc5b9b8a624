//! A member in the audit log.

use serde_json::{Value, json};

use crate::domain::member::Member;

pub(super) fn audit_value(member: &Member) -> Value {
    json!({ "email": member.email, "role": member.role })
}
