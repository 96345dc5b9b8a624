//! JSON of members and sessions.

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
    /// The IDs of keys with more rights than the new role can grant. Only in responses that change the role. The keys keep
    /// working until they are revoked or edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys_beyond_role: Vec<String>,
    /// The temporary password. Only in responses that add the member or reset the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl MemberJson {
    /// Returns a member.
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

    /// Adds the keys with more rights than the role can grant.
    pub(super) fn with_keys_beyond_role(self, keys: &[KeyId]) -> Self {
        Self { keys_beyond_role: keys.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Returns a member with a temporary password, which is shown once.
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
    /// Whether it is the session of this request.
    is_current: bool,
}

impl SessionJson {
    /// Returns a session. `current` is the ID of the session that requests it.
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
