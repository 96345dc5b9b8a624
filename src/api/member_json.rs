//! A member and a session as the API shows them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::rfc3339;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, Role, Session};

/// A member. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub(super) struct MemberJson {
    id: String,
    organization: String,
    email: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::role")]
    role: Role,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_sign_in_at: Option<String>,
    version: u64,
    /// The ids of keys that do more than the role could hand out now: only when the role was changed. They go on working
    /// until somebody revokes or narrows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys_beyond_role: Vec<String>,
    /// The password to begin with: only when the member is added or it is reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl MemberJson {
    /// A member.
    pub(super) fn new(member: &Member) -> Self {
        Self {
            id: member.id.0.clone(),
            organization: member.organization.to_string(),
            email: member.email.clone(),
            role: member.role,
            created_at: rfc3339(member.created_at),
            last_sign_in_at: member.last_sign_in_at.map(rfc3339),
            version: member.version,
            keys_beyond_role: Vec::new(),
            password: None,
        }
    }

    /// The member with the keys that do more than their role could hand out.
    pub(super) fn with_keys_beyond_role(self, keys: &[KeyId]) -> Self {
        Self { keys_beyond_role: keys.iter().map(ToString::to_string).collect(), ..self }
    }

    /// A member with the password to begin with, the only time that it is shown.
    pub(super) fn with_password(member: &Member, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..Self::new(member) }
    }
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct SessionJson {
    id: String,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_seen_at: String,
    #[schemars(extend("format" = "date-time"))]
    ends_at: String,
    address: Option<String>,
    user_agent: String,
    /// Whether it is the one that asks.
    is_current: bool,
}

impl SessionJson {
    /// A session, seen by the one named `current`.
    pub(super) fn new(session: &Session, current: Option<&str>) -> Self {
        Self {
            id: session.id.clone(),
            created_at: rfc3339(session.created_at),
            last_seen_at: rfc3339(session.last_seen_at),
            ends_at: rfc3339(session.ends_at),
            address: session.address.clone(),
            user_agent: session.user_agent.clone(),
            is_current: current == Some(session.id.as_str()),
        }
    }
}
