//! An organization: the tenant that owns keys, members, a policy and signing keys.

use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::domain::text::name_fault;
use crate::domain::timestamp::Timestamp;

#[derive(Clone, PartialEq, Debug)]
pub struct Organization {
    pub slug: Slug,
    /// The display name. The slug identifies the organization.
    pub name: String,
    pub policy: Policy,
    /// Increases with every change of the policy; its `ETag`.
    pub policy_version: u64,
    pub created_at: Timestamp,
    /// If set, every key and token of the organization is denied.
    pub suspended_at: Option<Timestamp>,
    /// If set, nothing of the organization is left but its slug, which is never used again.
    pub deleted_at: Option<Timestamp>,
    /// Number of the last change of its policy, state or signing keys. A cached copy with this number or a later one is
    /// current.
    pub changed_seq: u64,
}

/// Maximum length of a display name in characters.
const MAX_NAME: usize = 100;

impl Organization {
    /// Creates an organization with the default policy; its name is the slug. Does not store it.
    pub fn new(slug: Slug, created_at: Timestamp) -> Self {
        let name = slug.to_string();
        Self {
            slug,
            name,
            policy: Policy::default(),
            policy_version: 1,
            created_at,
            suspended_at: None,
            deleted_at: None,
            changed_seq: 0,
        }
    }
}

/// Returns why a display name is invalid.
///
/// ```
/// use keyturn::domain::organization::name_error;
/// assert_eq!(name_error("Acme Rockets, Inc."), None);
/// assert!(name_error("").is_some() && name_error(" Acme").is_some() && name_error(&"x".repeat(101)).is_some());
/// ```
pub fn name_error(name: &str) -> Option<&'static str> {
    match name.chars().count() {
        0 => Some("must not be empty"),
        length if length > MAX_NAME => Some("must be at most 100 characters long"),
        _ => name_fault(name),
    }
}
